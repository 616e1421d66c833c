#include "server/submissions/sender.h"

#include <iterator>
#include <string>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "base/hashed_text.h"

namespace sluice {
namespace {

constexpr char kStudyMetadata[] = "sluice-study";
constexpr char kSiteMetadata[] = "sluice-site";

std::optional<Violation> ReadId(const grpc::ServerContext& context,
                                const char* key, std::string_view* id) {
  const auto [first, end] = context.client_metadata().equal_range(key);
  if (first == end) return std::nullopt;
  if (std::next(first) != end) return Violation{key, "given twice"};
  *id = {first->second.data(), first->second.size()};
  if (id->empty()) return Violation{key, "empty"};
  if (id->size() <= kMaxIdBytes) return std::nullopt;
  return Violation{key, absl::StrCat("longer than ", kMaxIdBytes, " bytes")};
}

}  // namespace

std::optional<Violation> ReadSender(const grpc::ServerContext& context,
                                    Sender* sender) {
  if (auto violation = ReadId(context, kStudyMetadata, &sender->study)) {
    return violation;
  }
  return ReadId(context, kSiteMetadata, &sender->site);
}

std::uint64_t LaneOf(FairBy fair_by, const Sender& sender,
                     std::string_view study_id, std::string_view site_id) {
  if (!sender.study.empty()) study_id = sender.study;
  if (!sender.site.empty()) site_id = sender.site;
  switch (fair_by) {
    case FairBy::kNone:
      return 0;
    case FairBy::kStudy:
      return absl::HashOf(HashedText(study_id));
    case FairBy::kSite:
      return absl::HashOf(HashedText(study_id), HashedText(site_id));
  }
  return 0;
}

std::optional<std::uint64_t> LaneOf(FairBy fair_by, const Sender& sender) {
  if (fair_by != FairBy::kNone && sender.study.empty()) return std::nullopt;
  if (fair_by == FairBy::kSite && sender.site.empty()) return std::nullopt;
  return LaneOf(fair_by, sender, sender.study, sender.site);
}

}  // namespace sluice
