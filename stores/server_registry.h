// The registry of servers in a store: their journals, and the sequence numbers
// that they may have assigned.
//
// A journal has acknowledged submissions that the store does not have yet. The
// registry tells whether a server was started with another server's journal,
// without a journal that it had before, or with an empty one in its place.
//
// A server reserves sequence numbers before it assigns them to submissions that
// it acknowledges from a journal. If the journal is lost, the store does not
// know these numbers, but it knows that they are reserved. A server without its
// journal continues after the reserved numbers, so that no number is assigned
// twice.

#ifndef SLUICE_STORES_SERVER_REGISTRY_H_
#define SLUICE_STORES_SERVER_REGISTRY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace sluice {

// A journal that a server uses, or used until it was retired.
struct RegisteredJournal {
  std::string id;           // Journal::id, 32 hexadecimal digits
  std::int64_t server = 0;  // number of the server
  std::string pool;         // name of the pool that used the journal last
  std::string host;         // name of the machine with the file
  std::string path;         // absolute

  bool operator==(const RegisteredJournal&) const = default;
};

// Thread-safe. Calls block. Errors are UNAVAILABLE, as in Store. A recorded
// change is as durable as a saved submission.
class ServerRegistry {
 public:
  virtual ~ServerRegistry() = default;

  // Number of this server among the servers that share the store. Its sequence
  // numbers are the series of that number (base/sequence_series.h).
  virtual std::int64_t server() const = 0;

  // Returns the journals of all servers that are not retired, sorted by id.
  virtual absl::StatusOr<std::vector<RegisteredJournal>> Journals() = 0;
  // Records the journals, in one transaction. A journal that is recorded
  // already, or is retired, gets the new values and is not retired.
  virtual absl::Status Register(
      absl::Span<const RegisteredJournal> journals) = 0;
  // Records that a journal is no longer used, at the time `now`, and why. The
  // record is kept. OK if the journal is not recorded or is retired already.
  virtual absl::Status Retire(std::string_view id, std::string_view reason,
                              absl::Time now) = 0;

  // Returns the highest sequence number that this server has reserved; 0 if it
  // never reserved one.
  virtual absl::StatusOr<std::int64_t> Reserved() = 0;
  // Reserves all numbers of this server up to `sequence`. Numbers that are
  // reserved stay reserved.
  virtual absl::Status Reserve(std::int64_t sequence) = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SERVER_REGISTRY_H_
