#include "forms/wire_check.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "every_field.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/message.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

using google::protobuf::Message;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kMaxDepth = 32;

enum WireType : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) {
    bytes += static_cast<char>(value | 0x80);
  }
  return bytes + static_cast<char>(value);
}

std::string Tag(std::uint64_t number, std::uint32_t wire_type) {
  return Varint(number << 3 | wire_type);
}

std::string Delimited(std::uint64_t number, std::string_view content) {
  return Tag(number, kLengthDelimited) + Varint(content.size()) +
         std::string(content);
}

template <typename Type>
std::optional<Violation> Check(std::string_view bytes,
                               int max_depth = kMaxDepth) {
  return WireChecker(Type::descriptor(), max_depth).Check(bytes);
}

std::string Describe(const std::optional<Violation>& violation) {
  return violation.has_value() ? violation->description : "nothing";
}

template <typename Type>
void ExpectGood(const std::string& bytes) {
  const auto violation = Check<Type>(bytes);
  EXPECT_FALSE(violation.has_value())
      << violation->field << ": " << violation->description;
  EXPECT_TRUE(Type().ParseFromString(bytes));
}

// Checks the message, and expects that protobuf's parser agrees, apart from the
// differences that wire_check.h describes.
template <typename Type>
void ExpectBad(const std::string& bytes, std::string_view field,
               std::string_view description, bool parser_accepts = false) {
  const auto violation = Check<Type>(bytes);
  ASSERT_TRUE(violation.has_value()) << description;
  EXPECT_EQ(violation->field, field);
  EXPECT_EQ(violation->description, description);
  EXPECT_EQ(Type().ParseFromString(bytes), parser_accepts);
}

