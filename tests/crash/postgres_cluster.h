// A PostgreSQL primary and its standbys, for a campaign that loses the primary.

#ifndef SLUICE_TESTS_CRASH_POSTGRES_CLUSTER_H_
#define SLUICE_TESTS_CRASH_POSTGRES_CLUSTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/postgres/local_postgres.h"

namespace sluice {

struct PostgresClusterOptions {
  std::string folder;  // an existing folder; each node gets a folder in it
  int standbys = 2;
  // False: commits wait for no standby, so a promotion loses commits.
  bool synchronous = true;
  // False: the standby with the least write-ahead log is promoted, so a
  // promotion loses commits.
  bool promote_highest = true;
};

// All nodes have the same settings. A commit waits for any one standby. The
// defaults of the role are hostile: asynchronous commits and hidden warnings.
//
// A node that was replaced as the primary never becomes a standby again with
// its old data. Must be used by one thread.
class PostgresCluster {
 public:
  explicit PostgresCluster(const PostgresClusterOptions& options);
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  // Creates all nodes and starts them.
  absl::Status Create();

  // Returns the URL of the node that accepts writes, with all nodes as hosts.
  std::string Url() const;
  std::string PrimaryUrl() const;

  LocalPostgres& primary() { return nodes_[primary_]->postgres; }
  // The nodes that follow the primary, running or not.
  std::vector<LocalPostgres*> standbys();
  // True if no node was replaced since the last Repair.
  bool complete() const;

  // Replaces the primary, which must be killed or paused, by the standby that
  // has received the most of the write-ahead log. Starts and resumes standbys
  // first, because any of them may have received the most.
  absl::Status Promote();

  // Starts and resumes all nodes, and makes replaced primaries standbys with
  // new data. Replaces the data of standbys that do not follow the primary in
  // time. Returns when all standbys follow the primary.
  absl::Status Repair();

 private:
  struct Node {
    Node(const PostgresClusterOptions& options, int number);

    const std::string name;
    LocalPostgres postgres;
    bool replaced = false;  // as the primary; the data must not be used again
  };

  absl::Status StartOrResume(Node& node);
  absl::Status MakeStandby(Node& node);
  // Ends the replication to the standby, and returns the end of the write-ahead
  // log that it has.
  absl::StatusOr<std::int64_t> EndOfReceived(const Node& node);
  // Makes a running standby follow the primary.
  absl::Status Follow(const Node& node);
  // Waits until all standbys follow the primary.
  absl::Status AwaitStandbys(absl::Duration limit);

  const PostgresClusterOptions options_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::size_t primary_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_POSTGRES_CLUSTER_H_
