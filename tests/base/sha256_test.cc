#include "base/sha256.h"

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

std::string HexSha256(std::string_view bytes) {
  const auto digest = Sha256(bytes);
  return absl::BytesToHexString(std::string(digest.begin(), digest.end()));
}

TEST(Sha256Test, MatchesThePublishedVectors) {
  EXPECT_EQ(HexSha256(""),
            "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexSha256("abc"),
            "ba7816bf8f01cfea414140de5dae2223"
            "b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexSha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67"
            "f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, WorksOnManyThreadsAtOnce) {
  const std::string expected = HexSha256("abc");
  std::vector<std::string> digests(8);
  std::vector<std::thread> threads;
  for (std::string& digest : digests) {
    threads.emplace_back([&digest] {
      for (int i = 0; i < 1000; ++i) HexSha256(std::to_string(i));
      digest = HexSha256("abc");
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& digest : digests) EXPECT_EQ(digest, expected);
}

}  // namespace
}  // namespace sluice
