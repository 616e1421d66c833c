#include "tests/crash/postgres_cluster.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/time.h"
#include "stores/postgres.h"
#include "tests/crash/limits.h"

namespace sluice {
namespace {

constexpr char kDatabase[] = "postgres";

// Time for standbys to follow the primary. Generous: they need about a second.
constexpr absl::Duration kFollowLimit = absl::Seconds(20);

// Parameters of the campaign's own sessions: they reach standbys, and do not
// wait for standbys.
constexpr char kOwnSession[] =
    "&target_session_attrs=any&options=-csynchronous_commit%3Doff";

std::string NodeName(int number) { return absl::StrCat("n", number); }

std::vector<std::string> SettingsOf(const PostgresClusterOptions& options,
                                    const std::string& name) {
  std::vector<std::string> names;
  for (int i = 0; i <= options.standbys; ++i) names.push_back(NodeName(i));
  const std::string quorum =
      absl::StrCat("ANY 1 (", absl::StrJoin(names, ", "), ")");
  const bool waits = options.synchronous && options.standbys > 0;
  return {
      // Also the name of a standby in synchronous_standby_names.
      "cluster_name=" + name,
      "synchronous_standby_names=" + (waits ? quorum : ""),
      // Keeps the write-ahead log for standbys that were absent.
      "wal_keep_size=256MB",
      // Standbys reconnect at once, instead of after 5 s.
      "wal_retrieve_retry_interval=50ms",
  };
}

using Rows = absl::StatusOr<PostgresResult>;

Rows TryQuery(const LocalPostgres& postgres, const std::string& sql) {
  auto db = PostgresConnection::Open(
      postgres.Url(kDatabase) + kOwnSession, {},
      std::chrono::steady_clock::now() + ToMonotonic(kPostgresLimit));
  if (!db.ok()) return db.status();
  return db->Query(sql.c_str());
}

// Runs one statement, again and again until it succeeds and `accept` returns
// true for its result: a server refuses sessions for a moment after one of its
// processes was killed.
template <typename Accept>
Rows QueryUntil(const LocalPostgres& postgres, const std::string& sql,
                Accept accept, absl::Duration limit = kPostgresLimit) {
  std::optional<Rows> rows;
  const auto succeeds = [&] {
    rows.emplace(TryQuery(postgres, sql));
    return rows->ok() && accept(**rows);
  };
  if (WaitUntil(succeeds, limit)) return *std::move(rows);
  return absl::DeadlineExceededError(absl::StrCat("PostgreSQL in ",
                                                  postgres.folder(), ": ", sql,
                                                  " does not succeed in time"));
}

Rows Query(const LocalPostgres& postgres, const std::string& sql) {
  return QueryUntil(postgres, sql, [](const PostgresResult&) { return true; });
}

// Waits until `condition`, an expression, is true.
absl::Status AwaitTrue(const LocalPostgres& postgres,
                       const std::string& condition,
                       absl::Duration limit = kPostgresLimit) {
  return QueryUntil(
             postgres, "SELECT " + condition,
             [](const PostgresResult& rows) { return rows.BoolAt(0, 0); },
             limit)
      .status();
}

// Runs statements one by one. Each must succeed also if it is run twice.
absl::Status Run(const LocalPostgres& postgres,
                 const std::vector<std::string>& statements) {
  absl::Status status;
  for (const std::string& statement : statements) {
    if (status.ok()) status = Query(postgres, statement).status();
  }
  return status;
}

// Sets the server from which a standby receives the write-ahead log.
absl::Status ReceiveFrom(const LocalPostgres& postgres,
                         const std::string& host) {
  const std::string from =
      host.empty() ? "" : absl::StrCat("user=sluice host=", host);
  return Run(postgres,
             {absl::StrCat("ALTER SYSTEM SET primary_conninfo = '", from, "'"),
              "SELECT pg_reload_conf()"});
}

}  // namespace

PostgresCluster::Node::Node(const PostgresClusterOptions& options, int number)
    : name(NodeName(number)),
      postgres(absl::StrCat(options.folder, "/", name),
               SettingsOf(options, name)) {}

PostgresCluster::PostgresCluster(const PostgresClusterOptions& options)
    : options_(options) {
  for (int i = 0; i <= options.standbys; ++i) {
    nodes_.push_back(std::make_unique<Node>(options, i));
  }
}

absl::Status PostgresCluster::Create() {
  std::error_code error;
  for (const auto& node : nodes_) {
    std::filesystem::create_directories(node->postgres.folder(), error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot make ", node->postgres.folder()));
    }
  }
  absl::Status status = LocalPostgres::MakeCluster(primary().folder());
  if (status.ok()) status = primary().Start();
  if (status.ok()) {
    status =
        Run(primary(), {"ALTER ROLE sluice SET synchronous_commit = off",
                        "ALTER ROLE sluice SET client_min_messages = error"});
  }
  for (const auto& node : nodes_) {
    if (node == nodes_.front()) continue;
    if (status.ok()) status = MakeStandby(*node);
  }
  if (status.ok()) status = AwaitStandbys(kPostgresLimit);
  return status;
}

std::string PostgresCluster::Url() const {
  std::vector<std::string> hosts;
  for (const auto& node : nodes_) {
    hosts.push_back(
        absl::StrReplaceAll(node->postgres.UrlHost(), {{"/", "%2F"}}));
  }
  return absl::StrCat("postgresql://sluice@", absl::StrJoin(hosts, ","), "/",
                      kDatabase);
}

std::string PostgresCluster::PrimaryUrl() const {
  return nodes_[primary_]->postgres.Url(kDatabase);
}

bool PostgresCluster::complete() const {
  return std::ranges::none_of(nodes_,
                              [](const auto& node) { return node->replaced; });
}

std::vector<LocalPostgres*> PostgresCluster::standbys() {
  std::vector<LocalPostgres*> standbys;
  for (const auto& node : nodes_) {
    if (node == nodes_[primary_] || node->replaced) continue;
    standbys.push_back(&node->postgres);
  }
  return standbys;
}

absl::Status PostgresCluster::Promote() {
  std::size_t best = primary_;
  std::vector<std::int64_t> ends(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[i];
    if (i == primary_ || node.replaced) continue;
    // A standby must not receive anything after its end was read. Otherwise a
    // primary that is resumed later could get a commit acknowledged by a
    // standby that is not promoted.
    if (absl::Status s = StartOrResume(node); !s.ok()) return s;
    const auto end = EndOfReceived(node);
    if (!end.ok()) return end.status();
    ends[i] = *end;
    const bool higher = ends[i] > ends[best];
    if (best == primary_ || higher == options_.promote_highest) best = i;
  }
  if (best == primary_) {
    return absl::FailedPreconditionError("no standby can be promoted");
  }
  nodes_[primary_]->replaced = true;
  primary_ = best;
  absl::Status status = AwaitTrue(
      primary(),
      "CASE WHEN pg_is_in_recovery() THEN pg_promote() ELSE true END");
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (i == best || nodes_[i]->replaced) continue;
    // A standby that has more than the new primary cannot follow it.
    nodes_[i]->replaced = ends[i] > ends[best];
    if (status.ok() && !nodes_[i]->replaced) status = Follow(*nodes_[i]);
  }
  return status;
}

