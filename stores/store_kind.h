// A kind of store as the configuration knows it: its name, its options, and how
// it is opened. Each kind defines its own beside its store.

#ifndef SLUICE_STORES_STORE_KIND_H_
#define SLUICE_STORES_STORE_KIND_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "stores/store.h"

namespace sluice {

// The keys of the configuration's `store:` but `kind` and `allow_loss`, as they
// stand there.
using StoreOptions = std::map<std::string, std::string>;

// What is wrong with one option; `key` is empty where it is not about one.
struct StoreOptionError {
  std::string key;
  std::string message;
};

struct StoreKind {
  std::string_view name;
  bool loses;  // keeps nothing: needs `allow_loss: true`

  // Every error in `options`, without opening or creating anything.
  std::vector<StoreOptionError> (*check)(const StoreOptions& options);
  // `options` must have passed `check`.
  absl::StatusOr<std::unique_ptr<Store>> (*open)(const StoreOptions& options,
                                                 SameContent same_content);
};

// Reads options one by one, and collects what is wrong with them.
class StoreOptionReader {
 public:
  // `options` must outlive the reader.
  explicit StoreOptionReader(const StoreOptions& options) : options_(options) {}

  // Null where it is not there.
  const std::string* Find(const std::string& key);
  void Error(std::string key, std::string message);

  // To be called once all that is known was read. By key; unknown ones are
  // errors too.
  std::vector<StoreOptionError> TakeErrors();

 private:
  const StoreOptions& options_;
  std::set<std::string> known_;
  std::vector<StoreOptionError> errors_;
};

// The check of a kind whose options `Read` reads.
template <auto Read>
std::vector<StoreOptionError> CheckStoreOptions(const StoreOptions& options) {
  StoreOptionReader reader(options);
  Read(reader);
  return reader.TakeErrors();
}

}  // namespace sluice

#endif  // SLUICE_STORES_STORE_KIND_H_
