#include "config/yaml_tree.h"

#include <sstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/utf8.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace sluice {
namespace {

// Checks the bytes before the YAML parser sees them: the parser takes some
// control characters for the end of the file and accepts all other bytes.
bool CheckEncoding(std::string_view text, ConfigErrors* errors) {
  int line = 1;
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = Utf8CharacterSize(text);
    if (length == 0) {
      errors->push_back(
          {.line = line, .message = "not UTF-8: save the file as UTF-8"});
      return false;
    }
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\n' &&
        c != '\r' && c != '\t') {
      errors->push_back(
          {.line = line,
           .message =
               "control character: only tabs and line ends are allowed"});
      return false;
    }
    if (c == '\n') ++line;
    text.remove_prefix(length);
  }
  return true;
}

int Line(const YAML::Mark& mark) { return mark.is_null() ? 0 : mark.line + 1; }

// Builds the tree from the parser's events. Ignores all events after the first
// error.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(ConfigErrors* errors) : errors_(*errors) {}

  bool failed() const { return failed_; }
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Fail(mark, "second YAML document: the file must be one document");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (!Accept(mark, "?", anchor) || in_sequences_ > 0) return;
    if (KeyIsNext()) {
      return Fail(mark, "key missing: a name must come before the colon");
    }
    Place(YamlNode::Kind::kNull);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (!failed_) {
      Fail(mark, "aliases (*name) are not supported: repeat the value");
    }
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    if (!Accept(mark, tag, anchor) || in_sequences_ > 0) return;
    if (KeyIsNext()) {
      open_.back()->entries.push_back({.key = value, .line = Line(mark)});
      key_is_read_ = true;
    } else {
      Place(YamlNode::Kind::kScalar)->scalar = value;
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  bool Accept(const YAML::Mark& mark, const std::string& tag,
              YAML::anchor_t anchor) {
    if (failed_) return false;
    if (anchor != 0) {
      Fail(mark, "anchors (&name) are not supported: remove the anchor");
    } else if (tag != "?" && tag != "!") {  // plain or quoted scalar
      Fail(mark, "tags (!name) are not supported: remove the tag");
    } else if (++nodes_ > kYamlNodesMax) {
      Fail(mark, absl::StrCat("the file has more than ", kYamlNodesMax,
                              " values, the most allowed"));
    }
    return !failed_;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    if (!Accept(mark, tag, anchor)) return;
    if (KeyIsNext()) {
      return Fail(mark, "a key must be a name, not a list or a map");
    }
    if (open_.size() + in_sequences_ >= kYamlDepthMax) {
      return Fail(mark, absl::StrCat("nested deeper than ", kYamlDepthMax,
                                     " levels, the most allowed"));
    }
    if (in_sequences_ == 0) {
      YamlNode* const node = Place(kind);
      if (kind == YamlNode::Kind::kMap) return open_.push_back(node);
    }
    ++in_sequences_;
  }

  void Close() {
    if (failed_) return;
    if (in_sequences_ > 0) {
      --in_sequences_;
    } else {
      SLUICE_DCHECK(!open_.empty());
      open_.pop_back();
    }
  }

  bool KeyIsNext() const {
    return in_sequences_ == 0 && !open_.empty() && !key_is_read_;
  }

  // Sets the kind of the next value and returns its place.
  YamlNode* Place(YamlNode::Kind kind) {
    SLUICE_DCHECK(open_.empty() || !open_.back()->entries.empty());
    YamlNode* const node =
        open_.empty() ? &root_ : &open_.back()->entries.back().value;
    node->kind = kind;
    key_is_read_ = false;
    return node;
  }

  void Fail(const YAML::Mark& mark, std::string message) {
    errors_.push_back({.line = Line(mark), .message = std::move(message)});
    failed_ = true;
  }

  ConfigErrors& errors_;
  YamlNode root_;
  std::vector<YamlNode*> open_;  // open maps, the outermost first
  bool key_is_read_ = false;     // true if a value must come next
  // Number of open sequences and of the values open inside them.
  std::size_t in_sequences_ = 0;
  std::size_t nodes_ = 0;
  int documents_ = 0;
  bool failed_ = false;
};

void RejectDuplicateKeys(const std::string& path, YamlNode* node,
                         ConfigErrors* errors) {
  absl::flat_hash_map<std::string, int> line_of;
  std::erase_if(node->entries, [&](const YamlEntry& entry) {
    const auto [first, is_first] = line_of.try_emplace(entry.key, entry.line);
    if (!is_first) {
      errors->push_back(
          {.line = entry.line,
           .key = KeyPath(path, entry.key),
           .message = absl::StrCat("duplicate key, first defined on line ",
                                   first->second)});
    }
    return !is_first;
  });
  for (YamlEntry& entry : node->entries) {
    RejectDuplicateKeys(KeyPath(path, entry.key), &entry.value, errors);
  }
}

}  // namespace

std::string KeyPath(const std::string& parent, const std::string& key) {
  constexpr std::size_t kKeyBytesMax = 64;
  const std::string name = absl::CHexEscape(key.substr(0, kKeyBytesMax));
  return parent.empty() ? name : absl::StrCat(parent, ".", name);
}

std::optional<YamlNode> ParseYaml(std::string_view text, ConfigErrors* errors) {
  if (text.size() > kYamlBytesMax) {
    errors->push_back(
        {.message = absl::StrCat("the file is larger than ", kYamlBytesMax,
                                 " bytes, the most allowed")});
    return std::nullopt;
  }
  if (!CheckEncoding(text, errors)) return std::nullopt;

  TreeBuilder builder(errors);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (!builder.failed() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    if (builder.failed()) return std::nullopt;
    errors->push_back({.line = Line(e.mark),
                       // The message names the end of the file with a control
                       // character.
                       .message = absl::StrCat("YAML syntax error: ",
                                               absl::CHexEscape(e.msg))});
    return std::nullopt;
  }
  if (builder.failed()) return std::nullopt;

  YamlNode root = builder.TakeRoot();
  if (root.kind == YamlNode::Kind::kNull) root.kind = YamlNode::Kind::kMap;
  if (root.kind != YamlNode::Kind::kMap) {
    errors->push_back({.message = "the file must be a map (key: value)"});
    return std::nullopt;
  }
  RejectDuplicateKeys("", &root, errors);
  return root;
}

}  // namespace sluice
