// JSON written piece by piece, for values that the JSON library's tree would
// change: it would turn the decimal 1.10 into the double 1.1.

#ifndef SLUICE_FORMS_JSON_TEXT_H_
#define SLUICE_FORMS_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace sluice {

// Appends `text` as a JSON string, in quotes. Bytes that are no UTF-8 become
// U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// Whether `text` is a JSON number (RFC 8259), which is also what FHIR takes for
// a decimal.
bool IsJsonNumber(std::string_view text);

// Writes one JSON document on one line. The caller sees to it that what is
// begun is ended, and that members have names. Not thread-safe.
class JsonWriter {
 public:
  // Appends to `out`, which outlives this.
  explicit JsonWriter(std::string& out) : out_(out) {}

  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  // Of the next value of an object.
  void Name(std::string_view name);

  void String(std::string_view value);
  // As it stands: a number, true or false.
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
  // Whether the next value or name follows another one.
  bool follows_ = false;
};

}  // namespace sluice

#endif  // SLUICE_FORMS_JSON_TEXT_H_
