// The store that the server of a campaign writes to: how the server is told of
// it, and how it is read past the server.

#ifndef SLUICE_TESTS_CRASH_CAMPAIGN_STORE_H_
#define SLUICE_TESTS_CRASH_CAMPAIGN_STORE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/crash/content_reader.h"

namespace sluice {

class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  // The value of the key `store` in the configuration.
  virtual std::string Yaml() const = 0;

  virtual absl::StatusOr<std::unique_ptr<ContentReader>> OpenContent()
      const = 0;

  // Whether it is a server itself, which can be killed. Others are there as
  // soon as they are asked for.
  virtual bool is_server() const { return false; }
  // Starts it where it does not run; returns when it can be used.
  virtual absl::Status Start() { return absl::OkStatus(); }
  // kill -9, of one that runs; returns when it is dead.
  virtual absl::Status Kill() { return absl::OkStatus(); }
};

// The kind `sqlite`, `postgres`, or `discard` (which keeps nothing, so that an
// audit must find everything missing). `folder`, an absolute path, is the
// campaign's: what the server under test writes itself is in `folder`/data.
// Null for another kind.
std::unique_ptr<StoreUnderTest> MakeStoreUnderTest(absl::string_view kind,
                                                   const std::string& folder);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CAMPAIGN_STORE_H_
