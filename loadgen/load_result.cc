#include "loadgen/loadgen.h"

namespace sluice {

void DispositionCounts::Add(v1::Receipt::Disposition disposition) {
  const bool known = v1::Receipt::Disposition_IsValid(disposition);
  ++counts_[known ? static_cast<std::size_t>(disposition) : 0];
}

void DispositionCounts::Add(const DispositionCounts& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    counts_[i] += other.counts_[i];
  }
}

}  // namespace sluice
