// Makes backups of a server under load with `sluice.v1.Admin/Backup`, and
// starts a server on the backup.

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/sha256.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/submissions/number_reserve.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/ingestion.grpc.pb.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/submit_to_program.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using v1::Receipt;

// Two methods with the two acknowledgement modes.
std::string Config(const std::string& folder, const std::string& more = "") {
  return absl::StrCat(
      "admin: 127.0.0.1:0\n"
      "store: {kind: sqlite, path: ",
      folder,
      "/sluice.db}\n"
      "pools: {clinical: {queue: {kind: journal, path: ",
      folder,
      "/journal.db}}}\n"
      "methods:\n"
      "  default: {pool: clinical, on_full: block, ack: stored}\n"
      "  sluice.v1.Ingestion/Submit: {pool: clinical, on_full: block,"
      " ack: queued}\n",
      more);
}

grpc::Status MakeBackup(const std::shared_ptr<grpc::Channel>& channel,
                        const std::string& name, v1::BackupResponse* response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  v1::BackupRequest request;
  request.set_name(name);
  return v1::Admin::NewStub(channel)->Backup(&context, request, response);
}

// Callers that submit until Stop, and remember each acknowledgement.
class Traffic {
 public:
  struct Acknowledged {
    std::int64_t sequence;
    std::string sha256;
  };

  explicit Traffic(Sluice& sluice) {
    for (int caller = 0; caller < 4; ++caller) {
      threads_.emplace_back([this, caller, channel = sluice.Connect()] {
        Run(caller, *v1::Ingestion::NewStub(channel));
      });
    }
  }
  ~Traffic() { Stop(); }

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::map<std::string, Acknowledged> acknowledged() const {
    absl::MutexLock lock(&mutex_);
    return acknowledged_;
  }
  void AwaitMore(std::size_t count) const {
    const std::size_t before = acknowledged().size();
    AwaitThat("more is acknowledged",
              [&] { return acknowledged().size() >= before + count; });
  }

 private:
  void Run(int caller, v1::Ingestion::Stub& stub) {
    for (int i = 0; !stop_; ++i) {
      const std::string id = absl::StrCat(caller, "-", i);
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
      grpc::Status status;
      std::vector<Receipt> receipts(1);
      if (caller % 2 == 0) {
        status = stub.Submit(&context, MakeSubmit(id), &receipts[0]);
      } else {
        v1::ImportPatientsRequest request;
        request.set_study_id("study");
        request.add_records()->set_record_id(id);
        v1::ImportPatientsResponse response;
        status = stub.ImportPatients(&context, request, &response);
        if (status.ok()) receipts[0] = response.receipts(0);
      }
      ASSERT_TRUE(status.ok()) << status.error_message();
      absl::MutexLock lock(&mutex_);
      acknowledged_[id] = {receipts[0].sequence(),
                           receipts[0].content_sha256()};
    }
  }

  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  mutable absl::Mutex mutex_;
  std::map<std::string, Acknowledged> acknowledged_ ABSL_GUARDED_BY(mutex_);
};

// Returns the stored submissions by id: the sequence number, the hash that is
// stored, and the hash of the stored content.
std::map<std::string, Traffic::Acknowledged> StoredIn(const std::string& path) {
  std::map<std::string, Traffic::Acknowledged> stored;
  for (const auto& row :
       Shell(path).Run("SELECT submission_id, sequence, hex(content_sha256),"
                       " hex(content) FROM submissions")) {
    const Sha256Digest digest = Sha256(absl::HexStringToBytes(row[3]));
    const std::string hash(digest.begin(), digest.end());
    EXPECT_EQ(absl::HexStringToBytes(row[2]), hash);
    const bool first =
        stored.emplace(row[0], Traffic::Acknowledged{std::stoll(row[1]), hash})
            .second;
    EXPECT_TRUE(first) << "stored twice";
  }
  return stored;
}

TEST(Backup, HasEverythingThatWasAcknowledgedBeforeItBegan) {
  const TempFolder folder;
  const std::string live = folder / "live";
  const std::string restored = folder / "restored";
  const std::string backups = folder / "backups";
  std::map<std::string, Traffic::Acknowledged> before;
  {
    Sluice sluice(
        Config(live, absl::StrCat("backup: {directory: ", backups, "}\n")));
    Traffic traffic(sluice);
    for (int round = 0; round < 5; ++round) {
      traffic.AwaitMore(100);
      before = traffic.acknowledged();
      v1::BackupResponse response;
      const grpc::Status status = MakeBackup(
          sluice.ConnectToAdmin(), absl::StrCat("night-", round), &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_TRUE(response.has_store());
      EXPECT_THAT(response.directory(),
                  EndsWith(absl::StrCat("/backups/night-", round)));
    }
    traffic.AwaitMore(100);
  }

  // Restore the last backup into a new folder, as docs/operations.md says.
  const fs::path backup = fs::path(backups) / "night-4";
  EXPECT_EQ(fs::status(backup).permissions(), fs::perms(0700));
  for (const auto& file : fs::directory_iterator(backup)) {
    EXPECT_EQ(file.status().permissions(), fs::perms(0600)) << file.path();
  }
  fs::create_directory(restored);
  fs::copy_file(backup / "store.db", restored + "/sluice.db");
  fs::copy_file(backup / "journal-clinical.db", restored + "/journal.db");
  fs::copy_file(backup / "journal-clinical.db.state",
                restored + "/journal.db.state");
  Sluice sluice(Config(restored));
  sluice.program().AwaitErr("serving: ");
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 0) << sluice.program().err();

  const auto stored = StoredIn(restored + "/sluice.db");
  for (const auto& [id, acknowledged] : before) {
    const auto found = stored.find(id);
    ASSERT_NE(found, stored.end()) << id << " is missing";
    EXPECT_EQ(found->second.sequence, acknowledged.sequence) << id;
    EXPECT_EQ(found->second.sha256, acknowledged.sha256) << id;
  }
}

