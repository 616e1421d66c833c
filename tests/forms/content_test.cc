#include "forms/content.h"

#include <string>

#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

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
