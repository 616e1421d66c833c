#include "loadgen/server_metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace sluice {
namespace {

constexpr absl::string_view kRequest =
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
constexpr std::size_t kResponseBytesMax = std::size_t{16} << 20;

absl::Status NoAnswer() {
  return absl::UnavailableError("the server's metrics cannot be read");
}

// Reads until the peer closes the connection.
absl::StatusOr<std::string> ReadToEnd(int socket) {
  std::string response;
  std::array<char, 1 << 16> bytes;
  for (;;) {
    const ssize_t size = recv(socket, bytes.data(), bytes.size(), 0);
    if (size < 0 || response.size() > kResponseBytesMax) return NoAnswer();
    if (size == 0) return response;
    response.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

absl::StatusOr<std::string> FetchMetrics(const sockaddr_storage& address,
                                         socklen_t size, absl::Duration limit) {
  const int socket = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return NoAnswer();
  const absl::Cleanup close_socket = [socket] { close(socket); };
  const timeval time = absl::ToTimeval(limit);
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      send(socket, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(kRequest.size())) {
    return NoAnswer();
  }
  absl::StatusOr<std::string> response = ReadToEnd(socket);
  if (response.ok() && !absl::StartsWith(*response, "HTTP/1.1 200 ")) {
    return NoAnswer();
  }
  return response;
}

absl::StatusOr<std::string> FetchMetrics(int port, absl::Duration limit) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  return FetchMetrics(storage, sizeof address, limit);
}

double SumOfSamples(absl::string_view text, absl::string_view metric,
                    const std::vector<std::string>& labels) {
  double sum = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::string_view rest = absl::StripAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&rest, metric)) continue;
    if (rest.empty() || (rest.front() != '{' && rest.front() != ' ')) continue;
    const bool has_labels = std::ranges::all_of(
        labels,
        [&](const std::string& l) { return absl::StrContains(rest, l); });
    double value = 0;
    if (has_labels &&
        absl::SimpleAtod(rest.substr(rest.rfind(' ') + 1), &value)) {
      sum += value;
    }
  }
  return sum;
}

bool IsWorkedOff(absl::string_view text) {
  for (const absl::string_view metric :
       {"sluice_waiting", "sluice_queue_depth", "sluice_in_work",
        "sluice_journal_depth"}) {
    if (SumOfSamples(text, metric) != 0) return false;
  }
  return true;
}

}  // namespace sluice
