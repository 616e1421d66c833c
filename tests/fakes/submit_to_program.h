// Submits to the program `sluice`.

#ifndef SLUICE_TESTS_FAKES_SUBMIT_TO_PROGRAM_H_
#define SLUICE_TESTS_FAKES_SUBMIT_TO_PROGRAM_H_

#include <cstdint>
#include <string>

#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/test_server.h"

namespace sluice {

// Submits MakeSubmit(id), which must be answered OK. Returns the sequence
// number of the receipt.
inline std::int64_t SubmitTo(Sluice& sluice, const std::string& id) {
  grpc::ClientContext context;
  v1::Receipt receipt;
  const grpc::Status status = v1::Ingestion::NewStub(sluice.Connect())
                                  ->Submit(&context, MakeSubmit(id), &receipt);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return receipt.sequence();
}

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_SUBMIT_TO_PROGRAM_H_
