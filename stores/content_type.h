// The protobuf message types of submissions.

#ifndef SLUICE_STORES_CONTENT_TYPE_H_
#define SLUICE_STORES_CONTENT_TYPE_H_

#include "google/protobuf/descriptor.h"
#include "stores/store.h"

namespace sluice {

// Returns the message type of the content of a submission of `kind`. The
// descriptor lives as long as the program.
const google::protobuf::Descriptor& ContentType(SubmissionKind kind);

}  // namespace sluice

#endif  // SLUICE_STORES_CONTENT_TYPE_H_
