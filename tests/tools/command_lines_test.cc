// Runs the programs from the command line: output, exit codes, bad usage.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_admin.h"
#include "tests/fakes/fake_ingestion.h"
#include "tests/fakes/raw_server.h"
#include "tests/tools/run_tool.h"

#define TRAFFIC SLUICE_SOURCE_DIR "/samples/traffic/evening-peak.yaml"

namespace sluice {
namespace {

using testing::HasSubstr;

constexpr char kResponse[] = R"({
  "resourceType": "QuestionnaireResponse", "status": "completed",
  "item": [{"linkId": "1", "answer": [{"valueBoolean": true}]}]})";

TEST(SluiceLoad, ReportsAsTextAndAsJson) {
  FakeIngestion server;
  const ToolRun text = RunTool(SLUICE_LOAD, {server.target(), "--requests=20"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.err, "");
  EXPECT_THAT(text.out, HasSubstr("STORED 20"));

  const ToolRun json = RunTool(
      SLUICE_LOAD, {"--target", server.target(), "--rate=2000", "--arrivals",
                    "poisson", "--requests=20", "--method=events", "--json"});
  EXPECT_EQ(json.exit_code, 0) << json.err;
  const auto report = nlohmann::json::parse(json.out);
  EXPECT_EQ(report["calls"], 20);
  EXPECT_EQ(report["rpc"], "RecordEvents");
}

TEST(SluiceLoad, RefusalsAreNoFailureOfTheTool) {
  FakeIngestion server;
  for (int i = 0; i < 5; ++i) server.RefuseNext({.pushback = "100"});
  const ToolRun run = RunTool(SLUICE_LOAD, {server.target(), "--requests=5"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, HasSubstr("RESOURCE_EXHAUSTED 5"));
  EXPECT_THAT(run.out, HasSubstr("QUEUE_FULL 5"));
  EXPECT_THAT(run.out, HasSubstr("retry after 100 to 100 ms"));
  EXPECT_THAT(run.out, HasSubstr("the queue is full"));
}

TEST(SluiceLoad, FailsWhereNobodyAnswers) {
  const RawServer server("no HTTP/2 here", RawServer::Then::kClose);
  const ToolRun run = RunTool(SLUICE_LOAD, {server.target()});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("cannot connect to 127.0.0.1:"));
}

TEST(SluiceLoad, PlaysAProfileAndDrawsIt) {
  FakeIngestion server;
  const std::string traffic =
      WriteTempFile("traffic.yaml",
                    "duration: 10h\n"
                    "store: {per_batch: 1ms, per_submission: 0}\n"
                    "arrivals: {diaries: {method: Submit, rate: 100, "
                    "deadline: 1m, bytes: 3KiB}}\n");
  const std::string page = WriteTempFile("load.html", "");
  const ToolRun run = RunTool(
      SLUICE_LOAD, {server.target(), "--profile=" + traffic, "--duration=1s",
                    "--scale=2", "--output=" + page, "--json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const auto report = nlohmann::json::parse(run.out);
  // The tolerance allows for the variation of a Poisson process.
  EXPECT_NEAR(report["calls"].get<double>(), 200, 60);
  ASSERT_EQ(report["timeline"].size(), 1U);
  EXPECT_EQ(report["timeline"][0]["offered"], report["calls"]);
  EXPECT_GE(report["bytes_sent"], report["calls"].get<int>() * 3000);
  EXPECT_THAT(
      ReadTempFile("load.html"),
      testing::AllOf(testing::StartsWith("<!DOCTYPE html>"),
                     HasSubstr("<h1>traffic.yaml: 10 h played in 1 s</h1>"),
                     HasSubstr("\"timeline\": [")));
}

TEST(SluiceLoad, BadUsageIsTold) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {"--no_such_flag"},
           {"--connections=0"},
           {"--connections=many"},
           {"--rate=10", "--outstanding=3"},
           {"--arrivals=poisson"},
           {"--rate=10", "--arrivals=never"},
           {"--method=Submit"},
           {"--method=stream", "--deadline=1s"},
           {"--method=stream", "--streams=0"},
           {"--streams=2"},
           {"--ids=v5"},
           {"--size=-1"},
           {"--duration=10"},
           {"--profile=/no/such/file"},
           {"--profile=" SLUICE_SOURCE_DIR "/config.yaml"},
           {"--profile=" TRAFFIC, "--rate=10"},
           {"--profile=" TRAFFIC, "--arrivals=poisson"},
           {"--profile=" TRAFFIC, "--warmup=1s"},
           {"--profile=" TRAFFIC, "--scale=0"},
           {"--profile=" TRAFFIC, "--compress=10", "--duration=1s"},
           {"--profile=" TRAFFIC, "--compress=nan"},
           {"--profile=" TRAFFIC, "--method=import"},
           {"--profile=" TRAFFIC, "--metrics=localhost"},
           {"--duration"},
           {"one:1", "two:2"},
           {"no_port"}}) {
    ExpectBadUsage(SLUICE_LOAD, arguments);
  }
}

