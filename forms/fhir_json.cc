#include "forms/fhir_json.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "forms/answers.h"
#include "forms/json_tree.h"

namespace sluice {
namespace {

using v1::QuestionnaireResponse;

constexpr int kMaxDepth = 200;

// The path to an element, as a link to the path of the enclosing element. Paths
// become text only for errors and for elements that are left out.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  std::optional<std::size_t> index;
};

enum class Indices { kShown, kHidden };

std::string ToString(const Path& path, Indices indices) {
  std::string text =
      path.parent == nullptr ? "" : ToString(*path.parent, indices);
  if (!text.empty() && !path.name.empty()) text += ".";
  text += path.name;
  if (path.index.has_value() && indices == Indices::kShown) {
    absl::StrAppend(&text, "[", *path.index, "]");
  }
  return text;
}

// Errors and left-out elements found so far in the document.
struct Findings {
  absl::Status status;  // the first error
  std::vector<std::string> left_out;
  absl::flat_hash_set<std::string> seen_left_out;
};

// Reads the members of one JSON object. After the first error in the document,
// the values returned are meaningless.
class Element {
 public:
  Element(const Json::Object& members, const Path& path, Findings& findings)
      : members_(members), path_(path), findings_(findings) {}

  bool Has(std::string_view name) const { return members_.contains(name); }

  std::vector<std::string_view> NamesWithPrefix(std::string_view prefix) const {
    std::vector<std::string_view> names;
    for (auto member = members_.lower_bound(prefix);
         member != members_.end() && member->first.starts_with(prefix);
         ++member) {
      names.push_back(member->first);
    }
    return names;
  }

  // The functions below return the empty value if the member does not exist.

  std::string String(std::string_view name) {
    const auto* value = Read<std::string>(name, "must be a string");
    return value == nullptr ? "" : *value;
  }

  bool Boolean(std::string_view name) {
    const auto* value = Read<bool>(name, "must be true or false");
    return value != nullptr && *value;
  }

  std::string Decimal(std::string_view name) {
    const auto* value = Read<JsonNumber>(name, "must be a number");
    return value == nullptr ? "" : value->text;
  }

  std::int64_t Integer(std::string_view name) {
    constexpr const char* kExpected = "must be an integer";
    const auto* value = Read<JsonNumber>(name, kExpected);
    std::int64_t integer = 0;
    if (value != nullptr &&
        !(value->is_integer && absl::SimpleAtoi(value->text, &integer))) {
      Fail(name, kExpected);
    }
    return integer;
  }

  std::string Base64(std::string_view name) {
    std::string bytes;
    if (!absl::Base64Unescape(String(name), &bytes)) {
      Fail(name, "must be base64");
    }
    return bytes;
  }

  // Calls `read` with the element `name`, if there is one.
  template <typename Reader>
  void One(std::string_view name, Reader read) {
    const auto* members = Read<Json::Object>(name, kObjectExpected);
    if (members != nullptr) Descend(*members, Path{&path_, name, {}}, read);
  }

  // Calls `read` with each element of the array `name`, if there is one.
  template <typename Reader>
  void Each(std::string_view name, Reader read) {
    const auto* array = Read<Json::Array>(name, "must be an array");
    if (array == nullptr) return;
    for (std::size_t i = 0; i < array->size(); ++i) {
      const Path path{&path_, name, i};
      const auto* members = std::get_if<Json::Object>(&(*array)[i].value);
      if (members == nullptr) return FailAt(path, kObjectExpected);
      Descend(*members, path, read);
    }
  }

  void Fail(std::string_view name, const char* what) {
    FailAt(Path{&path_, name, {}}, what);
  }

  // Reports each member that was not read as left out.
  void NoteLeftOut() {
    for (const auto& [name, value] : members_) {
      if (read_.contains(name)) continue;
      std::string path = ToString(Path{&path_, name, {}}, Indices::kHidden);
      if (findings_.seen_left_out.insert(path).second) {
        findings_.left_out.push_back(std::move(path));
      }
    }
  }

 private:
  static constexpr const char* kObjectExpected = "must be an object";

  template <typename Value>
  const Value* Read(std::string_view name, const char* expected) {
    read_.insert(name);
    const auto member = members_.find(name);
    if (member == members_.end()) return nullptr;
    const auto* value = std::get_if<Value>(&member->second.value);
    if (value == nullptr) Fail(name, expected);
    return value;
  }

  template <typename Reader>
  void Descend(const Json::Object& members, const Path& path, Reader read) {
    if (!findings_.status.ok()) return;
    Element element(members, path, findings_);
    read(element);
    element.NoteLeftOut();
  }

  void FailAt(const Path& path, const char* what) {
    findings_.status.Update(absl::InvalidArgumentError(
        absl::StrCat(ToString(path, Indices::kShown), ": ", what)));
  }

