// Compares the journals of the configuration with the journals that the store
// knows (stores/server_registry.h), before the server assigns a number or
// processes an entry. A journal has acknowledged submissions that the store
// does not have, so a server must not start without a journal that it used
// before, and not with the journal of another server.

#ifndef SLUICE_SERVER_JOURNAL_CHECK_IN_H_
#define SLUICE_SERVER_JOURNAL_CHECK_IN_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/journal.h"
#include "stores/server_registry.h"

namespace sluice {

// A journal that a pool has open.
struct OpenJournal {
  RegisteredJournal journal;       // as the registry should have it
  bool used = false;               // Journal::used
  std::int64_t last_sequence = 0;  // Journal::LastSequence
};

// The file at the path of a registered journal that no pool has open.
struct FoundJournal {
  enum class State {
    kMissing,     // there is no such file
    kOtherHost,   // another host has registered the path, and this host has no
                  // such journal there
    kOther,       // the file is another journal
    kUnreadable,  // the file or its state file cannot be read, or is in use
    kFound,       // the file is the journal
  };

  State state = State::kMissing;
  // Set for kFound.
  std::int64_t entries = 0;
  std::int64_t quarantined = 0;
};

// Everything that the decision depends on.
struct CheckInFacts {
  std::int64_t server = 0;  // number of this server
  bool has_registry = true;
  bool accept_damage = false;
  std::vector<OpenJournal> open = {};
  // Ids of the journals that are being adopted (journal_adoption.h).
  std::vector<std::string> adopted = {};
  // The journals of all servers that are not retired.
  std::vector<RegisteredJournal> registered = {};
  // By id: the files of this server's registered journals that are neither open
  // nor being adopted.
  std::map<std::string, FoundJournal> found = {};
};

struct RetiredJournal {
  RegisteredJournal journal;
  // True if the journal may have had acknowledged submissions.
  bool lost = false;
};

// The decision. If there are errors, nothing else may be carried out.
struct CheckInResult {
  std::vector<std::string> errors;
  std::vector<RegisteredJournal> to_register;
  std::vector<RetiredJournal> to_retire;
};

// Decides, without I/O. For each journal:
//
//   open, registered for this server       register again if pool, host or path
//                                          have changed
//   open, registered for another server    error
//   open, not registered:
//     has numbers of another server        error
//     was used, and the pool used another  error, unless damage is accepted
//     journal that is missing, not empty
//     otherwise                            register
//   registered for this server, missing:
//     found and empty                      retire
//     otherwise                            error; if damage is accepted, retire
//                                          as lost
//
// A journal is missing if it is neither open nor being adopted. Without a
// registry only the numbers are checked.
CheckInResult CheckIn(const CheckInFacts& facts);

// Options of CheckInJournals.
struct CheckInOptions {
  bool accept_damage = false;
  std::vector<std::string> adopted = {};  // CheckInFacts::adopted
  std::string host;                       // name of this machine
  // Key of the configuration that errors of the registry name.
  std::string store_key = "store";
  absl::Time now;
};

// A journal of the configuration.
struct JournalOfPool {
  std::string pool;
  std::string path;  // as configured
  Journal* journal;
};

// Collects the facts and carries out the result of CheckIn. `registry` may be
// null. Returns all errors in one message. Otherwise returns the highest number
// that may have been assigned and is known to the registry alone: the reserved
// numbers if a journal is lost, or 0. The open journals then remember this
// number, so that the next start knows it too.
absl::StatusOr<std::int64_t> CheckInJournals(
    ServerRegistry* registry, std::int64_t server,
    absl::Span<const JournalOfPool> journals, const CheckInOptions& options);

}  // namespace sluice

#endif  // SLUICE_SERVER_JOURNAL_CHECK_IN_H_
