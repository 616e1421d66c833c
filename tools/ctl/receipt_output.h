// Formats receipts as a table for people, or as JSON with one object per line.

#ifndef SLUICE_TOOLS_CTL_RECEIPT_OUTPUT_H_
#define SLUICE_TOOLS_CTL_RECEIPT_OUTPUT_H_

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/v1/ingestion.pb.h"
#include "tools/ctl/call.h"

namespace sluice {

// The result of one file or of one id.
struct ReceiptRow {
  std::string file;  // empty if only an id was given
  std::string submission_id;
  std::optional<v1::Receipt> receipt;  // empty if the call failed
  CallError error;                     // set if the call failed
  std::vector<std::string> left_out;   // elements that were left out
};

// True if the server has accepted the submission: STORED, QUEUED or DUPLICATE.
bool Taken(const ReceiptRow& row);

class ReceiptOutput {
 public:
  enum class Format { kTable, kJsonLines };

  // Writes rows to `out` as they are added, and explanations to `err`. Both
  // must outlive this object. The column of file names is as wide as the
  // longest of `files`. If `files` is empty, there is no such column.
  ReceiptOutput(Format format, const std::vector<std::string>& files,
                std::ostream& out, std::ostream& err);

  void Add(const ReceiptRow& row);

 private:
  void AddLine(const ReceiptRow& row);
  void AddJson(const ReceiptRow& row);
  // Writes the explanation of a failed row. Skips field violations that are
  // part of the error's message.
  void Explain(const ReceiptRow& row);

  const Format format_;
  std::size_t file_width_ = 0;
  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_RECEIPT_OUTPUT_H_
