// Keeps all tasks of one key in one lane, since only a lane keeps an order:
// while a task of a key is inside, later tasks of the key join its lane.

#ifndef SLUICE_POOL_KEY_LANES_H_
#define SLUICE_POOL_KEY_LANES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "pool/lane.h"

namespace sluice {

// Uses memory for the keys inside. Key 0 means no key.
class KeyLanes {
 public:
  bool empty() const { return keys_.empty(); }

  // Returns the lane of the key's tasks; null if the key is not known.
  const LaneKey* Find(std::uint64_t key) const {
    if (key == 0 || keys_.empty()) return nullptr;
    const auto found = keys_.find(key);
    return found == keys_.end() ? nullptr : &found->second.lane;
  }

  // Adds `count` tasks of the key. A new key is assigned to `lane`.
  void Add(std::uint64_t key, const LaneKey& lane, std::size_t count = 1) {
    if (key == 0) return;
    keys_.try_emplace(key, Inside{lane, 0}).first->second.count += count;
  }

  // Adds one task of the key. Does nothing if the key is not known.
  void AddIfKnown(std::uint64_t key) {
    if (key == 0 || keys_.empty()) return;
    const auto found = keys_.find(key);
    if (found != keys_.end()) ++found->second.count;
  }

  // Removes one task of the key. Does nothing if the key is not known.
  void Remove(std::uint64_t key) {
    if (key == 0 || keys_.empty()) return;
    const auto found = keys_.find(key);
    if (found != keys_.end() && --found->second.count == 0) keys_.erase(found);
  }

  // Returns the first broken invariant; empty if all hold. `inside` has the
  // actual number of tasks of each key. If `all_known` is false, `inside` may
  // have keys that are not known here. O(keys).
  std::string CheckInvariants(
      const absl::flat_hash_map<std::uint64_t, std::size_t>& inside,
      bool all_known) const {
    for (const auto& [key, known] : keys_) {
      const auto found = inside.find(key);
      const std::size_t count = found == inside.end() ? 0 : found->second;
      if (known.count != count) {
        return absl::StrCat("key ", key, " counts ", known.count,
                            " tasks, but has ", count);
      }
    }
    if (all_known && keys_.size() != inside.size()) {
      return "a key of a task inside is not known";
    }
    return "";
  }

 private:
  struct Inside {
    LaneKey lane;
    std::size_t count;
  };

  absl::flat_hash_map<std::uint64_t, Inside> keys_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_KEY_LANES_H_
