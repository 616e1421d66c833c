#include "stores/postgres_batch.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
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

// Parameters: sequence numbers, and the numbers that were reported for them.
constexpr char kKeepReported[] =
    "INSERT INTO renumbered (sequence, reported_sequence)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING";

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

// Returns the length of the longest prefix of `rows` with different sequence
// numbers. A statement must see which of two submissions with one number an
// earlier statement has recorded.
template <typename Row, typename Sequence>
std::size_t Distinct(absl::Span<const Row> rows, Sequence sequence) {
  absl::flat_hash_set<std::int64_t> sequences;
  sequences.reserve(rows.size());
  const auto repeated = std::ranges::find_if(rows, [&](const Row& row) {
    return !sequences.insert(sequence(row)).second;
  });
  return static_cast<std::size_t>(repeated - rows.begin());
}

}  // namespace

absl::Status PreparePostgresBatches(PostgresConnection& db) {
  db.SendPrepare(kInsert, kPostgresInsert);
  db.SendPrepare(kFindFirst, kPostgresFindFirst);
  db.SendPrepare(kReadContent,
                 "SELECT content FROM submissions WHERE sequence = $1::bigint");
  const std::string record_gaps = PostgresRecordGaps();
  db.SendPrepare(kRecordGaps, record_gaps.c_str());
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
      by_id_(batch.size()),
      reports_(std::ranges::any_of(batch, [](const Submission& s) {
        return s.reported_sequence != 0;
      })) {
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
  if (status.ok() && reports_) status = KeepReported();
  return status.ok() ? Commit() : status;
}

absl::Status PostgresBatch::Insert() {
  db_.SendQuery("BEGIN");
  absl::Span<const std::size_t> rest = by_id_;
  while (!rest.empty()) {
    std::size_t count =
        Portion(rest, [this](std::size_t i) { return SizeOf(batch_[i]); });
    count = Distinct(rest.first(count),
                     [this](std::size_t i) { return batch_[i].sequence; });
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
      // Unless the id turns out to be stored.
      saved_[i] = {.result = Saved::Result::kSequenceTaken};
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
    gaps_.push_back({&batch_[k.index], first.sequence, !k.same});
  }
  return RecordGaps();
}

absl::Status PostgresBatch::RecordGaps() {
  absl::Span<const PostgresGap> gaps = gaps_;
  while (!gaps.empty()) {
    std::size_t count = Portion(gaps, [](const PostgresGap& gap) {
      return gap.conflict ? gap.submission->content.size() : 0;
    });
    count = Distinct(gaps.first(count), [](const PostgresGap& gap) {
      return gap.submission->sequence;
    });
    const absl::Span<const PostgresGap> portion = gaps.first(count);
    gaps.remove_prefix(count);
    db_.Send(kRecordGaps, PostgresGaps(portion));
    // KeepReported needs the answer.
    if (gaps.empty() && !reports_) {
      queued_gaps_ = count;
      return absl::OkStatus();
    }
    const auto results = db_.Receive();
    if (!results.ok()) return results.status();
    TakeTaken(results->back(), portion);
  }
  return absl::OkStatus();
}

void PostgresBatch::TakeTaken(const PostgresResult& taken,
                              absl::Span<const PostgresGap> gaps) {
  for (int row = 0; row < taken.rows(); ++row) {
    const auto position = static_cast<std::size_t>(taken.IntegerAt(row, 0));
    const Submission* const submission = gaps[position - 1].submission;
    saved_[static_cast<std::size_t>(submission - batch_.data())] = {
        .result = Saved::Result::kSequenceTaken};
  }
}

absl::Status PostgresBatch::KeepReported() {
  std::vector<const Submission*> kept;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (batch_[i].reported_sequence != 0 &&
        saved_[i].result != Saved::Result::kSequenceTaken) {
      kept.push_back(&batch_[i]);
    }
  }
  PostgresArray sequences(PostgresArray::Type::kBigint, kept.size());
  PostgresArray reported(PostgresArray::Type::kBigint, kept.size());
  for (const Submission* submission : kept) {
    sequences.Integer(submission->sequence);
    reported.Integer(submission->reported_sequence);
  }
  return db_
      .Query(kKeepReported,
             {std::move(sequences).Take(), std::move(reported).Take()})
      .status();
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
  if (queued_gaps_ > 0) {
    TakeTaken(results->front(), absl::MakeSpan(gaps_).last(queued_gaps_));
  }
  durability_ = ReadPostgresDurability(results->back());
  return absl::OkStatus();
}

}  // namespace sluice
