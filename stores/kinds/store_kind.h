// A kind of store for the configuration: its name and its options. The store
// itself is in stores/: stores/registry.h opens it.

#ifndef SLUICE_STORES_KINDS_STORE_KIND_H_
#define SLUICE_STORES_KINDS_STORE_KIND_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// The keys and values below `store:` in the configuration, without `kind` and
// `allow_loss`.
using StoreOptions = std::map<std::string, std::string>;

// An error in one option. `key` is empty if the error is not about one key.
struct StoreOptionError {
  std::string key;
  std::string message;
};

struct StoreKind {
  std::string_view name;
  bool loses;  // Stores of this kind keep nothing and need `allow_loss: true`.

  // Returns every error in `options`. Opens and creates nothing.
  std::vector<StoreOptionError> (*check)(const StoreOptions& options);

  // Replaces options that name a source, such as an environment variable, by
  // the values from that source. `options` must have passed `check`. Null if
  // the kind has no such options.
  void (*resolve)(StoreOptions& options) = nullptr;
};

// Reads options one by one and collects the errors. Not thread-safe.
class StoreOptionReader {
 public:
  // `options` must outlive the reader.
  explicit StoreOptionReader(const StoreOptions& options) : options_(options) {}

  // Returns the value of `key`, or null if the key is missing. Call Find for
  // every key that the kind knows: TakeErrors reports all other keys.
  const std::string* Find(const std::string& key);
  void Error(std::string key, std::string message);

  // Returns all errors, sorted by key, including one for each unknown key. Call
  // it after the last Find.
  std::vector<StoreOptionError> TakeErrors();

 private:
  const StoreOptions& options_;
  std::set<std::string> known_;
  std::vector<StoreOptionError> errors_;
};

// Implements StoreKind::check for a kind whose options are read by `Read`.
template <auto Read>
std::vector<StoreOptionError> CheckStoreOptions(const StoreOptions& options) {
  StoreOptionReader reader(options);
  Read(reader);
  return reader.TakeErrors();
}

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_STORE_KIND_H_
