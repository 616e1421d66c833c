// The answer of servers that look at nothing.

#ifndef SLUICE_TOOLS_BENCH_FIXED_RECEIPT_H_
#define SLUICE_TOOLS_BENCH_FIXED_RECEIPT_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "sluice/v1/ingestion.pb.h"

namespace sluice {

inline grpc::ByteBuffer FixedReceipt() {
  v1::Receipt receipt;
  receipt.set_submission_id("00000000-0000-7000-8000-000000000000");
  receipt.set_disposition(v1::Receipt::STORED);
  receipt.set_sequence(1);
  receipt.mutable_received_at()->set_seconds(1'772'395'200);
  receipt.set_content_sha256(std::string(32, '\0'));
  const grpc::Slice slice(receipt.SerializeAsString());
  return {&slice, 1};
}

}  // namespace sluice

#endif  // SLUICE_TOOLS_BENCH_FIXED_RECEIPT_H_
