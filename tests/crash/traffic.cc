#include "tests/crash/traffic.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

namespace sluice {
namespace {

using v1::Receipt;

// Deadline of a call. A healthy server answers far sooner.
constexpr absl::Duration kCallLimit = absl::Seconds(60);
constexpr absl::Duration kPauseAfterError = absl::Milliseconds(5);

constexpr std::size_t kEntriesOfBulk = 8;
// Maximum number of unanswered submissions in a stream, and number of receipts
// after which a stream is ended and the next is opened.
constexpr std::size_t kStreamOpenMax = 32;
constexpr int kStreamReceiptsMax = 256;

std::shared_ptr<grpc::Channel> NewChannel(int port) {
  grpc::ChannelArguments arguments;
  // Do not share the connection of an earlier round.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // gRPC must not hide refusals by retrying.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                   grpc::InsecureChannelCredentials(),
                                   arguments);
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCallLimit));
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

Sha256Digest ToDigest(const std::string& bytes) {
  Sha256Digest digest{};
  if (bytes.size() == digest.size()) {
    std::copy(bytes.begin(), bytes.end(), digest.begin());
  }
  return digest;
}

// Returns the disposition that corresponds to an error status. Unspecified if
// the status is not an answer of the server.
Receipt::Disposition DispositionOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::ALREADY_EXISTS:
      return Receipt::CONFLICT;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Receipt::INVALID;
    default:
      // Only the server's own refusals have details, with the retry delay.
      return status.error_details().empty() ? Receipt::DISPOSITION_UNSPECIFIED
                                            : Receipt::REFUSED;
  }
}

bool MayBeSentAgain(Receipt::Disposition disposition) {
  return disposition == Receipt::REFUSED ||
         disposition == Receipt::DISPOSITION_UNSPECIFIED;
}

}  // namespace

Traffic::Traffic(int port, int round, const Callers& callers, Ledger& ledger,
                 SubmissionSource& source)
    : round_(round),
      pause_(callers.pause),
      ledger_(ledger),
      source_(source),
      stub_(v1::Ingestion::NewStub(NewChannel(port))) {
  const auto start = [this](int count, auto call) {
    for (int i = 0; i < count; ++i) threads_.emplace_back(call);
  };
  start(callers.submit, [this] { CallSubmit(); });
  start(callers.stream, [this] { CallStream(); });
  start(callers.import, [this] {
    CallBulk<v1::ImportPatientsRequest, v1::ImportPatientsResponse>(
        "ImportPatients", SubmissionKind::kPatientRecord,
        [](v1::ImportPatientsRequest& request) {
          return request.add_records();
        },
        &v1::Ingestion::Stub::ImportPatients);
  });
  start(callers.events, [this] {
    CallBulk<v1::RecordEventsRequest, v1::RecordEventsResponse>(
        "RecordEvents", SubmissionKind::kAppEvent,
        [](v1::RecordEventsRequest& request) { return request.add_events(); },
        &v1::Ingestion::Stub::RecordEvents);
  });
}

Traffic::~Traffic() { Stop(); }

void Traffic::Stop() {
  if (!stopped()) stop_.Notify();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Traffic::CallSubmit() {
  while (!stopped()) {
    const Outgoing submission =
        source_.Next(SubmissionKind::kQuestionnaireResponse);
    NoteSent(submission);
    v1::SubmitRequest request;
    request.ParseFromString(submission->content);
    grpc::ClientContext context;
    SetDeadline(context);
    Receipt receipt;
    const grpc::Status status = stub_->Submit(&context, request, &receipt);
    if (status.ok()) {
      Answered(submission, "Submit", receipt);
    } else {
      Failed(submission, "Submit", status);
      if (status.error_code() != grpc::StatusCode::ALREADY_EXISTS) {
        PauseAfterError();
      }
    }
    PauseAfterAnswer();
  }
}

template <typename Request, typename Response, typename AddEntry>
void Traffic::CallBulk(absl::string_view method, SubmissionKind kind,
                       AddEntry add,
                       grpc::Status (v1::Ingestion::Stub::*call)(
                           grpc::ClientContext*, const Request&, Response*)) {
  while (!stopped()) {
    Request request;
    request.set_study_id(source_.study_id());
    std::vector<Outgoing> entries;
    for (std::size_t i = 0; i < kEntriesOfBulk; ++i) {
      entries.push_back(source_.Next(kind));
      NoteSent(entries.back());
      add(request)->ParseFromString(entries.back()->content);
    }
    grpc::ClientContext context;
    SetDeadline(context);
    Response response;
    const grpc::Status status = ((*stub_).*call)(&context, request, &response);
    const auto receipts = static_cast<std::size_t>(response.receipts_size());
    bool accepted = status.ok();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (status.ok() && i < receipts) {
        accepted = Answered(entries[i], method,
                            response.receipts(static_cast<int>(i))) &&
                   accepted;
      } else {
        Failed(entries[i], method, status);
      }
    }
    if (!accepted) PauseAfterError();
    PauseAfterAnswer();
  }
}

