// Checks a serialized message without building it: is it well-formed protobuf
// of its type, with valid UTF-8, and nested no deeper than allowed?
//
// Protobuf's own parser answers only yes or no, and costs several times as
// much; here the caller learns which field is wrong before anything is queued.
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

// What is wrong, and where: a path such as response.item[2].link_id, empty for
// the message itself. Contains no value of the message.
struct Violation {
  std::string field;
  std::string description;
};

struct WireSchema;

// Thread-safe once built.
class WireChecker {
 public:
  // `type`, a proto3 message, must outlive the checker. `max_depth` counts
  // messages (and unknown groups) inside messages, the outermost being 1; it
  // is cut to the depth that protobuf's parser bears, 100. What is in the
  // messages of `unread_field`, a field of `type`, is not looked at: whoever
  // reads them one by one checks them one by one.
  WireChecker(const google::protobuf::Descriptor* type, int max_depth,
              int unread_field = 0);
  ~WireChecker();

  // The first thing that is wrong, or nothing. Whatever passes is accepted by
  // protobuf's parser too, unread messages apart. The reverse holds with two
  // exceptions, where the parser takes what no sender means:
  // - a known field with a wrong wire type, which the parser moves to the
  //   unknown fields, so that its value would vanish without a word; repeated
  //   numbers may be packed or not, as the parser has it;
  // - a field number above 2^29 - 1, whose upper bits the parser ignores.
  // Allocates only to report.
  std::optional<Violation> Check(std::string_view bytes) const;

 private:
  std::vector<std::unique_ptr<const WireSchema>> schemas_;  // the root first
  const int max_depth_;
};

// The functions below read fields of the outermost level of a message that has
// passed a check. (In any other they stop at the first malformed field.) Views
// point into `message`.

// Content of a string, bytes or message field. The last occurrence counts;
// where there is none the view is empty, and its data() null. A parser would
// merge several occurrences of a message.
std::string_view FindLengthDelimited(std::string_view message, int field);
// The same for several fields in one pass: found[i] is that of fields[i].
void FindLengthDelimited(std::string_view message, std::span<const int> fields,
                         std::span<std::string_view> found);
// All length-delimited occurrences, in their order.
std::vector<std::string_view> FindRepeated(std::string_view message, int field);

}  // namespace sluice

#endif  // SLUICE_FORMS_WIRE_CHECK_H_
