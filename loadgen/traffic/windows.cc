#include "loadgen/traffic/windows.h"

#include <array>
#include <chrono>

namespace sluice {

Windows Windows::For(Duration run) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::minutes;
  using std::chrono::seconds;
  constexpr std::size_t kMost = 300;
  constexpr std::array<Duration, 17> kLengths = {
      milliseconds(10),  milliseconds(50), milliseconds(100), milliseconds(200),
      milliseconds(500), seconds(1),       seconds(2),        seconds(5),
      seconds(10),       seconds(15),      seconds(30),       minutes(1),
      minutes(2),        minutes(5),       minutes(10),       minutes(30),
      hours(1)};
  Windows windows;
  for (const Duration length : kLengths) {
    windows.length = length;
    windows.count =
        static_cast<std::size_t>((run + length - Duration(1)) / length);
    if (windows.count <= kMost) break;
  }
  return windows;
}

}  // namespace sluice
