// The kinds of store by the names that the configuration uses.

#ifndef SLUICE_STORES_REGISTRY_H_
#define SLUICE_STORES_REGISTRY_H_

#include <map>
#include <memory>
#include <span>
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

// All kinds, by name in alphabetical order.
std::span<const StoreKind> StoreKinds();

// Null where no kind has that name.
const StoreKind* FindStoreKind(std::string_view name);

}  // namespace sluice

#endif  // SLUICE_STORES_REGISTRY_H_
