#include "loadgen/internal/workload.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace sluice {
namespace {

SampleKind KindOf(LoadMethod method) {
  switch (method) {
    case LoadMethod::kSubmit:
    case LoadMethod::kStream:
      return SampleKind::kSubmitRequest;
    case LoadMethod::kImport:
      return SampleKind::kImportPatientsRequest;
    case LoadMethod::kEvents:
      return SampleKind::kRecordEventsRequest;
    case LoadMethod::kReceipts:
      return SampleKind::kGetReceiptsRequest;
  }
  return SampleKind::kSubmitRequest;
}

SampleOptions WithKind(SampleOptions samples, SampleKind kind) {
  samples.kind = kind;
  return samples;
}

template <typename Message>
bool Parse(absl::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

template <typename Response>
bool CountReceipts(absl::string_view bytes, Response& response,
                   DispositionCounts& counts) {
  if (!Parse(bytes, response)) return false;
  for (const auto& receipt : response.receipts()) {
    counts.Add(receipt.disposition());
  }
  return true;
}

}  // namespace

Workload::Workload(LoadMethod method, SampleOptions samples)
    : method_(method),
      path_(absl::StrCat("/sluice.v1.Ingestion/", RpcName(method))),
      samples_(WithKind(std::move(samples), KindOf(method))) {}

bool Workload::ReadAnswer(absl::string_view message,
                          DispositionCounts& counts) {
  switch (method_) {
    case LoadMethod::kSubmit:
    case LoadMethod::kStream: {
      const v1::Receipt* receipt = ReadReceipt(message);
      if (receipt != nullptr) counts.Add(receipt->disposition());
      return receipt != nullptr;
    }
    case LoadMethod::kImport:
      return CountReceipts(message, import_response_, counts);
    case LoadMethod::kEvents:
      return CountReceipts(message, events_response_, counts);
    case LoadMethod::kReceipts:
      return CountReceipts(message, receipts_response_, counts);
  }
  return false;
}

const v1::Receipt* Workload::ReadReceipt(absl::string_view message) {
  return Parse(message, receipt_) ? &receipt_ : nullptr;
}

}  // namespace sluice
