#include "tools/ctl/receipt_output.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kHashPrefix = 12;

// Returns "-" for an empty text.
std::string OrDash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string Disposition(const ReceiptRow& row) {
  if (!row.receipt) return row.error.code;
  const std::string& name =
      v1::Receipt::Disposition_Name(row.receipt->disposition());
  // A disposition that this client does not know has no name, so show its
  // number.
  return name.empty() ? absl::StrCat(int{row.receipt->disposition()}) : name;
}

std::string ReceivedAt(const v1::Receipt& receipt) {
  if (!receipt.has_received_at()) return "";
  const absl::Time time =
      absl::FromUnixSeconds(receipt.received_at().seconds()) +
      absl::Nanoseconds(receipt.received_at().nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::string Hash(const v1::Receipt& receipt) {
  return absl::BytesToHexString(receipt.content_sha256());
}

std::string FormatLine(std::size_t file_width, absl::string_view file,
                       absl::string_view id, absl::string_view disposition,
                       absl::string_view sequence,
                       absl::string_view received_at, absl::string_view hash) {
  std::string line;
  if (file_width > 0) {
    line = absl::StrFormat("%-*s  ", static_cast<int>(file_width), file);
  }
  absl::StrAppendFormat(&line, "%-36s  %-18s  %10s  %-24s  %s\n", id,
                        disposition, sequence, received_at, hash);
  return line;
}

}  // namespace

bool Taken(const ReceiptRow& row) {
  if (!row.receipt) return false;
  const auto disposition = row.receipt->disposition();
  return disposition == v1::Receipt::STORED ||
         disposition == v1::Receipt::QUEUED ||
         disposition == v1::Receipt::DUPLICATE;
}

ReceiptOutput::ReceiptOutput(Format format,
                             const std::vector<std::string>& files,
                             std::ostream& out, std::ostream& err)
    : format_(format), out_(out), err_(err) {
  for (const std::string& file : files) {
    file_width_ = std::max({file_width_, Printable(file).size(),
                            absl::string_view("FILE").size()});
  }
  if (format_ == Format::kTable) {
    out_ << FormatLine(file_width_, "FILE", "SUBMISSION_ID", "DISPOSITION",
                       "SEQUENCE", "RECEIVED_AT", "SHA256");
  }
}

void ReceiptOutput::Add(const ReceiptRow& row) {
  if (format_ == Format::kTable) {
    AddLine(row);
  } else {
    AddJson(row);
  }
  out_.flush();
  Explain(row);
}

void ReceiptOutput::AddLine(const ReceiptRow& row) {
  const v1::Receipt receipt = row.receipt.value_or(v1::Receipt());
  out_ << FormatLine(
      file_width_, Printable(row.file), OrDash(Printable(row.submission_id)),
      Disposition(row),
      receipt.sequence() > 0 ? absl::StrCat(receipt.sequence()) : "-",
      OrDash(ReceivedAt(receipt)),
      OrDash(Hash(receipt).substr(0, kHashPrefix)));
}

void ReceiptOutput::AddJson(const ReceiptRow& row) {
  Json line;
  if (file_width_ > 0) line["file"] = row.file;
  line["submission_id"] = row.submission_id;
  line["disposition"] = Disposition(row);
  if (row.receipt) {
    line["sequence"] = row.receipt->sequence();
    line["other_sequences"] = row.receipt->other_sequences();
    line["received_at"] = ReceivedAt(*row.receipt);
    line["content_sha256"] = Hash(*row.receipt);
    line["issues"] = Json::array();
    for (const auto& issue : row.receipt->issue()) {
      line["issues"].push_back(
          {{"field", issue.field()}, {"description", issue.description()}});
    }
  } else {
    Json& error = line["error"];
    error["message"] = row.error.message;
    error["reason"] = row.error.reason;
    error["field_violations"] = Json::array();
    for (const auto& [field, description] : row.error.field_violations) {
      error["field_violations"].push_back(
          {{"field", field}, {"description", description}});
    }
  }
  line["left_out"] = row.left_out;
  // File names may not be valid UTF-8.
  out_ << line.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

void ReceiptOutput::Explain(const ReceiptRow& row) {
  const std::string name =
      Printable(row.file.empty() ? row.submission_id : row.file);
  if (!row.receipt) {
    err_ << "error: " << name << ": " << ErrorText(row.error) << "\n";
    for (const auto& [field, description] : row.error.field_violations) {
      if (absl::StrContains(row.error.message, description)) continue;
      err_ << "error: " << name << ": " << field << ": " << description << "\n";
    }
    return;
  }
  if (row.receipt->other_sequences_size() > 0) {
    err_ << "note: " << name << ": other sequence numbers: "
         << absl::StrJoin(row.receipt->other_sequences(), ", ") << "\n";
  }
  for (const auto& issue : row.receipt->issue()) {
    err_ << "note: " << name << ": ";
    if (!issue.field().empty()) err_ << Printable(issue.field()) << ": ";
    err_ << Printable(issue.description()) << "\n";
  }
  if (!row.left_out.empty()) {
    err_ << "note: " << name
         << ": not carried: " << Printable(absl::StrJoin(row.left_out, ", "))
         << "\n";
  }
}

}  // namespace sluice