void Traffic::CallStream() {
  while (!stopped()) {
    grpc::ClientContext context;
    SetDeadline(context);
    const std::unique_ptr<Stream> stream = stub_->SubmitStream(&context);
    Open open;
    bool whole = true;
    for (int i = 0; whole && i < kStreamReceiptsMax && !stopped(); ++i) {
      whole = FillStream(*stream, open) && ReadReceipt(*stream, open);
    }
    if (whole) stream->WritesDone();
    while (whole && !open.empty()) whole = ReadReceipt(*stream, open);
    if (!whole) context.TryCancel();
    const grpc::Status status = stream->Finish();
    for (const auto& [id, submission] : open) {
      Failed(submission, "SubmitStream", status);
    }
    if (!whole) PauseAfterError();
  }
}

bool Traffic::FillStream(Stream& stream, Open& open) {
  while (open.size() < kStreamOpenMax) {
    const Outgoing submission =
        source_.Next(SubmissionKind::kQuestionnaireResponse);
    // Receipts are matched by id, so a stream must not have two unanswered
    // submissions with the same id.
    if (!open.emplace(submission->key.submission_id, submission).second) {
      source_.SendAgain(submission);
      continue;
    }
    NoteSent(submission);
    v1::SubmitRequest request;
    request.ParseFromString(submission->content);
    if (!stream.Write(request)) return false;
  }
  return true;
}

bool Traffic::ReadReceipt(Stream& stream, Open& open) {
  Receipt receipt;
  if (!stream.Read(&receipt)) return false;
  const auto found = open.find(receipt.submission_id());
  if (found == open.end()) return true;
  if (!Answered(found->second, "SubmitStream", receipt)) PauseAfterError();
  PauseAfterAnswer();
  open.erase(found);
  return true;
}

void Traffic::NoteSent(const Outgoing& submission) {
  ledger_.RecordSent(submission->key, submission->kind, submission->sha256);
}

bool Traffic::Answered(const Outgoing& submission, absl::string_view method,
                       const Receipt& receipt) {
  ledger_.RecordTold(submission->key,
                     {.round = round_,
                      .method = method,
                      .disposition = receipt.disposition(),
                      .sent_sha256 = submission->sha256,
                      .sequence = receipt.sequence(),
                      .received_at = ToTime(receipt.received_at()),
                      .told_sha256 = ToDigest(receipt.content_sha256())});
  if (IsAcknowledgement(receipt.disposition())) ++acknowledged_;
  if (!MayBeSentAgain(receipt.disposition())) return true;
  source_.SendAgain(submission);
  return false;
}

void Traffic::Failed(const Outgoing& submission, absl::string_view method,
                     const grpc::Status& status) {
  const Receipt::Disposition disposition = DispositionOf(status);
  ledger_.RecordTold(submission->key, {.round = round_,
                                       .method = method,
                                       .disposition = disposition,
                                       .sent_sha256 = submission->sha256,
                                       .sequence = 0,
                                       .received_at = absl::UnixEpoch(),
                                       .told_sha256 = {}});
  if (MayBeSentAgain(disposition)) source_.SendAgain(submission);
}

void Traffic::PauseAfterError() {
  stop_.WaitForNotificationWithTimeout(kPauseAfterError);
}

void Traffic::PauseAfterAnswer() {
  if (pause_ > absl::ZeroDuration()) {
    stop_.WaitForNotificationWithTimeout(pause_);
  }
}

}  // namespace sluice
