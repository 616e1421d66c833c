#include "tests/crash/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace sluice {
namespace {

absl::string_view Name(AckMode ack) {
  switch (ack) {
    case AckMode::kStored:
      return "acknowledged by the store";
    case AckMode::kJournal:
      return "acknowledged by the journal";
    case AckMode::kMemoryQueue:
      return "acknowledged by a queue in memory";
  }
  return "";
}

absl::string_view Name(DiskMode disk) {
  switch (disk) {
    case DiskMode::kAsItIs:
      return "kill -9";
    case DiskMode::kPowerCut:
      return "power cut";
    case DiskMode::kLies:
      return "power cut, on a disk that does not sync";
  }
  return "";
}

std::string Name(v1::Receipt::Disposition disposition) {
  return disposition == v1::Receipt::DISPOSITION_UNSPECIFIED
             ? "no answer"
             : v1::Receipt::Disposition_Name(disposition);
}

absl::string_view Name(Mistake mistake) {
  switch (mistake) {
    case Mistake::kNone:
      return "";
    case Mistake::kAsynchronous:
      return ", commits wait for no standby";
    case Mistake::kIgnoredWarnings:
      return ", the servers do not see warnings";
    case Mistake::kLowestPromoted:
      return ", the standby that received the least is promoted";
  }
  return "";
}

template <typename... Parts>
void Line(std::string& text, absl::string_view name, const Parts&... parts) {
  absl::StrAppendFormat(&text, "%-14s %s\n", name, absl::StrCat(parts...));
}

// Returns the lines about the rounds of campaign.cc.
std::string KillLines(const CampaignResult& result) {
  std::string text;
  const Kills& kills = result.kills;
  Line(text, "killed", "starting ", kills.starting, ", replaying ",
       kills.replaying, ", idle ", kills.idle, ", under load ",
       kills.under_load);
  const StoreKills& store_kills = result.store_kills;
  if (store_kills.under_load + store_kills.with_server > 0) {
    Line(text, "store killed", "under load ", store_kills.under_load,
         ", with the server ", store_kills.with_server);
  }
  return text;
}

std::string FaultCounts(const CampaignResult& result) {
  std::string text;
  for (const auto& [fault, count] : result.faults) {
    Line(text, "fault", absl::StrFormat("%-22s %d", fault, count));
  }
  return text;
}

// Returns the lines about the rounds of cluster_campaign.cc.
std::string FaultLines(const CampaignOptions& options,
                       const CampaignResult& result) {
  std::string text;
  Line(text, "servers", options.servers, ", standbys ", options.standbys,
       Name(options.mistake));
  text += FaultCounts(result);
  Line(text, "recovered", "within ",
       absl::FormatDuration(
           absl::Trunc(result.longest_recovery, absl::Milliseconds(100))));
  return text;
}

}  // namespace

std::string CampaignReport(const CampaignOptions& options,
                           const CampaignResult& result) {
  std::string text;
  Line(text, "campaign", options.store, ", ", Name(options.ack), ", ",
       Name(options.disk), ", seed ", options.seed);
  Line(text, "rounds", result.rounds, " in ",
       absl::FormatDuration(absl::Trunc(result.time, absl::Milliseconds(100))));
  if (options.damage) {
    text += FaultCounts(result);
  } else {
    text += IsClusterCampaign(options) ? FaultLines(options, result)
                                       : KillLines(result);
  }
  for (const auto& [what, count] : result.answers) {
    Line(text, what.first,
         absl::StrFormat("%-11s %d", Name(what.second), count));
  }
  if (options.disk != DiskMode::kAsItIs) {
    Line(text, "writes lost", result.undone_writes, " of ",
         result.unsynced_writes, " that were not synced");
  }
  const AuditReport& audit = result.audit;
  Line(text, "found", audit.in_store, " in the store, ", audit.in_quarantine,
       " in quarantine, ", audit.conflicts, " conflicts on record");
  Line(text, "checked", audit.answers, " answers at the end, ",
       result.early_answers, " between the rounds");
  Line(text, "breaches", audit.breaches);
  for (const std::string& breach : audit.breach_texts) {
    absl::StrAppend(&text, "  ", breach, "\n");
  }
  if (audit.breaches > static_cast<std::int64_t>(audit.breach_texts.size())) {
    absl::StrAppend(&text, "  ... and more breaches\n");
  }
  return text;
}

}  // namespace sluice
