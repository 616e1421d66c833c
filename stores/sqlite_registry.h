// The ServerRegistry of the SQLite store: the tables journals and servers in
// sqlite_schema.cc.

#ifndef SLUICE_STORES_SQLITE_REGISTRY_H_
#define SLUICE_STORES_SQLITE_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/server_registry.h"
#include "stores/sqlite.h"

namespace sluice {

// A SQLite store is used by one server, whose number is 0.
class SqliteRegistry final : public ServerRegistry {
 public:
  // Runs statements on a connection of the store, in one transaction, and
  // commits. Thread-safe.
  using Statements = absl::FunctionRef<absl::Status(SqliteConnection& db)>;
  using Transaction = std::function<absl::Status(Statements statements)>;

  // `read` must not wait for a SaveBatch in progress. After `write` returned
  // OK, the changes are durable.
  SqliteRegistry(Transaction read, Transaction write)
      : read_(std::move(read)), write_(std::move(write)) {}

  std::int64_t server() const override { return 0; }
  absl::StatusOr<std::vector<RegisteredJournal>> Journals() override;
  absl::Status Register(absl::Span<const RegisteredJournal> journals) override;
  absl::Status Retire(std::string_view id, std::string_view reason,
                      absl::Time now) override;
  absl::StatusOr<std::int64_t> Reserved() override;
  absl::Status Reserve(std::int64_t sequence) override;

 private:
  const Transaction read_;
  const Transaction write_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_REGISTRY_H_
