#include "pool/key_order.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {

bool KeyOrder::Claim(Task* task) {
  if (task->order_key == 0) return true;
  Key& key = keys_[task->order_key];
  if (key.in_work > 0 && key.batch != batch_) {
    key.deferred.PushBack(task);
    return false;
  }
  // Release returns all deferred tasks of a key to the front of their lanes, so
  // no deferred task is left when another batch claims the key.
  SLUICE_DCHECK(key.deferred.empty());
  key.batch = batch_;
  ++key.in_work;
  return true;
}

void KeyOrder::Release(const Task& task, TaskList* free) {
  if (task.order_key == 0) return;
  const auto key = keys_.find(task.order_key);
  SLUICE_DCHECK(key != keys_.end() && key->second.in_work > 0);
  if (--key->second.in_work > 0) return;
  free->Append(&key->second.deferred);
  keys_.erase(key);
}

void KeyOrder::Remove(Task* task) {
  const auto key = keys_.find(task->order_key);
  SLUICE_DCHECK(key != keys_.end());
  key->second.deferred.Remove(task);
}

void KeyOrder::ReleaseAll(TaskList* free) {
  for (auto& [id, key] : keys_) free->Append(&key.deferred);
}

std::vector<Task*> KeyOrder::Deferred() const {
  std::vector<Task*> tasks;
  for (const auto& [id, key] : keys_) {
    key.deferred.ForEach([&](Task* task) { tasks.push_back(task); });
  }
  return tasks;
}

std::string KeyOrder::CheckInvariants(
    std::span<const Task* const> holders) const {
  absl::flat_hash_map<std::uint64_t, std::size_t> in_work;
  for (const Task* task : holders) {
    if (task->order_key != 0) ++in_work[task->order_key];
  }
  if (kChecks && in_work.size() != keys_.size()) {
    return "key order: the keys are not those in work";
  }
  for (const auto& [id, key] : keys_) {
    const std::string name = absl::StrCat("key order: key ", id);
    if (id == 0 || key.in_work == 0) return name + " is kept for nothing";
    if (key.batch > batch_) return name + " is in no batch";
    if (!key.deferred.CheckInvariants()) return name + " has a broken list";
    if (kChecks && key.in_work != in_work[id]) {
      return absl::StrCat(name, " counts ", key.in_work, " in work instead of ",
                          in_work[id]);
    }
    std::string broken;
    const Task* before = nullptr;
    key.deferred.ForEach([&, id = id](const Task* task) {
      if (task->order_key != id || task->place_ != Task::Place::kDeferred) {
        broken = name + " defers a task that is not its own";
      }
      if (before != nullptr && before->order_ >= task->order_) {
        broken = name + " defers tasks out of order";
      }
      before = task;
    });
    if (!broken.empty()) return broken;
  }
  return "";
}

}  // namespace sluice
