// The store of a campaign: its configuration for the server, and access to its
// content without the server.

#ifndef SLUICE_TESTS_CRASH_CAMPAIGN_STORE_H_
#define SLUICE_TESTS_CRASH_CAMPAIGN_STORE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/crash/content_reader.h"

namespace sluice {

class CampaignStore {
 public:
  virtual ~CampaignStore() = default;

  // Returns the value of the configuration key `store`.
  virtual std::string Yaml() const = 0;

  virtual absl::StatusOr<std::unique_ptr<ContentReader>> OpenContent()
      const = 0;

  // True if the store is a server, which can be killed. Other stores need no
  // Start.
  virtual bool is_server() const { return false; }
  // Starts the store if it is not running. Returns when it can be used.
  virtual absl::Status Start() { return absl::OkStatus(); }
  // Kills a running store with SIGKILL. Returns when it has ended.
  virtual absl::Status Kill() { return absl::OkStatus(); }
};

// Creates a store of kind `sqlite`, `postgres` or `discard`, or returns null
// for other kinds. `discard` keeps nothing, so an audit must find everything
// missing. `folder` is the absolute path of the campaign's folder; the server
// under test writes to `folder`/data.
std::unique_ptr<CampaignStore> MakeCampaignStore(absl::string_view kind,
                                                 const std::string& folder);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CAMPAIGN_STORE_H_
