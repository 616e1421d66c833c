#include "tests/fakes/full_server.h"

#include "absl/strings/str_cat.h"

namespace sluice {

FullServer::FullServer(const Config& config)
    : server_(config), caller_(server_.NewChannel()) {
  store().Hold();
  caller_.Submit(MakeSubmit("in work"));
  store().AwaitInFlight(1);
  const std::size_t capacity = server_.view().capacity;
  for (std::size_t i = 1; i <= capacity; ++i) {
    queued_.push_back(&caller_.Submit(MakeSubmit(absl::StrCat("queued ", i))));
    server_.AwaitQueued(i);
  }
}

FullServer::~FullServer() { store().Release(); }

AsyncSubmit& FullServer::Park(const v1::SubmitRequest& request) {
  const std::size_t before = server_.view().waiting;
  AsyncSubmit& call = caller_.Submit(request);
  server_.AwaitWaiting(before + 1);
  return call;
}

std::vector<std::string> StoredIds(const GatedStore& store) {
  std::vector<std::string> ids;
  for (const Submission& submission : store.stored()) {
    ids.push_back(submission.submission_id);
  }
  return ids;
}

}  // namespace sluice
