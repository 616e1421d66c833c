#include "server/submissions/decode.h"

#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "forms/fhir_json.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fakes/protobuf_decoder.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

Submission Decoded(const std::string& content) {
  Submission submission;
  submission.content = content;
  Decode(&submission);
  return submission;
}

v1::SubmitRequest MakeCorrection() {
  v1::SubmitRequest request = MakeSubmit("2");
  request.set_supersedes_submission_id("1");
  request.set_reason_for_change("reason");
  return request;
}

TEST(Decode, ReadsWhatTheStoreKeepsBesideTheContent) {
  const Submission submission = Decoded(MakeCorrection().SerializeAsString());
  EXPECT_EQ(submission.subject, "Patient/1");
  EXPECT_EQ(submission.questionnaire, "http://example.org/phq-9|1.0");
  EXPECT_EQ(submission.status, "completed");
  EXPECT_EQ(submission.authored, "2026-03-01T20:15:00+01:00");
  EXPECT_EQ(submission.authored_at, absl::FromUnixSeconds(1'772'392'500));
  EXPECT_EQ(submission.supersedes_submission_id, "1");
  EXPECT_EQ(submission.reason_for_change, "reason");
  EXPECT_EQ(submission.answers_json,
            R"([{"link_id":"44250-9","type":"coding","value":"LA6569-3"}])");
}

TEST(Decode, HasNothingOfTheOneBefore) {
  Decoded(MakeCorrection().SerializeAsString());
  v1::SubmitRequest empty;
  empty.mutable_response();
  const Submission submission = Decoded(empty.SerializeAsString());
  EXPECT_EQ(submission.subject, "");
  EXPECT_EQ(submission.questionnaire, "");
  EXPECT_EQ(submission.status, "");
  EXPECT_EQ(submission.authored, "");
  EXPECT_EQ(submission.authored_at, std::nullopt);
  EXPECT_EQ(submission.supersedes_submission_id, "");
  EXPECT_EQ(submission.answers_json, "[]");
}

// Older versions acknowledged contents in which the response comes in parts.
// Every protobuf parser merges the parts.
TEST(Decode, MergesAResponseThatComesInParts) {
  v1::SubmitRequest second;
  second.mutable_response()->set_questionnaire("form|2");
  const Submission submission = Decoded(MakeCorrection().SerializeAsString() +
                                        second.SerializeAsString());
  EXPECT_EQ(submission.questionnaire, "form|2");
  EXPECT_EQ(submission.subject, "Patient/1");
}

TEST(Decode, ThrowsForWhatIsNoSubmission) {
  v1::SubmitRequest without_response;
  without_response.set_submission_id("id");
  for (const std::string& content : {std::string(), std::string("\xFF"),
                                     without_response.SerializeAsString(),
                                     std::string("\x22\x02\x0A\x7F", 4)}) {
    EXPECT_THROW(Decoded(content), std::invalid_argument);
  }
}

// --- Comparisons with protobuf's messages.

void ExpectAsProtobuf(SubmissionKind kind, const std::string& content) {
  const auto expected = DecodedByProtobuf(kind, content);
  ASSERT_TRUE(expected.has_value());
  Submission submission;
  submission.kind = kind;
  submission.content = content;
  Decode(&submission);
  EXPECT_EQ(DecodedFields(submission), DecodedFields(*expected));
}

// Makes messages as no client library writes them: fields in any order and
// repeated, values in more bytes than needed, wrong wire types, unknown fields
// and groups.
class RandomMessage {
 public:
  explicit RandomMessage(std::uint64_t seed) : random_(seed) {}

  std::string Make(const google::protobuf::Descriptor& type, int depth_max) {
    std::string out;
    for (std::size_t fields = Below(8); fields > 0; --fields) {
      if (Below(8) == 0) {
        out += Unknown(static_cast<int>(1 + Below(40)), 3);
        continue;
      }
      const auto index =
          static_cast<int>(Below(static_cast<std::size_t>(type.field_count())));
      out += Field(*type.field(index), depth_max);
      ++made_[type.field(index)->full_name()];
    }
    return out;
  }

  // Number of times that each field was made, by its full name.
  const std::map<std::string, int>& made() const { return made_; }

 private:
  using FieldDescriptor = google::protobuf::FieldDescriptor;

  std::size_t Below(std::size_t count) { return random_() % count; }

  std::string Varint(std::uint64_t value, int bytes_max) {
    std::string out;
    for (; value >= 0x80; value >>= 7) {
      out += static_cast<char>((value & 0x7F) | 0x80);
    }
    out += static_cast<char>(value);
    if (Below(10) != 0) return out;
    while (static_cast<int>(out.size()) < bytes_max && Below(2) == 0) {
      out.back() = static_cast<char>(out.back() | 0x80);
      out += '\0';
    }
    return out;
  }
  std::string Tag(int number, int wire_type) {
    return Varint(static_cast<std::uint64_t>(number) << 3 |
                      static_cast<std::uint64_t>(wire_type),
                  5);
  }
  std::string Sized(const std::string& content) {
    return Varint(content.size(), 5) + content;
  }

  std::string Number() {
    static constexpr std::uint64_t kNumbers[] = {0,
                                                 1,
                                                 2,
                                                 4,
                                                 5,
                                                 6,
                                                 127,
                                                 128,
                                                 1'700'000'000,
                                                 0xFFFF'FFFFu,
                                                 1ull << 32,
                                                 (1ull << 32) + 2,
                                                 ~0ull,
                                                 1ull << 63};
    return Varint(kNumbers[Below(std::size(kNumbers))], 10);
  }

  std::string Text() {
    static constexpr std::string_view kTexts[] = {"",
                                                  "a",
                                                  "Patient/1",
                                                  "\"\\\n\x01",
                                                  "\u00e4\U0001F642",
                                                  "2026-03-01T20:15:00+01:00",
                                                  "2026-03-01"};
    return std::string(kTexts[Below(std::size(kTexts))]);
  }

  // An unknown field, or a known field whose wire type may be wrong. The tag of
  // a known field is right in some cases, so the value is always valid.
  std::string Unknown(int number, int depth_max) {
    switch (Below(depth_max > 0 ? 5 : 4)) {
      case 0:
        return Tag(number, 0) + Number();
      case 1:
        return Tag(number, 1) + "12345678";
      case 2:
        return Tag(number, 5) + "1234";
      case 3:
        return Tag(40 + number, 2) + Sized(Text());
      default:
        return Tag(number, 3) + Unknown(number, depth_max - 1) + Tag(number, 4);
    }
  }

  std::string Field(const FieldDescriptor& field, int depth_max) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return Tag(field.number(), 2) + Sized(Text());
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Tag(field.number(), 2) +
               Sized(depth_max == 0
                         ? ""
                         : Make(*field.message_type(), depth_max - 1));
      default:
        return Tag(field.number(), 0) + Number();
    }
  }

  std::mt19937_64 random_;
  std::map<std::string, int> made_;
};

