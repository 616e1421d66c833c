#include "loadgen/traffic/traffic.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "config/config_reader.h"
#include "config/yaml_tree.h"

namespace sluice {
namespace {

constexpr absl::Duration kDurationMax = absl::Hours(24 * 7);
constexpr absl::Duration kDeadlineMax = absl::Hours(24);
constexpr absl::Duration kStoreTimeMax = absl::Minutes(1);
constexpr double kRateMax = 1e6;
constexpr double kTotalMax = 1e9;
constexpr std::size_t kSourcesMax = 32;
constexpr std::size_t kPeaksMax = 32;
constexpr Bounds kSubmissionBytes = {1, std::size_t{16} << 20};
constexpr Bounds kAttempts = {1, 100};
constexpr Bounds kSites = {1, 100'000};  // also for studies
constexpr Bounds kStormSubmissions = {1, 100'000};
constexpr double kFactorMax = 1e6;

// Reads a number with bounds, which may have a fraction.
bool ReadNumber(ConfigSection& section, const std::string& key, double min,
                double max, double* out) {
  std::string text;
  if (!section.ReadText(key, &text)) return false;
  double number = 0;
  // The negated form rejects NaN too.
  if (!absl::SimpleAtod(text, &number) || !(number >= min && number <= max)) {
    section.Error(key, absl::StrFormat("must be a number from %.10g to %.10g, "
                                       "not %s",
                                       min, max, Quoted(text)));
    return false;
  }
  *out = number;
  return true;
}

// Reads a time. Accepts shorter times than the configuration does, because a
// store may take microseconds.
bool ReadTime(ConfigSection& section, const std::string& key,
              absl::Duration max, absl::Duration* out) {
  std::string text;
  if (!section.ReadText(key, &text)) return false;
  absl::Duration time;
  if (!absl::ParseDuration(text, &time) || time < absl::ZeroDuration() ||
      time > max) {
    section.Error(key, absl::StrCat("must be a duration from 0 to ",
                                    absl::FormatDuration(max),
                                    " (50us, 2ms, 1.5s), not ", Quoted(text)));
    return false;
  }
  *out = time;
  return true;
}

// Parses "20:30" or "20:30:15". Hours above 23 are on the following days.
std::optional<absl::Duration> ParseClock(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return std::nullopt;
  std::array<int, 3> numbers{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool two_digits =
        parts[i].size() == 2 || (i == 0 && parts[i].size() == 3);
    if (!two_digits || !std::ranges::all_of(parts[i], [](char c) {
          return c >= '0' && c <= '9';
        })) {
      return std::nullopt;
    }
    if (!absl::SimpleAtoi(parts[i], &numbers.at(i))) return std::nullopt;
  }
  if (numbers[1] > 59 || numbers[2] > 59) return std::nullopt;
  return absl::Hours(numbers[0]) + absl::Minutes(numbers[1]) +
         absl::Seconds(numbers[2]);
}

std::string FormatClock(absl::Duration time) {
  const std::int64_t minutes = absl::ToInt64Minutes(time);
  return absl::StrFormat("%02d:%02d", minutes / 60, minutes % 60);
}

// Converts a time of day to the time since the start.
std::optional<absl::Duration> TimeInRun(ConfigSection& section,
                                        const std::string& key,
                                        const std::string& text,
                                        const Traffic& run) {
  const std::optional<absl::Duration> clock = ParseClock(text);
  if (!clock) {
    section.Error(key, absl::StrCat("must be a time as HH:MM or HH:MM:SS, not ",
                                    Quoted(text)));
    return std::nullopt;
  }
  const absl::Duration since_start = *clock - run.start;
  if (since_start < absl::ZeroDuration() || since_start > run.duration) {
    section.Error(key, absl::StrCat("is not within the run, which goes from ",
                                    FormatClock(run.start), " to ",
                                    FormatClock(run.start + run.duration),
                                    " (after midnight hours go on: 24:30)"));
    return std::nullopt;
  }
  return since_start;
}

bool ReadClock(ConfigSection& section, const std::string& key,
               const Traffic& run, absl::Duration* out) {
  std::string text;
  if (!section.ReadText(key, &text)) {
    if (!section.Has(key)) {
      section.Error(key, "is missing: give a time of day, e.g. \"20:30\"");
    }
    return false;
  }
  const auto time = TimeInRun(section, key, text, run);
  if (time) *out = *time;
  return time.has_value();
}

// Reads the keys `from` and `to`.
bool ReadInterval(ConfigSection& section, const Traffic& run,
                  absl::Duration* from, absl::Duration* to) {
  const bool has_from = ReadClock(section, "from", run, from);
  const bool has_to = ReadClock(section, "to", run, to);
  if (!has_from || !has_to) return false;
  if (*to <= *from) {
    section.Error("to", "must be later than from");
    return false;
  }
  return true;
}

// Returns the maps below `key` by name.
std::vector<std::string> Names(ConfigSection& parent, const std::string& key,
                               ConfigSection& section, std::size_t max) {
  std::vector<std::string> names = section.Keys();
  if (names.size() > max) {
    parent.Error(key, absl::StrCat("must have at most ", max));
    names.clear();
  }
  return names;
}

// --- Sources ---

std::optional<Method> FindAnyMethod(const std::string& name) {
  for (const Method method : kAllMethods) {
    if (name == MethodName(method)) return method;
  }
  return FindMethod(name);
}

void ReadMethod(ConfigSection& section, TrafficSource* source) {
  std::string name;
  if (!section.ReadText("method", &name)) {
    if (!section.Has("method")) {
      section.Error("method", "is missing: name a method, e.g. Submit");
    }
    return;
  }
  if (const std::optional<Method> method = FindAnyMethod(name)) {
    source->method = *method;
    return;
  }
  std::vector<std::string> known;
  known.reserve(kMethods);
  for (const Method method : kAllMethods) {
    known.emplace_back(MethodName(method));
  }
  section.Error("method", UnknownName("method", name, known));
}

// Reads `curve`: rates by time, with straight lines between them.
void ReadCurve(ConfigSection& parent, const Traffic& run,
               TrafficSource* source) {
  ConfigSection section = parent.Section("curve");
  if (!section.present()) return;
  std::vector<RateCurve::Point> points;
  for (const std::string& key : section.Keys()) {
    double rate = 0;
    const auto time = TimeInRun(section, key, key, run);
    const bool has_rate = ReadNumber(section, key, 0, kRateMax, &rate);
    if (!time || !has_rate) return;
    const double seconds = absl::ToDoubleSeconds(*time);
    if (!points.empty() && seconds <= points.back().seconds) {
      section.Error(key, "must be later than the time before it");
      return;
    }
    points.push_back({seconds, rate});
  }
  if (points.size() < 2) {
    parent.Error("curve", "must have two times or more");
  }
  source->curve = RateCurve(std::move(points));
}

// Reads `total` and `peaks`. Each peak has a share of the total; all other
// submissions arrive evenly.
void ReadTotal(ConfigSection& parent, const Traffic& run,
               TrafficSource* source) {
  double total = 0;
  ReadNumber(parent, "total", 0, kTotalMax, &total);
  ConfigSection section = parent.Section("peaks");
  double even = 1;
  RateCurve peaks;
  for (const std::string& name : Names(parent, "peaks", section, kPeaksMax)) {
    ConfigSection peak = section.Section(name);
    absl::Duration from;
    absl::Duration to;
    double share = 0;
    const bool has_times = ReadInterval(peak, run, &from, &to);
    if (!ReadNumber(peak, "share", 0, 1, &share) && !peak.Has("share")) {
      peak.Error("share", "is missing: give the share of total, e.g. 0.5");
    }
    peak.RejectUnknownKeys();
    if (!has_times) continue;
    even -= share;
    peaks = peaks + RateCurve::Bell(absl::ToDoubleSeconds(from),
                                    absl::ToDoubleSeconds(to), share * total);
  }
  constexpr double kRounding = 1e-9;
  if (even < -kRounding) {
    parent.Error("peaks", "have shares that are more than 1 in all");
    return;
  }
  const double seconds = absl::ToDoubleSeconds(run.duration);
  source->curve = peaks + RateCurve::Constant(
                              std::max(even, 0.0) * total / seconds, seconds);
}

void ReadRate(ConfigSection& section, const Traffic& run,
              TrafficSource* source) {
  int forms = 0;
  for (const char* key : {"rate", "curve", "total"}) {
    if (section.Has(key)) ++forms;
  }
  if (forms > 1) {
    section.Error(section.Has("curve") ? "curve" : "total",
                  "has the rate once more: one of rate, curve and total says "
                  "how much comes");
  }
  if (section.Has("peaks") && !section.Has("total")) {
    section.Error("peaks", "needs total");
  }
  double rate = 0;
  if (ReadNumber(section, "rate", 0, kRateMax, &rate)) {
    source->curve =
        RateCurve::Constant(rate, absl::ToDoubleSeconds(run.duration));
  }
  ReadCurve(section, run, source);
  // Read the key in any case, so that it is not reported as unknown.
  section.Section("peaks");
  if (section.Has("total")) ReadTotal(section, run, source);
  if (forms == 0 && !section.Has("storms")) {
    section.Error("rate",
                  "is missing: give one of rate, curve, total and storms");
  }
}

void ReadSenders(ConfigSection& section, TrafficSource* source) {
  section.ReadCount("studies", kSites, &source->studies);
  source->sites = source->studies;
  if (section.ReadCount("sites", kSites, &source->sites) &&
      source->studies > source->sites) {
    section.Error("studies",
                  absl::StrCat("must be at most as many as sites, ",
                               source->sites, ": a site belongs to one study"));
  }
}

void ReadStorms(ConfigSection& parent, const Traffic& run,
                TrafficSource* source) {
  ConfigSection section = parent.Section("storms");
  if (section.present() && !parent.Has("sites")) {
    parent.Error("sites", "is missing: storms need the number of sites");
  }
  for (const std::string& name : Names(parent, "storms", section, kPeaksMax)) {
    ConfigSection entry = section.Section(name);
    Storm storm;
    ReadClock(entry, "at", run, &storm.at);
    ReadTime(entry, "within", kDurationMax, &storm.within);
    if (!entry.ReadCount("submissions", kStormSubmissions,
                         &storm.submissions) &&
        !entry.Has("submissions")) {
      entry.Error("submissions",
                  "is missing: give the number that each site sends");
    }
    if (storm.at + storm.within > run.duration) {
      entry.Error("within", "must end within the run");
    }
    entry.RejectUnknownKeys();
    source->storms.push_back(storm);
  }
}

void ReadRetries(ConfigSection section, TrafficSource* source) {
  if (section.present() && !section.Has("attempts")) {
    section.Error("attempts",
                  "is missing: give the maximum number of attempts");
  }
  section.ReadCount("attempts", kAttempts, &source->attempts);
  section.RejectUnknownKeys();
}

TrafficSource ReadSource(ConfigSection section, const std::string& name,
                         const Traffic& run) {
  TrafficSource source;
  source.name = name;
  ReadMethod(section, &source);
  ReadRate(section, run, &source);
  ReadSenders(section, &source);
  ReadStorms(section, run, &source);
  section.ReadBytes("bytes", kSubmissionBytes, &source.bytes);
  section.ReadDuration("deadline", kDeadlineMax, &source.deadline);
  ReadRetries(section.Section("retries"), &source);
  section.RejectUnknownKeys();
  return source;
}

void ReadSources(ConfigSection& root, Traffic* traffic) {
  ConfigSection section = root.Section("arrivals");
  const std::vector<std::string> names =
      Names(root, "arrivals", section, kSourcesMax);
  if (names.empty() && section.Keys().empty()) {
    root.Error("arrivals",
               "must have at least one source, e.g. {diaries: {method: Submit, "
               "rate: 100}}");
  }
  double total = 0;
  for (const std::string& name : names) {
    traffic->sources.push_back(
        ReadSource(section.Section(name), name, *traffic));
    total += traffic->sources.back().total();
  }
  if (total > kTotalMax) {
    root.Error("arrivals", absl::StrFormat("are %.3g submissions in all; a run "
                                           "may have %.3g",
                                           total, kTotalMax));
  }
}

// --- The store ---

void ReadJitter(ConfigSection& section, StoreModel* store) {
  std::string name;
  if (!section.ReadText("jitter", &name)) return;
  if (const auto jitter = ParseJitter(name)) {
    store->jitter = *jitter;
  } else {
    section.Error("jitter", UnknownName("jitter", name,
                                        {"constant", "exponential", "pareto"}));
  }
}

void ReadSlowdowns(ConfigSection& parent, const Traffic& run,
                   StoreModel* store) {
  ConfigSection section = parent.Section("slowdown");
  for (const std::string& name :
       Names(parent, "slowdown", section, kPeaksMax)) {
    ConfigSection entry = section.Section(name);
    StoreSlowdown slowdown;
    ReadInterval(entry, run, &slowdown.from, &slowdown.to);
    if (!ReadNumber(entry, "times", 0.001, kFactorMax, &slowdown.factor) &&
        !entry.Has("times")) {
      entry.Error("times",
                  "is missing: give the factor of the slowdown, e.g. 10");
    }
    entry.RejectUnknownKeys();
    store->slowdowns.push_back(slowdown);
  }
}

void ReadStoreModel(ConfigSection section, const Traffic& run,
                    StoreModel* store) {
  for (const auto& [key, out] :
       {std::pair{"per_batch", &store->per_batch},
        std::pair{"per_submission", &store->per_submission}}) {
    if (!ReadTime(section, key, kStoreTimeMax, out) && !section.Has(key)) {
      section.Error(key, "is missing: give a duration, e.g. 5ms");
    }
  }
  ReadJitter(section, store);
  ReadSlowdowns(section, run, store);
  section.RejectUnknownKeys();
}

void ReadRun(ConfigSection& root, Traffic* traffic) {
  root.ReadDuration("duration", kDurationMax, &traffic->duration);
  std::string start;
  if (root.ReadText("start", &start)) {
    const std::optional<absl::Duration> clock = ParseClock(start);
    if (clock && *clock < absl::Hours(24)) {
      traffic->start = *clock;
    } else {
      root.Error("start", absl::StrCat("must be a time of the day as HH:MM or "
                                       "HH:MM:SS, not ",
                                       Quoted(start)));
    }
  }
  std::size_t seed = traffic->seed;
  root.ReadCount("seed", {0, std::size_t{1} << 53}, &seed);
  traffic->seed = seed;
}

}  // namespace

double TrafficSource::total() const {
  double sum = curve.total();
  for (const Storm& storm : storms) {
    sum += static_cast<double>(sites) * static_cast<double>(storm.submissions);
  }
  return sum;
}

double StoreModel::FactorAt(absl::Duration time) const {
  double factor = 1;
  for (const StoreSlowdown& slowdown : slowdowns) {
    if (time >= slowdown.from && time < slowdown.to) factor *= slowdown.factor;
  }
  return factor;
}

Traffic ParseTraffic(std::string_view yaml, ConfigErrors* errors) {
  errors->clear();
  Traffic traffic;
  if (const std::optional<YamlNode> document = ParseYaml(yaml, errors)) {
    ConfigSection root(*document, errors);
    ReadRun(root, &traffic);
    ReadStoreModel(root.Section("store"), traffic, &traffic.store);
    ReadSources(root, &traffic);
    root.RejectUnknownKeys();
  }
  std::ranges::stable_sort(*errors, {}, &ConfigError::line);
  return traffic;
}

}  // namespace sluice
