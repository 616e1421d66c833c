// Reads protobuf's wire format as protobuf's parser does: numbers may be
// encoded in more bytes than they need, bits that overflow are ignored, and
// unknown groups are skipped. (protozero's reader rejects all three.) Encoding:
// https://protobuf.dev/programming-guides/encoding

#ifndef SLUICE_FORMS_WIRE_READER_H_
#define SLUICE_FORMS_WIRE_READER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "absl/base/attributes.h"

namespace sluice::wire {

enum WireType : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

constexpr std::uint32_t TagOf(std::uint32_t number, std::uint32_t wire_type) {
  return number << 3 | wire_type;
}
// Return the tag of a field. `field` is a constant of the generated code.
constexpr std::uint32_t VarintTag(int field) {
  return TagOf(static_cast<std::uint32_t>(field), kVarint);
}
constexpr std::uint32_t LengthDelimitedTag(int field) {
  return TagOf(static_cast<std::uint32_t>(field), kLengthDelimited);
}
constexpr std::uint32_t NumberOf(std::uint32_t tag) { return tag >> 3; }
constexpr WireType WireTypeOf(std::uint32_t tag) { return WireType{tag & 7}; }

struct Input {
  const char* at;
  const char* end;
};

inline Input AsInput(std::string_view bytes) {
  return {bytes.data(), bytes.data() + bytes.size()};
}
inline std::string_view AsView(Input in) {
  return {in.at, static_cast<std::size_t>(in.end - in.at)};
}

// Each function below moves `at` past the bytes that were read, or returns
// false.

// Reads at most `bytes_max` bytes and ignores bits that overflow.
ABSL_ATTRIBUTE_NOINLINE inline bool ReadLongVarint(Input& in, int bytes_max,
                                                   std::uint64_t& value) {
  value = 0;
  for (int i = 0; i < bytes_max && in.at != in.end; ++i) {
    const auto byte = static_cast<std::uint8_t>(*in.at++);
    value |= std::uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

// Nearly all tags and lengths have one byte. The slow path works on a copy of
// `in`. The address of `in` then does not escape, so the caller's position
// stays in a register.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadVarint(Input& in, int bytes_max,
                                                    std::uint64_t& value) {
  if (in.at != in.end && static_cast<std::uint8_t>(*in.at) < 0x80) {
    value = static_cast<std::uint8_t>(*in.at++);
    return true;
  }
  Input rest = in;
  std::uint64_t long_value;
  const bool read = ReadLongVarint(rest, bytes_max, long_value);
  in = rest;
  value = long_value;
  return read;
}

// Reads the number of a varint field.
inline bool ReadNumber(Input& in, std::uint64_t& value) {
  return ReadVarint(in, 10, value);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadTag(Input& in,
                                                 std::uint32_t& tag) {
  std::uint64_t value;
  if (!ReadVarint(in, 5, value) ||
      value > std::numeric_limits<std::uint32_t>::max()) {
    return false;
  }
  tag = static_cast<std::uint32_t>(value);
  return true;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool Skip(Input& in, std::size_t bytes) {
  if (static_cast<std::size_t>(in.end - in.at) < bytes) return false;
  in.at += bytes;
  return true;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadLengthDelimited(Input& in,
                                                             Input& content) {
  std::uint64_t size;
  if (!ReadVarint(in, 5, size)) return false;
  content.at = in.at;
  if (!Skip(in, size)) return false;
  content.end = in.at;
  return true;
}

// Skips to the end of a group whose start tag has been read already. Accepts
// an end tag with another number.
inline bool SkipGroup(Input& in);

// Reads the value of a field. Sets `number` if the field is a varint, and
// `content` if it is length-delimited.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ReadValue(Input& in, std::uint32_t tag,
                                                   std::uint64_t& number,
                                                   Input& content) {
  switch (WireTypeOf(tag)) {
    case kVarint:
      return ReadNumber(in, number);
    case kFixed64:
      return Skip(in, 8);
    case kLengthDelimited:
      return ReadLengthDelimited(in, content);
    case kStartGroup:
      return SkipGroup(in);
    case kEndGroup:
      return false;
    case kFixed32:
      return Skip(in, 4);
  }
  return false;
}

// Does not recurse, so that no depth of groups exhausts the stack.
inline bool SkipGroup(Input& in) {
  for (std::size_t open = 1; open > 0;) {
    std::uint32_t tag;
    std::uint64_t number;
    Input content;
    if (!ReadTag(in, tag)) return false;
    if (WireTypeOf(tag) == kStartGroup) {
      ++open;
    } else if (WireTypeOf(tag) == kEndGroup) {
      --open;
    } else if (!ReadValue(in, tag, number, content)) {
      return false;
    }
  }
  return true;
}

// The fields of the outermost level of a message, one after another:
//
//   FieldReader fields(message);
//   while (fields.Next()) { use fields.tag() ... }
//   if (!fields.ok()) { the message is malformed }
class FieldReader {
 public:
  // `message` must outlive the views of its contents.
  explicit FieldReader(std::string_view message) : in_(AsInput(message)) {}

  // Moves to the next field. Returns false at the end, and at a malformed
  // field.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Next() {
    if (in_.at == in_.end) return false;
    ok_ = false;
    if (!ReadTag(in_, tag_)) return false;
    content_ = {in_.at, in_.at};
    ok_ = ReadValue(in_, tag_, number_, content_);
    return ok_;
  }

  // True unless a malformed field was found.
  bool ok() const { return ok_; }
  std::uint32_t tag() const { return tag_; }
  // Content of a length-delimited field, otherwise empty.
  std::string_view content() const { return AsView(content_); }
  // Value of a varint field; unspecified for all other fields.
  std::uint64_t number() const { return number_; }

 private:
  Input in_;
  Input content_{};
  std::uint64_t number_ = 0;
  std::uint32_t tag_ = 0;
  bool ok_ = true;
};

}  // namespace sluice::wire

#endif  // SLUICE_FORMS_WIRE_READER_H_
