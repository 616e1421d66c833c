// One pool of a simulation. Gate and Scaler are the server's own. Workers are
// modelled by the times at which their batches are done.

#ifndef SLUICE_TOOLS_SIM_POOL_MODEL_H_
#define SLUICE_TOOLS_SIM_POOL_MODEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "config/config.h"
#include "loadgen/traffic/windows.h"
#include "pool/gate.h"
#include "pool/scaler.h"
#include "tools/sim/caller.h"
#include "tools/sim/pool_recorder.h"
#include "tools/sim/result.h"

namespace sluice {

// Returns the maximum number of workers of a pool.
inline std::size_t WorkersOf(const PoolConfig& pool) {
  return pool.workers.max;
}

// Returns the time that a worker needs for a batch of `batch` submissions.
using ServiceTime = std::function<Duration(std::size_t batch, TimePoint now)>;

// The member functions must be called in the order of their times.
class PoolModel {
 public:
  // Models the pool `name` of `config`. `sequence` must outlive this object.
  PoolModel(std::string name, const Config& config, const Windows& windows,
            ServiceTime service_time, std::atomic<std::int64_t>* sequence);

  // Offers a caller to the Gate. If the result is not kEnded, the model
  // owns the caller until one of its owner's callbacks.
  Admission Arrive(Caller* caller, const AdmissionPolicy& policy,
                   TimePoint now);
  // Like Gate::Leave: returns true if the caller is returned to its owner.
  bool Leave(Caller* caller, TimePoint now);

  // Returns the time when Advance must be called next.
  TimePoint next() const;
  // Runs what is due at `now`: finished batches and expired waits.
  void Advance(TimePoint now);

  // Ends the measurement at `end`.
  void Finish(TimePoint end) { recorder_.Finish(gate_, end); }

  const std::string& name() const { return name_; }
  PoolRecorder& recorder() { return recorder_; }
  const MethodCounters& counters(std::size_t method) const {
    return gate_.counters(method);
  }
  PoolResult Result() const;

 private:
  struct Worker {
    std::vector<Task*> batch;
    TimePoint since{};  // time when the worker took the batch
  };
  struct Finishing {
    TimePoint at;
    std::uint64_t order;  // decides between equal times: earlier batches first
    std::size_t worker;
    bool operator>(const Finishing& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  std::size_t busy() const { return workers_.size() - idle_.size(); }
  void FinishBatch(TimePoint now);
  // Gives batches to idle workers.
  void StartWorkers(TimePoint now);
  void Deliver();
  void Record();

  const std::string name_;
  const PoolConfig config_;
  const ServiceTime service_time_;
  Gate gate_;
  GateEvents events_;
  Scaler scaler_;
  std::vector<Worker> workers_;  // at most workers.max
  std::vector<std::size_t> idle_;
  std::priority_queue<Finishing, std::vector<Finishing>, std::greater<>>
      finishing_;
  std::uint64_t batches_ = 0;
  std::size_t parked_bytes_ = 0;
  PoolRecorder recorder_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_POOL_MODEL_H_
