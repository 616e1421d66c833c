// Several servers on one PostgreSQL database, and the clients of each.

#ifndef SLUICE_TESTS_CRASH_SERVER_FLEET_H_
#define SLUICE_TESTS_CRASH_SERVER_FLEET_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/crash/campaign.h"
#include "tests/crash/campaign_audit.h"
#include "tests/crash/ledger.h"
#include "tests/crash/server_process.h"
#include "tests/crash/submission_source.h"
#include "tests/crash/traffic.h"

namespace sluice {

// A server that does not start, ends by itself, acknowledges nothing or does
// not stop is an incident of the audit. Must be used by one thread.
//
// With `ack: stored` the servers get the same ids: a submission is repeated at
// any server. A server with a journal does not know the journals of the others,
// so each id is then sent to one server only.
class ServerFleet {
 public:
  // `ledger` and `audit` must outlive this object.
  ServerFleet(const CampaignOptions& options, const std::string& url,
              Ledger& ledger, CampaignAudit& audit);
  ServerFleet(const ServerFleet&) = delete;
  ServerFleet& operator=(const ServerFleet&) = delete;
  // Kills the servers.
  ~ServerFleet();

  // Writes the configuration of each server.
  absl::Status Prepare();

  std::size_t size() const { return members_.size(); }

  // Starts or resumes each server that does not run, waits until it serves, and
  // starts its clients. `round` is the current round.
  absl::Status Repair(int round);

  void Kill(std::size_t server);
  void Pause(std::size_t server);

  // Waits until each server has acknowledged something from now on.
  void AwaitAcknowledgements();
  // Stops the clients. All servers must run.
  void StopClients();
  void AwaitQueuesEmpty();
  // Stops all servers with SIGTERM.
  void Stop();

  // Opens the quarantine of each server, if it has one.
  absl::StatusOr<ContentReaders> OpenQuarantines() const;

 private:
  struct Member {
    std::string name;
    std::string folder;
    // The process outlives its clients.
    std::unique_ptr<ServerProcess> process;
    std::unique_ptr<Traffic> traffic;
  };

  std::string JournalPath(const Member& member) const {
    return member.folder + "/journal.db";
  }
  absl::Status Start(Member& member);
  // Records an incident if the server has ended. Only Kill may end it.
  bool HasEnded(const Member& member);
  void Incident(const Member& member, absl::string_view what);

  const CampaignOptions options_;
  const std::string url_;
  Ledger& ledger_;
  CampaignAudit& audit_;
  Callers callers_;  // of each server
  std::vector<std::unique_ptr<SubmissionSource>> sources_;
  int round_ = 0;
  std::vector<Member> members_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SERVER_FLEET_H_
