// Checks a serialized message without building it: the message must be
// well-formed protobuf of its type, have valid UTF-8, and be nested no deeper
// than allowed.
//
// Protobuf's own parser answers only yes or no and costs several times as much.
// This check tells the caller which field is wrong before anything is queued.
// Encoding: https://protobuf.dev/programming-guides/encoding

#ifndef SLUICE_FORMS_WIRE_CHECK_H_
#define SLUICE_FORMS_WIRE_CHECK_H_

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
  // `unread_field` is a field of `type`, or 0 for none. The contents of its
  // messages are not checked: a caller that reads these messages one by one
  // checks them one by one.
  WireChecker(const google::protobuf::Descriptor* type, int max_depth,
              int unread_field = 0);
  ~WireChecker();

  // Returns the first problem, or nothing. Protobuf's parser accepts every
  // message that passes, except for unread messages. Every message within
  // `max_depth` that the parser accepts passes, with two exceptions, in which
  // the parser accepts what no sender means:
  // - A known field with a wrong wire type. The parser moves it to the unknown
  //   fields, so that its value disappears silently. Repeated numbers may be
  //   packed or not, as in the parser.
  // - A field number above 2^29 - 1. The parser ignores its upper bits.
  // Allocates memory only to report a problem.
  std::optional<Violation> Check(std::string_view bytes) const;

 private:
  // The schema of `type` comes first.
  std::vector<std::unique_ptr<const WireSchema>> schemas_;
  const int max_depth_;
};

// The functions below read fields of the outermost level of a message that
// passed a check. In any other message they stop at the first malformed field.
// Views point into `message`.

// Returns the content of a string, bytes or message field. The last occurrence
// counts, although a parser would merge several occurrences of a message.
// Without an occurrence the view is empty and its data() is null.
std::string_view FindLengthDelimited(std::string_view message, int field);
// Finds several fields in one pass: found[i] is the content of fields[i], as
// above. The spans must have the same size, and each field is named once.
void FindLengthDelimited(std::string_view message, std::span<const int> fields,
                         std::span<std::string_view> found);
// Returns the contents of all length-delimited occurrences, in their order.
std::vector<std::string_view> FindRepeated(std::string_view message, int field);

}  // namespace sluice

#endif  // SLUICE_FORMS_WIRE_CHECK_H_
