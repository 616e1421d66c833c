// Decides whether two submissions have the same content.

#ifndef SLUICE_FORMS_CONTENT_H_
#define SLUICE_FORMS_CONTENT_H_

#include <string_view>

#include "google/protobuf/descriptor.h"

namespace sluice {

// True if `a` and `b`, serialized messages of `type`, are equal after both were
// parsed and serialized again deterministically. False if either does not
// parse. Thread-safe.
bool SameMessage(const google::protobuf::Descriptor& type, std::string_view a,
                 std::string_view b);

}  // namespace sluice

#endif  // SLUICE_FORMS_CONTENT_H_
