#include "tests/crash/receipt_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "grpcpp/client_context.h"
#include "stores/store.h"
#include "tests/crash/limits.h"

namespace sluice {
namespace {

using v1::Receipt;

constexpr std::size_t kIdsPerRequest = 1000;

// Numbers that were reported for one id, by the hash of the content.
using Numbers = std::map<std::string, std::set<std::int64_t>>;
// By the id of the submission.
using NumbersById = std::map<std::string, Numbers>;

std::string Bytes(const Sha256Digest& sha256) {
  return {reinterpret_cast<const char*>(sha256.data()), sha256.size()};
}

// Returns the submissions of each study that have several numbers.
std::map<std::string, NumbersById> FindRepeated(const Ledger& ledger) {
  std::map<std::string, NumbersById> repeated;
  ledger.ForEach([&](const LedgerKey& key, const LedgerEntry& entry) {
    Numbers numbers;
    for (const Told& told : entry.told) {
      if (!IsAcknowledgement(told.disposition)) continue;
      numbers[Bytes(told.told_sha256)].insert(told.sequence);
    }
    if (std::ranges::any_of(numbers, [](const auto& of_content) {
          return of_content.second.size() > 1;
        })) {
      repeated[key.study_id][key.submission_id] = std::move(numbers);
    }
  });
  return repeated;
}

bool HasNumber(const Receipt& receipt, std::int64_t sequence) {
  const auto& others = receipt.other_sequences();
  return receipt.sequence() == sequence ||
         static_cast<std::size_t>(others.size()) >= Store::kOtherSequencesMax ||
         std::ranges::find(others, sequence) != others.end();
}

// Checks one receipt. The numbers of another content are those of conflicts.
void CheckReceipt(const Receipt& receipt, const Numbers& numbers,
                  CampaignAudit& audit) {
  if (receipt.disposition() != Receipt::STORED) return;
  const auto of_content = numbers.find(receipt.content_sha256());
  if (of_content == numbers.end()) return;
  for (const std::int64_t sequence : of_content->second) {
    if (HasNumber(receipt, sequence)) continue;
    audit.AddIncident(absl::StrCat(
        receipt.submission_id(), " was acknowledged under the number ",
        sequence, ", but GetReceipts reports only ", receipt.sequence(),
        " and ", receipt.other_sequences_size(), " other numbers"));
  }
}

}  // namespace

absl::Status CheckReceipts(v1::Ingestion::StubInterface& server,
                           const Ledger& ledger, CampaignAudit& audit) {
  for (const auto& [study_id, by_id] : FindRepeated(ledger)) {
    auto next = by_id.begin();
    while (next != by_id.end()) {
      v1::GetReceiptsRequest request;
      request.set_study_id(study_id);
      for (std::size_t i = 0; i < kIdsPerRequest && next != by_id.end(); ++i) {
        request.add_submission_ids((next++)->first);
      }
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + kFirstAnswerLimit));
      v1::GetReceiptsResponse response;
      const grpc::Status status =
          server.GetReceipts(&context, request, &response);
      if (!status.ok()) {
        return absl::UnavailableError(
            absl::StrCat("GetReceipts: ", status.error_message()));
      }
      for (const Receipt& receipt : response.receipts()) {
        CheckReceipt(receipt, by_id.at(receipt.submission_id()), audit);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace sluice
