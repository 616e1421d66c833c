// Replaces the content of a store behind a running server. A submission that
// the store no longer has must not be answered DUPLICATE.

#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/submissions/decode.h"
#include "stores/registry.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/fake_datastore.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/postgres_server.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using v1::Receipt;

constexpr int kSent = 5;

// A store whose content can be replaced by an older copy, which has no
// submissions.
class Replaceable {
 public:
  virtual ~Replaceable() = default;

  // Opens the store, and keeps a copy of its content.
  virtual std::unique_ptr<Store> Open() = 0;
  // From Hang to Resume, nothing can be saved.
  virtual void Hang() = 0;
  virtual void Resume() = 0;
  virtual void TakeAway() = 0;
  // Brings the copy.
  virtual void BringCopy() = 0;
  virtual bool Has(const std::string& id) = 0;
  // False if the server must be restarted to use the copy.
  virtual bool IsUsedAgain() const { return true; }

 protected:
  static std::unique_ptr<Store> OpenKind(const std::string& kind,
                                         const StoreOptions& options) {
    auto store = OpenStore(kind, options, SameContentOfKind);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
};

class ReplaceablePostgres final : public Replaceable {
 public:
  std::unique_ptr<Store> Open() override {
    // Create the tables before the copy is made.
    OpenKind("postgres", {{"url", url_}}).reset();
    postgres_.Stop();
    postgres_.KeepCopy();
    postgres_.Start();
    return OpenKind("postgres", {{"url", url_}});
  }
  void Hang() override {
    holder_ = std::make_unique<PostgresShell>(url_);
    holder_->Run("BEGIN; LOCK TABLE submissions");
  }
  void Resume() override { holder_.reset(); }
  void TakeAway() override { postgres_.Stop(); }
  void BringCopy() override {
    postgres_.ReturnToCopy();
    postgres_.Start();
  }
  bool Has(const std::string& id) override {
    return PostgresShell(url_).Get(
               absl::StrCat("SELECT count(*) FROM submissions"
                            " WHERE submission_id = '",
                            id, "'")) == "1";
  }

 private:
  PostgresServer postgres_;
  const std::string url_ = postgres_.Url("postgres");
  std::unique_ptr<PostgresShell> holder_;
};

class ReplaceableDatastore final : public Replaceable {
 public:
  std::unique_ptr<Store> Open() override {
    return OpenKind("datastore", {{"target", datastore_.target()}});
  }
  void Hang() override { datastore_.Hold(); }
  void Resume() override { datastore_.Release(); }
  void TakeAway() override { datastore_.Stop(); }
  void BringCopy() override {
    datastore_.Clear();
    datastore_.Start();
  }
  bool Has(const std::string& id) override {
    for (const v1::Submission& one : datastore_.stored()) {
      if (one.submission_id() == id) return true;
    }
    return false;
  }

 private:
  FakeDatastore datastore_;
};

class ReplaceableSqlite final : public Replaceable {
 public:
  std::unique_ptr<Store> Open() override {
    OpenKind("sqlite", {{"path", path_}}).reset();
    std::filesystem::copy_file(path_, folder_ / "copy");
    return OpenKind("sqlite", {{"path", path_}});
  }
  void Hang() override {
    holder_ = std::make_unique<Shell>(path_);
    holder_->Run("BEGIN IMMEDIATE");
  }
  void Resume() override { holder_.reset(); }
  void TakeAway() override {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(path_ + suffix);
    }
  }
  void BringCopy() override {
    std::filesystem::copy_file(folder_ / "copy", path_);
  }
  bool Has(const std::string& id) override {
    return !Shell(path_)
                .Run(absl::StrCat("SELECT 1 FROM submissions"
                                  " WHERE submission_id = '",
                                  id, "'"))
                .empty();
  }
  bool IsUsedAgain() const override { return false; }

 private:
  const TempFolder folder_;
  const std::string path_ = folder_ / "sluice.db";
  std::unique_ptr<Shell> holder_;
};

struct Kind {
  std::string name;
  std::unique_ptr<Replaceable> (*make)();
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

template <typename T>
Kind KindOf(std::string name) {
  return {std::move(name), []() -> std::unique_ptr<Replaceable> {
            return std::make_unique<T>();
          }};
}

// Submits a submission. Returns no disposition if the call was refused.
std::optional<Receipt::Disposition> Submit(TestServer& server,
                                           const std::string& id) {
  grpc::ClientContext context;
  Receipt receipt;
  const grpc::Status status =
      server.stub().Submit(&context, MakeSubmit(id), &receipt);
  if (status.ok()) return receipt.disposition();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE)
      << status.error_message();
  return std::nullopt;
}

class ReplacedStore : public testing::TestWithParam<Kind> {};

TEST_P(ReplacedStore, AnswersNoDuplicateForWhatTheStoreNoLongerHas) {
  const auto store = GetParam().make();
  TestServer server(SmallConfig("block", 16), store->Open());
  for (int i = 1; i <= kSent; ++i) {
    EXPECT_EQ(Submit(server, absl::StrCat(i)), Receipt::STORED);
  }
  // While nothing happens to the store, the store is not asked.
  store->Hang();
  for (int i = 1; i <= kSent; ++i) {
    EXPECT_EQ(Submit(server, absl::StrCat(i)), Receipt::DUPLICATE);
  }
  store->Resume();

  store->TakeAway();
  EXPECT_EQ(Submit(server, "1"), std::nullopt);
  store->BringCopy();
  for (int i = 1; i <= kSent; ++i) {
    const std::string id = absl::StrCat(i);
    EXPECT_FALSE(store->Has(id));
    std::optional<Receipt::Disposition> answer = Submit(server, id);
    EXPECT_NE(answer, Receipt::DUPLICATE);
    if (!store->IsUsedAgain()) continue;
    AwaitThat("the submission is stored again", [&] {
      if (!answer.has_value()) answer = Submit(server, id);
      return answer.has_value();
    });
    EXPECT_TRUE(store->Has(id));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ReplacedStore,
    testing::Values(KindOf<ReplaceableSqlite>("sqlite"),
                    KindOf<ReplaceablePostgres>("postgres"),
                    KindOf<ReplaceableDatastore>("datastore")),
    [](const auto& test) { return test.param.name; });

// The store may have been replaced after it had saved the submission.
TEST(ReplacedWhileSaving, TheResultIsNotRemembered) {
  TestServer server(SmallConfig("block", 16));
  AsyncCaller caller(server.NewChannel());
  server.store().Hold();
  const AsyncSubmit& first = caller.Submit(MakeSubmit("1"));
  server.store().AwaitInFlight(1);
  server.store().SetGeneration(1);
  server.store().Release();
  caller.Await(first);
  EXPECT_EQ(first.receipt.disposition(), Receipt::STORED);
  // The store is asked once.
  EXPECT_EQ(Submit(server, "1"), Receipt::DUPLICATE);
  EXPECT_EQ(server.store().batches().size(), 2u);
  EXPECT_EQ(Submit(server, "1"), Receipt::DUPLICATE);
  EXPECT_EQ(server.store().batches().size(), 2u);
}

}  // namespace
}  // namespace sluice
