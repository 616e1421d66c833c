// What the fuzzers share: their entry point, checks that are always active, and
// readers that turn an input's bytes into values and messages.

#ifndef SLUICE_TESTS_FUZZ_FUZZ_H_
#define SLUICE_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/message.h"

namespace sluice {

// Runs the code under test on one input. Each fuzzer defines it, and calls
// Require for what must hold.
void FuzzOne(std::string_view input);

// Unless `condition` holds, prints `what` and aborts, so that libFuzzer saves
// the input.
void Require(bool condition, std::string_view what);

// Takes values off the front of an input. After the end everything is zero or
// empty.
class InputReader {
 public:
  // The input must outlive the reader.
  explicit InputReader(std::string_view input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t Byte();
  // Little-endian.
  std::uint32_t Word();
  std::uint64_t LongWord();
  bool Flag() { return (Byte() & 1) != 0; }
  // From 0 to `count` - 1, of one byte. `count` is from 1 to 256.
  std::size_t Below(std::size_t count) { return Byte() % count; }
  // A length byte, then so many bytes.
  std::string_view Text();
  // As Text, with a replacement character for each byte that is not UTF-8.
  std::string Utf8Text();
  std::string_view Rest();

 private:
  std::string_view rest_;
};

// `text` with U+FFFD for each byte that is not part of valid UTF-8.
std::string WithoutInvalidUtf8(std::string_view text);

// Sets fields of `message`, an empty one, as the input says: any field, any
// number of elements, nested at most `max_depth` messages deep. All strings are
// valid UTF-8.
void FillMessage(InputReader& input, google::protobuf::Message& message,
                 int max_depth = 100);

// Whether `text` has no control characters: neither ASCII's nor, as UTF-8, U+80
// to U+9F.
bool IsPrintable(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_TESTS_FUZZ_FUZZ_H_