template <typename Type>
Type FromText(const std::string& text) {
  Type message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

v1::SubmitRequest Request() {
  return FromText<v1::SubmitRequest>(R"(
    submission_id: "0198c0de-7a11-7c3e-9f00-0123456789ab"
    study_id: "study" site_id: "Klinik f\303\274r Schmerz"
    response {
      questionnaire: "http://example.org/q|1" status: COMPLETED
      subject { reference: "Patient/1" display: "\360\237\231\202" }
      authored: "2026-03-01T20:15:00+01:00"
      item { link_id: "1" text: "pain" answer { integer: -7 } }
      item { link_id: "2" answer { boolean: true } answer { decimal: "1.10" } }
      item { link_id: "3"
        answer { string: "first" }
        answer { coding { system: "s" code: "c" user_selected: true }
                 item { link_id: "3.1" answer { date: "2026-01-01" } } }
        item { link_id: "3.2" answer { attachment { data: "\377" size: 1 } } }
      }
    }
    capture { device: "phone" started_at { seconds: -1 nanos: 5 } })");
}

test::EveryField EveryField() {
  return FromText<test::EveryField>(R"(
    double: 1.5 float: 2.5 int32: -3 int64: -4 uint32: 5 uint64: 6 sint32: -7
    sint64: -8 fixed32: 9 fixed64: 10 sfixed32: -11 sfixed64: -12 bool: true
    string: "str" bytes: "\377\376" colour: RED child { string: "child" }
    optional_int32: 0 chosen_child { int32: 1 }
    int32s: [1, -2, 300] sint64s: [4, -5] fixed32s: [6, 7] doubles: [8.5, 9.5]
    bools: [true, false] colours: [RED, RED] unpacked_int64s: [10, -11]
    strings: ["a", "b"] bytes_list: ["\200", "d"]
    children { int32: 1 } children { children { string: "grandchild" } }
    strings_by_name { key: "k" value: "v" }
    children_by_number { key: -1 value { string: "mapped" } }
    largest_number: 1)");
}

class WireCheckTest : public ::testing::Test {
 protected:
  // Silences the parser, which logs each invalid string.
  google::protobuf::LogSilencer silencer_;
};

TEST_F(WireCheckTest, TakesValidMessages) {
  ExpectGood<v1::SubmitRequest>(Request().SerializeAsString());
  ExpectGood<test::EveryField>(EveryField().SerializeAsString());
  ExpectGood<test::EveryField>("");
}

TEST_F(WireCheckTest, NamesThePathWithIndices) {
  v1::SubmitRequest request = Request();
  std::string bytes = request.SerializeAsString();
  bytes.replace(bytes.find("first"), 1, "\xFF");
  ExpectBad<v1::SubmitRequest>(bytes, "response.item[2].answer[0].string",
                               "not valid UTF-8");

  bytes = request.SerializeAsString();
  bytes.replace(bytes.find("2026-01-01"), 1, "\xFF");
  ExpectBad<v1::SubmitRequest>(
      bytes, "response.item[2].answer[1].item[0].answer[0].date",
      "not valid UTF-8");
}

TEST_F(WireCheckTest, CountsIndicesPastOtherAndUnknownFields) {
  const std::string bytes = Delimited(28, "a") + Tag(3, kVarint) + Varint(1) +
                            Tag(100, kStartGroup) +
                            Delimited(28, "in a group") + Tag(100, kEndGroup) +
                            Delimited(28, "b") + Delimited(28, "\xFF");
  ExpectBad<test::EveryField>(bytes, "strings[2]", "not valid UTF-8");
}

TEST_F(WireCheckTest, FindsInvalidUtf8InStringsOnly) {
  const std::string bad = "\xED\xA0\x80";  // UTF-8 of a surrogate
  ExpectBad<test::EveryField>(Delimited(14, bad), "string", "not valid UTF-8");
  ExpectBad<test::EveryField>(Delimited(17, Delimited(14, bad)), "child.string",
                              "not valid UTF-8");
  ExpectGood<test::EveryField>(Delimited(15, bad));
  ExpectGood<test::EveryField>(Delimited(29, bad));
  ExpectGood<test::EveryField>(Delimited(99, bad));
}

TEST_F(WireCheckTest, ChecksMapEntries) {
  const std::string good = Delimited(31, Delimited(1, "k") + Delimited(2, "v"));
  ExpectGood<test::EveryField>(good + Delimited(31, ""));
  ExpectBad<test::EveryField>(good + Delimited(31, Delimited(2, "\xFF")),
                              "strings_by_name[1].value", "not valid UTF-8");
  ExpectBad<test::EveryField>(good + Delimited(31, Delimited(1, "\xFF")),
                              "strings_by_name[1].key", "not valid UTF-8");
  ExpectBad<test::EveryField>(
      Delimited(32, Delimited(2, Delimited(14, "\xFF"))),
      "children_by_number[0].value.string", "not valid UTF-8");
}

TEST_F(WireCheckTest, FindsMalformedVarints) {
  const std::string nine(9, '\x80');
  ExpectGood<test::EveryField>(Tag(4, kVarint) + nine + '\x01');
  // The parser drops bits beyond 64.
  ExpectGood<test::EveryField>(Tag(4, kVarint) + nine + '\x7F');
  ExpectBad<test::EveryField>(Tag(4, kVarint) + nine + "\x80\x01", "int64",
                              "malformed varint");
  ExpectBad<test::EveryField>(Tag(4, kVarint) + "\x80", "int64",
                              "malformed varint");
  ExpectBad<test::EveryField>(Tag(4, kVarint), "int64", "malformed varint");
  ExpectBad<test::EveryField>(Tag(99, kVarint) + "\x80", "",
                              "malformed varint");
}

TEST_F(WireCheckTest, FindsMalformedTags) {
  for (const std::uint32_t wire_type : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    ExpectBad<test::EveryField>(Tag(0, wire_type) + std::string(8, '\0'), "",
                                "malformed field tag");
  }
  for (const std::uint32_t wire_type : {6u, 7u}) {
    for (const int number : {99, 3000}) {
      ExpectBad<test::EveryField>(
          Tag(static_cast<std::uint64_t>(number), wire_type) + "\1", "",
          "malformed field tag");
    }
    ExpectBad<test::EveryField>(Tag(14, wire_type) + "\1", "string",
                                "malformed field tag");
  }
  ExpectBad<test::EveryField>("\x80", "", "malformed field tag");
  ExpectBad<test::EveryField>("\x8A\x80\x80\x80\x80\x00", "",
                              "malformed field tag");
}

TEST_F(WireCheckTest, TakesTagsWithNeedlessBytesAsTheParserDoes) {
  const std::string tag_of_14("\xF2\x80\x80\x00", 4);
  ExpectGood<test::EveryField>(tag_of_14 + "\x01" + "a");
  ExpectBad<test::EveryField>(tag_of_14 + "\x01" + "\xFF", "string",
                              "not valid UTF-8");
}

TEST_F(WireCheckTest, RefusesFieldNumbersThatTheParserWouldCut) {
  ExpectGood<test::EveryField>(Tag(536870911, kVarint) + "\x01");
  const bool parser_accepts = true;
  ExpectBad<test::EveryField>(Tag(536870912 + 3, kVarint) + "\x01", "",
                              "malformed field tag", parser_accepts);
}

TEST_F(WireCheckTest, FindsWhatIsCutOff) {
  ExpectBad<test::EveryField>(Tag(9, kFixed32) + "abc", "fixed32", "cut off");
  ExpectBad<test::EveryField>(Tag(10, kFixed64) + "abcdefg", "fixed64",
                              "cut off");
  ExpectBad<test::EveryField>(Tag(14, kLengthDelimited) + "\x03" + "ab",
                              "string", "cut off");
  ExpectBad<test::EveryField>(Tag(14, kLengthDelimited), "string", "cut off");
  ExpectBad<test::EveryField>(
      Tag(15, kLengthDelimited) + "\xFF\xFF\xFF\xFF\x0F", "bytes", "cut off");
  ExpectBad<test::EveryField>(
      Tag(15, kLengthDelimited) + std::string(9, '\x80') + '\x01', "bytes",
      "cut off");
  ExpectBad<test::EveryField>(
      Delimited(17, Tag(14, kLengthDelimited) + "\x03" + "ab") + "cdefgh",
      "child.string", "cut off");
  ExpectBad<test::EveryField>(Tag(30, kLengthDelimited) + "\x05" + "ab",
                              "children[0]", "cut off");
}

TEST_F(WireCheckTest, FindsEveryTruncation) {
  const std::string bytes = Request().SerializeAsString();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    EXPECT_EQ(Check<v1::SubmitRequest>(cut).has_value(),
              !v1::SubmitRequest().ParseFromString(cut))
        << size;
  }
}

