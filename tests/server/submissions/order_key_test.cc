#include "server/submissions/order_key.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

ReceivedSubmission Response(const std::string& study, const std::string& site,
                            const std::string& subject) {
  v1::SubmitRequest request;
  request.mutable_response()->mutable_subject()->set_reference(subject);
  ReceivedSubmission submission;
  submission.kind = SubmissionKind::kQuestionnaireResponse;
  submission.study_id = study;
  submission.site_id = site;
  submission.content = request.SerializeAsString();
  return submission;
}

ReceivedSubmission Record(const std::string& study, const std::string& site,
                          const std::string& patient) {
  v1::PatientRecord record;
  record.set_patient_id(patient);
  ReceivedSubmission submission;
  submission.kind = SubmissionKind::kPatientRecord;
  submission.study_id = study;
  submission.site_id = site;
  submission.content = record.SerializeAsString();
  return submission;
}

TEST(OrderKey, IsOneForASubjectOfASite) {
  EXPECT_EQ(OrderKey(Response("s", "1", "Patient/1")),
            OrderKey(Response("s", "1", "Patient/1")));
  EXPECT_NE(OrderKey(Response("s", "1", "Patient/1")),
            OrderKey(Response("s", "1", "Patient/2")));
  EXPECT_NE(OrderKey(Response("s", "1", "Patient/1")),
            OrderKey(Response("t", "1", "Patient/1")));
}

TEST(OrderKey, APatientsIdOfAnotherSiteIsAnotherSubject) {
  EXPECT_NE(OrderKey(Response("s", "1", "Patient/1")),
            OrderKey(Response("s", "2", "Patient/1")));
  EXPECT_NE(OrderKey(Record("s", "1", "1")), OrderKey(Record("s", "2", "1")));
}

TEST(OrderKey, TheSiteOfTheCallCountsIfTheSubmissionNamesNone) {
  const ReceivedSubmission none = Response("s", "", "Patient/1");
  EXPECT_NE(OrderKey(none, "1"), OrderKey(none, "2"));
  EXPECT_EQ(OrderKey(none, "1"), OrderKey(Response("s", "1", "Patient/1")));
  EXPECT_EQ(OrderKey(Response("s", "1", "Patient/1"), "2"),
            OrderKey(Response("s", "1", "Patient/1")));
}

TEST(OrderKey, IsZeroWithoutASubject) {
  EXPECT_EQ(OrderKey(Response("s", "1", "")), 0u);
  EXPECT_EQ(OrderKey(Record("s", "1", "")), 0u);
}

}  // namespace
}  // namespace sluice
