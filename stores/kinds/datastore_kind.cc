#include "stores/kinds/datastore_kind.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "base/path.h"

namespace sluice {
namespace {

bool NamesAPort(absl::string_view text) {
  int port = 0;
  return text.find_first_not_of("0123456789") == absl::string_view::npos &&
         absl::SimpleAtoi(text, &port) && port >= 1 && port <= 65535;
}

// True if `target` is host:port. An IPv6 address must be in brackets.
bool NamesAService(absl::string_view target) {
  const std::size_t colon = target.rfind(':');
  if (colon == absl::string_view::npos) return false;
  const absl::string_view host = target.substr(0, colon);
  const bool in_brackets =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  return !host.empty() && NamesAPort(target.substr(colon + 1)) &&
         std::ranges::all_of(host, [in_brackets](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' ||
                  (in_brackets && (c == ':' || c == '[' || c == ']'));
         });
}

}  // namespace

DatastoreStoreOptions ReadDatastoreOptions(StoreOptionReader& reader) {
  DatastoreStoreOptions options;
  const std::string* target = reader.Find("target");
  if (target == nullptr) {
    reader.Error("target", "required: the service's host:port");
  } else if (!NamesAService(*target)) {
    reader.Error("target", "must be host:port");
  } else {
    options.target = *target;
  }
  if (const std::string* timeout = reader.Find("timeout")) {
    if (!absl::ParseDuration(*timeout, &options.timeout) ||
        options.timeout < absl::Milliseconds(10) ||
        options.timeout > absl::Minutes(1)) {
      reader.Error("timeout", "must be a duration from 10ms to 1m, such as 5s");
    }
  }
  if (const std::string* max = reader.Find("max_in_flight")) {
    if (!absl::SimpleAtoi(*max, &options.max_in_flight) ||
        options.max_in_flight < 1 || options.max_in_flight > 1024) {
      reader.Error("max_in_flight", "must be a count from 1 to 1024");
    }
  }
  if (const std::string* certs = reader.Find("tls_root_certs")) {
    if (!NamesAFile(*certs)) {
      reader.Error("tls_root_certs", "must be the path of a file");
    }
    options.tls_root_certs = *certs;
  }
  return options;
}

StoreKind DatastoreStoreKind() {
  return {.name = "datastore",
          .loses = false,
          .check = CheckStoreOptions<ReadDatastoreOptions>};
}

}  // namespace sluice
