#include "stores/content_type.h"

#include "sluice/v1/ingestion.pb.h"

namespace sluice {

const google::protobuf::Descriptor& ContentType(SubmissionKind kind) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return *v1::SubmitRequest::descriptor();
    case SubmissionKind::kPatientRecord:
      return *v1::PatientRecord::descriptor();
    case SubmissionKind::kAppEvent:
      return *v1::AppEvent::descriptor();
  }
  return *v1::SubmitRequest::descriptor();
}

}  // namespace sluice
