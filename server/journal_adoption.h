// Moves the entries of journals that no pool uses into the journals of this
// server's pools (`--adopt-journal`). A journal may be of another server, or
// from an old disk of this server.
//
// Entries are moved in groups. Each group is durable in this server's journal
// before it is removed from the other journal. After a crash in between, both
// journals have the group; it is adopted again, and the store recognises the
// repetition. The entries are then processed like those of a replay.

#ifndef SLUICE_SERVER_JOURNAL_ADOPTION_H_
#define SLUICE_SERVER_JOURNAL_ADOPTION_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "config/config.h"
#include "stores/journal.h"

namespace sluice {

// A journal that is open for its adoption.
struct AdoptedJournal {
  std::string path;  // as given
  std::unique_ptr<Journal> journal;
};

// Opens the journals at `paths` for their adoption. Errors name the flag:
// FAILED_PRECONDITION if `config` has no journal, or if a path is one of its
// journals or is given twice, NOT_FOUND if there is no file. Also returns the
// errors of Journal::Open.
absl::StatusOr<std::vector<AdoptedJournal>> OpenAdopted(
    absl::Span<const std::string> paths, const Config& config,
    bool accept_damage);

struct AdoptionCounts {
  std::size_t entries = 0;
  std::size_t quarantined = 0;  // from the quarantine of the other journal
  // Damaged entries, which stay in the other journal.
  std::size_t damaged = 0;
};

struct AdoptionOptions {
  // Returns the journal that gets the entries of a method.
  absl::FunctionRef<Journal&(std::string_view method)> journal_of;
  // Called after each group was copied and before it is removed from the other
  // journal. An error ends the adoption. May be empty.
  std::function<absl::Status()> copied;
};

// Moves all undamaged entries, also those in quarantine, out of `from`. Each
// becomes an entry at the end of its new journal, with its sequence number.
absl::StatusOr<AdoptionCounts> AdoptEntries(Journal& from,
                                            const AdoptionOptions& options);

}  // namespace sluice

#endif  // SLUICE_SERVER_JOURNAL_ADOPTION_H_