TEST_F(WireCheckTest, RefusesAKnownFieldOfAnotherWireType) {
  const std::pair<std::uint32_t, std::string> kAny[] = {{kVarint, "\x01"},
                                                        {kFixed64, "abcdefgh"},
                                                        {kLengthDelimited,
                                                         "\x01"
                                                         "a"},
                                                        {kFixed32, "abcd"}};
  const auto expect_only = [&](std::uint64_t number, std::string_view name,
                               std::uint32_t right) {
    for (const auto& [wire_type, value] : kAny) {
      if (wire_type == right) continue;
      const bool parser_accepts = true;
      ExpectBad<test::EveryField>(Tag(number, wire_type) + value, name,
                                  "wrong wire type", parser_accepts);
    }
    ExpectBad<test::EveryField>(
        Tag(number, kStartGroup) + Tag(number, kEndGroup), name,
        "wrong wire type", true);
  };
  expect_only(1, "double", kFixed64);
  expect_only(2, "float", kFixed32);
  expect_only(3, "int32", kVarint);
  expect_only(13, "bool", kVarint);
  expect_only(14, "string", kLengthDelimited);
  expect_only(15, "bytes", kLengthDelimited);
  expect_only(16, "colour", kVarint);
  expect_only(17, "child", kLengthDelimited);
}

