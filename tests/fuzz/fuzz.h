// Helpers of all fuzzers: the entry point, checks that are always active, and
// readers that turn the bytes of an input into values and messages.

#ifndef SLUICE_TESTS_FUZZ_FUZZ_H_
#define SLUICE_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/message.h"

namespace sluice {

// Runs the code under test on one input. Each fuzzer defines this function, and
// calls Require for each property that must hold.
void FuzzOne(std::string_view input);

// If `condition` is false, prints `what` and aborts, so that libFuzzer saves
// the input.
void Require(bool condition, std::string_view what);

// Takes values from the front of an input. At the end of the input all values
// are zero or empty.
class InputReader {
 public:
  // The input must outlive the reader.
  explicit InputReader(std::string_view input) : rest_(input) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t Byte();
  // Read little-endian numbers.
  std::uint32_t Word();
  std::uint64_t LongWord();
  bool Flag() { return (Byte() & 1) != 0; }
  // Reads a number from 0 to `count` - 1 from one byte. `count` must be from 1
  // to 256.
  std::size_t Below(std::size_t count) { return Byte() % count; }
  // Reads a byte with the length, then the text.
  std::string_view Text();
  // Like Text, but replaces each byte that is not UTF-8 by U+FFFD.
  std::string Utf8Text();
  std::string_view Rest();

 private:
  std::string_view rest_;
};

// Returns `text` with U+FFFD for each byte that is not part of valid UTF-8.
std::string WithoutInvalidUtf8(std::string_view text);

// Sets fields of `message`, which must be empty, as the input directs: any
// fields, any number of elements, and messages nested at most `max_depth` deep.
// All strings are valid UTF-8.
void FillMessage(InputReader& input, google::protobuf::Message& message,
                 int max_depth = 100);

// True if `text` contains neither ASCII control characters nor U+0080 to U+009F
// in UTF-8.
bool IsPrintable(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_TESTS_FUZZ_FUZZ_H_
