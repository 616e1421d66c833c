#include "config/config_reader.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace sluice {
namespace {

constexpr std::size_t kQuotedBytesMax = 64;

struct ByteUnit {
  const char* suffix;
  std::size_t bytes;
};
constexpr std::array<ByteUnit, 3> kByteUnits = {{
    {"GiB", std::size_t{1} << 30},
    {"MiB", std::size_t{1} << 20},
    {"KiB", std::size_t{1} << 10},
}};

// Returns the Levenshtein distance: the number of characters to add, remove or
// replace that turn `a` into `b`.
std::size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// Returns the name in `known` that is most similar to `name`, or nothing if
// none is similar.
std::optional<std::string> Nearest(const std::string& name,
                                   const std::vector<std::string>& known) {
  if (name.size() > kQuotedBytesMax) return std::nullopt;
  std::optional<std::string> nearest;
  // Allow two edits, enough to swap two letters. Allow fewer in a very short
  // name, more in a long name.
  std::size_t closer_than =
      std::max(name.size() / 3, std::min<std::size_t>(name.size() / 2, 2)) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < closer_than) {
      nearest = candidate;
      closer_than = distance;
    }
  }
  return nearest;
}

// Reads digits only: no sign, no space, no other base, no leading zero.
std::optional<std::size_t> ParseCount(std::string_view text) {
  const bool digits = std::ranges::all_of(
      text, [](unsigned char c) { return absl::ascii_isdigit(c); });
  if (!digits || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::size_t count = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &count)) {
    return std::nullopt;
  }
  return count;
}

std::optional<std::size_t> ParseBytes(std::string_view text) {
  std::size_t unit_bytes = 1;
  for (const ByteUnit& unit : kByteUnits) {
    if (text.ends_with(unit.suffix)) {
      text.remove_suffix(std::string_view(unit.suffix).size());
      unit_bytes = unit.bytes;
      break;
    }
  }
  const std::optional<std::size_t> count = ParseCount(text);
  std::size_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, unit_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

// True if `host` is a host name (RFC 1123, section 2.1): labels of letters,
// digits and hyphens. The last label must not be a number, as in a mistyped
// IPv4 address.
bool IsHostName(const std::string& host) {
  if (host.size() > 253) return false;
  const std::vector<std::string> labels = absl::StrSplit(host, '.');
  const bool well_formed =
      std::ranges::all_of(labels, [](const std::string& label) {
        return !label.empty() && label.size() <= 63 && label.front() != '-' &&
               label.back() != '-' &&
               std::ranges::all_of(label, [](unsigned char c) {
                 return absl::ascii_isalnum(c) || c == '-';
               });
      });
  return well_formed &&
         !std::ranges::all_of(labels.back(), [](unsigned char c) {
           return absl::ascii_isdigit(c);
         });
}

bool IsIpAddress(int family, const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(family, host.c_str(), address.data()) == 1;
}

bool IsHostAndPort(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  const std::string host = text.substr(0, colon);
  const std::optional<std::size_t> port = ParseCount(text.substr(colon + 1));
  if (!port || *port > 65535) return false;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return IsIpAddress(AF_INET6, host.substr(1, host.size() - 2));
  }
  return IsIpAddress(AF_INET, host) || IsHostName(host);
}

}  // namespace

std::string FormatBytes(std::size_t bytes) {
  for (const ByteUnit& unit : kByteUnits) {
    if (bytes > 0 && bytes % unit.bytes == 0) {
      return absl::StrCat(bytes / unit.bytes, unit.suffix);
    }
  }
  return absl::StrCat(bytes);
}

std::string Quoted(const std::string& text) {
  const bool long_text = text.size() > kQuotedBytesMax;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kQuotedBytesMax)),
                      long_text ? "...\"" : "\"");
}

std::string UnknownName(const std::string& what, const std::string& name,
                        const std::vector<std::string>& known) {
  const std::string unknown = absl::StrCat("unknown ", what, " ", Quoted(name));
  if (const std::optional<std::string> meant = Nearest(name, known)) {
    return absl::StrCat(unknown, ": did you mean ", *meant, "?");
  }
  return absl::StrCat(unknown, ", allowed: ", absl::StrJoin(known, ", "));
}

ConfigSection::ConfigSection(const YamlNode& root, ConfigErrors* errors)
    : ConfigSection(&root, "", /*line=*/0, errors) {}

ConfigSection::ConfigSection(const YamlNode* node, std::string path, int line,
                             ConfigErrors* errors)
    : node_(node), path_(std::move(path)), line_(line), errors_(errors) {
  if (node_ != nullptr && node_->kind != YamlNode::Kind::kMap) {
    errors_->push_back(
        {.line = line_, .key = path_, .message = "must be a map (key: value)"});
    node_ = nullptr;
  }
}

ConfigSection ConfigSection::Section(const std::string& key) {
  known_.insert(key);
  const YamlEntry* entry = Find(key);
  return ConfigSection(entry == nullptr ? nullptr : &entry->value,
                       KeyPath(path_, key),
                       entry == nullptr ? line_ : entry->line, errors_);
}

