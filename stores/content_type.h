// Which message the content of a submission is.

#ifndef SLUICE_STORES_CONTENT_TYPE_H_
#define SLUICE_STORES_CONTENT_TYPE_H_

#include "google/protobuf/descriptor.h"
#include "stores/store.h"

namespace sluice {

// The message that the content of a `kind` was serialized from. It lives as
// long as the program.
const google::protobuf::Descriptor& ContentType(SubmissionKind kind);

}  // namespace sluice

#endif  // SLUICE_STORES_CONTENT_TYPE_H_
