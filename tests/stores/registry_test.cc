#include "stores/registry.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "stores/kinds/kinds.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

TEST(OpenStore, OpensEachKindByItsOptions) {
  const auto discard = OpenStore("discard", {{"fail_rate", "1"}}, nullptr);
  ASSERT_TRUE(discard.ok());
  const std::vector<Submission> batch(1);
  std::vector<Saved> saved(1);
  EXPECT_EQ((*discard)->SaveBatch(batch, absl::MakeSpan(saved)).code(),
            absl::StatusCode::kUnavailable);

  const TempFolder folder;
  const std::string path = folder / "data/sluice.db";
  const auto sqlite = OpenStore("sqlite", {{"path", path}}, nullptr);
  ASSERT_TRUE(sqlite.ok()) << sqlite.status();
  EXPECT_EQ(*(*sqlite)->LastSequence(), 0);

  // No server listens on this port, but only the first call would notice.
  const auto datastore =
      OpenStore("datastore", {{"target", "127.0.0.1:1"}}, nullptr);
  ASSERT_TRUE(datastore.ok()) << datastore.status();
  EXPECT_TRUE(IsTransient((*datastore)->Check()));
}

// Returns valid options of a kind. Opening the store need not succeed.
StoreOptions SomeOptions(std::string_view kind, const TempFolder& folder) {
  if (kind == "sqlite") return {{"path", folder / "sluice.db"}};
  if (kind == "postgres") return {{"url", "host=/nonexistent"}};
  if (kind == "datastore") return {{"target", "127.0.0.1:1"}};
  EXPECT_EQ(kind, "discard") << "add valid options of the kind here";
  return {};
}

TEST(OpenStore, KnowsEveryKindOfTheConfiguration) {
  const TempFolder folder;
  for (const StoreKind& kind : StoreKinds()) {
    const auto store =
        OpenStore(kind.name, SomeOptions(kind.name, folder), nullptr);
    EXPECT_NE(store.status().code(), absl::StatusCode::kNotFound) << kind.name;
  }
  EXPECT_EQ(OpenStore("no_such_store", {}, nullptr).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sluice
