#include "pool/key_order.h"

namespace sluice {

bool KeyOrder::Claim(Task* task) {
  if (task->order_key == 0) return true;
  Key& key = keys_[task->order_key];
  if (key.in_work > 0 && key.batch != batch_) {
    key.aside.PushBack(task);
    return false;
  }
  key.batch = batch_;
  ++key.in_work;
  return true;
}

void KeyOrder::Release(const Task& task, TaskList* free) {
  if (task.order_key == 0) return;
  const auto key = keys_.find(task.order_key);
  if (--key->second.in_work > 0) return;
  free->Append(&key->second.aside);
  keys_.erase(key);
}

void KeyOrder::ReleaseAll(TaskList* free) {
  for (auto& [id, key] : keys_) free->Append(&key.aside);
}

std::vector<const Task*> KeyOrder::Aside() const {
  std::vector<const Task*> tasks;
  for (const auto& [id, key] : keys_) {
    key.aside.ForEach([&](const Task* task) { tasks.push_back(task); });
  }
  return tasks;
}

}  // namespace sluice
