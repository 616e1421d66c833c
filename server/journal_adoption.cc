#include "server/journal_adoption.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/path.h"

namespace sluice {
namespace {

constexpr char kFlag[] = "--adopt-journal: ";
// Limits of a group of entries.
constexpr std::size_t kGroupEntries = 256;
constexpr std::size_t kGroupBytes = std::size_t{4} << 20;
// Number of quarantined submissions in a group. Their size is not known before
// they are read.
constexpr std::size_t kQuarantinedInGroup = 16;

// An entry and the journal that gets it.
struct Move {
  Journal* to;
  NewJournalEntry entry;
};

// Appends the entries to their journals, in their order.
absl::Status AppendAll(std::vector<Move> moves) {
  std::ranges::stable_sort(moves, {}, &Move::to);
  for (auto first = moves.begin(); first != moves.end();) {
    const auto end = std::ranges::find_if(
        first, moves.end(),
        [&](const Move& move) { return move.to != first->to; });
    std::vector<NewJournalEntry> group;
    for (auto it = first; it != end; ++it) group.push_back(it->entry);
    const absl::Status status = first->to->Append(group).status();
    if (!status.ok()) return status;
    first = end;
  }
  return absl::OkStatus();
}

absl::Status Copied(const AdoptionOptions& options) {
  return options.copied ? options.copied() : absl::OkStatus();
}

absl::Status AdoptQueued(Journal& from, const AdoptionOptions& options,
                         AdoptionCounts& counts) {
  for (;;) {
    const auto part = from.ReadUnread(kGroupEntries, kGroupBytes);
    if (!part.ok()) return part.status();
    if (part->read == 0) break;
    std::vector<Move> moves;
    for (const JournalEntry& entry : part->entries) {
      moves.push_back({.to = &options.journal_of(entry.method),
                       .entry = {entry.method, &entry.submission}});
    }
    absl::Status status = AppendAll(std::move(moves));
    if (status.ok()) status = Copied(options);
    if (!status.ok()) return status;
    for (const JournalEntry& entry : part->entries) {
      from.MarkDone(entry.position);
    }
    status = from.Forget();
    if (!status.ok()) return status;
    from.MarkRead(*part);
    counts.entries += part->entries.size();
    counts.damaged += part->damaged_left;
  }
  return absl::OkStatus();
}

absl::Status AdoptQuarantined(Journal& from, const AdoptionOptions& options,
                              AdoptionCounts& counts) {
  for (std::int64_t after = 0;;) {
    const auto page = from.ListQuarantine(after, kQuarantinedInGroup,
                                          /*with_content=*/true);
    if (!page.ok()) return page.status();
    if (page->empty()) return absl::OkStatus();
    after = page->back().submission.sequence;
    std::vector<Move> moves;
    std::vector<std::int64_t> sequences;
    for (const Quarantined& entry : *page) {
      if (entry.damaged) {
        ++counts.damaged;
        continue;
      }
      moves.push_back({.to = &options.journal_of(entry.method),
                       .entry = {entry.method, &entry.submission}});
      sequences.push_back(entry.submission.sequence);
    }
    absl::Status status = AppendAll(std::move(moves));
    if (status.ok()) status = Copied(options);
    if (status.ok()) status = from.RemoveQuarantined(sequences);
    if (!status.ok()) return status;
    counts.quarantined += sequences.size();
  }
}

absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path,
                                              const Config& config,
                                              bool accept_damage) {
  bool has_journal = false;
  for (const auto& [name, pool] : config.pools) {
    if (pool.journal_path.empty()) continue;
    has_journal = true;
    if (NormalPath(pool.journal_path) != NormalPath(path)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        kFlag, path, " is the journal of pools.", name,
        ".queue.path, so its entries need not be adopted. If it is a journal of"
        " another server, move its files to another directory first"));
  }
  if (!has_journal) {
    return absl::FailedPreconditionError(
        absl::StrCat(kFlag, "no pool has a journal for the entries of ", path,
                     ". Set queue.kind: journal in a pool"));
  }
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(kFlag, "there is no file ", path));
  }
  auto journal = Journal::Open(path, {.accept_damage = accept_damage});
  if (!journal.ok()) {
    return absl::Status(journal.status().code(),
                        absl::StrCat(kFlag, journal.status().message()));
  }
  return journal;
}

}  // namespace

absl::StatusOr<std::vector<AdoptedJournal>> OpenAdopted(
    absl::Span<const std::string> paths, const Config& config,
    bool accept_damage) {
  std::vector<AdoptedJournal> adopted;
  for (const std::string& path : paths) {
    for (const AdoptedJournal& before : adopted) {
      if (NormalPath(before.path) != NormalPath(path)) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(kFlag, path, " is given twice"));
    }
    auto journal = Open(path, config, accept_damage);
    if (!journal.ok()) return journal.status();
    adopted.push_back({.path = path, .journal = *std::move(journal)});
  }
  return adopted;
}

absl::StatusOr<AdoptionCounts> AdoptEntries(Journal& from,
                                            const AdoptionOptions& options) {
  AdoptionCounts counts;
  absl::Status status = AdoptQueued(from, options, counts);
  if (status.ok()) status = AdoptQuarantined(from, options, counts);
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(kFlag, status.message()));
  }
  return counts;
}

}  // namespace sluice
