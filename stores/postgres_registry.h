// The ServerRegistry of the PostgreSQL store: the tables journals and servers
// in postgres_schema.cc.

#ifndef SLUICE_STORES_POSTGRES_REGISTRY_H_
#define SLUICE_STORES_POSTGRES_REGISTRY_H_

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
#include "stores/postgres.h"
#include "stores/server_registry.h"

namespace sluice {

// Servers may register at the same time.
class PostgresRegistry final : public ServerRegistry {
 public:
  // Calls `use` with a session of the store.
  using Use = absl::FunctionRef<absl::Status(PostgresConnection& db)>;
  using Session = std::function<absl::Status(Use use)>;

  // With `read`, `use` runs queries. If `read` returns OK, the standbys have
  // all rows that the queries found. With `write`, `use` queues statements (it
  // does not call Receive), which become one transaction of a session that
  // holds the number of this server. If `write` returns OK, the transaction is
  // as durable as a saved batch.
  PostgresRegistry(std::int64_t server, Session read, Session write)
      : server_(server), read_(std::move(read)), write_(std::move(write)) {}

  std::int64_t server() const override { return server_; }
  absl::StatusOr<std::vector<RegisteredJournal>> Journals() override;
  absl::Status Register(absl::Span<const RegisteredJournal> journals) override;
  absl::Status Retire(std::string_view id, std::string_view reason,
                      absl::Time now) override;
  absl::StatusOr<std::int64_t> Reserved() override;
  absl::Status Reserve(std::int64_t sequence) override;

 private:
  const std::int64_t server_;
  const Session read_;
  const Session write_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_REGISTRY_H_
