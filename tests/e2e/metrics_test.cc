// Tests the endpoints of the metrics address, as operators and Prometheus use
// them.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/program.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::HasSubstr;

// Parses the text of /metrics.
class Scrape {
 public:
  explicit Scrape(const std::string& text) {
    for (const auto line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      if (line[0] == '#') continue;
      const auto space = line.rfind(' ');
      double value = 0;
      if (space == line.npos ||
          !absl::SimpleAtod(line.substr(space + 1), &value)) {
        ADD_FAILURE() << line;
        continue;
      }
      samples_.emplace_back(line.substr(0, space), value);
    }
  }

  // Returns the sum of all series of the family that have all these labels. A
  // label has the form of the text: method="Submit".
  double Sum(std::string_view name,
             const std::vector<std::string>& labels = {}) const {
    double sum = 0;
    for (const auto& [series, value] : samples_) {
      if (series.substr(0, series.find('{')) != name) continue;
      bool has_all = true;
      for (const std::string& label : labels) {
        has_all = has_all && absl::StrContains(series, label);
      }
      if (has_all) sum += value;
    }
    return sum;
  }

  // Returns the names of all series, without labels. A histogram has three:
  // buckets, sum and count.
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& [series, value] : samples_) {
      names.insert(series.substr(0, series.find('{')));
    }
    return names;
  }

 private:
  std::vector<std::pair<std::string, double>> samples_;
};

// Checks both equations of the counters of one method.
void ExpectBalance(const Scrape& scrape, std::string_view method) {
  const std::vector<std::string> of = {
      absl::StrCat("method=\"", std::string(method), "\"")};
  const double received = scrape.Sum("sluice_received_total", of);
  const double admitted = scrape.Sum("sluice_admitted_total", of);
  EXPECT_EQ(received, admitted + scrape.Sum("sluice_rejections_total", of) +
                          scrape.Sum("sluice_dropped_total", of) +
                          scrape.Sum("sluice_abandoned_total", of) +
                          scrape.Sum("sluice_invalid_total", of) +
                          scrape.Sum("sluice_waiting", {"pool=\"clinical\""}));
  EXPECT_EQ(admitted,
            scrape.Sum("sluice_completed_total", of) +
                scrape.Sum("sluice_queue_depth", {"pool=\"clinical\""}) +
                scrape.Sum("sluice_in_work", {"pool=\"clinical\""}));
}

// Causes every outcome of a submission, except those of a drain.
void SubmitOfEveryKind(FullServer& full) {
  full.caller().SubmitAndWait(MakeSubmit("refused: the waiting room is full"));
  full.store().Release();
  full.caller().AwaitEnded(4);
  full.caller().SubmitAndWait(MakeSubmit("stored"));
  full.caller().SubmitAndWait(MakeSubmit("stored"));
  v1::SubmitRequest conflict = MakeSubmit("stored");
  conflict.set_site_id("another");
  full.caller().SubmitAndWait(conflict);
  full.caller().SubmitAndWait(MakeSubmit(""));
  full.store().FailWith(absl::UnavailableError("full"));
  full.caller().SubmitAndWait(MakeSubmit("unavailable"));
}

Config WithSmallWaitingRoom() {
  Config config = SmallConfig("block", 1);
  config.pools["clinical"].waiting_max = 1;
  return config;
}

TEST(Metrics, HaveEveryNameAndBalanceWhileWorkIsGoingOn) {
  FullServer full(WithSmallWaitingRoom());
  full.Park(MakeSubmit("parked"));
  {
    const Scrape scrape(full.server().Get("/metrics"));
    EXPECT_EQ(scrape.Sum("sluice_queue_depth", {"pool=\"clinical\""}), 1);
    EXPECT_EQ(scrape.Sum("sluice_queue_capacity", {"pool=\"clinical\""}), 1);
    EXPECT_EQ(scrape.Sum("sluice_waiting", {"pool=\"clinical\""}), 1);
    EXPECT_EQ(
        scrape.Sum("sluice_workers", {"pool=\"clinical\"", "state=\"busy\""}),
        1);
    EXPECT_EQ(scrape.Sum("sluice_in_flight", {"method=\"Submit\""}), 3);
    ExpectBalance(scrape, "Submit");
  }
  SubmitOfEveryKind(full);
  const Scrape scrape(full.server().Get("/metrics"));
  ExpectBalance(scrape, "Submit");
  for (const char* name : {"sluice_queue_depth",
                           "sluice_queue_capacity",
                           "sluice_waiting",
                           "sluice_workers",
                           "sluice_received_total",
                           "sluice_admitted_total",
                           "sluice_rejections_total",
                           "sluice_dropped_total",
                           "sluice_abandoned_total",
                           "sluice_completed_total",
                           "sluice_in_flight",
                           "sluice_queue_wait_seconds_count",
                           "sluice_processing_seconds_bucket",
                           "sluice_store_commit_seconds_sum",
                           "sluice_store_batch_size_count",
                           "grpc_server_started_total",
                           "grpc_server_handled_total",
                           "grpc_server_handling_seconds_count",
                           "process_cpu_seconds_total",
                           "process_resident_memory_bytes",
                           "process_open_fds",
                           "process_start_time_seconds",
                           "sluice_build_info"}) {
    EXPECT_TRUE(scrape.Names().contains(name)) << name;
  }
  EXPECT_EQ(scrape.Sum("sluice_rejections_total",
                       {"method=\"Submit\"", "policy=\"block\"",
                        "reason=\"waiting_room_full\""}),
            1);
  for (const auto& [outcome, count] :
       std::map<std::string, int>{{"stored", 4},
                                  {"duplicate", 1},
                                  {"conflict", 1},
                                  {"unavailable", 1},
                                  {"failed", 0}}) {
    EXPECT_EQ(scrape.Sum("sluice_completed_total",
                         {"method=\"Submit\"",
                          absl::StrCat("outcome=\"", outcome, "\"")}),
              count)
        << outcome;
  }
  // The duplicate was recognised before it reached the store.
  EXPECT_EQ(scrape.Sum("sluice_store_batch_size_count"), 6);
}

