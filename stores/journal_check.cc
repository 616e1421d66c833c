#include "stores/journal_check.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

std::int64_t LastKnown(const KnownJournalState& known) {
  return known.state ? known.state->last_position : 0;
}

// Returns e.g. "entries 101 to 250 were".
std::string EntriesWere(std::int64_t first, std::int64_t last) {
  if (first == last) return absl::StrCat("entry ", first, " was");
  return absl::StrCat("entries ", first, " to ", last, " were");
}

// Describes a state, e.g. "entries 1 to 250 were acknowledged; not stored yet:
// 3, in quarantine: 1".
std::string KnownText(const JournalState& known) {
  return absl::StrCat(EntriesWere(1, known.last_position),
                      " acknowledged; not stored yet: ", known.entries,
                      ", in quarantine: ", known.quarantined);
}

// Checks that the chain of the file continues the chain of the state file.
// Returns OK without a check if an entry after the state file's last position
// was forgotten, because its hash is then missing.
absl::Status CheckChain(SqliteConnection& db, const JournalState& in_file,
                        const KnownJournalState& known) {
  Sha256Digest chain = known.state->chain;
  std::int64_t position = known.state->last_position;
  bool complete = true;
  const absl::Status read = db.ForEachRow(
      absl::StrCat("SELECT position, row_sha256 FROM entries WHERE position > ",
                   position, " ORDER BY position"),
      [&](const SqliteRun& row) {
        Sha256Digest row_hash{};
        const std::string_view bytes = row.BlobAt(1);
        complete =
            row.IntegerAt(0) == position + 1 && bytes.size() == row_hash.size();
        if (!complete) return false;
        std::ranges::copy(bytes, row_hash.begin());
        chain = NextChain(chain, row_hash);
        ++position;
        return true;
      });
  if (!read.ok()) return NamingEntries(read, known);
  if (!complete || position != in_file.last_position) return absl::OkStatus();
  if (chain == in_file.chain) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the file does not continue the journal that its state file knows: ",
      KnownText(*known.state), ", and the file has others in their place"));
}

// True if a message of the integrity check concerns a single value. Such damage
// is found later, because each row is verified when it is read.
bool IsAboutValue(std::string_view message) {
  return absl::StrContains({message.data(), message.size()}, " value in ");
}

}  // namespace

absl::Status MissingEntries(const std::string& what,
                            const KnownJournalState& known,
                            std::int64_t last_position) {
  const std::int64_t last = LastKnown(known);
  if (last <= last_position) return absl::DataLossError(what);
  return absl::DataLossError(absl::StrCat(
      what, ": ", EntriesWere(last_position + 1, last),
      " acknowledged and are not in the file (", last - last_position,
      last - last_position == 1 ? " entry" : " entries",
      "). Before the damage: not stored yet ", known.state->entries,
      ", in quarantine ", known.state->quarantined));
}

absl::Status NamingEntries(const absl::Status& status,
                           const KnownJournalState& known) {
  if (!absl::IsDataLoss(status) && !absl::IsInternal(status)) return status;
  if (LastKnown(known) == 0) return status;
  return absl::DataLossError(absl::StrCat("the file is damaged (",
                                          std::string(status.message()),
                                          "): ", KnownText(*known.state)));
}

absl::Status CheckFileExists(const std::string& path,
                             const KnownJournalState& known) {
  if (LastKnown(known) == 0) return absl::OkStatus();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return MissingEntries("the file is missing", known, 0);
  }
  if (std::filesystem::file_size(path, error) == 0 && !error) {
    return MissingEntries("the file is empty", known, 0);
  }
  return absl::OkStatus();
}

