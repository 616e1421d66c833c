// Rows of comma-separated values (RFC 4180).

#ifndef SLUICE_TOOLS_CTL_CSV_H_
#define SLUICE_TOOLS_CTL_CSV_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace sluice {

// Appends a row and CR LF. Fields are not changed, only quoted if needed.
void AppendCsvRow(absl::Span<const absl::string_view> fields, std::string& out);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_CSV_H_