// Returns the names in code spans of the first column of the tables in
// docs/operations.md.
std::set<std::string> DocumentedNames() {
  std::set<std::string> names;
  std::ifstream file(OPERATIONS_DOC);
  EXPECT_TRUE(file.is_open()) << OPERATIONS_DOC;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() < 2) continue;
    for (const auto name : absl::StrSplit(cells[1], '`')) {
      for (const char* prefix : {"sluice_", "grpc_", "process_"}) {
        if (absl::StartsWith(name, prefix)) names.emplace(name);
      }
    }
  }
  return names;
}

TEST(Metrics, AreThoseThatTheOperatorsGuideLists) {
  const TempFolder folder;
  TestServer server(JournalConfig(folder));
  std::set<std::string> names;
  const std::string metrics = server.Get("/metrics");
  for (const auto line : absl::StrSplit(metrics, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 4 && words[1] == "TYPE") names.insert(words[2]);
  }
  const std::set<std::string> documented = DocumentedNames();
  std::vector<std::string> difference;
  std::ranges::set_symmetric_difference(names, documented,
                                        std::back_inserter(difference));
  EXPECT_THAT(difference, testing::IsEmpty())
      << "either not in the guide, or not a metric";
}

TEST(Metrics, OfDroppedSubmissionsBalanceToo) {
  FullServer full(SmallConfig("drop_oldest", 1));
  full.caller().Submit(MakeSubmit("latest"));
  full.caller().Await(full.queued(1));
  const Scrape scrape(full.server().Get("/metrics"));
  ExpectBalance(scrape, "Submit");
  EXPECT_EQ(scrape.Sum("sluice_completed_total",
                       {"method=\"Submit\"", "outcome=\"dropped\""}),
            1);
  EXPECT_EQ(scrape.Sum("sluice_dropped_total"), 0);
}

// Returns the number of Submits for which the shadow `policy` would have given
// this verdict.
double ShadowTotal(TestServer& server, const std::string& policy,
                   const std::string& verdict) {
  return Scrape(server.Get("/metrics"))
      .Sum("sluice_shadow_total",
           {"method=\"Submit\"", absl::StrCat("policy=\"", policy, "\""),
            absl::StrCat("verdict=\"", verdict, "\"")});
}

TEST(Metrics, TellWhatAShadowWouldHaveDone) {
  Config config = SmallConfig("fail_fast", 1);
  MethodConfig& submit = config.methods[Index(Method::kSubmit)];
  submit.shadow = {.on_full = "timed_wait", .max_wait = absl::Hours(1)};
  FullServer full(config);
  for (int i = 0; i < 3; ++i) full.caller().SubmitAndWait(MakeSubmit("no"));
  EXPECT_EQ(ShadowTotal(full.server(), "timed_wait", "park"), 3);
  EXPECT_EQ(Scrape(full.server().Get("/metrics")).Sum("sluice_shadow_total"), 3)
      << "and nothing else";

  // After a live change, earlier counts keep the label of the first policy.
  submit.on_full = "block";
  submit.shadow = {.on_full = "drop_oldest"};
  ASSERT_TRUE(full.server().server().Apply(config).ok());
  full.Park(MakeSubmit("asked before it is read, and when it arrives"));
  EXPECT_EQ(ShadowTotal(full.server(), "timed_wait", "park"), 3);
  EXPECT_EQ(ShadowTotal(full.server(), "drop_oldest", "evict"), 1);

  submit.shadow = {};
  ASSERT_TRUE(full.server().server().Apply(config).ok());
  full.Park(MakeSubmit("not asked about"));
  EXPECT_EQ(Scrape(full.server().Get("/metrics")).Sum("sluice_shadow_total"),
            4);
}

