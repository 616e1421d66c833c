#include "stores/registry.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "stores/discard_store.h"
#include "stores/sqlite_store.h"

namespace sluice {
namespace {

// Reads options one by one, and collects what is wrong with them.
class OptionReader {
 public:
  explicit OptionReader(const StoreOptions& options) : options_(options) {}

  // Null where it is not there.
  const std::string* Find(const std::string& key) {
    known_.insert(key);
    const auto option = options_.find(key);
    return option == options_.end() ? nullptr : &option->second;
  }

  void Error(std::string key, std::string message) {
    errors_.push_back({std::move(key), std::move(message)});
  }

  // To be called once all that is known was read. By key.
  std::vector<StoreOptionError> TakeErrors() {
    for (const auto& [key, value] : options_) {
      if (known_.contains(key)) continue;
      Error(key, absl::StrCat("unknown key; this kind of store has ",
                              absl::StrJoin(known_, ", ")));
    }
    std::ranges::stable_sort(errors_, {}, &StoreOptionError::key);
    return std::move(errors_);
  }

 private:
  const StoreOptions& options_;
  std::set<std::string> known_;
  std::vector<StoreOptionError> errors_;
};

bool NamesAFile(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return !name.empty() && name != "." && name != ".." &&
         path.find('\0') == std::string::npos;
}

SqliteStoreOptions ReadSqlite(OptionReader& reader) {
  SqliteStoreOptions options;
  const std::string* path = reader.Find("path");
  if (path == nullptr || path->empty()) {
    reader.Error("path", "required: the file of the database");
  } else if (*path == ":memory:") {
    reader.Error("path", "must be a file: memory would lose what it took");
  } else if (!NamesAFile(*path)) {
    reader.Error("path", "must be the path of a file");
  } else {
    options.path = *path;
  }
  return options;
}

std::optional<Jitter> ParseJitter(std::string_view name) {
  if (name == "constant") return Jitter::kConstant;
  if (name == "exponential") return Jitter::kExponential;
  if (name == "pareto") return Jitter::kPareto;
  return std::nullopt;
}

DiscardStoreOptions ReadDiscard(OptionReader& reader) {
  DiscardStoreOptions options;
  if (const std::string* delay = reader.Find("delay")) {
    // A longer one would only look like a server that hangs.
    constexpr absl::Duration kMax = absl::Minutes(1);
    if (!absl::ParseDuration(*delay, &options.delay) ||
        options.delay < absl::ZeroDuration() || options.delay > kMax) {
      reader.Error("delay", "must be a duration from 0 to 1m, such as 5ms");
    }
  }
  if (const std::string* name = reader.Find("jitter")) {
    const std::optional<Jitter> jitter = ParseJitter(*name);
    if (!jitter) {
      reader.Error("jitter", "must be constant, exponential or pareto");
    }
    options.jitter = jitter.value_or(options.jitter);
  }
  if (const std::string* rate = reader.Find("fail_rate")) {
    // Written so that NaN fails too.
    if (!absl::SimpleAtod(*rate, &options.fail_rate) ||
        !(options.fail_rate >= 0 && options.fail_rate <= 1)) {
      reader.Error("fail_rate", "must be a number from 0.0 to 1.0");
    }
  }
  return options;
}

template <auto Read>
std::vector<StoreOptionError> Check(const StoreOptions& options) {
  OptionReader reader(options);
  Read(reader);
  return reader.TakeErrors();
}

absl::StatusOr<std::unique_ptr<Store>> OpenDiscard(
    const StoreOptions& options,
    SameContent /*unused*/) {  // NOLINT(performance-unnecessary-value-param)
  OptionReader reader(options);
  return std::make_unique<DiscardStore>(ReadDiscard(reader));
}

absl::StatusOr<std::unique_ptr<Store>> OpenSqlite(const StoreOptions& options,
                                                  SameContent same_content) {
  OptionReader reader(options);
  return SqliteStore::Open(ReadSqlite(reader), std::move(same_content));
}

constexpr StoreKind kKinds[] = {
    {"discard", /*loses=*/true, Check<ReadDiscard>, OpenDiscard},
    {"sqlite", /*loses=*/false, Check<ReadSqlite>, OpenSqlite},
};

}  // namespace

std::span<const StoreKind> StoreKinds() { return kKinds; }

const StoreKind* FindStoreKind(std::string_view name) {
  const auto* kind = std::ranges::find(kKinds, name, &StoreKind::name);
  return kind == std::end(kKinds) ? nullptr : kind;
}

}  // namespace sluice
