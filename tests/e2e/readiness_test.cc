// Tests what /readyz and grpc.health.v1 report, on both addresses.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/postgres_server.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kSubmit[] = "sluice.v1.Ingestion/Submit";
constexpr char kImport[] = "sluice.v1.Ingestion/ImportPatients";
constexpr char kReceipts[] = "sluice.v1.Ingestion/GetReceipts";

HealthCheckRequest Named(const std::string& name) {
  HealthCheckRequest request;
  request.set_service(name);
  return request;
}

std::string HealthOf(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& name) {
  grpc::ClientContext context;
  HealthCheckResponse response;
  const grpc::Status status =
      Health::NewStub(channel)->Check(&context, Named(name), &response);
  return status.ok()
             ? HealthCheckResponse::ServingStatus_Name(response.status())
             : status.error_message();
}

// A server that acknowledges from a journal, except for imports.
class ReadinessOfMethods : public testing::Test {
 protected:
  static Config Configuration(const TempFolder& folder) {
    Config config = JournalConfig(folder);
    config.methods[Index(Method::kImportPatients)].ack = Ack::kStored;
    return config;
  }

  std::shared_ptr<grpc::Channel> Admin() {
    return grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", server_.server().admin_port()),
        grpc::InsecureChannelCredentials());
  }

  const TempFolder folder_;
  TestServer server_{Configuration(folder_)};
};

TEST_F(ReadinessOfMethods, QueuedMethodsAreReadyWhileTheStoreIsUnavailable) {
  server_.AwaitReady();
  server_.store().FailWith(absl::UnavailableError("no route"));
  server_.AwaitDegraded(kImport);
  EXPECT_THAT(server_.Get("/readyz"),
              AllOf(StartsWith("ok\nchecked "),
                    HasSubstr("degraded: the store: no route\n"),
                    HasSubstr(absl::StrCat("degraded: ", kReceipts)),
                    testing::Not(HasSubstr(kSubmit))));
  EXPECT_THAT(server_.Get("/readyz?method=Submit"), StartsWith("ok\n"));
  EXPECT_THAT(server_.Get(absl::StrCat("/readyz?method=", kImport)),
              StartsWith("the store fails: no route\n"));
  for (const auto& channel : {server_.NewChannel(), Admin()}) {
    for (const char* name : {"", "sluice.v1.Ingestion", kSubmit,
                             "sluice.v1.Ingestion/SubmitStream",
                             "sluice.v1.Ingestion/RecordEvents"}) {
      EXPECT_EQ(HealthOf(channel, name), "SERVING") << name;
    }
    EXPECT_EQ(HealthOf(channel, kImport), "NOT_SERVING");
    EXPECT_EQ(HealthOf(channel, kReceipts), "NOT_SERVING");
    EXPECT_EQ(HealthOf(channel, "Submit"), "unknown service");
  }
  EXPECT_EQ(Submit(server_, MakeSubmit("1")).disposition(),
            v1::Receipt::QUEUED);
  server_.store().FailWith(absl::OkStatus());
  server_.AwaitReady();
  AwaitStored(server_, 1);
}

TEST_F(ReadinessOfMethods, WatchesReportChangesOnBothAddresses) {
  struct Watch {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
    std::string Next() {
      HealthCheckResponse response;
      if (!reader->Read(&response)) return "the end";
      return HealthCheckResponse::ServingStatus_Name(response.status());
    }
  };
  for (const auto& channel : {server_.NewChannel(), Admin()}) {
    const auto stub = Health::NewStub(channel);
    Watch import;
    import.reader = stub->Watch(&import.context, Named(kImport));
    EXPECT_EQ(import.Next(), "SERVING");
    server_.store().FailWith(absl::UnavailableError("no route"));
    EXPECT_EQ(import.Next(), "NOT_SERVING");
    server_.store().FailWith(absl::OkStatus());
    EXPECT_EQ(import.Next(), "SERVING");
    import.context.TryCancel();
  }
}

TEST(ReadinessAtStart, ARoleThatMayNotInsertEndsTheStart) {
  const std::string url = PostgresServer::Shared().NewSchema();
  const std::string store =
      absl::StrCat("store: {kind: postgres, url: \"", url,
                   "\"}\npools: {clinical: {}}\nmethods:\n"
                   "  sluice.v1.Ingestion/Submit: {pool: clinical}\n"
                   "  sluice.v1.Ingestion/SubmitStream: {pool: clinical}\n"
                   "  sluice.v1.Ingestion/ImportPatients: {pool: clinical}\n"
                   "  sluice.v1.Ingestion/RecordEvents: {pool: clinical}\n");
  PostgresShell shell(url);
  shell.Run("DROP ROLE IF EXISTS sluice_reader");
  shell.Run("CREATE ROLE sluice_reader LOGIN");
  {
    Sluice creates(store);
    creates.port();
    creates.program().Signal(SIGTERM);
    creates.program().Wait();
  }
  const std::string schema = shell.Get("SELECT current_schema");
  shell.Run("GRANT USAGE ON SCHEMA " + schema + " TO sluice_reader");
  shell.Run("GRANT SELECT ON ALL TABLES IN SCHEMA " + schema +
            " TO sluice_reader");
  std::string as_reader = store;
  as_reader.replace(as_reader.find("user=sluice&"), 12, "user=sluice_reader&");
  Sluice sluice(as_reader);
  EXPECT_EQ(sluice.program().Wait().exit_code, 1);
  EXPECT_THAT(
      sluice.program().err(),
      AllOf(HasSubstr("store.url"), HasSubstr("INSERT on submissions")));
  shell.Run("DROP OWNED BY sluice_reader; DROP ROLE sluice_reader");
}

}  // namespace
}  // namespace sluice
