#include "server/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/metrics/families.h"

namespace sluice {
namespace {

using prometheus::MetricFamily;

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Reads the line "btime <seconds>" of /proc/stat.
std::optional<double> ReadBootTime() {
  for (absl::string_view line : absl::StrSplit(ReadFile("/proc/stat"), '\n')) {
    double seconds = 0;
    if (absl::ConsumePrefix(&line, "btime ") &&
        absl::SimpleAtod(line, &seconds)) {
      return seconds;
    }
  }
  return std::nullopt;
}

// The count includes the descriptor that this function itself opens.
std::optional<double> CountOpenFds() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator fd("/proc/self/fd", error), end;
       !error && fd != end; fd.increment(error)) {
    ++count;
  }
  if (error) return std::nullopt;
  return count;
}

std::optional<double> ReadMaxFds() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

std::optional<ProcessStat> ParseProcessStat(const std::string& text) {
  // The second field is the program's name in parentheses. The name may contain
  // spaces and parentheses, so count the fields from the last closing
  // parenthesis.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields = absl::StrSplit(
      text.substr(name_end + 1), absl::ByAnyChar(" \n"), absl::SkipEmpty());

  // proc(5) counts fields from 1, and `fields` begins with the third field.
  const auto read = [&](std::size_t field, std::uint64_t* out) {
    return field - 3 < fields.size() &&
           absl::SimpleAtoi(fields[field - 3], out);
  };
  ProcessStat stat;
  if (!read(14, &stat.user_ticks) || !read(15, &stat.system_ticks) ||
      !read(20, &stat.threads) || !read(22, &stat.start_ticks) ||
      !read(23, &stat.virtual_bytes) || !read(24, &stat.resident_pages)) {
    return std::nullopt;
  }
  return stat;
}

ProcessMetrics::ProcessMetrics() : boot_time_s_(ReadBootTime()) {}

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  static const auto ticks_per_second =
      static_cast<double>(sysconf(_SC_CLK_TCK));
  static const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));

  std::vector<MetricFamily> families;
  if (const auto stat = ParseProcessStat(ReadFile("/proc/self/stat"))) {
    const auto ticks = static_cast<double>(stat->user_ticks) +
                       static_cast<double>(stat->system_ticks);
    families.push_back(
        SingleCounter("process_cpu_seconds_total",
                      "Total user and system CPU time spent in seconds.",
                      ticks / ticks_per_second));
    families.push_back(SingleGauge(
        "process_resident_memory_bytes", "Resident memory size in bytes.",
        static_cast<double>(stat->resident_pages) * page_bytes));
    families.push_back(SingleGauge("process_virtual_memory_bytes",
                                   "Virtual memory size in bytes.",
                                   static_cast<double>(stat->virtual_bytes)));
    families.push_back(SingleGauge("process_threads",
                                   "Number of OS threads in the process.",
                                   static_cast<double>(stat->threads)));
    if (boot_time_s_) {
      families.push_back(
          SingleGauge("process_start_time_seconds",
                      "Start time of the process since unix epoch in seconds.",
                      *boot_time_s_ + static_cast<double>(stat->start_ticks) /
                                          ticks_per_second));
    }
  }
  if (const auto open_fds = CountOpenFds()) {
    families.push_back(SingleGauge(
        "process_open_fds", "Number of open file descriptors.", *open_fds));
  }
  if (const auto max_fds = ReadMaxFds()) {
    families.push_back(SingleGauge("process_max_fds",
                                   "Maximum number of open file descriptors.",
                                   *max_fds));
  }
  return families;
}

}  // namespace sluice
