// Writes initial inputs for the fuzzers whose inputs are not text.
//
//   fuzz_seeds SAMPLES_DIRECTORY CORPUS_DIRECTORY
//
// Samples are FHIR responses; inputs go to CORPUS_DIRECTORY/FUZZER/seed-N.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/files.h"
#include "forms/fhir_json.h"
#include "loadgen/sample_submissions.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

// Ends the program if a file cannot be read or written.
void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "fuzz_seeds: %s\n", status.ToString().c_str());
  std::exit(1);
}

class Corpus {
 public:
  explicit Corpus(fs::path directory) : directory_(std::move(directory)) {}

  void Add(const std::string& fuzzer, const std::string& input) {
    fs::create_directories(directory_ / fuzzer);
    Check(WriteFile(directory_ / fuzzer / ("seed-" + std::to_string(count_++)),
                    input));
  }

 private:
  const fs::path directory_;
  int count_ = 0;
};

std::string Prefixed(int byte, const std::string& bytes) {
  return static_cast<char>(byte) + bytes;
}

// Number that the fuzzer of the wire check gives to the message type
// EveryField.
constexpr int kEveryField = 6;

// Returns requests in the order in which the fuzzers of the wire check and of
// the intake number the message types.
std::vector<std::string> Requests(const fs::path& samples) {
  std::vector<std::string> requests;
  for (const auto& file : fs::directory_iterator(samples)) {
    if (!file.path().string().ends_with(".response.json")) continue;
    const auto text = ReadFile(file.path());
    Check(text.status());
    const auto read = ParseFhirJson(*text);
    if (!read.ok()) continue;
    v1::SubmitRequest request;
    request.set_submission_id("id");
    request.set_study_id("STUDY-1");
    *request.mutable_response() = read->response;
    requests.push_back(request.SerializeAsString());
    break;
  }
  for (const SampleKind kind :
       {SampleKind::kImportPatientsRequest, SampleKind::kRecordEventsRequest,
        SampleKind::kGetReceiptsRequest}) {
    SampleSubmissions made({.kind = kind, .form = {}, .entries = 2});
    requests.emplace_back(
        made.Next(absl::FromUnixSeconds(1'700'000'000)).bytes);
  }
  return requests;
}

// Returns encodings at the limits of the wire format.
std::vector<std::string> WireLimits() {
  using std::string_literals::operator""s;
  std::vector<std::string> messages = {
      // Tags of five and six bytes, and a tag with more than 32 bits.
      "\xF8\xFF\xFF\xFF\x0F\x01"s,
      "\xF8\x81\x80\x80\x80\x00\x01"s,
      "\xF8\xFF\xFF\xFF\x1F\x01"s,
      // Lengths encoded in five and six bytes.
      "\xFA\x01\x81\x80\x80\x80\x00x"s,
      "\xFA\x01\x81\x80\x80\x80\x80\x00x"s,
      // Varints of ten bytes with up to 64 bits and with more bits, and a
      // varint of eleven bytes.
      "\xF8\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s,
      "\xF8\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"s,
      "\xF8\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s,
      // A complete group, a group with the end tag of another group, and a
      // group without an end tag.
      "\xFB\x01\xFC\x01"s,
      "\xFB\x01\xF4\x01"s,
      "\xFB\x01"s,
      // Tags with the invalid field number 0.
      "\x00\x01"s,
      "\x80\x00\x01"s,
  };
  // Eight bytes that are valid as packed values, as a text and as fields of a
  // message. In the second variant the last byte is missing, so that packed
  // values of fixed size are incomplete. In the third variant the last byte
  // begins a varint.
  const std::string eight = "\x08\x01\x08\x01\x08\x01\x08\x01";
  for (int number = 1; number < 40; ++number) {
    const int value = number << 3 | 2;
    std::string tag(1, static_cast<char>(value));
    if (value > 127) {
      tag = {static_cast<char>(value % 128 + 128),
             static_cast<char>(value / 128)};
    }
    messages.push_back(tag + "\x08" + eight);
    messages.push_back(tag + "\x07" + eight.substr(0, 7));
    messages.push_back(tag + "\x08" + eight.substr(0, 7) + "\x81");
  }
  // Groups nested to the allowed depth, and one level deeper. The message
  // itself is the first level.
  for (const int groups : {7, 8, 63, 64, 99, 100}) {
    std::string nested;
    for (int i = 0; i < groups; ++i) nested += "\xFB\x01";
    for (int i = 0; i < groups; ++i) nested += "\xFC\x01";
    messages.push_back(std::move(nested));
  }
  return messages;
}

void AddRequests(const fs::path& samples, Corpus& corpus) {
  const std::vector<std::string> requests = Requests(samples);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const int choice = static_cast<int>(i);
    corpus.Add("wire_check", Prefixed(choice, Prefixed(0, requests[i])));
    corpus.Add("intake", Prefixed(choice, requests[i]));
  }
  for (const std::string& message : WireLimits()) {
    for (int depth = 0; depth < 3; ++depth) {
      for (const int type : {0, kEveryField}) {
        corpus.Add("wire_check", Prefixed(type, Prefixed(depth, message)));
      }
    }
  }
  // Items nested to the allowed depth, and one level deeper. The request and
  // its response are the first two levels.
  for (const int levels : {8, 9, 64, 65, 100, 101}) {
    v1::SubmitRequest nested;
    auto* items = nested.mutable_response()->mutable_item();
    for (int level = 3; level <= levels; ++level) {
      items = items->Add()->mutable_item();
    }
    for (int depth = 0; depth < 3; ++depth) {
      corpus.Add("wire_check",
                 Prefixed(0, Prefixed(depth, nested.SerializeAsString())));
    }
  }
  const std::string& submit = requests.front();
  v1::SubmitRequest request;
  if (!request.ParseFromString(submit)) return;
  corpus.Add("decode", Prefixed(0, submit));
  // Concatenate two requests. Protobuf uses the last value of a field, and
  // merges the two responses.
  request.set_supersedes_submission_id("superseded");
  request.set_reason_for_change("reason");
  const std::string change = request.SerializeAsString();
  request.set_supersedes_submission_id("another");
  request.set_reason_for_change("another reason");
  request.mutable_response()->mutable_subject()->set_reference("another");
  corpus.Add("decode", Prefixed(0, change + request.SerializeAsString()));
  corpus.Add("answers", Prefixed(1, request.response().SerializeAsString()));
  v1::ImportPatientsRequest patients;
  v1::RecordEventsRequest events;
  if (!patients.ParseFromString(requests.at(1)) ||
      !events.ParseFromString(requests.at(2))) {
    return;
  }
  const std::string record = patients.records(0).SerializeAsString();
  const std::string event = events.events(0).SerializeAsString();
  corpus.Add("decode", Prefixed(1, record));
  corpus.Add("decode", Prefixed(2, event));
  const auto size = [](const std::string& bytes) {
    return std::string{static_cast<char>(bytes.size() & 0xFF),
                       static_cast<char>(bytes.size() >> 8 & 0xFF)};
  };
  corpus.Add("content", Prefixed(0, size(submit) + submit + submit));
  corpus.Add("content", Prefixed(1, size(record) + record + record));
  corpus.Add("content", Prefixed(2, size(event) + event + event));
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: fuzz_seeds SAMPLES_DIRECTORY CORPUS_DIRECTORY\n",
               stderr);
    return 2;
  }
  sluice::Corpus corpus(argv[2]);
  sluice::AddRequests(argv[1], corpus);
  return 0;
}
