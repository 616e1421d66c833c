// base/utf8.h and protobuf agree on the texts that are valid UTF-8, and on the
// size of each character.

#include <string>

#include "base/utf8.h"
#include "google/protobuf/stubs/common.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

bool IsValidForProtobuf(std::string_view text) {
  return google::protobuf::internal::IsStructurallyValidUTF8(
      text.data(), static_cast<int>(text.size()));
}

}  // namespace

void FuzzOne(std::string_view input) {
  Require(IsValidUtf8(input) == IsValidForProtobuf(input),
          "IsValidUtf8 and protobuf agree");
  if (IsAscii(input)) Require(IsValidUtf8(input), "ASCII is UTF-8");

  while (!input.empty()) {
    const std::size_t size = Utf8CharacterSize(input);
    Require(size <= input.size(), "a character ends within the text");
    if (size == 0) {
      for (std::size_t i = 1; i <= 4 && i <= input.size(); ++i) {
        Require(!IsValidForProtobuf(input.substr(0, i)),
                "where no character begins, protobuf finds none");
      }
      break;
    }
    Require(IsValidForProtobuf(input.substr(0, size)),
            "protobuf takes a character");
    for (std::size_t i = 1; i < size; ++i) {
      Require(!IsValidForProtobuf(input.substr(0, i)),
              "protobuf takes no part of a character");
    }
    input.remove_prefix(size);
  }
}

}  // namespace sluice
