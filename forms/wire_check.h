// Checks a serialized message without building it: the message must be
// well-formed protobuf of its type, have valid UTF-8, be nested no deeper than
// allowed, and contain each singular field at most once. All readers of an
// accepted message therefore read the same value, whether they use the first
// occurrence, use the last occurrence, or merge all occurrences.
//
// Protobuf's own parser answers only yes or no and costs several times as much.
// This check names the invalid field before anything is queued. Encoding:
// https://protobuf.dev/programming-guides/encoding

#ifndef SLUICE_FORMS_WIRE_CHECK_H_
#define SLUICE_FORMS_WIRE_CHECK_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace sluice {

// A problem in a message. `field` is a path such as response.item[2].link_id,
// or empty for the message itself. Neither text contains a value of the
// message.
struct Violation {
  std::string field;
  std::string description;
};

// Limits of a message besides its nesting. They bound the memory that readers
// of the message need.
struct WireLimits {
  // At most `counted_max` messages of each of these types are allowed, on all
  // levels together. A violation names `counted_by`, the key of the limit. At
  // most kCountedTypesMax types.
  std::vector<const google::protobuf::Descriptor*> counted = {};
  std::size_t counted_max = 0;
  std::string counted_by = {};
  // A string field that may have at most `short_text_max_bytes` bytes, on any
  // level; null for none.
  const google::protobuf::FieldDescriptor* short_text = nullptr;
  std::size_t short_text_max_bytes = 0;

  static constexpr std::size_t kCountedTypesMax = 2;
};

struct WireSchema;

// Thread-safe after construction.
class WireChecker {
 public:
  // `type` is a proto3 message and must outlive the checker.
  //
  // `max_depth` is the deepest allowed nesting of messages and unknown groups,
  // at least 1, counting the outermost message as 1. Values above 100, the
  // limit of protobuf's parser, mean 100.
  //
  // `unread_field` is the number of a field of `type`, or 0 for none. The
  // messages in this field are not checked: the caller reads and checks them
  // one by one.
  WireChecker(const google::protobuf::Descriptor* type, int max_depth,
              int unread_field = 0, WireLimits limits = {});
  ~WireChecker();

  // Returns the first problem, or nothing. Protobuf's parser accepts every
  // message that passes, except for unread messages. Every message within the
  // limits that the parser accepts passes, with three exceptions that no sender
  // intends:
  // - A known field with a wrong wire type. The parser moves it to the unknown
  //   fields, so that the value disappears silently. Repeated numbers may be
  //   packed or unpacked, as in the parser.
  // - A field number above 2^29 - 1. The parser ignores its upper bits.
  // - At any depth, a singular field that occurs more than once, or two fields
  //   of a oneof. The parser merges the occurrences of a message field and
  //   keeps only the last occurrence of other fields, so that values disappear
  //   silently.
  // Allocates memory only to report a problem.
  std::optional<Violation> Check(std::string_view bytes) const;

 private:
  // The first schema is the schema of `type`.
  std::vector<std::unique_ptr<const WireSchema>> schemas_;
  const int max_depth_;
  const WireLimits limits_;
};

// The functions below read fields of the outermost level of a message that
// passed a check. In any other message they stop at the first malformed field.
// Views point into `message`.

// Returns the content of a string, bytes or message field. If a repeated field
// occurs several times, returns the last occurrence. Other fields occur at most
// once in a message that passed the check. If the field is missing, the view is
// empty and its data() is null.
std::string_view FindLengthDelimited(std::string_view message, int field);
// Finds several fields in one pass. found[i] becomes the content of fields[i]:
// the last occurrence, or a view whose data() is null. The spans must have the
// same size and `fields` no duplicates.
void FindLengthDelimited(std::string_view message, std::span<const int> fields,
                         std::span<std::string_view> found);
// Returns the contents of the first `max` occurrences of a string, bytes or
// message field, in order. Reads no further.
std::vector<std::string_view> FindRepeated(
    std::string_view message, int field,
    std::size_t max = std::numeric_limits<std::size_t>::max());

}  // namespace sluice

#endif  // SLUICE_FORMS_WIRE_CHECK_H_
