#include "server/store_opening.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/path.h"
#include "server/submissions/decode.h"
#include "spdlog/spdlog.h"
#include "stores/journal_state.h"
#include "stores/recording_store.h"
#include "stores/registry.h"
#include "stores/sequence_file.h"
#include "stores/sqlite_file.h"
#include "stores/sqlite_store.h"

namespace sluice {
namespace {

// Returns the path of a store in a local file; empty for other stores.
std::string LocalPath(const StoreConfig& store) {
  const auto path = store.options.find("path");
  return path == store.options.end() ? "" : path->second;
}

// Returns the paths of the sequence files: beside a store in a local file,
// otherwise beside all journals that have such a file, or beside the first
// journal. Empty if there is neither, or if the store keeps nothing. The first
// path is the path of the file to write.
std::vector<std::string> SequencePaths(const Config& config) {
  if (config.store.kind == "discard") return {};
  const std::string local = LocalPath(config.store);
  if (!local.empty()) return {local + kSequenceSuffix};
  std::vector<std::string> found;
  std::string first;
  for (const auto& [name, pool] : config.pools) {
    if (pool.journal_path.empty()) continue;
    const std::string path = pool.journal_path + kSequenceSuffix;
    // Another pool may have got a journal since the file was created. A journal
    // that was moved may have brought another file.
    std::error_code error;
    if (std::filesystem::exists(path, error)) found.push_back(path);
    if (first.empty()) first = path;
  }
  if (found.empty() && !first.empty()) found.push_back(first);
  return found;
}

void Remember(const std::string& path, std::int64_t last_sequence,
              KnownStore& known) {
  if (!known.known_by.empty() && last_sequence <= known.last_sequence) return;
  known.known_by = path;
  known.last_sequence = last_sequence;
}

// Adds what the sequence file shows about the store.
absl::Status AddSequenceFile(const std::string& path, KnownStore& known) {
  const auto content = SequenceFile::Read(path);
  if (!content.ok()) return content.status();
  const std::int64_t last =
      content->last.has_value() ? content->last->saved : 0;
  // A damaged file also shows that there was a store. The number 0 does not
  // count: a store without submissions has nothing to lose.
  if (content->file_exists && (last > 0 || !content->last.has_value())) {
    Remember(path, last, known);
  }
  return absl::OkStatus();
}

// Adds what a journal shows about the store. The store is opened before the
// journals, so a journal that was used shows that there was a store.
absl::Status AddJournal(const std::string& path, KnownStore& known) {
  const auto state = JournalStateFile::Read(path + kStateSuffix);
  if (!state.ok()) return state.status();
  if (state->state.has_value()) {
    if (state->state->last_position > 0) {
      Remember(path, state->state->last_sequence, known);
    }
    return absl::OkStatus();
  }
  // Without a state file, the journal may be of an older version.
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > 0) Remember(path, 0, known);
  return absl::OkStatus();
}

absl::StatusOr<KnownStore> WhatIsKnown(const Config& config,
                                       bool accept_damage) {
  KnownStore known;
  known.accept_damage = accept_damage;
  absl::Status status;
  for (const std::string& path : SequencePaths(config)) {
    status = AddSequenceFile(path, known);
    if (status.ok()) continue;
    status = NamingFile(status, StoreKey(config.store));
    break;
  }
  for (const auto& [name, pool] : config.pools) {
    if (!status.ok() || pool.journal_path.empty()) continue;
    status = AddJournal(pool.journal_path, known);
    if (!status.ok()) {
      status = NamingFile(status, absl::StrCat("pools.", name, ".queue.path"));
    }
  }
  if (!status.ok()) return status;
  return known;
}

void LogOfStore(StoreSeverity severity, const std::string& message) {
  switch (severity) {
    case StoreSeverity::kInfo:
      return spdlog::info("{}", message);
    case StoreSeverity::kWarning:
      return spdlog::warn("{}", message);
    case StoreSeverity::kError:
      return spdlog::error("{}", message);
  }
}

void LogIfNew(const Store& store, const std::string& path,
              const KnownStore& known) {
  const auto* sqlite = dynamic_cast<const SqliteStore*>(&store);
  if (sqlite == nullptr || !sqlite->created()) return;
  if (known.known_by.empty()) {
    return spdlog::warn(
        "a new store was created, because there was none: path={}",
        NormalPath(path));
  }
  spdlog::error(
      "store missing: accepted path={} known_by={} last_sequence={}; a new "
      "store was created",
      path, known.known_by, known.last_sequence);
}

}  // namespace

std::string StoreKey(const StoreConfig& store) {
  for (const char* key : {"path", "url", "target"}) {
    if (store.options.contains(key)) return absl::StrCat("store.", key);
  }
  return "store";
}

absl::StatusOr<std::unique_ptr<Store>> OpenConfiguredStore(const Config& config,
                                                           bool accept_damage) {
  const std::string path = LocalPath(config.store);
  const absl::StatusOr<KnownStore> known = WhatIsKnown(config, accept_damage);
  if (!known.ok()) return known.status();
  auto store = OpenStore(config.store.kind, config.store.options,
                         SameContentOfKind, *known, LogOfStore);
  if (!store.ok()) {
    return NamingFile(store.status(), StoreKey(config.store));
  }
  LogIfNew(**store, path, *known);
  const std::vector<std::string> paths = SequencePaths(config);
  if (paths.empty()) return store;
  auto recording = RecordingStore::Open(*std::move(store), paths);
  if (!recording.ok()) {
    return NamingFile(recording.status(), StoreKey(config.store));
  }
  if (!(*recording)->missing().empty()) {
    spdlog::error("{}", (*recording)->missing());
  }
  return recording;
}

}  // namespace sluice
