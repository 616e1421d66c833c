// An admin server on a free port with a backend in memory, and a client.

#ifndef SLUICE_TESTS_FAKES_ADMIN_FIXTURE_H_
#define SLUICE_TESTS_FAKES_ADMIN_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/admin/admin_server.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "tests/fakes/fake_admin_backend.h"
#include "tests/fakes/patience.h"

namespace sluice {

class AdminFixture : public testing::Test {
 protected:
  AdminFixture() {
    auto server = AdminServer::Start("127.0.0.1:0", &backend_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = NewStub();
  }
  ~AdminFixture() override {
    store().Release();
    // The server uses the backend, so it is destroyed first.
    server_.reset();
  }

  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    // Use a separate connection with windows that do not grow, so that a reader
    // that stops soon blocks its sender.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server_->port()),
        grpc::InsecureChannelCredentials(), arguments);
  }
  std::unique_ptr<v1::Admin::Stub> NewStub() const {
    return v1::Admin::NewStub(NewChannel());
  }

  ReadableStore& store() { return backend_.readable_store(); }

  void StoreRange(std::int64_t first, std::int64_t last) {
    for (std::int64_t n = first; n <= last; ++n) {
      store().Add(StoredSubmission(n));
    }
    backend_.SetLastSequence(last);
  }

  struct Exported {
    std::vector<v1::ExportedSubmission> submissions;
    std::vector<v1::SequenceGap> gaps;
    std::vector<v1::ExportProgress> progress;
    // The submissions and gaps as text, in the order of arrival, such as "1 2
    // [3-4 DUPLICATE]".
    std::string text;
    grpc::Status status;
  };
  Exported Export(const v1::ExportRequest& request = {}) {
    Exported exported;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    const auto reader = stub_->Export(&context, request);
    v1::ExportResponse response;
    while (reader->Read(&response)) Add(response, exported);
    exported.status = reader->Finish();
    return exported;
  }

  FakeAdminBackend backend_;
  std::unique_ptr<AdminServer> server_;
  std::unique_ptr<v1::Admin::Stub> stub_;

 private:
  static void Add(const v1::ExportResponse& response, Exported& exported) {
    if (response.has_progress()) {
      exported.progress.push_back(response.progress());
      return;
    }
    if (!exported.text.empty()) exported.text += ' ';
    if (response.has_submission()) {
      exported.submissions.push_back(response.submission());
      absl::StrAppend(&exported.text, response.submission().sequence());
      return;
    }
    const v1::SequenceGap& gap = response.gap();
    exported.gaps.push_back(gap);
    absl::StrAppend(&exported.text, "[", gap.first(), "-", gap.last(), " ",
                    v1::SequenceGap::Reason_Name(gap.reason()),
                    gap.first_sequence() == 0
                        ? ""
                        : absl::StrCat(" of ", gap.first_sequence()),
                    "]");
  }
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_ADMIN_FIXTURE_H_
