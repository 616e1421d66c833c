// Converts the server's types to messages of admin.proto.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_MESSAGES_H_
#define SLUICE_SERVER_ADMIN_ADMIN_MESSAGES_H_

#include <string>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/admin/sequence_gaps.h"
#include "sluice/v1/admin.pb.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// Converts a time exactly, to the nanosecond. A time outside the range of a
// Timestamp (years 1 to 9999) becomes the nearest time inside.
void SetTimestamp(absl::Time from, google::protobuf::Timestamp* to);
absl::Time ToTime(const google::protobuf::Timestamp& from);

// Converts a submission. The content is moved, not copied.
v1::ExportedSubmission ToExported(ReceivedSubmission submission);
v1::SequenceGap ToGap(const SequenceRange& range);

// Returns `text` if it is valid UTF-8, otherwise an escaped form. A string
// field of a message must be valid UTF-8, but texts of a damaged submission may
// be invalid.
std::string ValidText(const std::string& text);

// Converts a quarantined submission without its content. `quarantined` must
// still have the content, whose size becomes `content_bytes`.
v1::QuarantinedSubmission ToEntry(const std::string& pool,
                                  const Quarantined& quarantined);

v1::DiscardedSubmission ToRecord(const std::string& pool,
                                 const Discarded& discarded);

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_MESSAGES_H_