TEST(DecodeLikeProtobuf, AnyMessage) {
  RandomMessage messages(7);
  for (int i = 0; i < 20'000; ++i) {
    SCOPED_TRACE(i);
    // Begin with a response, because a request without one is refused.
    ExpectAsProtobuf(SubmissionKind::kQuestionnaireResponse,
                     std::string("\x22\x00", 2) +
                         messages.Make(*v1::SubmitRequest::descriptor(), 12));
    ExpectAsProtobuf(SubmissionKind::kPatientRecord,
                     messages.Make(*v1::PatientRecord::descriptor(), 3));
    ExpectAsProtobuf(SubmissionKind::kAppEvent,
                     messages.Make(*v1::AppEvent::descriptor(), 3));
    if (HasFailure()) break;
  }
  // The comparison is worth nothing if some field is never made.
  const auto& answer = *v1::QuestionnaireResponse::Answer::descriptor();
  for (int i = 0; i < answer.field_count(); ++i) {
    const std::string& name = answer.field(i)->full_name();
    EXPECT_TRUE(messages.made().contains(name)) << name;
  }
}

TEST(DecodeLikeProtobuf, ItemsNestedAsDeepAsAllowed) {
  v1::SubmitRequest request;
  auto* items = request.mutable_response()->mutable_item();
  // The request and the response are the first two levels of 100.
  for (int level = 3; level <= 100; ++level) {
    auto* item = items->Add();
    item->set_link_id(std::to_string(level));
    if (level < 99) item->add_answer()->set_integer(level);
    items = item->mutable_item();
  }
  ExpectAsProtobuf(SubmissionKind::kQuestionnaireResponse,
                   request.SerializeAsString());
}

// Returns the number of responses in the folder that are FHIR JSON.
int ExpectFilesAsProtobuf(const std::filesystem::path& folder) {
  int responses = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(folder)) {
    if (!file.is_regular_file() || file.path().extension() != ".json") continue;
    std::ifstream in(file.path());
    const std::string json(std::istreambuf_iterator<char>(in), {});
    auto read = ParseFhirJson(json);
    if (!read.ok()) continue;
    SCOPED_TRACE(file.path());
    v1::SubmitRequest request;
    *request.mutable_response() = std::move(read->response);
    ExpectAsProtobuf(SubmissionKind::kQuestionnaireResponse,
                     request.SerializeAsString());
    ++responses;
  }
  return responses;
}

TEST(DecodeLikeProtobuf, Samples) {
  EXPECT_GE(ExpectFilesAsProtobuf(std::filesystem::path(SLUICE_SOURCE_DIR) /
                                  "samples"),
            4);
}

// Reads real FHIR data, if this machine has any.
TEST(DecodeLikeProtobuf, RealResponses) {
  const char* set = std::getenv("SLUICE_FHIR_DIR");
  const auto folder =
      set != nullptr
          ? std::filesystem::path(set)
          : std::filesystem::path(SLUICE_SOURCE_DIR) / "../shared/fhir";
  if (!std::filesystem::is_directory(folder)) {
    GTEST_SKIP() << "no FHIR data in " << folder;
  }
  EXPECT_GT(ExpectFilesAsProtobuf(folder), 0);
}

// --- Memory.

// Items without answers have no rows, so decoding them needs no memory.
TEST(Decode, NeedsNoMemoryForItems) {
  if (mallinfo2().uordblks == 0) GTEST_SKIP() << "the allocator does not say";
  v1::SubmitRequest request;
  for (int i = 0; i < 100'000; ++i) request.mutable_response()->add_item();
  Submission submission;
  submission.content = request.SerializeAsString();
  const auto held = [] {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd + info.fordblks;
  };
  const std::size_t before = held();
  Decode(&submission);
  EXPECT_LT(held() - before, 64u << 10);
}

}  // namespace
}  // namespace sluice
