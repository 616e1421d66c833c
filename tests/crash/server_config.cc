#include "tests/crash/server_config.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"

namespace sluice {
namespace {

// Small batches and a small queue create many different states in which the
// server may be killed.
constexpr absl::string_view kTemplate = R"yaml(listen: 127.0.0.1:0
metrics: 127.0.0.1:0
store: $0
pools:
  clinical:
    queue: {$1, capacity: 1000}
    workers: {min: 2, max: 2}
    batch: {max: 32}
  telemetry:
    workers: {min: 1, max: 1}
methods:
  default: {pool: clinical, on_full: block, ack: stored}
  sluice.v1.Ingestion/Submit: {on_full: timed_wait, max_wait: 1s, $2}
  sluice.v1.Ingestion/ImportPatients: {$2}
  sluice.v1.Ingestion/RecordEvents: {pool: telemetry}
)yaml";

}  // namespace

std::string ServerConfig(AckMode ack, absl::string_view store,
                         absl::string_view journal_path) {
  switch (ack) {
    case AckMode::kStored:
      break;
    case AckMode::kJournal:
      return absl::Substitute(
          kTemplate, store,
          absl::StrCat("kind: journal, path: ", YamlString(journal_path)),
          "ack: queued");
    case AckMode::kMemoryQueue:
      return absl::Substitute(kTemplate, store, "kind: memory",
                              "ack: queued, allow_loss: true");
  }
  return absl::Substitute(kTemplate, store, "kind: memory", "ack: stored");
}

std::string YamlString(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

}  // namespace sluice
