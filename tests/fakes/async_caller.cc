#include "tests/fakes/async_caller.h"

#include <chrono>

#include "gtest/gtest.h"
#include "tests/fakes/patience.h"

namespace sluice {

AsyncCaller::AsyncCaller(std::shared_ptr<grpc::Channel> channel)
    : stub_(v1::Ingestion::NewStub(std::move(channel))),
      thread_([this] { Run(); }) {}

AsyncCaller::~AsyncCaller() {
  if (AwaitEnded(calls_.size()) < calls_.size()) {
    for (AsyncSubmit& call : calls_) call.context.TryCancel();
  }
  queue_.Shutdown();
  thread_.join();
}

AsyncSubmit& AsyncCaller::Submit(const v1::SubmitRequest& request,
                                 std::optional<absl::Duration> deadline) {
  mutex_.Lock();  // makes the new call visible to Run's thread
  AsyncSubmit& call = calls_.emplace_back();
  mutex_.Unlock();
  if (deadline.has_value()) {
    call.context.set_deadline(std::chrono::system_clock::now() +
                              absl::ToChronoMicroseconds(*deadline));
  }
  call.reader = stub_->AsyncSubmit(&call.context, request, &queue_);
  call.reader->Finish(&call.receipt, &call.status, &call);
  return call;
}

std::size_t AsyncCaller::AwaitEnded(std::size_t count) {
  absl::MutexLock lock(&mutex_);
  const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ended_ >= count;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
  return ended_;
}

bool AsyncCaller::Ended(const AsyncSubmit& call) const {
  absl::MutexLock lock(&mutex_);
  return call.ended;
}

const AsyncSubmit& AsyncCaller::Await(const AsyncSubmit& call) const {
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&call.ended), kPatience))
      << "a call does not end";
  return call;
}

const AsyncSubmit& AsyncCaller::SubmitAndWait(
    const v1::SubmitRequest& request) {
  return Await(Submit(request));
}

void AsyncCaller::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    absl::MutexLock lock(&mutex_);
    auto* call = static_cast<AsyncSubmit*>(tag);
    call->ended = true;
    call->ended_as = ++ended_;
  }
}

}  // namespace sluice
