#include "pool/drain_rate.h"

#include <chrono>
#include <cmath>

namespace sluice {
void DrainRate::Record(std::size_t count, TimePoint now) {
  const double elapsed = std::chrono::duration<double>(now - since_).count();
  since_ = now;
  const double kept =
      std::exp(-elapsed / std::chrono::duration<double>(memory_).count());
  tasks_ = tasks_ * kept + static_cast<double>(count);
  seconds_ = seconds_ * kept + elapsed;
}

double DrainRate::per_second() const {
  return seconds_ > 0 ? tasks_ / seconds_ : 0;
}

}  // namespace sluice