TEST(SluiceLoad, Helps) {
  const ToolRun run = RunTool(SLUICE_LOAD, {"--help"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, HasSubstr("usage: sluice-load"));
  EXPECT_THAT(run.out, HasSubstr("--max_in_flight"));
  EXPECT_THAT(run.out, HasSubstr("sluice-load.html"));
  EXPECT_THAT(run.out, HasSubstr("pool to show (default: the sum of all"));
  EXPECT_THAT(run.out, HasSubstr("--connections"));
  EXPECT_THAT(run.out, HasSubstr("(default: "));
  EXPECT_THAT(run.out, testing::Not(HasSubstr("(default: inf)")));
}

TEST(Sluicectl, SubmitsFilesAndAsksForTheirReceipts) {
  FakeIngestion server;
  const std::string file = WriteTempFile("a.json", kResponse);
  const ToolRun submit = RunTool(
      SLUICECTL,
      {"submit", "--target", server.target(), "--study=S", "--json", file});
  EXPECT_EQ(submit.exit_code, 0) << submit.err;
  const auto line = nlohmann::json::parse(submit.out);
  EXPECT_EQ(line["disposition"], "STORED");

  const std::string id = line["submission_id"];
  const ToolRun receipts = RunTool(
      SLUICECTL, {"receipts", id, "--target", server.target(), "--study=S"});
  EXPECT_EQ(receipts.exit_code, 0) << receipts.err;
  EXPECT_THAT(receipts.out, HasSubstr(absl::StrCat(id, "  STORED")));

  const ToolRun unknown = RunTool(
      SLUICECTL,
      {"receipts", id, "never", "--target", server.target(), "--study=S"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.out, HasSubstr("UNKNOWN"));
}

TEST(Sluicectl, ABadFileHoldsBackNoneOfTheOthers) {
  FakeIngestion server;
  const std::string good = WriteTempFile("good.json", kResponse);
  const std::string bad = WriteTempFile("bad.json", "{");
  const ToolRun run =
      RunTool(SLUICECTL, {"submit", "--target", server.target(), "--study=S",
                          bad, "/no/such.json", good});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(server.submissions().size(), 1U);
  const std::vector<std::string> lines = absl::StrSplit(run.out, '\n');
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_THAT(lines[1], HasSubstr("NOT_SENT"));
  EXPECT_THAT(lines[3], HasSubstr("STORED"));
  EXPECT_THAT(run.err, HasSubstr(absl::StrCat("error: ", bad, ": ")));
  EXPECT_THAT(run.err, HasSubstr("error: /no/such.json: "));
}

TEST(Sluicectl, WhatIsNotTakenIsAFailure) {
  FakeIngestion server;
  server.AnswerWith(v1::Receipt::DROPPED);
  const ToolRun run =
      RunTool(SLUICECTL, {"submit", "--target", server.target(), "--study=S",
                          WriteTempFile("a.json", kResponse)});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.out, HasSubstr("DROPPED"));
}

TEST(Sluicectl, RetriesAreBounded) {
  FakeIngestion server;
  for (int i = 0; i < 3; ++i) server.RefuseNext({.pushback = "1"});
  const std::string file = WriteTempFile("a.json", kResponse);
  const ToolRun run = RunTool(SLUICECTL, {"submit", "--target", server.target(),
                                          "--study=S", "--retries=2", file});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("RESOURCE_EXHAUSTED: the queue is full "
                                 "(reason QUEUE_FULL)"));
  EXPECT_EQ(server.submissions().size(), 3U);
}

