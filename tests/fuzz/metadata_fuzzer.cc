// The metadata of a call is read, or is rejected with the name of a key. Lanes
// depend only on the ids.
//
// Input: pairs of a byte that chooses a name, and a text.

#include <array>
#include <string>

#include "grpcpp/server_context.h"
#include "grpcpp/test/server_context_test_spouse.h"
#include "server/calls/intake.h"
#include "server/submissions/sender.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {

void FuzzOne(std::string_view input) {
  static constexpr std::array<const char*, 4> kNames = {
      "sluice-study", "sluice-site", "sluice-sent-at", "other"};
  InputReader reader(input);
  grpc::ServerContext context;
  grpc::testing::ServerContextTestSpouse spouse(&context);
  for (int i = 0; i < 8 && !reader.empty(); ++i) {
    const char* name = kNames[reader.Below(kNames.size())];
    spouse.AddClientMetadata(name, std::string(reader.Text()));
  }

  Sending sending;
  if (const auto violation = ReadSending(context, &sending)) {
    Require(violation->field.starts_with("sluice-"),
            "a refusal names the entry");
    Require(IsPrintable(violation->description), "and no value");
    return;
  }
  const Sender& sender = sending.sender;
  Require(
      sender.study.size() <= kMaxIdBytes && sender.site.size() <= kMaxIdBytes,
      "ids are limited");
  for (const FairBy by : {FairBy::kNone, FairBy::kStudy, FairBy::kSite}) {
    const auto early = LaneOf(by, sender);
    const auto late = LaneOf(by, sender, "study", "site");
    Require(!early || *early == late, "a lane is the same before and after");
  }
}

}  // namespace sluice
