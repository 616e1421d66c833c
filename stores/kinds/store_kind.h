// A kind of store as the configuration knows it: its name and its options. The
// store itself is in stores/: see stores/registry.h for how it is opened.

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
  bool loses;  // Stores of this kind keep nothing: `allow_loss: true` needed.

  // Returns every error in `options`. Opens and creates nothing.
  std::vector<StoreOptionError> (*check)(const StoreOptions& options);
};

// Reads options one by one and collects the errors. Not thread-safe.
class StoreOptionReader {
 public:
  // `options` must outlive the reader.
  explicit StoreOptionReader(const StoreOptions& options) : options_(options) {}

  // Returns the value of `key`, or null if the key is missing. Every key that
  // the kind knows must be asked for: TakeErrors reports all others.
  const std::string* Find(const std::string& key);
  void Error(std::string key, std::string message);

  // Returns all errors, sorted by key, with one for each unknown key. Call it
  // after the last Find.
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
