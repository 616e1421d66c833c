// Reads a store from front to back, and tells what is in it and what is not.

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

// What is read at a time, and so what an export holds.
inline constexpr std::size_t kExportPageMax = 1000;
inline constexpr std::size_t kExportPageBytesMax = std::size_t{4} << 20;

// What the server knows of its numbers now.
absl::StatusOr<SequenceCensus> TakeCensus(AdminBackend& backend);

// Hands over what was stored when it began: see Export in admin.proto. With
// other servers on the store, what those store meanwhile comes as well, where
// their numbers are higher.
//
// `take` is called with one message after the other, and may block; CANCELLED
// once it returns false. Errors are those of the store and the journals.
absl::Status ExportStore(
    AdminBackend& backend, const v1::ExportRequest& request,
    absl::FunctionRef<bool(const v1::ExportResponse&)> take);

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_STORE_EXPORT_H_
