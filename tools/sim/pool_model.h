// One pool of a simulation: the server's own Gate and Scaler, and workers that
// are nothing but moments at which a batch is done.

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

// How many workers a pool has at most.
inline std::size_t WorkersOf(const PoolConfig& pool) {
  return pool.workers.max;
}

// How long a worker is at a batch of so many that it takes at a time.
using ServiceTime = std::function<Duration(std::size_t batch, TimePoint now)>;

// Events come in the order of their times.
class PoolModel {
 public:
  // The pool of that name; `sequence` must outlive it.
  PoolModel(std::string name, const Config& config, const Windows& windows,
            ServiceTime service_time, std::atomic<std::int64_t>* sequence);

  // The caller is the model's until its owner is told otherwise; after kEnded
  // it never was.
  Admission Arrive(Caller* caller, const AdmissionPolicy& policy,
                   TimePoint now);
  // As the Gate's: true gives the caller back.
  bool Leave(Caller* caller, TimePoint now);

  // When Advance is due next.
  TimePoint next() const;
  // Does what is due at `now`: batches that are done, waits that are over.
  void Advance(TimePoint now);

  // The end of the run, up to which is counted.
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
    TimePoint since{};  // when it took that
  };
  struct Finishing {
    TimePoint at;
    std::uint64_t order;  // the earlier begun goes first where they are equal
    std::size_t worker;
    bool operator>(const Finishing& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  std::size_t busy() const { return workers_.size() - idle_.size(); }
  void FinishBatch(TimePoint now);
  // Gives work to whoever is free.
  void StartWorkers(TimePoint now);
  void Deliver();
  void Record();

  const std::string name_;
  const PoolConfig config_;
  const ServiceTime service_time_;
  Gate gate_;
  GateEvents events_;
  Scaler scaler_;
  std::vector<Worker> workers_;  // as many as there may be
  std::vector<std::size_t> idle_;
  std::priority_queue<Finishing, std::vector<Finishing>, std::greater<>>
      finishing_;
  std::uint64_t batches_ = 0;
  std::size_t parked_bytes_ = 0;
  PoolRecorder recorder_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_POOL_MODEL_H_
