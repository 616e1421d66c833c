// Receipts as a table for people, or as JSON, an object per line.

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

// What became of one file, or of one id that was asked for.
struct ReceiptRow {
  std::string file;  // empty where only an id was asked for
  std::string submission_id;
  std::optional<v1::Receipt> receipt;  // nothing where the call failed
  CallError error;                     // of a call that failed
  std::vector<std::string> left_out;   // elements that were not carried
};

// Whether the server has it, or will have it: STORED, QUEUED or DUPLICATE.
bool Taken(const ReceiptRow& row);

class ReceiptOutput {
 public:
  enum class Format { kTable, kJsonLines };

  // Rows go to `out` as they come, what is to be said besides to `err`; both
  // outlive this. `files` have their column as wide as the longest needs; none
  // means that there is no such column.
  ReceiptOutput(Format format, const std::vector<std::string>& files,
                std::ostream& out, std::ostream& err);

  void Add(const ReceiptRow& row);

 private:
  void AddLine(const ReceiptRow& row);
  void AddJson(const ReceiptRow& row);
  // Leaves out field violations that the error's message already tells.
  void Explain(const ReceiptRow& row);

  const Format format_;
  std::size_t file_width_ = 0;
  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_RECEIPT_OUTPUT_H_
