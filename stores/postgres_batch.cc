#include "stores/postgres_batch.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "stores/postgres_commit.h"

namespace sluice {
namespace {

constexpr char kInsert[] = "insert";
constexpr char kFindFirst[] = "find_first";
constexpr char kReadContent[] = "read_content";
constexpr char kRecordGaps[] = "record_gaps";

// Limit for the bytes that one statement sends or fetches, unless its first row
// alone exceeds the limit. PostgreSQL limits a value to 1 GiB, and an array is
// one value.
constexpr std::size_t kStatementBytesMax = std::size_t{16} << 20;

std::size_t SizeOf(const Submission& submission) {
  return submission.content.size() + submission.answers_json.size();
}

// Returns the length of the longest prefix of `rows` that one statement may
// have.
template <typename Row, typename Size>
std::size_t Portion(absl::Span<const Row> rows, Size size) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const Row& row : rows) {
    bytes += size(row);
    if (count > 0 && bytes > kStatementBytesMax) break;
    ++count;
  }
  return count;
}

}  // namespace

absl::Status PreparePostgresBatches(PostgresConnection& db) {
  db.SendPrepare(kInsert, kPostgresInsert);
  db.SendPrepare(kFindFirst, kPostgresFindFirst);
  db.SendPrepare(kReadContent,
                 "SELECT content FROM submissions WHERE sequence = $1::bigint");
  db.SendPrepare(kRecordGaps, kPostgresRecordGaps);
  return db.Receive().status();
}

PostgresBatch::PostgresBatch(PostgresConnection& db,
                             absl::Span<const Submission> batch,
                             absl::Span<Saved> saved,
                             const SameContent& same_content)
    : db_(db),
      batch_(batch),
      saved_(saved),
      same_content_(same_content),
      by_id_(batch.size()) {
  SLUICE_DCHECK(!batch.empty());
  SLUICE_DCHECK_EQ(saved.size(), batch.size());
  std::iota(by_id_.begin(), by_id_.end(), std::size_t{0});
  std::ranges::stable_sort(by_id_, {}, [batch](std::size_t i) {
    return std::tie(batch[i].submission_id, batch[i].study_id);
  });
}

absl::Status PostgresBatch::Save() {
  absl::Status status = Insert();
  if (status.ok() && !not_inserted_.empty()) status = CompareWithFirst();
  return status.ok() ? Commit() : status;
}

absl::Status PostgresBatch::Insert() {
  db_.SendQuery("BEGIN");
  absl::Span<const std::size_t> rest = by_id_;
  while (!rest.empty()) {
    const std::size_t count =
        Portion(rest, [this](std::size_t i) { return SizeOf(batch_[i]); });
    const absl::Status inserted = InsertSome(rest.first(count));
    if (!inserted.ok()) return inserted;
    rest.remove_prefix(count);
  }
  return absl::OkStatus();
}

absl::Status PostgresBatch::InsertSome(absl::Span<const std::size_t> indices) {
  std::vector<const Submission*> submissions;
  submissions.reserve(indices.size());
  for (const std::size_t i : indices) submissions.push_back(&batch_[i]);
  db_.Send(kInsert, PostgresRows(submissions));
  const auto results = db_.Receive();
  if (!results.ok()) return results.status();

  // Rows are returned in the order of the parameters, so one pass over both
  // finds the rows that were not inserted.
  const PostgresResult& inserted = results->back();
  int row = 0;
  for (const std::size_t i : indices) {
    const Submission& s = batch_[i];
    if (row < inserted.rows() && inserted.IntegerAt(row, 0) == s.sequence) {
      ++row;
      saved_[i] = {.result = Saved::Result::kStored,
                   .sequence = s.sequence,
                   .received_at = ToMicroseconds(s.received_at),
                   .content_sha256 = s.content_sha256};
    } else {
      not_inserted_.push_back(i);
    }
  }
  if (row == inserted.rows()) return absl::OkStatus();
  return absl::InternalError("PostgreSQL returned rows out of order");
}