TEST(Metrics, CountCallsByStatusCode) {
  FullServer full(WithSmallWaitingRoom());
  full.Park(MakeSubmit("parked"));
  SubmitOfEveryKind(full);
  // A call is counted only when its last tag has returned, which the client
  // does not wait for.
  AwaitThat("no call is in flight", [&] {
    return Scrape(full.server().Get("/metrics")).Sum("sluice_in_flight") == 0;
  });
  const Scrape scrape(full.server().Get("/metrics"));
  const std::string service = "grpc_service=\"sluice.v1.Ingestion\"";
  const std::string method = "grpc_method=\"Submit\"";
  for (const auto& [code, count] :
       std::map<std::string, int>{{"OK", 5},
                                  {"AlreadyExists", 1},
                                  {"InvalidArgument", 1},
                                  {"ResourceExhausted", 1},
                                  {"Unavailable", 1}}) {
    EXPECT_EQ(
        scrape.Sum("grpc_server_handled_total",
                   {service, method, absl::StrCat("grpc_code=\"", code, "\"")}),
        count)
        << code;
  }
  EXPECT_EQ(scrape.Sum("grpc_server_started_total", {service, method}), 9);
  EXPECT_EQ(scrape.Sum("grpc_server_handling_seconds_count", {service}), 9);
}

TEST(Metrics, AreToPromtoolsLiking) {
  FullServer full(WithSmallWaitingRoom());
  full.Park(MakeSubmit("parked"));
  SubmitOfEveryKind(full);
  const TempFolder folder;
  std::ofstream(folder / "metrics") << full.server().Get("/metrics");
  // promtool is in the Debian package prometheus.
  Program promtool("promtool", {"check", "metrics"}, folder / "metrics");
  EXPECT_EQ(promtool.Wait().exit_code, 0);
  EXPECT_EQ(promtool.out(), "");
  EXPECT_EQ(promtool.err(), "");
}

int FreePort() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  bind(listener, generic, size);
  getsockname(listener, generic, &size);
  close(listener);
  return ntohs(address.sin_port);
}

TEST(Metrics, AreScrapedByPrometheus) {
  TestServer server(SmallConfig("block", 4));
  AsyncCaller caller(server.NewChannel());
  for (const char* id : {"1", "2", "3"}) caller.SubmitAndWait(MakeSubmit(id));

  const TempFolder folder;
  const int port = FreePort();
  std::ofstream(folder / "prometheus.yml")
      << "scrape_configs:\n"
         "  - job_name: sluice\n"
         "    scrape_interval: 100ms\n"
         "    scrape_timeout: 100ms\n"
         "    static_configs: [{targets: ['127.0.0.1:"
      << server.server().metrics_port() << "']}]\n";
  // The program is in the Debian package prometheus.
  Program prometheus("prometheus",
                     {absl::StrCat("--config.file=", folder / "prometheus.yml"),
                      absl::StrCat("--storage.tsdb.path=", folder / "data"),
                      absl::StrCat("--web.listen-address=127.0.0.1:", port)});
  const auto query = [&](const std::string& text) {
    return HttpGet(port, "/api/v1/query?query=" + text);
  };
  AwaitThat("Prometheus has scraped the server", [&] {
    return absl::StrContains(query("up"), ",\"1\"]") &&
           absl::StrContains(query("sum(sluice_received_total)"), ",\"3\"]");
  });
  EXPECT_THAT(query("sluice_completed_total%7Boutcome=%22stored%22,"
                    "method=%22Submit%22%7D"),
              HasSubstr(",\"3\"]"));
}

TEST(Metrics, OfBulkCallsBalanceToo) {
  TestServer server(SmallConfig("fail_fast", 2));
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  for (int i = 0; i < 100; ++i) {
    request.add_records()->set_record_id(i % 10 == 0 ? "" : absl::StrCat(i));
  }
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  ASSERT_TRUE(server.stub().ImportPatients(&context, request, &response).ok());
  const Scrape scrape(server.Get("/metrics"));
  ExpectBalance(scrape, "ImportPatients");
  const std::vector<std::string> of = {"method=\"ImportPatients\""};
  EXPECT_EQ(scrape.Sum("sluice_received_total", of), 100);
  EXPECT_EQ(scrape.Sum("sluice_invalid_total", of), 10);
  EXPECT_EQ(scrape.Sum("sluice_rejections_total", of),
            static_cast<double>(response.counts().refused()));
}

}  // namespace
}  // namespace sluice
