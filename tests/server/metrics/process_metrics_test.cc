#include "server/metrics/process_metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"

namespace sluice {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::Le;

double Value(const std::string& name) {
  for (const MetricFamily& family : ProcessMetrics().Collect()) {
    if (family.name != name) continue;
    EXPECT_EQ(family.metric.size(), 1u) << name;
    return family.type == MetricType::Counter ? family.metric[0].counter.value
                                              : family.metric[0].gauge.value;
  }
  ADD_FAILURE() << name << " is missing";
  return -1;
}

TEST(ParseProcessStat, FindsTheFieldsBehindAProgramNameOfAnyKind) {
  for (const char* name : {"(sluice)", "(a b)", "(a) R 1 (b)", "())"}) {
    const std::string text =
        std::string("4242 ") + name +
        " S 1 4242 4242 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 7 0 333 4096000 "
        "555 18446744073709551615 1 1\n";
    const auto stat = ParseProcessStat(text);
    ASSERT_TRUE(stat.has_value()) << name;
    EXPECT_EQ(stat->user_ticks, 11u);
    EXPECT_EQ(stat->system_ticks, 22u);
    EXPECT_EQ(stat->threads, 7u);
    EXPECT_EQ(stat->start_ticks, 333u);
    EXPECT_EQ(stat->virtual_bytes, 4096000u);
    EXPECT_EQ(stat->resident_pages, 555u);
  }
}

TEST(ParseProcessStat, RefusesOtherTexts) {
  for (const char* text :
       {"", ")", "1 (x) S", "1 (x) S 1 1 1 1 1 1 1 1 1 1 a b c d e f g h i j",
        "no parentheses at all 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"}) {
    EXPECT_FALSE(ParseProcessStat(text).has_value()) << text;
  }
}

TEST(ProcessMetrics, CountsOpenFiles) {
  const double before = Value("process_open_fds");
  const int fd = open("/dev/null", O_RDONLY);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(Value("process_open_fds"), before + 1);
  close(fd);
  EXPECT_EQ(Value("process_open_fds"), before);
  EXPECT_GE(Value("process_max_fds"), before);
}

TEST(ProcessMetrics, CountsThreads) {
  absl::Notification done;
  // ThreadSanitizer starts a thread itself together with the first thread.
  std::thread first([&] { done.WaitForNotification(); });
  const double before = Value("process_threads");
  std::thread second([&] { done.WaitForNotification(); });
  EXPECT_EQ(Value("process_threads"), before + 1);
  done.Notify();
  first.join();
  second.join();
}

TEST(ProcessMetrics, CpuTimeGrowsWithWork) {
  const double before = Value("process_cpu_seconds_total");
  const std::clock_t start = std::clock();
  while (std::clock() - start < CLOCKS_PER_SEC / 10) {
  }
  // The kernel counts processor time in ticks of 10 ms.
  EXPECT_THAT(Value("process_cpu_seconds_total") - before,
              AllOf(Ge(0.05), Le(60.0)));
}

TEST(ProcessMetrics, MemoryIsInBytes) {
  const double resident = Value("process_resident_memory_bytes");
  EXPECT_THAT(resident, Gt(1 << 20));
  EXPECT_THAT(Value("process_virtual_memory_bytes"), Gt(resident));
}

TEST(ProcessMetrics, StartedNotLongAgo) {
  const double now = std::chrono::duration<double>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  // The kernel reports the boot time in whole seconds.
  EXPECT_THAT(Value("process_start_time_seconds"),
              AllOf(Gt(now - 3600), Le(now + 2)));
}

TEST(ProcessMetrics, PromtoolFindsNoFault) {
  if (std::system("command -v promtool >/dev/null") != 0) {
    GTEST_SKIP() << "promtool is not installed";
  }
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) /
      ("process_metrics." + std::to_string(getpid()));
  std::ofstream(file) << prometheus::TextSerializer().Serialize(
      ProcessMetrics().Collect());
  const std::string command =
      "promtool check metrics <" + file.string() + " 2>&1";
  std::FILE* output = popen(command.c_str(), "r");
  ASSERT_NE(output, nullptr);
  std::string said;
  for (int c = std::fgetc(output); c != EOF; c = std::fgetc(output)) {
    said += static_cast<char>(c);
  }
  EXPECT_EQ(pclose(output), 0);
  EXPECT_EQ(said, "");
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace sluice
