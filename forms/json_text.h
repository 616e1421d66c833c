// Writes JSON piece by piece. The JSON library's tree would change values: it
// turns the decimal 1.10 into the double 1.1.

#ifndef SLUICE_FORMS_JSON_TEXT_H_
#define SLUICE_FORMS_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace sluice {

// Appends `text` as a JSON string, in quotes. Each byte that is not part of
// valid UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// True if `text` is a JSON number (RFC 8259). FHIR's decimals follow the same
// grammar.
bool IsJsonNumber(std::string_view text);

// Writes one JSON document on one line. The caller must end each object and
// array that it began, and must name each member of an object. Not thread-safe.
class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit JsonWriter(std::string& out) : out_(out) {}

  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  // Writes the name of the next member. Its value must follow.
  void Name(std::string_view name);

  void String(std::string_view value);
  // Writes `value` unchanged. `value` must be a number, true, false or null.
  void Bare(std::string_view value);

  void Member(std::string_view name, std::string_view value) {
    Name(name);
    String(value);
  }
  void BareMember(std::string_view name, std::string_view value) {
    Name(name);
    Bare(value);
  }

 private:
  void Begin(char bracket);
  void End(char bracket);
  void Separate();

  std::string& out_;
  // True if a comma must come before the next value or name.
  bool follows_ = false;
  // For assertions: number of objects and arrays that have begun and not ended,
  // and whether a name still needs its value.
  int open_ = 0;
  bool named_ = false;
};

}  // namespace sluice

#endif  // SLUICE_FORMS_JSON_TEXT_H_