TEST_F(WireCheckTest, TakesRepeatedNumbersPackedOrNot) {
  const std::string double_bytes(8, 'x');
  ExpectGood<test::EveryField>(Tag(21, kVarint) + "\x01" +
                               Delimited(21, "\x01\x02"));
  ExpectGood<test::EveryField>(Tag(23, kFixed32) + "abcd" +
                               Delimited(23, "abcdefgh"));
  ExpectGood<test::EveryField>(Tag(24, kFixed64) + double_bytes +
                               Delimited(24, double_bytes));
  ExpectGood<test::EveryField>(Tag(26, kVarint) + "\x7F" +
                               Delimited(26, "\x7F"));
  ExpectGood<test::EveryField>(Tag(27, kVarint) + "\x01" +
                               Delimited(27, "\x01"));
  ExpectGood<test::EveryField>(Delimited(21, "") + Delimited(24, ""));
}

TEST_F(WireCheckTest, RefusesAFieldThatIsGivenTwiceUnlessItIsRepeated) {
  const auto expect_bad = [](const std::string& bytes, std::string_view field) {
    ExpectBad<test::EveryField>(bytes, field, "given more than once",
                                /*parser_accepts=*/true);
  };
  const std::string int32 = Tag(3, kVarint) + "\x01";
  const std::string child = Delimited(17, "");
  ExpectGood<test::EveryField>(int32 + child);
  expect_bad(int32 + int32, "int32");
  expect_bad(int32 + child + int32, "int32");
  expect_bad(child + int32 + child, "child");
  expect_bad(Delimited(14, "a") + Delimited(14, "a"), "string");
  expect_bad(Tag(18, kVarint) + "\x01" + Tag(18, kVarint) + "\x01",
             "optional_int32");
  expect_bad(
      Tag(536870911, kVarint) + "\x01" + Tag(536870911, kVarint) + "\x02",
      "largest_number");
  // A field may not be repeated within one message, on any level. Different
  // messages may have the same field.
  expect_bad(Delimited(17, int32 + int32), "child.int32");
  expect_bad(Delimited(30, int32) + Delimited(30, int32 + int32),
             "children[1].int32");
  ExpectGood<test::EveryField>(int32 + Delimited(17, int32) +
                               Delimited(30, int32) + Delimited(30, int32));
  // Map entries are messages of two fields.
  const std::string key = Delimited(1, "k");
  expect_bad(Delimited(31, key + key), "strings_by_name[0].key");
  ExpectGood<test::EveryField>(Delimited(31, key) + Delimited(31, key));
}

TEST_F(WireCheckTest, RefusesTwoFieldsOfAOneof) {
  const std::string text = Delimited(19, "a");
  const std::string child = Delimited(20, "");
  ExpectBad<test::EveryField>(text + child, "chosen_child",
                              "given more than once",
                              /*parser_accepts=*/true);
  ExpectBad<test::EveryField>(text + text, "chosen_string",
                              "given more than once",
                              /*parser_accepts=*/true);
  ExpectGood<test::EveryField>(child + Delimited(17, ""));
}

TEST_F(WireCheckTest, TakesUnknownFieldsMoreThanOnce) {
  const std::string unknown = Tag(999, kVarint) + "\x01";
  ExpectGood<test::EveryField>(unknown + unknown);
}

TEST_F(WireCheckTest, ChecksPackedNumbers) {
  ExpectBad<test::EveryField>(Delimited(21, "\x01\x80") + "\x01", "int32s",
                              "malformed varint");
  ExpectBad<test::EveryField>(Delimited(23, "abcde"), "fixed32s",
                              "not a whole number of packed values");
  ExpectBad<test::EveryField>(Delimited(24, "abcd"), "doubles",
                              "not a whole number of packed values");
  ExpectBad<test::EveryField>(Tag(21, kLengthDelimited) + "\x02\x01", "int32s",
                              "cut off");
  ExpectBad<test::EveryField>(Tag(21, kFixed32) + "abcd", "int32s",
                              "wrong wire type", true);
}