  const Json::Object& members_;
  const Path& path_;
  Findings& findings_;
  absl::flat_hash_set<std::string_view> read_;
};

// --- The mapping: https://hl7.org/fhir/R4/datatypes.html

void ReadCoding(Element& in, v1::Coding* coding) {
  coding->set_system(in.String("system"));
  coding->set_version(in.String("version"));
  coding->set_code(in.String("code"));
  coding->set_display(in.String("display"));
  if (in.Has("userSelected")) {
    coding->set_user_selected(in.Boolean("userSelected"));
  }
}

void ReadQuantity(Element& in, v1::Quantity* quantity) {
  quantity->set_value(in.Decimal("value"));
  quantity->set_comparator(in.String("comparator"));
  quantity->set_unit(in.String("unit"));
  quantity->set_system(in.String("system"));
  quantity->set_code(in.String("code"));
}

void ReadAttachment(Element& in, v1::Attachment* attachment) {
  attachment->set_content_type(in.String("contentType"));
  attachment->set_language(in.String("language"));
  attachment->set_data(in.Base64("data"));
  attachment->set_url(in.String("url"));
  if (in.Has("size")) attachment->set_size(in.Integer("size"));
  attachment->set_hash(in.Base64("hash"));
  attachment->set_title(in.String("title"));
  attachment->set_creation(in.String("creation"));
}

void ReadReference(Element& in, v1::Reference* reference) {
  reference->set_reference(in.String("reference"));
  reference->set_type(in.String("type"));
  reference->set_display(in.String("display"));
}

void ReadValue(Element& in, std::string_view name,
               QuestionnaireResponse::Answer* answer) {
  if (name == "valueBoolean") {
    answer->set_boolean(in.Boolean(name));
  } else if (name == "valueDecimal") {
    answer->set_decimal(in.Decimal(name));
  } else if (name == "valueInteger") {
    answer->set_integer(in.Integer(name));
  } else if (name == "valueDate") {
    answer->set_date(in.String(name));
  } else if (name == "valueDateTime") {
    answer->set_date_time(in.String(name));
  } else if (name == "valueTime") {
    answer->set_time(in.String(name));
  } else if (name == "valueString") {
    answer->set_string(in.String(name));
  } else if (name == "valueUri") {
    answer->set_uri(in.String(name));
  } else if (name == "valueCoding") {
    in.One(name, [&](Element& value) {
      ReadCoding(value, answer->mutable_coding());
    });
  } else if (name == "valueQuantity") {
    in.One(name, [&](Element& value) {
      ReadQuantity(value, answer->mutable_quantity());
    });
  } else if (name == "valueAttachment") {
    in.One(name, [&](Element& value) {
      ReadAttachment(value, answer->mutable_attachment());
    });
  } else if (name == "valueReference") {
    in.One(name, [&](Element& value) {
      ReadReference(value, answer->mutable_reference());
    });
  } else {
    in.Fail(name, "not a type of answer in FHIR R4");
  }
}

void ReadItem(Element& in, QuestionnaireResponse::Item* item);

void ReadAnswer(Element& in, QuestionnaireResponse::Answer* answer) {
  const std::vector<std::string_view> values = in.NamesWithPrefix("value");
  if (values.size() > 1) {
    return in.Fail("value[x]", "more than one value: an answer has one");
  }
  if (!values.empty()) ReadValue(in, values.front(), answer);
  in.Each("item", [&](Element& child) { ReadItem(child, answer->add_item()); });
}

void ReadItem(Element& in, QuestionnaireResponse::Item* item) {
  item->set_link_id(in.String("linkId"));
  item->set_text(in.String("text"));
  in.Each("answer",
          [&](Element& child) { ReadAnswer(child, item->add_answer()); });
  in.Each("item", [&](Element& child) { ReadItem(child, item->add_item()); });
}

void ReadStatus(Element& in, QuestionnaireResponse* response) {
  if (!in.Has("status")) return;
  const std::string code = in.String("status");
  for (const auto status :
       {QuestionnaireResponse::IN_PROGRESS, QuestionnaireResponse::COMPLETED,
        QuestionnaireResponse::AMENDED, QuestionnaireResponse::ENTERED_IN_ERROR,
        QuestionnaireResponse::STOPPED}) {
    if (code == StatusCode(status)) return response->set_status(status);
  }
  in.Fail("status",
          "must be in-progress, completed, amended, entered-in-error or "
          "stopped");
}

void ReadResponse(Element& in, FhirResponse* out) {
  if (in.String("resourceType") != "QuestionnaireResponse") {
    return in.Fail("resourceType", "must be QuestionnaireResponse");
  }
  out->id = in.String("id");
  QuestionnaireResponse* response = &out->response;
  response->set_questionnaire(in.String("questionnaire"));
  ReadStatus(in, response);
  in.One("subject", [&](Element& subject) {
    ReadReference(subject, response->mutable_subject());
  });
  response->set_authored(in.String("authored"));
  in.One("author", [&](Element& author) {
    ReadReference(author, response->mutable_author());
  });
  in.One("source", [&](Element& source) {
    ReadReference(source, response->mutable_source());
  });
  in.Each("item", [&](Element& item) { ReadItem(item, response->add_item()); });
}

}  // namespace

absl::StatusOr<FhirResponse> ParseFhirJson(std::string_view json) {
  const absl::StatusOr<Json> tree = ParseJson(json, kMaxDepth);
  if (!tree.ok()) return tree.status();
  const auto* members = std::get_if<Json::Object>(&tree->value);
  if (members == nullptr) {
    return absl::InvalidArgumentError("must be a JSON object");
  }

  FhirResponse out;
  Findings findings;
  const Path root;
  Element element(*members, root, findings);
  ReadResponse(element, &out);
  element.NoteLeftOut();
  if (!findings.status.ok()) return findings.status;
  out.left_out = std::move(findings.left_out);
  return out;
}

}  // namespace sluice
