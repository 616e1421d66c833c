// A registry of servers and journals in memory.

#ifndef SLUICE_TESTS_FAKES_FAKE_SERVER_REGISTRY_H_
#define SLUICE_TESTS_FAKES_FAKE_SERVER_REGISTRY_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "stores/server_registry.h"

namespace sluice {

// Thread-safe.
class FakeServerRegistry final : public ServerRegistry {
 public:
  explicit FakeServerRegistry(std::int64_t server = 0) : server_(server) {}

  // Makes all calls fail with `status`, or succeed again if `status` is OK.
  void FailWith(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    failure_ = std::move(status);
  }
  // Makes Reserve fail with `status`, or succeed again if `status` is OK.
  void FailReserveWith(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    reserve_failure_ = std::move(status);
  }
  // Blocks Reserve until Release.
  void Hold() {
    absl::MutexLock lock(&mutex_);
    held_ = true;
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    held_ = false;
  }
  // Returns the number of calls of Reserve that have begun.
  int reservations() const {
    absl::MutexLock lock(&mutex_);
    return reservations_;
  }
  // Returns the reason why a journal was retired; empty if it was not.
  std::string retired(const std::string& id) const {
    absl::MutexLock lock(&mutex_);
    const auto found = retired_.find(id);
    return found == retired_.end() ? "" : found->second;
  }

  std::int64_t server() const override { return server_; }
  absl::StatusOr<std::vector<RegisteredJournal>> Journals() override {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    std::vector<RegisteredJournal> journals;
    for (const auto& [id, journal] : journals_) journals.push_back(journal);
    return journals;
  }
  absl::Status Register(absl::Span<const RegisteredJournal> journals) override {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    for (const RegisteredJournal& journal : journals) {
      journals_[journal.id] = journal;
      retired_.erase(journal.id);
    }
    return absl::OkStatus();
  }
  absl::Status Retire(std::string_view id, std::string_view reason,
                      absl::Time /*now*/) override {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    if (journals_.erase(std::string(id)) > 0) {
      retired_[std::string(id)] = std::string(reason);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::int64_t> Reserved() override {
    absl::MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    return reserved_;
  }
  absl::Status Reserve(std::int64_t sequence) override {
    absl::MutexLock lock(&mutex_);
    ++reservations_;
    const auto open = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !held_;
    };
    mutex_.Await(absl::Condition(&open));
    if (!failure_.ok()) return failure_;
    if (!reserve_failure_.ok()) return reserve_failure_;
    reserved_ = std::max(reserved_, sequence);
    return absl::OkStatus();
  }

 private:
  const std::int64_t server_;

  mutable absl::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  absl::Status reserve_failure_ ABSL_GUARDED_BY(mutex_);
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int reservations_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, RegisteredJournal> journals_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> retired_ ABSL_GUARDED_BY(mutex_);
  std::int64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_SERVER_REGISTRY_H_