TEST_F(WireCheckTest, PassesOverUnknownFieldsAndGroups) {
  ExpectGood<test::EveryField>(
      Tag(99, kVarint) + "\x01" + Tag(99, kFixed64) + "abcdefgh" +
      Delimited(99, "any") + Tag(99, kFixed32) + "abcd" + Tag(99, kStartGroup) +
      Tag(98, kStartGroup) + Delimited(14, "\xFF") + Tag(98, kEndGroup) +
      Tag(99, kEndGroup) + Delimited(14, "after"));
}

TEST_F(WireCheckTest, FindsGroupsThatDoNotMatch) {
  ExpectBad<test::EveryField>(Tag(99, kEndGroup), "",
                              "end of a group that did not begin");
  ExpectBad<test::EveryField>(Tag(14, kEndGroup), "string",
                              "end of a group that did not begin");
  ExpectBad<test::EveryField>(Tag(99, kStartGroup), "", "group without an end");
  ExpectBad<test::EveryField>(Tag(99, kStartGroup) + Tag(98, kEndGroup), "",
                              "end of a group that did not begin");
  ExpectBad<test::EveryField>(
      Delimited(17, Tag(99, kStartGroup)) + Tag(99, kEndGroup), "child",
      "group without an end");
  ExpectBad<test::EveryField>(
      Tag(99, kStartGroup) + Tag(0, kVarint) + Tag(99, kEndGroup), "",
      "malformed field tag");
}

std::string Children(int depth) {
  std::string bytes;
  for (int i = 1; i < depth; ++i) bytes = Delimited(17, bytes);
  return bytes;
}

TEST_F(WireCheckTest, BoundsTheDepthOfMessages) {
  EXPECT_FALSE(Check<test::EveryField>(Children(3), 3).has_value());
  const auto violation = Check<test::EveryField>(Children(4), 3);
  ASSERT_TRUE(violation.has_value());
  EXPECT_EQ(violation->field, "child.child.child");
  EXPECT_EQ(violation->description, "nested deeper than 3 messages");
}

TEST_F(WireCheckTest, BoundsTheDepthOfUnknownGroups) {
  const auto groups = [](int depth) {
    std::string bytes;
    for (int i = 1; i < depth; ++i) bytes += Tag(99, kStartGroup);
    for (int i = 1; i < depth; ++i) bytes += Tag(99, kEndGroup);
    return bytes;
  };
  EXPECT_FALSE(Check<test::EveryField>(groups(3), 3).has_value());
  EXPECT_EQ(Describe(Check<test::EveryField>(groups(4), 3)),
            "nested deeper than 3 messages");
  EXPECT_TRUE(Check<test::EveryField>(groups(1000000), 1000000).has_value());
}

TEST_F(WireCheckTest, AllowsNoDepthThatTheParserWouldRefuse) {
  EXPECT_FALSE(Check<test::EveryField>(Children(100), 1000).has_value());
  EXPECT_TRUE(test::EveryField().ParseFromString(Children(100)));
  EXPECT_EQ(Describe(Check<test::EveryField>(Children(101), 1000)),
            "nested deeper than 100 messages");
  EXPECT_TRUE(Check<test::EveryField>(Children(10000), 1000000).has_value());
}

TEST_F(WireCheckTest, LeavesTheMessagesOfTheUnreadFieldAlone) {
  const WireChecker checker(test::EveryField::descriptor(), kMaxDepth,
                            test::EveryField::kChildrenFieldNumber);
  const std::string bad = Delimited(14, "\xFF");
  EXPECT_EQ(Describe(checker.Check(Delimited(30, bad) + Delimited(30, "\x80"))),
            "nothing");
  // Finds only fields of the outermost level, and returns only their contents.
  const auto within = checker.Check(Delimited(17, Delimited(30, bad)));
  ASSERT_TRUE(within.has_value());
  EXPECT_EQ(within->field, "child.children[0].string");
  EXPECT_EQ(Describe(checker.Check(bad)), "not valid UTF-8");
  EXPECT_EQ(Describe(checker.Check(Tag(30, kLengthDelimited) + "\x09")),
            "cut off");
  EXPECT_EQ(Describe(checker.Check(Tag(30, kVarint) + "\x01")),
            "wrong wire type");
}

