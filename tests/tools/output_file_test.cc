#include "tools/ctl/output_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() { std::filesystem::create_directories(folder_); }
  ~OutputFileTest() override { std::filesystem::remove_all(folder_); }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string Content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      ("output_file_test." + std::to_string(getpid()));
  const std::string path_ = folder_ / "out";
};

TEST_F(OutputFileTest, IsThereWholeOnceItIsCommitted) {
  auto file = OutputFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->Write("a"));
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(file->Write("b"));
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_EQ(Content(), "ab");
  EXPECT_THAT(Names(), ElementsAre("out"));
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(OutputFileTest, WithoutCommitNothingIsLeft) {
  std::ofstream(path_) << "before";
  {
    auto file = OutputFile::Create(path_);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->Write("half"));
    const OutputFile moved = *std::move(file);
  }
  EXPECT_EQ(Content(), "before");
  EXPECT_THAT(Names(), ElementsAre("out"));
}

TEST_F(OutputFileTest, TakesThePlaceOfAFileAlone) {
  std::ofstream(path_) << "before";
  auto file = OutputFile::Create(path_);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->Write("after"));
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_EQ(Content(), "after");
  EXPECT_EQ(OutputFile::Create("/dev/null").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OutputFile::Create(folder_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(OutputFileTest, WhereItCannotBeIsTold) {
  EXPECT_FALSE(OutputFile::Create(folder_ / "none" / "out").ok());
  EXPECT_THAT(Names(), IsEmpty());
}

}  // namespace
}  // namespace sluice