// Callers were told numbers that only the journal had, and that are in no
// backup.
class RestoredBackup : public testing::Test {
 protected:
  static constexpr int kAfterBackup = 5;

  // Leaves a backup with the number 1, and files with kAfterBackup more
  // numbers, which the store does not have.
  void SetUp() override {
    Sluice sluice(
        Config(live_, absl::StrCat("backup: {directory: ", backups_, "}\n")));
    EXPECT_EQ(SubmitTo(sluice, "before"), 1);
    v1::BackupResponse response;
    const grpc::Status status =
        MakeBackup(sluice.ConnectToAdmin(), "night", &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    AwaitThat("the submission is stored",
              [&] { return StoredIn(live_ + "/sluice.db").size() == 1; });
    Shell holder(live_ + "/sluice.db");
    holder.Run("BEGIN IMMEDIATE");
    for (int i = 0; i < kAfterBackup; ++i) {
      EXPECT_EQ(SubmitTo(sluice, absl::StrCat("after-", i)), 2 + i);
    }
    sluice.program().Signal(SIGKILL);
    EXPECT_EQ(sluice.program().Wait().signal, SIGKILL);
    holder.Run("ROLLBACK");
  }

  // Replaces a file by its copy in the backup.
  void Restore(const std::string& copy, const std::string& name) const {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      fs::remove(live_ + "/" + name + suffix);
    }
    fs::copy_file(fs::path(backups_) / "night" / copy, live_ + "/" + name);
  }
  void RestoreStore() const { Restore("store.db", "sluice.db"); }
  void RestoreJournal() const {
    Restore("journal-clinical.db", "journal.db");
    Restore("journal-clinical.db.state", "journal.db.state");
  }
  std::int64_t NextNumber() const {
    Sluice sluice(Config(live_));
    return SubmitTo(sluice, "next");
  }

  const TempFolder folder_;
  const std::string live_ = folder_ / "live";
  const std::string backups_ = folder_ / "backups";
};

TEST_F(RestoredBackup, OfStoreAndJournalRepeatsNoNumber) {
  RestoreStore();
  RestoreJournal();
  EXPECT_EQ(NextNumber(), 2 + kAfterBackup);
  // The next start knows the number as well.
  EXPECT_EQ(NextNumber(), 2 + kAfterBackup);
}

TEST_F(RestoredBackup, OfTheJournalAloneRepeatsNoNumber) {
  RestoreJournal();
  EXPECT_EQ(NextNumber(), 2 + kAfterBackup);
}

TEST_F(RestoredBackup, OfTheStoreAloneRepeatsNoNumber) {
  RestoreStore();
  EXPECT_EQ(NextNumber(), 2 + kAfterBackup);
}

TEST_F(RestoredBackup, WithoutTheSequenceFileContinuesAfterReservedNumbers) {
  RestoreStore();
  RestoreJournal();
  fs::remove(live_ + "/sluice.db.sequence");
  EXPECT_EQ(NextNumber(), 1 + NumberReserve::kBlock);
}

TEST(Backup, NeedsADirectoryAndAName) {
  const TempFolder folder;
  {
    Sluice sluice(Config(folder / "live"));
    v1::BackupResponse response;
    const grpc::Status status =
        MakeBackup(sluice.ConnectToAdmin(), "name", &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("backup.directory"));
  }
  const std::string backups = folder / "backups";
  Sluice sluice(Config(folder / "live",
                       absl::StrCat("backup: {directory: ", backups, "}\n")));
  const auto admin = sluice.ConnectToAdmin();
  v1::BackupResponse response;
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."),
        std::string(".hidden"), std::string("a/b"), std::string("../x"),
        std::string("-x"), std::string("a b"), std::string("a\n"),
        std::string(65, 'a')}) {
    EXPECT_EQ(MakeBackup(admin, bad, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << bad;
  }
  EXPECT_FALSE(fs::exists(backups));
  const std::string longest(64, 'a');
  EXPECT_TRUE(MakeBackup(admin, longest, &response).ok());
  EXPECT_EQ(MakeBackup(admin, longest, &response).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(sluice.program().err(),
              AllOf(HasSubstr("backup begun: name=a"),
                    HasSubstr("backup complete: name=a")));
}

TEST(Backup, ThatDidNotEndIsNotReplaced) {
  const TempFolder folder;
  const std::string backups = folder / "backups";
  Sluice sluice(Config(folder / "live",
                       absl::StrCat("backup: {directory: ", backups, "}\n")));
  fs::create_directories(backups + "/.night.partial");
  v1::BackupResponse response;
  const grpc::Status status =
      MakeBackup(sluice.ConnectToAdmin(), "night", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(status.error_message(), HasSubstr(".night.partial"));
}

// A store that calls a hook when its backup begins. The hook gets the path of
// the copy.
class HookedStore final : public Store {
 public:
  explicit HookedStore(
      std::function<absl::Status(const fs::path&, const CopyPace&)> hook)
      : hook_(std::move(hook)) {}

  absl::Status Backup(const std::string& path, const CopyPace& pace) override {
    return hook_(path, pace);
  }
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override {
    return store_.SaveBatch(batch, saved);
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    return store_.FindReceipts(study_id, submission_ids);
  }
  absl::StatusOr<std::int64_t> LastSequence() override { return 0; }
  absl::Status Check() override { return store_.Check(); }

 private:
  GatedStore store_;
  const std::function<absl::Status(const fs::path&, const CopyPace&)> hook_;
};

class HookedBackup : public testing::Test {
 protected:
  // Starts a server with a journal. `hook` is called for the copy of the store.
  void Start(
      std::function<absl::Status(const fs::path&, const CopyPace&)> hook) {
    sluice::Config config = JournalConfig(folder_);
    config.backup_directory = backups_;
    server_ = std::make_unique<TestServer>(
        config, std::make_unique<HookedStore>(std::move(hook)));
  }
  grpc::Status Backup(const std::string& name) {
    return MakeBackup(
        grpc::CreateChannel(
            absl::StrCat("127.0.0.1:", server_->server().admin_port()),
            grpc::InsecureChannelCredentials()),
        name, &response_);
  }

  const TempFolder folder_;
  const std::string backups_ = folder_ / "backups";
  std::unique_ptr<TestServer> server_;
  v1::BackupResponse response_;
};

TEST_F(HookedBackup, CopiesTheJournalsBeforeTheStore) {
  // A submission that leaves its journal after the copy of the journal must
  // reach the store before the copy of the store, not the other way round.
  std::atomic<bool> journal_is_copied = false;
  Start([&](const fs::path& copy, const CopyPace&) {
    journal_is_copied =
        fs::exists(copy.parent_path() / "journal-clinical.db") &&
        fs::exists(copy.parent_path() / "journal-clinical.db.state");
    return absl::OkStatus();
  });
  EXPECT_TRUE(Backup("night").ok());
  EXPECT_TRUE(journal_is_copied);
}

TEST_F(HookedBackup, LeavesNothingBehindIfItFails) {
  Start([](const fs::path&, const CopyPace&) {
    return absl::UnavailableError("cannot copy");
  });
  EXPECT_EQ(Backup("night").error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(fs::is_empty(backups_));
  EXPECT_EQ(Backup("night").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HookedBackup, HasTheJournalsAloneIfTheStoreIsNoFile) {
  Start([](const fs::path&, const CopyPace&) {
    return absl::UnimplementedError("no file");
  });
  ASSERT_TRUE(Backup("night").ok());
  EXPECT_FALSE(response_.has_store());
  std::vector<std::string> names;
  for (const auto& file : response_.files()) names.push_back(file.name());
  EXPECT_THAT(names,
              ElementsAre("journal-clinical.db", "journal-clinical.db.state"));
  EXPECT_EQ(response_.files(0).key(), "pools.clinical.queue.path");
}

TEST_F(HookedBackup, IsMadeOneAtATimeAndEndsWithItsCaller) {
  absl::Notification begun;
  Start([&](const fs::path&, const CopyPace& pace) {
    begun.Notify();
    AwaitThat("the backup is cancelled", [&] { return !pace.go_on(); });
    return absl::CancelledError("cancelled");
  });
  const auto admin = v1::Admin::NewStub(grpc::CreateChannel(
      absl::StrCat("127.0.0.1:", server_->server().admin_port()),
      grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  std::thread first([&] {
    v1::BackupRequest request;
    request.set_name("first");
    v1::BackupResponse response;
    EXPECT_FALSE(admin->Backup(&context, request, &response).ok());
  });
  begun.WaitForNotification();
  EXPECT_EQ(Backup("second").error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  context.TryCancel();
  first.join();
  AwaitThat("the partial copy is removed",
            [&] { return fs::is_empty(backups_); });
}

}  // namespace
}  // namespace sluice