absl::Status PostgresBatch::CompareWithFirst() {
  absl::StatusOr<std::vector<Known>> known = FindKnown();
  if (!known.ok()) return known.status();
  const absl::Status compared = CompareContents(*known);
  if (!compared.ok()) return compared;

  std::vector<PostgresGap> gaps;
  for (const Known& k : *known) {
    const StoredReceipt& first = k.first.receipt;
    // The stored row belongs to this very submission: an earlier attempt stored
    // it, but this server did not learn of the success.
    const bool own = first.sequence == batch_[k.index].sequence;
    saved_[k.index] = {.result = !k.same ? Saved::Result::kConflict
                                 : own   ? Saved::Result::kStored
                                         : Saved::Result::kDuplicate,
                       .sequence = first.sequence,
                       .received_at = first.received_at,
                       .content_sha256 = first.content_sha256,
                       .conflict_kept = !k.same};
    if (own && k.same) continue;
    gaps.push_back({&batch_[k.index], first.sequence, !k.same});
  }
  return RecordGaps(gaps);
}

absl::Status PostgresBatch::RecordGaps(absl::Span<const PostgresGap> gaps) {
  while (!gaps.empty()) {
    const std::size_t count = Portion(gaps, [](const PostgresGap& gap) {
      return gap.conflict ? gap.submission->content.size() : 0;
    });
    const absl::Span<const PostgresGap> portion = gaps.first(count);
    gaps.remove_prefix(count);
    db_.Send(kRecordGaps, PostgresGaps(portion));
    // Duplicates need no answer, so the statement is only queued. Commit sends
    // it in one round trip with the COMMIT.
    if (gaps.empty() && std::ranges::none_of(portion, &PostgresGap::conflict)) {
      return absl::OkStatus();
    }
    const auto results = db_.Receive();
    if (!results.ok()) return results.status();
    if (results->back().IntegerAt(0, 0) != 0) {
      return absl::InternalError(
          "a sequence of the batch belongs to another submission");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PostgresBatch::Known>> PostgresBatch::FindKnown() {
  using Type = PostgresArray::Type;
  PostgresArray submission_ids(Type::kText, not_inserted_.size());
  PostgresArray study_ids(Type::kText, not_inserted_.size());
  for (const std::size_t i : not_inserted_) {
    submission_ids.Bytes(batch_[i].submission_id);
    study_ids.Bytes(batch_[i].study_id);
  }
  const auto found = db_.Run(kFindFirst, {std::move(submission_ids).Take(),
                                          std::move(study_ids).Take()});
  if (!found.ok()) return found.status();
  if (found->rows() != static_cast<int>(not_inserted_.size())) {
    return absl::InternalError(
        "a sequence of the batch belongs to another submission");
  }
  std::vector<Known> known;
  for (int row = 0; row < found->rows(); ++row) {
    const auto position = static_cast<std::size_t>(found->IntegerAt(row, 0));
    Known k = {.index = not_inserted_[position - 1],
               .first = ReadPostgresFirst(*found, row),
               .same = false};
    const Submission& s = batch_[k.index];
    k.same = k.first.kind == s.kind &&
             k.first.receipt.content_sha256 == s.content_sha256;
    known.push_back(k);
  }
  return known;
}

absl::Status PostgresBatch::CompareContents(std::vector<Known>& known) {
  std::vector<Known*> differ;
  for (Known& k : known) {
    if (!k.same && k.first.kind == batch_[k.index].kind) differ.push_back(&k);
  }
  absl::Span<Known* const> rest = differ;
  while (!rest.empty()) {
    const std::size_t count = Portion(rest, [](const Known* k) {
      return static_cast<std::size_t>(k->first.content_bytes);
    });
    const absl::Status compared = CompareSome(rest.first(count));
    if (!compared.ok()) return compared;
    rest.remove_prefix(count);
  }
  return absl::OkStatus();
}

absl::Status PostgresBatch::CompareSome(absl::Span<Known* const> known) {
  for (const Known* k : known) {
    db_.Send(kReadContent, {PostgresBigint(k->first.receipt.sequence)});
  }
  const auto contents = db_.Receive();
  if (!contents.ok()) return contents.status();
  for (std::size_t i = 0; i < known.size(); ++i) {
    const PostgresResult& content = (*contents)[i];
    if (content.rows() != 1) {
      return absl::AbortedError("a submission was deleted while it was read");
    }
    const Submission& submission = batch_[known[i]->index];
    known[i]->same = same_content_(submission.kind, content.BytesAt(0, 0),
                                   submission.content);
  }
  return absl::OkStatus();
}

absl::Status PostgresBatch::Commit() {
  SendPostgresCommit(db_, /*relies_on_rows=*/!not_inserted_.empty());
  const auto results = db_.Receive();
  if (!results.ok()) return results.status();
  durability_ = ReadPostgresDurability(results->back());
  return absl::OkStatus();
}

}  // namespace sluice
