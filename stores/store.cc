#include "stores/store.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {

bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return false;
    default:
      return true;
  }
}

namespace {
constexpr char kUnclear[] = "unclear";
}  // namespace

bool IsUnclear(const absl::Status& status) {
  return status.GetPayload(kUnclear).has_value();
}

absl::Status Unclear(absl::Status status) {
  SLUICE_DCHECK(!status.ok());
  status.SetPayload(kUnclear, absl::Cord());
  return status;
}

absl::Time ToMicroseconds(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

absl::StatusOr<std::vector<std::vector<std::int64_t>>>
Store::FindOtherSequences(absl::Span<const std::int64_t> sequences) {
  return std::vector<std::vector<std::int64_t>>(sequences.size());
}

absl::Status MissingStore(std::string_view what, const KnownStore& known) {
  const std::string numbers =
      known.last_sequence > 0
          ? absl::StrCat("knows submissions up to sequence number ",
                         known.last_sequence)
          : "shows that there was one";
  return absl::DataLossError(absl::StrCat(
      std::string(what), ", but ", known.known_by, " ", numbers,
      ". Put the right store in place. To continue without the submissions that"
      " were stored, start with --accept-damage"));
}

absl::Status Store::Backup(const std::string& /*path*/,
                           const CopyPace& /*pace*/) {
  return absl::UnimplementedError("this kind of store is not a local file");
}

absl::StatusOr<StorePage> Store::Read(std::int64_t /*after*/,
                                      std::size_t /*max*/,
                                      std::size_t /*max_bytes*/) {
  return absl::UnimplementedError("this kind of store cannot be read");
}

}  // namespace sluice
