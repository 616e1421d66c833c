// The rule by which SQLite and PostgreSQL decide whether a submission may keep
// its sequence number, although its id is stored already.

#ifndef SLUICE_STORES_SEQUENCE_USE_H_
#define SLUICE_STORES_SEQUENCE_USE_H_

#include <cstdint>

namespace sluice {

// Values of kSequenceUse.
enum class SequenceUse : std::int64_t {
  // Nobody has the number, or this submission has it: the submission is sent
  // again after a crash.
  kOwn = 0,
  // Another submission has the number, and this submission was recorded under a
  // new number before. It is sent again after a crash, and must not get yet
  // another number.
  kRenumbered = 1,
  kTaken = 2,
};

// An SQL expression in a query that has the submission as `r` (sequence,
// reason, first_sequence, kind, content_sha256). `reason` is the reason of the
// gap that the submission leaves. `first_sequence` is the number of the stored
// submission with the same id. A gap with an unknown first_sequence, of an
// older version of the tables, counts as the gap of this submission.
//
// Each subquery refers to `r` in an inequality. Otherwise PostgreSQL might read
// a whole table into a hash table, instead of looking up a few rows.
inline constexpr char kSequenceUse[] =
    "CASE WHEN NOT EXISTS (SELECT 1 FROM submissions AS s"
    "   WHERE s.sequence = r.sequence AND s.sequence <> r.first_sequence)"
    " AND NOT EXISTS (SELECT 1 FROM gaps AS g WHERE g.sequence = r.sequence"
    "   AND (g.reason <> r.reason OR g.first_sequence <> r.first_sequence))"
    " AND NOT EXISTS (SELECT 1 FROM conflicts AS c"
    "   WHERE c.sequence = r.sequence"
    "   AND (c.first_sequence <> r.first_sequence OR c.kind <> r.kind"
    "     OR c.content_sha256 <> r.content_sha256))"
    " THEN 0"
    " WHEN EXISTS (SELECT 1 FROM renumbered AS n"
    "   WHERE n.reported_sequence = r.sequence"
    "   AND (r.reason = 'duplicate' AND n.sequence = r.first_sequence"
    "     OR EXISTS (SELECT 1 FROM gaps AS g WHERE g.sequence = n.sequence"
    "       AND g.reason = r.reason AND g.first_sequence = r.first_sequence"
    "       AND NOT EXISTS (SELECT 1 FROM conflicts AS c"
    "         WHERE c.sequence = n.sequence AND (c.kind <> r.kind"
    "           OR c.content_sha256 <> r.content_sha256)))))"
    " THEN 1 ELSE 2 END";

}  // namespace sluice

#endif  // SLUICE_STORES_SEQUENCE_USE_H_
