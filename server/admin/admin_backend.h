// What the admin service needs of the server that it looks into.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_BACKEND_H_
#define SLUICE_SERVER_ADMIN_ADMIN_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// What a pool has in quarantine, as its Journal tells it: see
// journal_quarantine.h. Thread-safe.
class Quarantine {
 public:
  virtual ~Quarantine() = default;

  // As Journal::ListQuarantine and Journal::FindQuarantined.
  virtual absl::StatusOr<std::vector<Quarantined>> List(std::int64_t after,
                                                        std::size_t max,
                                                        bool with_content) = 0;
  virtual absl::StatusOr<std::vector<std::optional<Quarantined>>> Find(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) = 0;
};

struct PoolQuarantine {
  std::string pool;
  Quarantine* quarantine = nullptr;
};

// Thread-safe. What it returns pointers to outlives it.
class AdminBackend {
 public:
  virtual ~AdminBackend() = default;

  virtual Store& store() = 0;
  // Of the pools that have one.
  virtual std::vector<PoolQuarantine> quarantines() = 0;

  // Takes it out of quarantine and puts it into the pool's queue. NOT_FOUND
  // where it is not in quarantine; any other error leaves it there, and one
  // that IsTransient says that others would fare no better now.
  virtual absl::Status RetryQuarantined(const std::string& pool,
                                        std::int64_t sequence) = 0;

  // The last that was given to a submission; before the first, the number
  // before it.
  virtual std::int64_t LastSequence() = 0;
  // Those that are given, but neither stored (as a submission or a gap), nor in
  // quarantine, nor turned away: in a queue of any kind, or in work. None that
  // LastSequence told before is missing, unless it has become one of those.
  virtual std::vector<std::int64_t> PendingSequences() = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_BACKEND_H_
