#include "pool/drain_rate.h"

#include <cmath>

namespace sluice {
void DrainRate::Record(std::size_t count, TimePoint now) {
  const double elapsed = ToSeconds(now - since_);
  since_ = now;
  const double kept = std::exp(-elapsed / ToSeconds(memory_));
  tasks_ = tasks_ * kept + static_cast<double>(count);
  seconds_ = seconds_ * kept + elapsed;
}

double DrainRate::per_second() const {
  return seconds_ > 0 ? tasks_ / seconds_ : 0;
}

}  // namespace sluice