// --- Agreement with protobuf's parser on random input.

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string operator()(std::string bytes) {
    for (std::size_t i = Below(4) + 1; i > 0; --i) Mutate(bytes);
    return bytes;
  }

 private:
  std::size_t Below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }
  char Byte() { return static_cast<char>(Below(256)); }

  void Mutate(std::string& bytes) {
    const std::size_t at = Below(bytes.size() + 1);
    const std::size_t length = Below(bytes.size() - at + 1);
    switch (Below(9)) {
      case 0:
        if (at < bytes.size()) {
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
        }
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = Byte();
        break;
      case 2:
        bytes.insert(at, 1, Byte());
        break;
      case 3:
        bytes.erase(at, Below(4));
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5:
        bytes.insert(at, bytes.substr(Below(at + 1), length));
        break;
      case 6:
        // Insert a field of any wire type that might pass.
        bytes.insert(
            at, Tag(Below(40), static_cast<std::uint32_t>(Below(8))) + Byte());
        break;
      case 7: {
        const std::uint64_t number = Below(200);
        bytes.insert(at, Tag(number, kStartGroup) + Tag(number, kEndGroup));
        break;
      }
      case 8:
        bytes.append(std::string(Below(12), '\x80'));
        break;
    }
  }

  std::mt19937_64 random_;
};

bool IsStricterThanTheParser(const Violation& violation) {
  return violation.description == "wrong wire type" ||
         violation.description == "malformed field tag" ||
         violation.description == "given more than once";
}

// Expects that the parser accepts every message that passes. The reverse holds
// except for the differences that wire_check.h describes.
void ExpectAgreement(const Message& original, int rounds) {
  const WireChecker checker(original.GetDescriptor(), 100);
  const std::string valid = original.SerializeAsString();
  const std::unique_ptr<Message> parsed(original.New());
  Mutator mutate(20260301);
  int passed = 0;
  int failed = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string bytes = mutate(valid);
    const auto violation = checker.Check(bytes);
    const bool parses = parsed->ParseFromString(bytes);
    ++(violation.has_value() ? failed : passed);
    if (!violation.has_value()) {
      ASSERT_TRUE(parses) << "round " << i;
    } else if (parses) {
      ASSERT_TRUE(IsStricterThanTheParser(*violation))
          << "round " << i << ": " << violation->description;
    }
  }
  // If all mutations were refused, the test would prove nothing.
  EXPECT_GT(passed, rounds / 50);
  EXPECT_GT(failed, rounds / 50);
}

TEST_F(WireCheckTest, AgreesWithTheParserOnRequests) {
  ExpectAgreement(Request(), 100000);
}

TEST_F(WireCheckTest, AgreesWithTheParserOnEveryKindOfField) {
  ExpectAgreement(EveryField(), 200000);
}

TEST_F(WireCheckTest, AgreesWithTheParserOnShortMessages) {
  // Use a small message, so that mutations pass more often or are found early.
  ExpectAgreement(FromText<test::EveryField>("int32s: 1 string: 'a'"), 200000);
}

TEST_F(WireCheckTest, AgreesWithTheParserOnMaps) {
  ExpectAgreement(FromText<v1::RecordEventsRequest>(R"(
    study_id: "s"
    events { event_id: "1" attributes { key: "k" value: "v" } }
    events { event_id: "2" occurred_at { seconds: 1 }
             attributes { key: "" value: "w" } })"),
                  100000);
}

