#include "forms/content.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

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

const google::protobuf::Descriptor& Events() {
  return *v1::RecordEventsRequest::descriptor();
}

TEST(SameMessageTest, IsBlindToTheOrderOfFields) {
  // Fields study_id = 1 and site_id = 2, in both orders.
  EXPECT_TRUE(
      SameMessage(Events(), "\x0A\x01s\x12\x01t", "\x12\x01t\x0A\x01s"));
  EXPECT_FALSE(
      SameMessage(Events(), "\x0A\x01s\x12\x01t", "\x12\x01s\x0A\x01t"));
}

// Returns an entry of the map AppEvent.attributes (field 4).
std::string Attribute(char key) {
  return std::string("\x22\x06\x0A\x01") + key + "\x12\x01x";
}

TEST(SameMessageTest, IsBlindToTheOrderOfMapEntries) {
  // Use so many entries that some share a bucket of the parsed map.
  std::string ascending;
  std::string descending;
  for (char key = ' '; key <= '~'; ++key) {
    ascending += Attribute(key);
    descending = Attribute(key) + descending;
  }
  const auto& event = *v1::AppEvent::descriptor();
  EXPECT_TRUE(SameMessage(event, ascending, descending));
  EXPECT_FALSE(SameMessage(event, ascending + Attribute('\t'), ascending));
}

TEST(SameMessageTest, SeesTheOrderOfRepeatedFields) {
  v1::QuestionnaireResponse first;
  first.add_item()->set_link_id("1");
  first.add_item()->set_link_id("2");
  v1::QuestionnaireResponse second = first;
  second.mutable_item()->SwapElements(0, 1);
  const auto& type = *v1::QuestionnaireResponse::descriptor();
  EXPECT_FALSE(
      SameMessage(type, first.SerializeAsString(), second.SerializeAsString()));
  EXPECT_TRUE(
      SameMessage(type, first.SerializeAsString(), first.SerializeAsString()));
}

TEST(SameMessageTest, SeesUnknownFields) {
  const std::string known = "\x0A\x01s";
  EXPECT_FALSE(SameMessage(Events(), known, known + "\x98\x06\x01"));
  EXPECT_FALSE(
      SameMessage(Events(), known + "\x98\x06\x02", known + "\x98\x06\x01"));
  EXPECT_TRUE(
      SameMessage(Events(), known + "\x98\x06\x01", "\x98\x06\x01" + known));
}

TEST(SameMessageTest, IsFalseWhereOneDoesNotParse) {
  EXPECT_FALSE(SameMessage(Events(), "\x0A\x05s", ""));
  EXPECT_FALSE(SameMessage(Events(), "", "\x0A\x05s"));
  EXPECT_FALSE(SameMessage(Events(), "\x0A\x05s", "\x0A\x05s"));
  EXPECT_TRUE(SameMessage(Events(), "", ""));
}

}  // namespace
}  // namespace sluice
