// The faults of a campaign with several servers and a replicated PostgreSQL.
// To add a fault, write a function and add a line to the table in faults.cc.

#ifndef SLUICE_TESTS_CRASH_FAULTS_H_
#define SLUICE_TESTS_CRASH_FAULTS_H_

#include <random>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tests/crash/postgres_cluster.h"
#include "tests/crash/server_fleet.h"

namespace sluice {

// The objects on which faults act.
struct FaultStage {
  PostgresCluster& cluster;
  ServerFleet& servers;
  std::mt19937_64& random;
};

// A fault need not undo anything: the campaign repairs the cluster and the
// servers at the end of the round. Further faults may follow before that.
struct Fault {
  absl::string_view name;
  // Returns false if the fault could not be played, for example because the
  // process that it kills does not run. Returns an error if the campaign cannot
  // continue.
  absl::StatusOr<bool> (*play)(FaultStage& stage);
};

absl::Span<const Fault> AllFaults();

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_FAULTS_H_