TEST_F(WireCheckTest, AgreesWithTheParserOnRandomBytes) {
  const WireChecker checker(test::EveryField::descriptor(), 100);
  std::mt19937_64 random(7);
  int passed = 0;
  for (int i = 0; i < 300000; ++i) {
    std::string bytes(random() % 12, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const auto violation = checker.Check(bytes);
    const bool parses = test::EveryField().ParseFromString(bytes);
    passed += !violation.has_value();
    ASSERT_TRUE(violation.has_value()
                    ? !parses || IsStricterThanTheParser(*violation)
                    : parses)
        << i;
  }
  EXPECT_GT(passed, 1000);
}

// --- Finding fields.

TEST(WireFieldsTest, FindsTheLastOccurrence) {
  const std::string bytes = Delimited(1, "first") + Tag(2, kVarint) + "\x01" +
                            Delimited(1, "second") + Delimited(300, "far");
  EXPECT_EQ(FindLengthDelimited(bytes, 1), "second");
  EXPECT_EQ(FindLengthDelimited(bytes, 300), "far");
  EXPECT_EQ(FindLengthDelimited(bytes, 2), "");
  EXPECT_EQ(FindLengthDelimited(bytes, 3), "");
}

TEST(WireFieldsTest, TellsAnEmptyFieldFromNone) {
  const std::string bytes = Delimited(1, "") + Tag(2, kVarint) +
                            std::string(1, '\0') + Tag(3, kFixed32) + "abcd";
  EXPECT_NE(FindLengthDelimited(bytes, 1).data(), nullptr);
  for (const int field : {2, 3, 4}) {
    EXPECT_EQ(FindLengthDelimited(bytes, field).data(), nullptr) << field;
  }
  EXPECT_EQ(FindLengthDelimited("", 1).data(), nullptr);
}

TEST(WireFieldsTest, FindsSeveralInTheOrderAskedFor) {
  const std::string bytes = Delimited(1, "first") + Tag(2, kVarint) + "\x01" +
                            Delimited(300, "far") + Delimited(1, "second");
  const std::array fields = {300, 7, 1, 2};
  std::array<std::string_view, 4> found = {"", "left over", "", ""};
  FindLengthDelimited(bytes, fields, found);
  EXPECT_THAT(found, ElementsAre("far", "", "second", ""));
  EXPECT_EQ(found[1].data(), nullptr);
}

TEST(WireFieldsTest, FindsAllOccurrencesInOrder) {
  const std::string bytes = Delimited(1, "a") + Delimited(2, "x") +
                            Delimited(1, "") + Delimited(1, "c");
  EXPECT_THAT(FindRepeated(bytes, 1), ElementsAre("a", "", "c"));
  EXPECT_THAT(FindRepeated(bytes, 1, 2), ElementsAre("a", ""));
  EXPECT_THAT(FindRepeated(bytes, 3), IsEmpty());
}

TEST(WireFieldsTest, LooksIntoNeitherMessagesNorGroups) {
  const std::string bytes = Delimited(1, Delimited(2, "inner")) +
                            Tag(9, kStartGroup) + Delimited(2, "in a group") +
                            Tag(9, kStartGroup) + Tag(9, kEndGroup) +
                            Delimited(2, "still there") + Tag(9, kEndGroup);
  EXPECT_EQ(FindLengthDelimited(bytes, 2), "");
  EXPECT_EQ(FindLengthDelimited(bytes + Delimited(2, "outer"), 2), "outer");
}

TEST(WireFieldsTest, ViewsPointIntoTheMessage) {
  const std::string bytes = Delimited(1, "content");
  EXPECT_EQ(FindLengthDelimited(bytes, 1).data(), bytes.data() + 2);
}

TEST(WireFieldsTest, StopsAtMalformedInput) {
  EXPECT_EQ(FindLengthDelimited(Delimited(1, "a") + "\x80", 1), "a");
  EXPECT_EQ(FindLengthDelimited(Tag(1, kLengthDelimited) + "\x05" + "a", 1),
            "");
  for (const auto group : {kStartGroup, kEndGroup}) {
    EXPECT_EQ(FindLengthDelimited(Tag(9, group) + Delimited(1, "a"), 1), "");
  }
  EXPECT_EQ(
      FindLengthDelimited(Delimited(1, "a") + std::string(1000000, '\x4B'), 1),
      "a");
}

}  // namespace
}  // namespace sluice