absl::Status PostgresCluster::StartOrResume(Node& node) {
  if (!node.postgres.running()) return node.postgres.Start();
  node.postgres.Resume();
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> PostgresCluster::EndOfReceived(const Node& node) {
  // A standby that was just started first reads the write-ahead log on its own
  // disk. The standby begins to receive, or to try, when that log is replayed.
  absl::Status status =
      AwaitTrue(node.postgres, "pg_last_wal_receive_lsn() IS NOT NULL");
  if (status.ok()) status = ReceiveFrom(node.postgres, "");
  if (status.ok()) {
    status = AwaitTrue(node.postgres,
                       "NOT EXISTS (SELECT FROM pg_stat_wal_receiver)");
  }
  if (!status.ok()) return status;
  // After a restart, a standby receives again from the beginning of a segment,
  // which it may have replayed already.
  const Rows rows = Query(node.postgres,
                          "SELECT (greatest(pg_last_wal_receive_lsn(),"
                          " pg_last_wal_replay_lsn()) - '0/0')::bigint");
  if (!rows.ok()) return rows.status();
  return rows->IntegerAt(0, 0);
}

absl::Status PostgresCluster::Follow(const Node& node) {
  return ReceiveFrom(node.postgres, primary().folder());
}

absl::Status PostgresCluster::MakeStandby(Node& node) {
  if (node.postgres.running()) {
    if (absl::Status s = node.postgres.Kill(); !s.ok()) return s;
  }
  // The primary may still end the sessions of a killed process, and would then
  // end the copy too.
  absl::Status status;
  const auto copied = [&] {
    status = AwaitTrue(primary(), "true");
    if (status.ok()) {
      status = LocalPostgres::MakeStandby(node.postgres.folder(), primary());
    }
    return status.ok();
  };
  WaitUntil(copied, kPostgresLimit);
  if (status.ok()) status = node.postgres.Start();
  node.replaced = false;
  return status;
}

absl::Status PostgresCluster::Repair() {
  if (absl::Status s = StartOrResume(*nodes_[primary_]); !s.ok()) return s;
  for (const auto& node : nodes_) {
    const absl::Status status =
        node->replaced ? MakeStandby(*node) : StartOrResume(*node);
    if (!status.ok()) return status;
  }
  if (AwaitStandbys(kFollowLimit).ok()) return absl::OkStatus();
  // As an operator would do: replace standbys that cannot follow. The primary
  // has everything, and nothing fails now.
  for (const auto& node : nodes_) {
    if (node == nodes_[primary_]) continue;
    if (absl::Status s = MakeStandby(*node); !s.ok()) return s;
  }
  return AwaitStandbys(kPostgresLimit);
}

absl::Status PostgresCluster::AwaitStandbys(absl::Duration limit) {
  return AwaitTrue(
      primary(),
      absl::StrCat("(SELECT count(*) FROM pg_stat_replication"
                   " WHERE state = 'streaming' AND application_name IN ('",
                   absl::StrJoin(
                       nodes_, "', '",
                       [](std::string* out, const std::unique_ptr<Node>& node) {
                         out->append(node->name);
                       }),
                   "')) = ", options_.standbys),
      limit);
}

}  // namespace sluice