TEST(Sluicectl, LooksIntoTheQuarantine) {
  FakeAdmin server;
  server.AddQuarantined(QuarantinedResponse(5));
  const ToolRun list =
      RunTool(SLUICECTL, {"quarantine", "list", "--admin", server.target()});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("SEQUENCE"));
  EXPECT_THAT(list.out, HasSubstr("the store says no"));
  const ToolRun json = RunTool(
      SLUICECTL, {"quarantine", "list", "--json", "--admin", server.target()});
  EXPECT_EQ(nlohmann::json::parse(json.out)["submission_id"], "id-5");

  for (const std::vector<std::string>& which :
       std::vector<std::vector<std::string>>{{"5"}, {"--study=S", "id-5"}}) {
    std::vector<std::string> arguments = {"quarantine", "show", "--admin",
                                          server.target()};
    arguments.insert(arguments.end(), which.begin(), which.end());
    const ToolRun show = RunTool(SLUICECTL, arguments);
    EXPECT_EQ(show.exit_code, 0) << show.err;
    EXPECT_THAT(show.out, HasSubstr("submission_id   id-5\n"));
    EXPECT_THAT(show.out, HasSubstr("\"linkId\": \"pain\""));
    arguments.emplace_back("--json");
    const ToolRun shown = RunTool(SLUICECTL, arguments);
    EXPECT_THAT(shown.out, HasSubstr("\"valueDecimal\":1.10"));
    EXPECT_EQ(nlohmann::json::parse(shown.out)["fhir"]["id"], "id-5");
  }
  const ToolRun missing = RunTool(
      SLUICECTL, {"quarantine", "show", "6", "--admin", server.target()});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("NOT_FOUND"));
}

TEST(Sluicectl, TakesOutOfTheQuarantine) {
  FakeAdmin server;
  server.AddQuarantined(QuarantinedResponse(5));
  server.AddQuarantined(QuarantinedResponse(6));
  const ToolRun exported =
      RunTool(SLUICECTL, {"quarantine", "export", "--admin", server.target()});
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(exported.err, "");
  EXPECT_THAT(exported.out, HasSubstr("\"id\":\"id-6\""));

  const ToolRun some = RunTool(
      SLUICECTL, {"quarantine", "retry", "5", "9", "--admin", server.target()});
  EXPECT_EQ(some.exit_code, 1);
  EXPECT_EQ(some.out, "         5  RETRIED\n         9  UNKNOWN\n");
  server.LeaveInQuarantine("the queue is full");
  const ToolRun left = RunTool(
      SLUICECTL, {"quarantine", "retry", "--all", "--admin", server.target()});
  EXPECT_EQ(left.exit_code, 1);
  EXPECT_THAT(left.out, HasSubstr("LEFT"));
  EXPECT_THAT(left.err, HasSubstr("the queue is full"));
  server.LeaveInQuarantine("");
  const ToolRun all = RunTool(
      SLUICECTL,
      {"quarantine", "retry", "--all", "--json", "--admin", server.target()});
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_EQ(all.out, "{\"sequence\":6,\"result\":\"RETRIED\"}\n");
}

TEST(Sluicectl, DiscardsWithAReason) {
  FakeAdmin server;
  server.AddQuarantined(QuarantinedResponse(5));
  server.AddQuarantined(QuarantinedResponse(6));
  const auto discard = [&](const std::string& sequence,
                           const std::string& reason) {
    return RunTool(SLUICECTL,
                   {"quarantine", "discard", sequence, "--reason=" + reason,
                    "--by=Ada", "--admin", server.target()});
  };
  const ToolRun discarded = discard("5", "sent by a test device");
  EXPECT_EQ(discarded.exit_code, 0) << discarded.err;
  EXPECT_EQ(discarded.out, "         5  DISCARDED\n");
  EXPECT_EQ(discard("6", "sent\x1b[2J twice").exit_code, 0);
  const ToolRun missing = discard("5", "again");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("NOT_FOUND"));

  const ToolRun list = RunTool(
      SLUICECTL, {"quarantine", "discarded", "--admin", server.target()});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("Ada           sent by a test device\n"));
  EXPECT_THAT(list.out, Not(HasSubstr("\x1b")));
  const ToolRun json = RunTool(SLUICECTL, {"quarantine", "discarded", "--json",
                                           "--admin", server.target()});
  const std::string first = json.out.substr(0, json.out.find('\n'));
  const auto record = nlohmann::json::parse(first);
  EXPECT_EQ(record["submission_id"], "id-5");
  EXPECT_EQ(record["discarded"]["by"], "Ada");
  EXPECT_EQ(record["discarded"]["reason"], "sent by a test device");
}