absl::StatusOr<JournalState> ReadJournalState(SqliteConnection& db,
                                              const KnownJournalState& known) {
  // A commit that appends entries writes the state into its last entry. Other
  // commits write the state into journal_state. Use the newer of both states.
  std::optional<JournalState> state;
  bool all_valid = true;
  const auto take = [&](const SqliteRun& row) {
    if (row.IsNullAt(1)) return false;
    const auto decoded = DecodeJournalState(row.BlobAt(1));
    const bool valid = decoded && (row.IsNullAt(0) ||
                                   decoded->last_position == row.IntegerAt(0));
    all_valid &= valid;
    if (valid && (!state || decoded->commits > state->commits)) {
      state = decoded;
    }
    return false;
  };
  absl::Status read =
      db.ForEachRow("SELECT NULL, state FROM journal_state", take);
  if (read.ok()) {
    read = db.ForEachRow(
        "SELECT position, state FROM entries ORDER BY position DESC LIMIT 1",
        take);
  }
  if (!read.ok()) return NamingEntries(read, known);
  // If one of the two states cannot be read, it may be the newer state. Trust
  // the other state only if the state file does not know a later commit.
  const bool newest = state && known.state && known.state->id == state->id &&
                      known.state->commits <= state->commits;
  if (state && (all_valid || newest)) return *state;
  return NamingEntries(
      absl::DataLossError("the state of the last commit cannot be read"),
      known);
}

absl::Status CheckNotBehind(const JournalState& in_file,
                            const KnownJournalState& known) {
  if (!known.state || known.state->id != in_file.id ||
      known.state->last_position <= in_file.last_position) {
    return absl::OkStatus();
  }
  return MissingEntries("the file lacks its last entries", known,
                        in_file.last_position);
}

absl::Status CheckBelongTogether(SqliteConnection& db,
                                 const JournalState& in_file,
                                 const KnownJournalState& known) {
  if (!known.state) {
    // A journal in which nothing was committed may have no state file yet.
    if (in_file.commits == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(
        known.file_exists ? "its state file is damaged"
                          : "its state file is missing",
        ", so it is unknown what was acknowledged; the file has entries up to ",
        in_file.last_position));
  }
  if (known.state->id != in_file.id) {
    if (known.state->last_position == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(
        "the file is another journal: it has the id ",
        JournalIdText(in_file.id), ", and its state file belongs to ",
        JournalIdText(known.state->id), ", in which ",
        KnownText(*known.state)));
  }
  return CheckChain(db, in_file, known);
}

absl::Status CheckStructure(SqliteConnection& db,
                            const KnownJournalState& known) {
  // Find the first message that does not concern a single value.
  std::string first;
  const absl::Status checked =
      db.ForEachRow("PRAGMA integrity_check", [&](const SqliteRun& row) {
        const std::string_view message = row.TextAt(0);
        if (message == "ok" || IsAboutValue(message)) return true;
        first = message;
        return false;
      });
  if (!checked.ok()) return NamingEntries(checked, known);
  if (first.empty()) return absl::OkStatus();
  std::ranges::replace(first, '\n', ' ');
  return NamingEntries(
      absl::DataLossError(absl::StrCat(
          first, "; ", ReachableKeys(db, "entries", "position").size(),
          " entries and ", ReachableKeys(db, "quarantine", "sequence").size(),
          " in quarantine can be reached")),
      known);
}

absl::Status CheckCounts(SqliteConnection& db, const JournalState& in_file,
                         const KnownJournalState& known) {
  const auto entries = db.QueryInteger("SELECT count(*) FROM entries");
  if (!entries.ok()) return NamingEntries(entries.status(), known);
  const auto quarantined = db.QueryInteger("SELECT count(*) FROM quarantine");
  if (!quarantined.ok()) return NamingEntries(quarantined.status(), known);
  if (*entries == in_file.entries && *quarantined == in_file.quarantined) {
    return absl::OkStatus();
  }
  return NamingEntries(
      absl::DataLossError(absl::StrCat(
          *entries, " of ", in_file.entries, " entries and ", *quarantined,
          " of ", in_file.quarantined, " in quarantine are in the file")),
      known);
}

std::vector<std::int64_t> ReachableKeys(SqliteConnection& db,
                                        const std::string& table,
                                        const std::string& key) {
  std::set<std::int64_t> keys;
  for (const char* order : {"", " DESC"}) {
    // An error ends the scan. Scan from both ends, to find the rows on both
    // sides of the damage.
    db.ForEachRow(absl::StrCat("SELECT ", key, " FROM ", table, " ORDER BY ",
                               key, order),
                  [&](const SqliteRun& row) {
                    keys.insert(row.IntegerAt(0));
                    return true;
                  })
        .IgnoreError();
  }
  return {keys.begin(), keys.end()};
}

}  // namespace sluice
