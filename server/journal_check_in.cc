#include "server/journal_check_in.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/path.h"
#include "base/sequence_series.h"
#include "spdlog/spdlog.h"
#include "stores/journal_state.h"
#include "stores/sqlite_file.h"

namespace sluice {
namespace {

constexpr char kEmptyReason[] = "empty, and no pool uses it any more";
constexpr char kLostReason[] = "lost, accepted with --accept-damage";

bool Contains(const std::vector<std::string>& all, const std::string& id) {
  return std::ranges::find(all, id) != all.end();
}

std::string KeyOf(const RegisteredJournal& journal) {
  return absl::StrCat("pools.", journal.pool, ".queue.path");
}

std::string Describe(const RegisteredJournal& journal) {
  return absl::StrCat("journal ", journal.id, " (host ", journal.host, ", ",
                      journal.path, ")");
}

std::string Describe(const FoundJournal& found) {
  switch (found.state) {
    case FoundJournal::State::kMissing:
      return "there is no such file";
    case FoundJournal::State::kOtherHost:
      return "this host does not have that file";
    case FoundJournal::State::kOther:
      return "the file at this path is another journal";
    case FoundJournal::State::kUnreadable:
      return "the file at this path cannot be read, or another process uses it";
    case FoundJournal::State::kFound:
      break;
  }
  return absl::StrCat("the file has ", found.entries, " entries and ",
                      found.quarantined, " quarantined submissions");
}

std::string OfAnotherServer(const OpenJournal& open, std::int64_t other,
                            const CheckInFacts& facts) {
  // Without a registry the adoption of this journal would be refused.
  return absl::StrCat(
      KeyOf(open.journal), ": ", open.journal.path, " is a journal of server ",
      other, ", and this is server ", facts.server,
      facts.has_registry
          ? ". If the number of this server is wrong, correct store.server. To"
            " store the entries of the journal, move its files to another"
            " directory and start once with --adopt-journal and the new path"
          : ". Only that server, or a server with a SQLite or PostgreSQL store,"
            " can store the entries of the journal");
}

std::string Unknown(const OpenJournal& open, const RegisteredJournal& missing) {
  return absl::StrCat(
      KeyOf(open.journal), ": ", open.journal.path,
      " was used before, but not by this server: its pool used ",
      Describe(missing), ". Use that journal again. To store the entries of ",
      open.journal.path,
      " as well, move its files to another directory and start once with"
      " --adopt-journal and the new path");
}

std::string Missing(const RegisteredJournal& missing,
                    const FoundJournal& found) {
  const bool there = found.state == FoundJournal::State::kFound;
  return absl::StrCat(
      KeyOf(missing), ": the pool used ", Describe(missing),
      ", and no pool uses it now; ", Describe(found),
      ". Its acknowledged submissions would not be stored. Use the journal"
      " again, or start once with --adopt-journal ",
      there ? missing.path : "PATH", " to store its entries",
      there ? "" : ". If it is lost, start once with --accept-damage");
}

class Decision {
 public:
  explicit Decision(const CheckInFacts& facts) : facts_(facts) {
    for (const RegisteredJournal& journal : facts.registered) {
      if (IsMissing(journal)) missing_.push_back(&journal);
    }
  }

  CheckInResult Decide() {
    for (const OpenJournal& open : facts_.open) Decide(open);
    for (const RegisteredJournal* missing : missing_) DecideMissing(*missing);
    return std::move(result_);
  }

 private:
  bool IsMissing(const RegisteredJournal& journal) const {
    return journal.server == facts_.server &&
           !Contains(facts_.adopted, journal.id) &&
           std::ranges::none_of(facts_.open, [&](const OpenJournal& open) {
             return open.journal.id == journal.id;
           });
  }

  // True if the file of a missing journal was found and has nothing to lose.
  bool IsEmpty(const RegisteredJournal& missing) const {
    const FoundJournal& found = facts_.found.at(missing.id);
    return found.state == FoundJournal::State::kFound && found.entries == 0 &&
           found.quarantined == 0;
  }

  void Decide(const OpenJournal& open) {
    const auto registered = std::ranges::find(
        facts_.registered, open.journal.id, &RegisteredJournal::id);
    const bool known = registered != facts_.registered.end();
    // A known journal may have numbers of other servers, from a journal that it
    // adopted.
    const std::int64_t other =
        known ? registered->server : SeriesOf(open.last_sequence);
    if (other != facts_.server && (known || open.last_sequence > 0)) {
      result_.errors.push_back(OfAnotherServer(open, other, facts_));
      return;
    }
    if (!known && open.used && !facts_.accept_damage) {
      const auto before =
          std::ranges::find_if(missing_, [&](const RegisteredJournal* missing) {
            return missing->pool == open.journal.pool && !IsEmpty(*missing);
          });
      if (before != missing_.end()) {
        result_.errors.push_back(Unknown(open, **before));
        return;
      }
    }
    // Write nothing if nothing has changed: a start must also be possible on a
    // full disk.
    if (facts_.has_registry && (!known || *registered != open.journal)) {
      result_.to_register.push_back(open.journal);
    }
  }

  void DecideMissing(const RegisteredJournal& missing) {
    const bool empty = IsEmpty(missing);
    if (empty || facts_.accept_damage) {
      result_.to_retire.push_back({.journal = missing, .lost = !empty});
    } else {
      result_.errors.push_back(Missing(missing, facts_.found.at(missing.id)));
    }
  }

