#include "stores/files.h"

#include <fstream>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

TEST(CreateDirectories, CreatesThoseThatAreMissing) {
  const TempFolder folder;
  EXPECT_TRUE(CreateDirectories(folder / "a/b/c").ok());
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
  EXPECT_TRUE(CreateDirectories(folder / "a/b/c").ok());
}

TEST(CreateDirectories, FailsBelowAFile) {
  const TempFolder folder;
  std::ofstream(folder / "file") << "x";
  EXPECT_EQ(CreateDirectories(folder / "file/b").code(),
            absl::StatusCode::kUnavailable);
}

TEST(FileLock, HasOneHolderUntilItIsDestroyed) {
  const TempFolder folder;
  const std::string path = folder / "lock";
  {
    const absl::StatusOr<FileLock> first = FileLock::Acquire(path);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(FileLock::Acquire(path).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(FileLock::Acquire(path).ok());
}

TEST(FileLock, MovesWithItsHolder) {
  const TempFolder folder;
  const std::string path = folder / "lock";
  std::optional<FileLock> holder;
  {
    absl::StatusOr<FileLock> first = FileLock::Acquire(path);
    ASSERT_TRUE(first.ok()) << first.status();
    holder.emplace(*std::move(first));
  }
  EXPECT_FALSE(FileLock::Acquire(path).ok());
  holder.reset();
  EXPECT_TRUE(FileLock::Acquire(path).ok());
}

TEST(FileLock, NeedsAFileThatItCanOpen) {
  const TempFolder folder;
  EXPECT_EQ(FileLock::Acquire(folder / "missing/lock").status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice
