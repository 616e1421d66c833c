// Runs the program on a real file system that is too small. Nothing
// acknowledged may be missing, and the program must continue when space becomes
// free.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using v1::Receipt;

constexpr char kUnshare[] = "/usr/bin/unshare";
constexpr std::size_t kFillerBytes = std::size_t{3} << 20;

// Returns a command line that runs `command` with a file system of 4 MiB at
// `folder`, which no other process sees.
std::vector<std::string> WithSmallDisk(
    const std::string& folder, const std::vector<std::string>& command) {
  std::vector<std::string> words = {
      "--mount",
      "--map-root-user",
      "sh",
      "-c",
      R"(mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@")",
      folder};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

class FullDisk : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(disk_);
    Program probe(kUnshare, WithSmallDisk(disk_, {"true"}));
    if (probe.Wait().exit_code != 0) GTEST_SKIP() << "may not mount";
    holder_ = std::make_unique<Program>(
        kUnshare,
        WithSmallDisk(
            disk_, {"sh", "-c", "echo mounted >&2; exec tail -f /dev/null"}));
    holder_->AwaitErr("mounted");
  }

  // Puts the store or the journal on the small disk.
  void Start() {
    const bool journal = GetParam() == "journal";
    const std::string config = folder_ / "config.yaml";
    std::ofstream(config)
        << "listen: 127.0.0.1:0\nmetrics: 127.0.0.1:0\n"
        << "store: {kind: sqlite, path: "
        << (journal ? folder_ / "sluice.db" : disk_ + "/sluice.db")
        << "}\npools: {clinical: {queue: {kind: "
        << (journal ? "journal, path: " + disk_ + "/journal.db" : "memory")
        << "}}}\nmethods: {default: {pool: clinical, ack: "
        << (journal ? "queued" : "stored") << "}}\n";
    program_ = std::make_unique<Program>(
        "/usr/bin/nsenter",
        std::vector<std::string>{"--target", absl::StrCat(holder_->pid()),
                                 "--user", "--mount", "--preserve-credentials",
                                 SLUICE_BINARY, "--config", config});
    const std::string before = "serving: port=";
    program_->AwaitErr(before);
    const std::string err = program_->err();
    const std::size_t at = err.find(before) + before.size();
    int port = 0;
    ASSERT_TRUE(
        absl::SimpleAtoi(err.substr(at, err.find(' ', at) - at), &port));
    stub_ = v1::Ingestion::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }

  // Returns the path by which the program sees a file on the small disk.
  std::string Filler() const {
    return absl::StrCat("/proc/", holder_->pid(), "/root", disk_, "/filler");
  }

  // Fills the disk to the last byte.
  void Fill() const {
    std::ofstream filler(Filler(), std::ios::app);
    const std::string page(4096, 'x');
    while (filler.write(page.data(), 4096).flush()) {
    }
  }

  grpc::StatusCode Submit() {
    const std::string id = absl::StrCat(++sent_);
    grpc::ClientContext context;
    Receipt receipt;
    const grpc::Status status =
        stub_->Submit(&context, MakeSubmit(id), &receipt);
    if (status.ok()) acknowledged_.push_back(id);
    return status.error_code();
  }

  bool AllAreStored() {
    grpc::ClientContext context;
    v1::GetReceiptsRequest request;
    request.set_study_id("study");
    request.mutable_submission_ids()->Assign(acknowledged_.begin(),
                                             acknowledged_.end());
    v1::GetReceiptsResponse response;
    if (!stub_->GetReceipts(&context, request, &response).ok()) return false;
    for (const Receipt& receipt : response.receipts()) {
      if (receipt.disposition() != Receipt::STORED) return false;
    }
    return response.receipts_size() == static_cast<int>(acknowledged_.size());
  }

  const TempFolder folder_;
  const std::string disk_ = folder_ / "disk";
  // Keeps the small disk mounted while no server runs.
  std::unique_ptr<Program> holder_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;
  int sent_ = 0;
  std::vector<std::string> acknowledged_;
};

TEST_P(FullDisk, LosesNothingAndRecoversWhenThereIsRoom) {
  Start();
  std::ofstream(Filler()) << std::string(kFillerBytes, 'x');
  grpc::StatusCode code = grpc::StatusCode::OK;
  while (code == grpc::StatusCode::OK && sent_ < 500) code = Submit();
  EXPECT_EQ(code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(acknowledged_.empty());

  std::filesystem::remove(Filler());
  AwaitThat("the server accepts submissions again",
            [&] { return Submit() == grpc::StatusCode::OK; });
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Submit(), grpc::StatusCode::OK);
  AwaitThat("all acknowledged submissions are stored",
            [&] { return AllAreStored(); });
  program_->Signal(SIGTERM);
  EXPECT_EQ(program_->Wait().exit_code, 0) << program_->err();
}

// Receipts can be read, and nothing is promised.
TEST_P(FullDisk, IsNoReasonNotToStart) {
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Submit(), grpc::StatusCode::OK);
  AwaitThat("all acknowledged submissions are stored",
            [&] { return AllAreStored(); });
  for (const int signal : {SIGTERM, SIGKILL}) {
    program_->Signal(signal);
    program_->Wait();
    Fill();
    Start();
    EXPECT_TRUE(AllAreStored());
    EXPECT_EQ(Submit(), grpc::StatusCode::UNAVAILABLE);
  }
  std::filesystem::remove(Filler());
  AwaitThat("the server accepts submissions again",
            [&] { return Submit() == grpc::StatusCode::OK; });
  program_->Signal(SIGTERM);
  EXPECT_EQ(program_->Wait().exit_code, 0) << program_->err();
}

INSTANTIATE_TEST_SUITE_P(Of, FullDisk, testing::Values("store", "journal"),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace sluice
