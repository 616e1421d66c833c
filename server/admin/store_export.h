// Exports a store: all submissions, and the gaps between their sequence
// numbers.

#ifndef SLUICE_SERVER_ADMIN_STORE_EXPORT_H_
#define SLUICE_SERVER_ADMIN_STORE_EXPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/admin/admin_backend.h"
#include "server/admin/sequence_gaps.h"
#include "sluice/v1/admin.pb.h"

namespace sluice {

// Limits of a page. An export holds one page in memory.
inline constexpr std::size_t kExportPageMax = 1000;
inline constexpr std::size_t kExportPageBytesMax = std::size_t{4} << 20;

// Takes a census of the server's own sequence numbers.
absl::StatusOr<SequenceCensus> TakeCensus(AdminBackend& backend);

// Exports the submissions that were stored when the export began; see Export in
// admin.proto. If other servers share the store, submissions that they store
// during the export may be included.
//
// Calls `take` with one message after another. `take` may block. If `take`
// returns false, the export ends with CANCELLED. Other errors are errors of the
// store or of a journal.
absl::Status ExportStore(
    AdminBackend& backend, const v1::ExportRequest& request,
    absl::FunctionRef<bool(const v1::ExportResponse&)> take);

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_STORE_EXPORT_H_