TEST(Sluicectl, ExportsOneOfTheQuarantine) {
  FakeAdmin server;
  server.AddQuarantined(QuarantinedResponse(5));
  v1::GetQuarantinedResponse unreadable = QuarantinedResponse(6);
  unreadable.set_content("not a message");
  server.AddQuarantined(unreadable);
  const auto exported = [&](const std::string& sequence) {
    return RunTool(SLUICECTL, {"quarantine", "export", sequence, "--admin",
                               server.target()});
  };
  const ToolRun fhir = exported("5");
  EXPECT_EQ(fhir.exit_code, 0) << fhir.err;
  EXPECT_EQ(nlohmann::json::parse(fhir.out)["id"], "id-5");
  const ToolRun raw = exported("6");
  EXPECT_EQ(raw.exit_code, 0) << raw.err;
  EXPECT_EQ(raw.out, "not a message");
  EXPECT_THAT(raw.err, HasSubstr("the raw bytes are written"));
  EXPECT_EQ(exported("7").exit_code, 1);
}

TEST(Sluicectl, ExportsToStandardOutput) {
  FakeAdmin server;
  server.AddExported(ExportedResponse(1));
  server.AddGap(2, 3, v1::SequenceGap::DUPLICATE);
  const ToolRun run =
      RunTool(SLUICECTL, {"export", "--strict", "--study=S",
                          "--since=2026-03-01", "--admin", server.target()});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(nlohmann::json::parse(run.out)["id"], "id-1");
  EXPECT_EQ(run.err, "note: numbers that are not stored: DUPLICATE 2\n");
  EXPECT_EQ(server.exports().at(0).study_id(), "S");
  EXPECT_EQ(server.exports().at(0).received_since().seconds(), 1'772'323'200);
}

TEST(Sluicectl, StrictMindsUnaccountedNumbers) {
  FakeAdmin server;
  server.AddGap(2, 3, v1::SequenceGap::UNACCOUNTED);
  const std::vector<std::string> arguments = {"export", "--format=csv",
                                              "--admin", server.target()};
  EXPECT_EQ(RunTool(SLUICECTL, arguments).exit_code, 0);
  std::vector<std::string> strict = arguments;
  strict.emplace_back("--strict");
  const ToolRun run = RunTool(SLUICECTL, strict);
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("UNACCOUNTED: 2-3"));
  EXPECT_THAT(run.out, testing::StartsWith("sequence,study_id,"));
}

TEST(Sluicectl, StrictMindsQuarantinedNumbers) {
  FakeAdmin server;
  server.AddGap(2, 3, v1::SequenceGap::QUARANTINED);
  server.AddGap(5, 5, v1::SequenceGap::DISCARDED);
  const ToolRun run =
      RunTool(SLUICECTL, {"export", "--strict", "--admin", server.target()});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.err,
            "note: numbers that are not stored: QUARANTINED 2, DISCARDED 1\n");
}

