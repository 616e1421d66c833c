#include "tests/crash/audit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace sluice {
namespace {

using v1::Receipt;

std::string Text(const LedgerKey& key) {
  return absl::StrCat(key.study_id, "/", key.submission_id);
}

// Returns the first quarter of a hash, which is enough to recognize it.
std::string Text(const Sha256Digest& sha256) {
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(sha256.data()), sha256.size() / 4));
}

std::string Text(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

std::string Text(const Found& found) {
  std::string text = absl::StrCat(
      found.in_quarantine ? "in quarantine" : "in the store", ": sequence ",
      found.sequence, ", received ", Text(found.received_at), ", content ",
      Text(found.content_sha256));
  if (found.noted_sha256 != found.content_sha256) {
    absl::StrAppend(&text, " (noted as ", Text(found.noted_sha256), ")");
  }
  return text;
}

std::string Text(const Findings& findings) {
  if (findings.submissions.empty()) return "nothing is stored";
  return absl::StrJoin(findings.submissions, "; ",
                       [](std::string* out, const Found& found) {
                         absl::StrAppend(out, Text(found));
                       });
}

std::string Text(const Told& told) {
  std::string text =
      absl::StrCat("round ", told.round, ", ", told.method, " of content ",
                   Text(told.sent_sha256), " was told ",
                   Receipt::Disposition_Name(told.disposition));
  if (told.sequence == 0) return text;
  absl::StrAppend(&text, ", sequence ", told.sequence, ", received ",
                  Text(told.received_at));
  if (told.told_sha256 != told.sent_sha256) {
    absl::StrAppend(&text, ", content ", Text(told.told_sha256));
  }
  return text;
}

// The audit of one key.
class KeyAudit {
 public:
  KeyAudit(const LedgerKey& key, const LedgerEntry& entry,
           const Findings& findings, AuditReport& report)
      : key_(key), entry_(entry), findings_(findings), report_(report) {}

  void Run() {
    int in_store = 0;
    for (const Found& found : findings_.submissions) {
      AuditFound(found);
      if (!found.in_quarantine) ++in_store;
    }
    if (in_store > 1 || SameContentTwice()) Breach("is stored more than once");
    for (const Told& told : entry_.told) AuditTold(told);
    report_.answers += static_cast<std::int64_t>(entry_.told.size());
  }

 private:
  void Breach(absl::string_view what) {
    report_.AddBreach(
        absl::StrCat(Text(key_), " ", what, "\n    ", Text(findings_)));
  }
  void Breach(absl::string_view what, const Told& told) {
    report_.AddBreach(absl::StrCat(Text(key_), " ", what, "\n    ", Text(told),
                                   "\n    ", Text(findings_)));
  }

  const SentContent* FindSent(const Sha256Digest& sha256) const {
    const auto found =
        std::ranges::find(entry_.sent, sha256, &SentContent::sha256);
    return found == entry_.sent.end() ? nullptr : &*found;
  }
  const Found* FindContent(const Sha256Digest& sha256) const {
    const auto found = std::ranges::find(findings_.submissions, sha256,
                                         &Found::content_sha256);
    return found == findings_.submissions.end() ? nullptr : &*found;
  }
  bool SameContentTwice() const {
    for (const Found& found : findings_.submissions) {
      if (std::ranges::count(findings_.submissions, found.content_sha256,
                             &Found::content_sha256) > 1) {
        return true;
      }
    }
    return false;
  }

  // True if the bytes of a conflict are kept.
  bool ConflictIsKept(const Sha256Digest& sha256) const {
    return std::ranges::find(findings_.conflicts, sha256,
                             &FoundConflict::content_sha256) !=
           findings_.conflicts.end();
  }
  bool HasConflict(const Sha256Digest& sha256, std::int64_t sequence) const {
    return std::ranges::any_of(findings_.conflicts,
                               [&](const FoundConflict& conflict) {
                                 return conflict.noted_sha256 == sha256 &&
                                        conflict.sequence == sequence;
                               });
  }

  // True if a receipt QUEUED of a content that was sent several times may have
  // this number, although no row of the content has it.
  bool IsConnected(const Told& told) const {
    return told.disposition == Receipt::QUEUED &&
           FindSent(told.sent_sha256)->times > 1 &&
           std::ranges::find(findings_.other_sequences, told.sequence) !=
               findings_.other_sequences.end();
  }

  void AuditFound(const Found& found) {
    if (found.noted_sha256 != found.content_sha256) {
      return Breach("has bytes that differ from its stored hash");
    }
    const SentContent* sent = FindSent(found.content_sha256);
    if (sent == nullptr) return Breach("is stored, but was never sent");
    if (sent->kind != found.kind) return Breach("is stored with another kind");
  }

  void AuditTold(const Told& told) {
    if (IsAcknowledgement(told.disposition)) return AuditAcknowledged(told);
    if (told.disposition == Receipt::CONFLICT) return AuditConflict(told);
    Breach("has an impossible answer", told);
  }

  void AuditAcknowledged(const Told& told) {
    if (told.told_sha256 != told.sent_sha256) {
      return Breach("has a receipt with the hash of another content", told);
    }
    if (findings_.submissions.empty()) {
      return Breach("is MISSING although it was acknowledged", told);
    }
    const Found* found = FindContent(told.sent_sha256);
    if (found == nullptr) {
      if (told.disposition != Receipt::QUEUED ||
          !ConflictIsKept(told.sent_sha256)) {
        return Breach("is MISSING: another content is stored", told);
      }
      if (!HasConflict(told.sent_sha256, told.sequence) && !IsConnected(told)) {
        Breach("is a conflict without the sequence number of its receipt",
               told);
      }
      return;
    }
    if (found->sequence != told.sequence) {
      if (IsConnected(told)) return;
      return Breach("has another sequence number than its receipt", told);
    }
    if (absl::ToUnixMicros(found->received_at) !=
        absl::ToUnixMicros(told.received_at)) {
      Breach("has another time than its receipt", told);
    }
  }

  void AuditConflict(const Told& told) {
    if (findings_.submissions.empty()) {
      return Breach("was refused as a conflict, but nothing is stored", told);
    }
    // The content may be in quarantine if the submission was queued when it was
    // sent again.
    const Found* found = FindContent(told.sent_sha256);
    if (found != nullptr && !found->in_quarantine) {
      return Breach("is stored although it was refused as a conflict", told);
    }
    if (std::ranges::find(findings_.conflicts, told.sent_sha256,
                          &FoundConflict::noted_sha256) ==
        findings_.conflicts.end()) {
      return Breach(
          "was refused as a conflict, but the conflict is not on record", told);
    }
    if (!ConflictIsKept(told.sent_sha256)) {
      Breach("was refused as a conflict whose content is not kept", told);
    }
  }

  const LedgerKey& key_;
  const LedgerEntry& entry_;
  const Findings& findings_;
  AuditReport& report_;
};

void AuditSequences(const FindingsByKey& findings, AuditReport& report) {
  absl::flat_hash_map<std::int64_t, const LedgerKey*> taken;
  for (const auto& [key, there] : findings) {
    for (const Found& found : there.submissions) {
      const auto [other, is_new] = taken.emplace(found.sequence, &key);
      if (is_new || *other->second == key) continue;
      report.AddBreach(absl::StrCat(Text(key), " has the sequence number of ",
                                    Text(*other->second), "\n    ",
                                    Text(there)));
    }
  }
}

void CountFound(const FindingsByKey& findings, AuditReport& report) {
  for (const auto& [key, there] : findings) {
    for (const Found& found : there.submissions) {
      ++(found.in_quarantine ? report.in_quarantine : report.in_store);
    }
    report.conflicts += static_cast<std::int64_t>(there.conflicts.size());
  }
}

}  // namespace

void AuditReport::AddBreach(std::string text) {
  ++breaches;
  if (breach_texts.size() < kBreachTextsMax) {
    breach_texts.push_back(std::move(text));
  }
}

void AuditKey(const LedgerKey& key, const LedgerEntry& entry,
              const Findings& findings, AuditReport& report) {
  KeyAudit(key, entry, findings, report).Run();
}

AuditReport AuditAll(const Ledger& ledger, const FindingsByKey& findings) {
  static const Findings& nothing = *new Findings;
  AuditReport report;
  std::size_t known = 0;
  ledger.ForEach([&](const LedgerKey& key, const LedgerEntry& entry) {
    const auto there = findings.find(key);
    if (there != findings.end()) ++known;
    AuditKey(key, entry, there == findings.end() ? nothing : there->second,
             report);
  });
  if (known < findings.size()) {
    for (const auto& [key, there] : findings) {
      if (!ledger.Find(key).sent.empty()) continue;
      AuditKey(key, LedgerEntry(), there, report);
    }
  }
  AuditSequences(findings, report);
  CountFound(findings, report);
  return report;
}

}  // namespace sluice
