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

void AddRequests(const fs::path& samples, Corpus& corpus) {
  const std::vector<std::string> requests = Requests(samples);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const int choice = static_cast<int>(i);
    corpus.Add("wire_check", Prefixed(choice, Prefixed(0, requests[i])));
    corpus.Add("intake", Prefixed(choice, requests[i]));
  }
  const std::string& submit = requests.front();
  v1::SubmitRequest request;
  if (!request.ParseFromString(submit)) return;
  corpus.Add("decode", Prefixed(0, submit));
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
