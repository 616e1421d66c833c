#include "stores/kinds/store_kind.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace sluice {

const std::string* StoreOptionReader::Find(const std::string& key) {
  known_.insert(key);
  const auto option = options_.find(key);
  return option == options_.end() ? nullptr : &option->second;
}

void StoreOptionReader::Error(std::string key, std::string message) {
  errors_.push_back({std::move(key), std::move(message)});
}

std::vector<StoreOptionError> StoreOptionReader::TakeErrors() {
  for (const auto& [key, value] : options_) {
    if (known_.contains(key)) continue;
    Error(key, absl::StrCat("unknown key; this kind of store has ",
                            absl::StrJoin(known_, ", ")));
  }
  std::ranges::stable_sort(errors_, {}, &StoreOptionError::key);
  return std::move(errors_);
}

}  // namespace sluice
