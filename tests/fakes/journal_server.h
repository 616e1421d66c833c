// A server that acknowledges all methods by a journal, and functions to use it.

#ifndef SLUICE_TESTS_FAKES_JOURNAL_SERVER_H_
#define SLUICE_TESTS_FAKES_JOURNAL_SERVER_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "config/config.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {

// Returns a configuration in which all methods but GetReceipts share a pool
// with one worker. The journal of the pool is `journal.db` in the folder.
inline Config JournalConfig(const TempFolder& folder) {
  Config config = SmallConfig("fail_fast", 20'000);
  config.admin = "127.0.0.1:0";
  config.pools["clinical"].journal_path = folder / "journal.db";
  config.pools["clinical"].batch_max = 64;
  for (const Method method : kAllMethods) {
    if (method == Method::kGetReceipts) continue;
    config.methods[Index(method)].ack = Ack::kQueued;
  }
  return config;
}

inline v1::SubmitRequest Of(const std::string& subject, const std::string& id) {
  v1::SubmitRequest request = MakeSubmit(id);
  request.mutable_response()->mutable_subject()->set_reference(subject);
  return request;
}

inline v1::Receipt Submit(TestServer& server,
                          const v1::SubmitRequest& request) {
  grpc::ClientContext context;
  v1::Receipt receipt;
  const grpc::Status status = server.stub().Submit(&context, request, &receipt);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return receipt;
}

inline void AwaitStored(TestServer& server, std::size_t count) {
  AwaitThat(absl::StrCat(count, " submissions are stored"),
            [&] { return server.store().stored().size() == count; });
}

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_JOURNAL_SERVER_H_
