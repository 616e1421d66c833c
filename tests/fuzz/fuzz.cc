#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/stubs/logging.h"

namespace sluice {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Maximum number of fields of a message: enough that every loop runs two or
// three times.
constexpr int kFieldsMax = 4096;

void SetField(InputReader& input, const FieldDescriptor& field,
              Message& message, int max_depth) {
  const Reflection& reflection = *message.GetReflection();
  const auto put = [&](auto set, auto add, auto value) {
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, value);
    } else {
      (reflection.*set)(&message, &field, value);
    }
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return put(&Reflection::SetInt32, &Reflection::AddInt32,
                 static_cast<std::int32_t>(input.Word()));
    case FieldDescriptor::CPPTYPE_UINT32:
      return put(&Reflection::SetUInt32, &Reflection::AddUInt32, input.Word());
    case FieldDescriptor::CPPTYPE_INT64:
      return put(&Reflection::SetInt64, &Reflection::AddInt64,
                 static_cast<std::int64_t>(input.LongWord()));
    case FieldDescriptor::CPPTYPE_UINT64:
      return put(&Reflection::SetUInt64, &Reflection::AddUInt64,
                 input.LongWord());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return put(&Reflection::SetDouble, &Reflection::AddDouble,
                 static_cast<double>(input.LongWord()));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return put(&Reflection::SetFloat, &Reflection::AddFloat,
                 static_cast<float>(input.Word()));
    case FieldDescriptor::CPPTYPE_BOOL:
      return put(&Reflection::SetBool, &Reflection::AddBool, input.Flag());
    case FieldDescriptor::CPPTYPE_ENUM:
      return put(&Reflection::SetEnumValue, &Reflection::AddEnumValue,
                 static_cast<int>(input.Byte()));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = field.type() == FieldDescriptor::TYPE_STRING
                             ? input.Utf8Text()
                             : std::string(input.Text());
      if (field.is_repeated()) {
        return reflection.AddString(&message, &field, std::move(text));
      }
      return reflection.SetString(&message, &field, std::move(text));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (max_depth <= 1) return;
      Message* child = field.is_repeated()
                           ? reflection.AddMessage(&message, &field)
                           : reflection.MutableMessage(&message, &field);
      child->Clear();
      return FillMessage(input, *child, max_depth - 1);
  }
}

}  // namespace

void Require(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "PROPERTY VIOLATED: %.*s\n",
               static_cast<int>(what.size()), what.data());
  std::abort();
}

std::uint8_t InputReader::Byte() {
  if (rest_.empty()) return 0;
  const auto byte = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return byte;
}

std::uint32_t InputReader::Word() {
  std::uint32_t word = 0;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    word |= std::uint32_t{Byte()} << shift;
  }
  return word;
}

std::uint64_t InputReader::LongWord() {
  const std::uint64_t low = Word();
  return low | std::uint64_t{Word()} << 32;
}

std::string_view InputReader::Text() {
  const std::size_t size = std::min<std::size_t>(Byte(), rest_.size());
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return text;
}

std::string InputReader::Utf8Text() { return WithoutInvalidUtf8(Text()); }

std::string_view InputReader::Rest() {
  const std::string_view rest = rest_;
  rest_ = {};
  return rest;
}

std::string WithoutInvalidUtf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    out += size == 0 ? std::string_view("\uFFFD") : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

void FillMessage(InputReader& input, Message& message, int max_depth) {
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < kFieldsMax && !input.empty(); ++i) {
    const int choice = input.Byte();
    if (choice == 0 || type.field_count() == 0) return;
    SetField(input, *type.field((choice - 1) % type.field_count()), message,
             max_depth);
  }
}

bool IsPrintable(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return false;
    if (byte == 0xC2 && i + 1 < text.size() &&
        static_cast<std::uint8_t>(text[i + 1]) < 0xA0) {
      return false;
    }
  }
  return true;
}

}  // namespace sluice

// Keeps protobuf from logging each string that is not UTF-8.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  sluice::FuzzOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