std::vector<std::string> ConfigSection::Keys() const {
  std::vector<std::string> keys;
  if (node_ == nullptr) return keys;
  for (const YamlEntry& entry : node_->entries) keys.push_back(entry.key);
  return keys;
}

bool ConfigSection::ReadText(const std::string& key, std::string* out) {
  const std::string* text = Scalar(key);
  if (text == nullptr) return false;
  if (text->empty()) {
    Error(key, "must not be empty");
    return false;
  }
  *out = *text;
  return true;
}

bool ConfigSection::ReadBool(const std::string& key, bool* out) {
  const std::string* text = Scalar(key);
  if (text == nullptr) return false;
  if (*text != "true" && *text != "false") {
    Error(key, absl::StrCat("must be true or false, not ", Quoted(*text)));
    return false;
  }
  *out = *text == "true";
  return true;
}

bool ConfigSection::ReadCount(const std::string& key, Bounds bounds,
                              std::size_t* out) {
  SLUICE_DCHECK_LE(bounds.min, bounds.max);
  const std::string* text = Scalar(key);
  if (text == nullptr) return false;
  const std::optional<std::size_t> count = ParseCount(*text);
  if (!count || *count < bounds.min || *count > bounds.max) {
    Error(key, absl::StrCat("must be a whole number from ", bounds.min, " to ",
                            bounds.max, ", not ", Quoted(*text)));
    return false;
  }
  *out = *count;
  return true;
}

bool ConfigSection::ReadBytes(const std::string& key, Bounds bounds,
                              std::size_t* out) {
  SLUICE_DCHECK_LE(bounds.min, bounds.max);
  const std::string* text = Scalar(key);
  if (text == nullptr) return false;
  const std::optional<std::size_t> bytes = ParseBytes(*text);
  if (!bytes || *bytes < bounds.min || *bytes > bounds.max) {
    Error(key, absl::StrCat("must be a size from ", FormatBytes(bounds.min),
                            " to ", FormatBytes(bounds.max),
                            ", in bytes or with KiB, MiB or GiB (65536, "
                            "256MiB), not ",
                            Quoted(*text)));
    return false;
  }
  *out = *bytes;
  return true;
}

bool ConfigSection::ReadDuration(const std::string& key, absl::Duration max,
                                 absl::Duration* out) {
  const std::string* text = Scalar(key);
  if (text == nullptr) return false;
  constexpr absl::Duration kUnit = absl::Milliseconds(1);
  SLUICE_DCHECK_GE(max, kUnit);
  absl::Duration duration;
  if (!absl::ParseDuration(*text, &duration) || duration < kUnit ||
      duration > max || duration != absl::Trunc(duration, kUnit)) {
    Error(key, absl::StrCat("must be a duration in whole milliseconds from ",
                            absl::FormatDuration(kUnit), " to ",
                            absl::FormatDuration(max),
                            " (250ms, 30s, 1m30s), not ", Quoted(*text)));
    return false;
  }
  *out = duration;
  return true;
}

bool ConfigSection::ReadAddress(const std::string& key, std::string* out) {
  const std::string* text = Scalar(key);
  if (text == nullptr) return false;
  if (!IsHostAndPort(*text)) {
    Error(key, absl::StrCat("must be host:port, with a port from 0 to 65535 "
                            "(127.0.0.1:50051, [::1]:50051, localhost:0), not ",
                            Quoted(*text)));
    return false;
  }
  *out = *text;
  return true;
}

void ConfigSection::Error(const std::string& key, std::string message) {
  const YamlEntry* entry = Find(key);
  errors_->push_back({.line = entry == nullptr ? line_ : entry->line,
                      .key = KeyPath(path_, key),
                      .message = std::move(message)});
}

void ConfigSection::RejectUnknownKeys() {
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const std::string& key : Keys()) {
    if (!known_.contains(key)) Error(key, UnknownName("key", key, known));
  }
}

const YamlEntry* ConfigSection::Find(const std::string& key) const {
  if (node_ == nullptr) return nullptr;
  const auto entry = std::ranges::find(node_->entries, key, &YamlEntry::key);
  return entry == node_->entries.end() ? nullptr : &*entry;
}

const std::string* ConfigSection::Scalar(const std::string& key) {
  known_.insert(key);
  const YamlEntry* entry = Find(key);
  if (entry == nullptr) return nullptr;
  switch (entry->value.kind) {
    case YamlNode::Kind::kScalar:
      return &entry->value.scalar;
    case YamlNode::Kind::kNull:
      Error(key, "value missing: remove the key or give it a value");
      return nullptr;
    case YamlNode::Kind::kSequence:
    case YamlNode::Kind::kMap:
      Error(key, "must be a single value, not a list or a map");
      return nullptr;
  }
  return nullptr;
}

}  // namespace sluice
