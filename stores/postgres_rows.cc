#include "stores/postgres_rows.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "stores/nul_text.h"
#include "stores/sequence_use.h"

namespace sluice {
namespace {

using Type = PostgresArray::Type;

// Names of the kinds, indexed by the value of the enumeration.
constexpr std::string_view kKinds[] = {"questionnaire_response",
                                       "patient_record", "app_event"};

std::string_view NameOf(SubmissionKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

SubmissionKind KindOf(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name);
  return found == std::end(kKinds)
             ? SubmissionKind::kQuestionnaireResponse
             : static_cast<SubmissionKind>(found - std::begin(kKinds));
}

std::string_view AsBytes(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Sha256Digest DigestOf(std::string_view bytes) {
  Sha256Digest digest{};
  std::ranges::copy(bytes.substr(0, digest.size()), digest.begin());
  return digest;
}

// Adds `time`, or NULL if its year is not from 0 to 9999: programs that read
// the database may not understand other times.
void AddTime(const std::optional<absl::Time>& time, PostgresArray& array) {
  static const absl::Time kFirst =
      absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone());
  static const absl::Time kEnd =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  if (time.has_value() && *time >= kFirst && *time < kEnd) {
    array.Time(*time);
  } else {
    array.Null();
  }
}

// Returns a column as an array parameter. `add` appends the value of one row.
template <typename Row, typename Add>
std::string Column(Type type, absl::Span<const Row> rows, Add add) {
  PostgresArray array(type, rows.size());
  for (const Row& row : rows) add(row, array);
  return std::move(array).Take();
}

// Returns a text column with values derived from the content, in which U+0000
// is replaced.
std::string DerivedColumn(absl::Span<const Submission* const> rows,
                          std::string Submission::*member) {
  return Column(Type::kText, rows,
                [member](const Submission* s, PostgresArray& array) {
                  const std::string& text = s->*member;
                  if (!HasNul(text)) {
                    array.BytesOrNull(text);
                  } else {
                    array.Bytes(ReplaceNul(text));
                  }
                });
}

}  // namespace

// Each number is looked up in gaps, but only if there is a gap between the
// lowest and the highest number. A scalar subquery looks up the numbers in the
// index. NOT EXISTS could become a join that reads the whole table.
const char* const kPostgresInsert =
    "INSERT INTO submissions (sequence, kind, study_id, submission_id, site_id,"
    " subject, questionnaire, status, authored, authored_at, sent_at,"
    " received_at, supersedes_submission_id, reason_for_change, content_sha256,"
    " answers, content)"
    " SELECT s.* FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],"
    " $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],"
    " $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::text[],"
    " $14::text[], $15::bytea[], $16::jsonb[], $17::bytea[]) AS s (sequence)"
    " WHERE NOT (SELECT EXISTS (SELECT FROM gaps"
    "   WHERE sequence BETWEEN $18::bigint AND $19::bigint))"
    " OR (SELECT g.sequence FROM gaps AS g WHERE g.sequence = s.sequence)"
    "   IS NULL"
    " ON CONFLICT DO NOTHING RETURNING sequence";

// LATERAL with LIMIT makes PostgreSQL look up each id in the index, whatever
// the planner estimates.
const char* const kPostgresFindFirst =
    "SELECT i.position, s.* FROM"
    " unnest($1::text[], $2::text[]) WITH ORDINALITY"
    "   AS i (submission_id, study_id, position),"
    " LATERAL (SELECT kind, sequence, received_at, content_sha256,"
    "   octet_length(content)::bigint FROM submissions"
    "   WHERE submission_id = i.submission_id AND study_id = i.study_id"
    "   LIMIT 1) AS s";

// A conflict with the number of the first submission leaves no gap. Another
// server may insert the same content at the same time: the content is then kept
// twice.
std::string PostgresRecordGaps() {
  return absl::StrCat(
      "WITH given AS (SELECT r.*, ", kSequenceUse,
      " AS use FROM unnest($1::bigint[], $2::text[], $3::bigint[],"
      "     $4::text[], $5::text[], $6::text[], $7::timestamptz[],"
      "     $8::timestamptz[], $9::bytea[], $10::bigint[], $11::bytea[])"
      "   WITH ORDINALITY"
      "   AS r (sequence, reason, first_sequence, kind, study_id,"
      "     submission_id, received_at, sent_at, content_sha256,"
      "     content_bytes, content, position)),"
      " refused AS ("
      "   SELECT *, row_number() OVER ("
      "     PARTITION BY first_sequence, content_sha256 ORDER BY sequence)"
      "     AS nth FROM given WHERE use = 0),"
      " gap AS ("
      "   INSERT INTO gaps (sequence, reason, first_sequence)"
      "   SELECT sequence, reason, first_sequence"
      "   FROM refused WHERE sequence <> first_sequence"
      "   ON CONFLICT DO NOTHING),"
      " recorded AS ("
      "   INSERT INTO conflicts (sequence, first_sequence, kind, study_id,"
      "     submission_id, received_at, sent_at, content_sha256,"
      "     content_bytes, content)"
      "   SELECT sequence, first_sequence, kind, study_id, submission_id,"
      "     received_at, sent_at, content_sha256, content_bytes,"
      "     CASE WHEN nth = 1 AND NOT EXISTS (SELECT FROM conflicts AS c"
      "       WHERE c.first_sequence = r.first_sequence"
      "       AND c.content_sha256 = r.content_sha256"
      "       AND c.content IS NOT NULL)"
      "     THEN content END"
      "   FROM refused AS r WHERE reason = 'conflict' ORDER BY sequence"
      "   ON CONFLICT (sequence) DO NOTHING)"
      " SELECT position FROM given WHERE use = ",
      static_cast<std::int64_t>(SequenceUse::kTaken));
}

const char* const kPostgresReadSubmissions =
    "SELECT sequence, kind, study_id, submission_id, site_id, subject,"
    " questionnaire, status, authored, authored_at, sent_at, received_at,"
    " supersedes_submission_id, reason_for_change, content_sha256,"
    " answers::text, content"
    " FROM submissions WHERE sequence > $1::bigint AND sequence <= $2::bigint"
    " ORDER BY sequence";

absl::Status CheckPostgresIds(const Submission& submission) {
  const std::pair<const char*, const std::string&> ids[] = {
      {"study_id", submission.study_id},
      {"submission_id", submission.submission_id},
      {"site_id", submission.site_id}};
  for (const auto& [name, id] : ids) {
    if (!HasNul(id)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(name, " has U+0000, which PostgreSQL cannot store"));
  }
  return absl::OkStatus();
}

std::vector<std::string> PostgresRows(absl::Span<const Submission* const> s) {
  using Row = const Submission*;
  const auto [first, last] =
      std::ranges::minmax_element(s, {}, &Submission::sequence);
  return {
      Column(Type::kBigint, s,
             [](Row r, PostgresArray& a) { a.Integer(r->sequence); }),
      Column(Type::kText, s,
             [](Row r, PostgresArray& a) { a.Bytes(NameOf(r->kind)); }),
      Column(Type::kText, s,
             [](Row r, PostgresArray& a) { a.Bytes(r->study_id); }),
      Column(Type::kText, s,
             [](Row r, PostgresArray& a) { a.Bytes(r->submission_id); }),
      DerivedColumn(s, &Submission::site_id),
      DerivedColumn(s, &Submission::subject),
      DerivedColumn(s, &Submission::questionnaire),
      DerivedColumn(s, &Submission::status),
      DerivedColumn(s, &Submission::authored),
      Column(Type::kTimestamptz, s,
             [](Row r, PostgresArray& a) { AddTime(r->authored_at, a); }),
      Column(Type::kTimestamptz, s,
             [](Row r, PostgresArray& a) { AddTime(r->sent_at, a); }),
      Column(Type::kTimestamptz, s,
             [](Row r, PostgresArray& a) { a.Time(r->received_at); }),
      DerivedColumn(s, &Submission::supersedes_submission_id),
      DerivedColumn(s, &Submission::reason_for_change),
      Column(
          Type::kBytea, s,
          [](Row r, PostgresArray& a) { a.Bytes(AsBytes(r->content_sha256)); }),
      Column(Type::kJsonb, s,
             [](Row r, PostgresArray& a) {
               a.Json(ReplaceNulInJson(r->answers_json));
             }),
      Column(Type::kBytea, s,
             [](Row r, PostgresArray& a) { a.Bytes(r->content); }),
      PostgresBigint((*first)->sequence),
      PostgresBigint((*last)->sequence),
  };
}

PostgresFirst ReadPostgresFirst(const PostgresResult& rows, int row) {
  return {.kind = KindOf(rows.BytesAt(row, 1)),
          .receipt = {.sequence = rows.IntegerAt(row, 2),
                      .received_at = rows.TimeAt(row, 3),
                      .content_sha256 = DigestOf(rows.BytesAt(row, 4))},
          .content_bytes = rows.IntegerAt(row, 5)};
}

std::vector<std::string> PostgresGaps(absl::Span<const PostgresGap> gaps) {
  using Row = PostgresGap;
  return {
      Column(Type::kBigint, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Integer(r.submission->sequence);
             }),
      Column(Type::kText, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Bytes(r.conflict ? "conflict" : "duplicate");
             }),
      Column(
          Type::kBigint, gaps,
          [](const Row& r, PostgresArray& a) { a.Integer(r.first_sequence); }),
      Column(Type::kText, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Bytes(NameOf(r.submission->kind));
             }),
      Column(Type::kText, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Bytes(r.submission->study_id);
             }),
      Column(Type::kText, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Bytes(r.submission->submission_id);
             }),
      Column(Type::kTimestamptz, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Time(r.submission->received_at);
             }),
      Column(Type::kTimestamptz, gaps,
             [](const Row& r, PostgresArray& a) {
               AddTime(r.submission->sent_at, a);
             }),
      Column(Type::kBytea, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Bytes(AsBytes(r.submission->content_sha256));
             }),
      Column(Type::kBigint, gaps,
             [](const Row& r, PostgresArray& a) {
               a.Integer(
                   static_cast<std::int64_t>(r.submission->content.size()));
             }),
      Column(Type::kBytea, gaps,
             [](const Row& r, PostgresArray& a) {
               if (r.conflict) {
                 a.Bytes(r.submission->content);
               } else {
                 a.Null();
               }
             }),
  };
}

Submission ReadPostgresSubmission(const PostgresResult& rows, int row) {
  const auto text = [&](int column) {
    return std::string(rows.BytesAt(row, column));  // NULL reads as no bytes
  };
  const auto time = [&](int column) -> std::optional<absl::Time> {
    if (rows.IsNull(row, column)) return std::nullopt;
    return rows.TimeAt(row, column);
  };
  Submission s;
  s.sequence = rows.IntegerAt(row, 0);
  s.kind = KindOf(rows.BytesAt(row, 1));
  s.study_id = text(2);
  s.submission_id = text(3);
  s.site_id = text(4);
  s.subject = text(5);
  s.questionnaire = text(6);
  s.status = text(7);
  s.authored = text(8);
  s.authored_at = time(9);
  s.sent_at = time(10);
  s.received_at = rows.TimeAt(row, 11);
  s.supersedes_submission_id = text(12);
  s.reason_for_change = text(13);
  s.content_sha256 = DigestOf(rows.BytesAt(row, 14));
  s.answers_json = text(15);
  s.content = text(16);
  return s;
}

}  // namespace sluice