  const CheckInFacts& facts_;
  std::vector<const RegisteredJournal*> missing_;
  CheckInResult result_;
};

// Returns how many entries the journal at `path` has, which nobody may have
// open. A power cut may have undone the last writes of the state file, so only
// the journal itself can tell that it is empty.
FoundJournal CountEntries(const std::string& path) {
  const auto journal = Journal::Open(path);
  if (!journal.ok()) return {.state = FoundJournal::State::kUnreadable};
  return {.state = FoundJournal::State::kFound,
          .entries = static_cast<std::int64_t>((*journal)->unread()),
          .quarantined = static_cast<std::int64_t>((*journal)->quarantined())};
}

FoundJournal Look(const RegisteredJournal& journal, const std::string& host) {
  using State = FoundJournal::State;
  const State elsewhere =
      journal.host == host ? State::kMissing : State::kOtherHost;
  std::error_code error;
  if (!std::filesystem::exists(journal.path, error)) {
    return {.state = elsewhere};
  }
  // The name of a machine may change, so look at the file whatever the name.
  const auto known = JournalStateFile::Read(journal.path + kStateSuffix);
  if (!known.ok() || !known->state.has_value()) {
    return {.state = State::kUnreadable};
  }
  if (JournalIdText(known->state->id) != journal.id) {
    return {.state = journal.host == host ? State::kOther : State::kOtherHost};
  }
  if (known->state->entries > 0 || known->state->quarantined > 0) {
    return {.state = State::kFound,
            .entries = known->state->entries,
            .quarantined = known->state->quarantined};
  }
  return CountEntries(journal.path);
}

absl::StatusOr<CheckInFacts> CollectFacts(
    ServerRegistry* registry, std::int64_t server,
    absl::Span<const JournalOfPool> journals, const CheckInOptions& options) {
  CheckInFacts facts = {.server = server,
                        .has_registry = registry != nullptr,
                        .accept_damage = options.accept_damage,
                        .adopted = options.adopted};
  for (const JournalOfPool& each : journals) {
    const absl::StatusOr<std::int64_t> last = each.journal->LastSequence();
    if (!last.ok()) return last.status();
    facts.open.push_back({.journal = {.id = each.journal->id(),
                                      .server = server,
                                      .pool = each.pool,
                                      .host = options.host,
                                      .path = NormalPath(each.path)},
                          .used = each.journal->used(),
                          .last_sequence = *last});
  }
  if (registry == nullptr) return facts;
  auto registered = registry->Journals();
  if (!registered.ok()) {
    return NamingFile(registered.status(), options.store_key);
  }
  facts.registered = *std::move(registered);
  for (const RegisteredJournal& journal : facts.registered) {
    const bool open = Contains(facts.adopted, journal.id) ||
                      std::ranges::any_of(facts.open, [&](const auto& each) {
                        return each.journal.id == journal.id;
                      });
    if (journal.server != server || open) continue;
    facts.found.emplace(journal.id, Look(journal, options.host));
  }
  return facts;
}

// Returns the reserved numbers, after all open journals have remembered them.
absl::StatusOr<std::int64_t> SkipReserved(
    ServerRegistry& registry, absl::Span<const JournalOfPool> journals) {
  const absl::StatusOr<std::int64_t> reserved = registry.Reserved();
  if (!reserved.ok()) return reserved;
  for (const JournalOfPool& each : journals) {
    const absl::Status raised = each.journal->RaiseLastSequence(*reserved);
    if (!raised.ok()) return raised;
  }
  return reserved;
}

absl::Status Retire(ServerRegistry& registry, const RetiredJournal& retired,
                    absl::Time now) {
  const RegisteredJournal& journal = retired.journal;
  const absl::Status status = registry.Retire(
      journal.id, retired.lost ? kLostReason : kEmptyReason, now);
  if (!status.ok()) return status;
  if (retired.lost) {
    spdlog::error(
        "journal missing: accepted pool={} id={} host={} path={}; the"
        " acknowledged submissions that only this journal has are lost",
        journal.pool, journal.id, journal.host, journal.path);
  } else {
    spdlog::info(
        "a journal is empty and no longer used, so it need not be kept:"
        " pool={} id={} host={} path={}",
        journal.pool, journal.id, journal.host, journal.path);
  }
  return absl::OkStatus();
}

}  // namespace

CheckInResult CheckIn(const CheckInFacts& facts) {
  return Decision(facts).Decide();
}

absl::StatusOr<std::int64_t> CheckInJournals(
    ServerRegistry* registry, std::int64_t server,
    absl::Span<const JournalOfPool> journals, const CheckInOptions& options) {
  const auto facts = CollectFacts(registry, server, journals, options);
  if (!facts.ok()) return facts.status();
  const CheckInResult result = CheckIn(*facts);
  if (!result.errors.empty()) {
    return absl::FailedPreconditionError(absl::StrJoin(result.errors, "\n"));
  }
  if (registry == nullptr) return 0;
  // Retire last. If the process ends before, the next start finds the journal
  // missing again. If it ended after a journal was retired and before the
  // reserved numbers were skipped, the next start would use them again.
  std::int64_t skipped = 0;
  if (std::ranges::any_of(result.to_retire, &RetiredJournal::lost)) {
    const auto reserved = SkipReserved(*registry, journals);
    if (!reserved.ok()) return reserved.status();
    skipped = *reserved;
  }
  absl::Status status;
  if (!result.to_register.empty()) {
    status = registry->Register(result.to_register);
  }
  for (const RetiredJournal& retired : result.to_retire) {
    if (status.ok()) status = Retire(*registry, retired, options.now);
  }
  if (!status.ok()) return status;
  return skipped;
}

}  // namespace sluice
