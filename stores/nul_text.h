// Replaces the character U+0000, which some databases cannot hold in text or in
// JSON.

#ifndef SLUICE_STORES_NUL_TEXT_H_
#define SLUICE_STORES_NUL_TEXT_H_

#include <string>
#include <string_view>

namespace sluice {

// True if the text has U+0000; in JSON also if it may have the escape \u0000.
bool HasNul(std::string_view text);
bool HasNulInJson(std::string_view json);

// Replace each U+0000 with U+FFFD, in JSON also its escape \u0000.
std::string ReplaceNul(std::string_view text);
std::string ReplaceNulInJson(std::string_view json);

}  // namespace sluice

#endif  // SLUICE_STORES_NUL_TEXT_H_
