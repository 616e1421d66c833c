#include "tests/crash/loss.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace sluice {
namespace {

// Two workers store batches of 32 at the same time, and a submission whose
// journal group is synced is overtaken by others. A number may therefore be
// stored after higher numbers, and be lost with them although the named range
// begins later.
constexpr std::int64_t kOutOfOrderMax = 200;

// Returns the number at the beginning of the text; 0 if there is none.
std::int64_t NumberAt(absl::string_view text) {
  std::int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;
    number = 10 * number + (c - '0');
  }
  return number;
}

// Returns the number that follows `words` in the line; 0 if there is none.
std::int64_t CountAfter(absl::string_view line, absl::string_view words) {
  const std::size_t at = line.find(words);
  return at == absl::string_view::npos
             ? 0
             : NumberAt(line.substr(at + words.size()));
}

}  // namespace

std::vector<Loss> FindLosses(const Ledger& ledger,
                             const FindingsByKey& findings) {
  static const Findings& nothing = *new Findings;
  std::vector<Loss> losses;
  ledger.ForEach([&](const LedgerKey& key, const LedgerEntry& entry) {
    const auto there = findings.find(key);
    const Findings& found = there == findings.end() ? nothing : there->second;
    for (const SentContent& sent : entry.sent) {
      Loss loss{.key = key, .sequences = {}};
      for (const Told& told : entry.told) {
        if (!IsAcknowledgement(told.disposition)) continue;
        if (told.sent_sha256 != sent.sha256) continue;
        loss.sequences.push_back(told.sequence);
      }
      if (loss.sequences.empty()) continue;
      if (std::ranges::find(found.submissions, sent.sha256,
                            &Found::content_sha256) !=
              found.submissions.end() ||
          std::ranges::find(found.conflicts, sent.sha256,
                            &FoundConflict::content_sha256) !=
              found.conflicts.end()) {
        continue;
      }
      // A damaged entry in quarantine is named by its reason.
      const auto quarantined = std::ranges::find_if(
          found.submissions,
          [](const Found& one) { return one.in_quarantine; });
      if (quarantined != found.submissions.end()) continue;
      loss.altered =
          std::ranges::find(found.submissions, sent.sha256,
                            &Found::noted_sha256) != found.submissions.end();
      losses.push_back(std::move(loss));
    }
  });
  return losses;
}

NamedLosses ReadLosses(absl::string_view log) {
  NamedLosses named;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    const std::int64_t missing = CountAfter(line, "acknowledged numbers ");
    if (missing > 0) {
      named.sequences.emplace_back(missing, CountAfter(line, " to "));
      continue;
    }
    const std::int64_t up_to = std::max(CountAfter(line, "last_sequence="),
                                        CountAfter(line, "sequence number "));
    if (up_to > 0 && (absl::StrContains(line, "missing") ||
                      absl::StrContains(line, "file is empty"))) {
      named.sequences.emplace_back(1, up_to);
      continue;
    }
    const std::int64_t entries =
        CountAfter(line, "acknowledged and are not in the file (");
    if (entries > 0) {
      // The error at a first start and the log of a second start may both name
      // the loss.
      named.entries = std::max(named.entries, entries);
    } else if (absl::StrContains(line, "entries that were damaged")) {
      named.entries += CountAfter(line, " entries=");
    } else if (absl::StrContains(
                   absl::StrReplaceAll(line, {{"--accept-damage", ""}}),
                   "damage") ||
               absl::StrContains(line, "another journal") ||
               absl::StrContains(line, "malformed")) {
      named.unknown = true;
    }
  }
  return named;
}

bool Covers(const NamedLosses& named, const std::vector<Loss>& losses) {
  if (named.unknown) return true;
  const auto in_a_range = [&](std::int64_t sequence) {
    return std::ranges::any_of(named.sequences, [&](const auto& range) {
      return range.first - kOutOfOrderMax <= sequence &&
             sequence <= range.second;
    });
  };
  const std::int64_t others =
      std::ranges::count_if(losses, [&](const Loss& loss) {
        return std::ranges::none_of(loss.sequences, in_a_range);
      });
  return others <= named.entries;
}

}  // namespace sluice