TEST(Sluicectl, AHalfExportNeverLooksWhole) {
  FakeAdmin server;
  server.AddExported(ExportedResponse(1));
  const std::string file = WriteTempFile("export.ndjson", "before\n");
  const std::vector<std::string> arguments = {"export", "--output", file,
                                              "--admin", server.target()};
  server.EndExportsWith({grpc::StatusCode::UNAVAILABLE, "the store is away"});
  const ToolRun failed = RunTool(SLUICECTL, arguments);
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_EQ(failed.err, "error: UNAVAILABLE: the store is away\n");
  EXPECT_EQ(ReadTempFile("export.ndjson"), "before\n");

  server.EndExportsWith(grpc::Status::OK);
  const ToolRun whole = RunTool(SLUICECTL, arguments);
  EXPECT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_EQ(whole.out, "");
  EXPECT_EQ(nlohmann::json::parse(ReadTempFile("export.ndjson"))["id"], "id-1");

  const ToolRun nowhere = RunTool(
      SLUICECTL,
      {"export", "--output", "/no/such/folder/x", "--admin", server.target()});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("error: /no/such/folder/x: "));
}

TEST(Sluicectl, AFullDiskFailsTheExport) {
  FakeAdmin server;
  for (std::int64_t n = 1; n <= 200; ++n) {
    server.AddExported(ExportedResponse(n));
  }
  const ToolRun run =
      RunTool("/bin/sh", {"-c", absl::StrCat(SLUICECTL, " export --admin ",
                                             server.target(), " >/dev/full")});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("No space left on device"));
}

TEST(Sluicectl, WithoutAnAdminServiceThatIsTold) {
  std::string target;
  {
    const FakeAdmin gone;
    target = gone.target();
  }
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{
           {"quarantine", "list"}, {"quarantine", "export"}, {"export"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--admin", target});
    const ToolRun run = RunTool(SLUICECTL, arguments);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_THAT(run.err, HasSubstr("error: UNAVAILABLE: "));
  }
}

TEST(Sluicectl, BadUsageIsTold) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"send"},
           {"submit"},
           {"submit", "--study=S"},
           {"submit", "file.json"},
           {"receipts", "--study=S"},
           {"submit", "--study=S", "--retries=-1", "file.json"},
           {"submit", "--study=S", "--timeout=0s", "file.json"},
           {"submit", "--study=S", "--retries=x", "file.json"},
           {"submit", "--no_such_flag", "file.json"},
           {"quarantine"},
           {"quarantine", "drop"},
           {"quarantine", "list", "5"},
           {"quarantine", "show"},
           {"quarantine", "show", "one"},
           {"quarantine", "show", "1", "2"},
           {"quarantine", "retry"},
           {"quarantine", "retry", "--all", "1"},
           {"quarantine", "retry", "0"},
           {"quarantine", "discard", "1"},
           {"quarantine", "discard", "--reason=x"},
           {"quarantine", "discard", "--reason=x", "1", "2"},
           {"quarantine", "discarded", "1"},
           {"quarantine", "export", "1", "2"},
           {"quarantine", "export", "--format=csv"},
           {"export", "--format=xml"},
           {"export", "--since=yesterday"},
           {"export", "file.json"},
           {"backup"},
           {"backup", "one", "two"}}) {
    ExpectBadUsage(SLUICECTL, arguments);
  }
}

TEST(Sluicectl, MakesABackup) {
  FakeAdmin server;
  const std::string admin = "--admin=" + server.target();
  const ToolRun text = RunTool(SLUICECTL, {"backup", admin, "night"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.err, "");
  EXPECT_EQ(text.out,
            "/backups/night\n"
            "  journal-clinical.db  81920 bytes  of pools.clinical.queue.path\n"
            "  journal-clinical.db.state  8192 bytes\n");

  const ToolRun json =
      RunTool(SLUICECTL, {"backup", admin, "--json", "journals"});
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_THAT(json.err, HasSubstr("the backup has the journals only"));
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["has_store"], false);
  EXPECT_EQ(parsed["files"][1]["name"], "journal-clinical.db.state");

  const ToolRun taken = RunTool(SLUICECTL, {"backup", admin, "taken"});
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_THAT(taken.err, HasSubstr("exists already"));
}

TEST(Sluicectl, Helps) {
  const ToolRun run = RunTool(SLUICECTL, {"--help"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, HasSubstr("sluicectl receipts"));
  EXPECT_THAT(run.out, HasSubstr("sluicectl quarantine retry"));
  EXPECT_THAT(run.out, HasSubstr("--strict"));
  EXPECT_THAT(run.out, HasSubstr("--retries"));
}

}  // namespace
}  // namespace sluice
