// Rows of comma-separated values as RFC 4180 has them.

#ifndef SLUICE_TOOLS_CTL_CSV_H_
#define SLUICE_TOOLS_CTL_CSV_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace sluice {

// Appends a row with its line end, CR LF. Fields stay as they are, in quotes
// where they need them.
void AppendCsvRow(absl::Span<const absl::string_view> fields, std::string& out);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_CSV_H_
