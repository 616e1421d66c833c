// Readiness of the server and of each method: whether an acknowledgement could
// be given now. /readyz and grpc.health.v1 report it.
//
// A method with `ack: queued` needs its journal, and does not need the store. A
// method with `ack: stored` needs the store. GetReceipts acknowledges nothing;
// it counts as ready while the store answers. The server is ready while at
// least one method can acknowledge.

#ifndef SLUICE_SERVER_READINESS_H_
#define SLUICE_SERVER_READINESS_H_

#include <array>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/time.h"
#include "config/method.h"
#include "server/methods.h"
#include "server/metrics/http_endpoint.h"
#include "server/periodic_check.h"
#include "server/pools.h"
#include "stores/store.h"

namespace sluice {

// The settings of a method and the state of its pool, as far as readiness
// depends on them.
struct MethodState {
  // False for GetReceipts.
  bool acknowledges = true;
  // True for `ack: queued`.
  bool queued = false;
  // Name of the pool if the pool has a journal; otherwise empty.
  std::string journal = {};
  // Reserves of the journal: free disk space and sequence numbers.
  absl::Status reserves = {};
  bool replaying = false;
  bool circuit_open = false;
  // True if the pool has a task, which will be a probe of the store. Without a
  // task the circuit stays open until one arrives.
  bool has_task = false;
  bool full = false;  // the queue has no place
};

// Returns OK if the method could acknowledge now, otherwise UNAVAILABLE with
// the reason. `store` and `journal` are the last results of their checks;
// `journal` has no meaning without a journal.
absl::Status ReadinessOfMethod(const MethodState& method,
                               const absl::Status& store,
                               const absl::Status& journal);

// Checks the store and each journal on threads of their own, so that a store
// that hangs delays nothing else. One more thread combines the results.
// Functions return the last combined result and never wait for a check.
// Thread-safe.
class Readiness {
 public:
  // A result that is older counts as a failure: the check hangs.
  static constexpr Duration kStale = std::chrono::seconds(10);

  struct Journal {
    std::string pool;
    std::function<absl::Status()> check;
  };
  struct Options {
    std::function<absl::Status()> check_store;
    std::vector<Journal> journals;
    // Returns the state of each method. Must not wait for I/O.
    std::function<std::array<MethodState, kMethods>()> methods;
    Clock* clock = SystemClock();
  };

  // Returns the options for these objects, which must outlive the Readiness.
  static Options OptionsFor(const Pools& pools, const Methods& methods,
                            Store* store);

  // Starts the checks. Until each check has been answered once, no method that
  // needs it is ready.
  explicit Readiness(Options options);
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;
  // Waits for checks in progress.
  ~Readiness();

  // Waits until each check has been answered once, at most until `deadline`.
  void AwaitFirst(TimePoint deadline);

  // Calls `listener` at once, after each change of a method's readiness, and
  // when the drain begins. The listener must not wait, and must not call this
  // object.
  void AddListener(std::function<void()> listener);
  // Calls no listener from now on.
  void RemoveListeners();

  // Reports the server and all methods as not ready from now on, and begins no
  // more checks. Does not wait.
  void Drain();
  // Waits after Drain until no check is in progress, at most until `deadline`.
  // Returns false if a check hangs: the object must then not be destroyed.
  bool AwaitStopped(TimePoint deadline);

  // Returns the answer to /readyz. The name may be short or full.
  std::optional<HttpEndpoint::Readiness> Answer(std::string_view method) const;
  // Returns whether the service or method called `name` is ready, for
  // grpc.health.v1. "" and the service of the methods are the whole server.
  // Returns nothing if the name is unknown.
  std::optional<bool> Serving(std::string_view name) const;

 private:
  struct Part {
    std::string name;
    absl::Status status;
    std::optional<TimePoint> begun_at;
  };
  struct Report {
    TimePoint made_at;
    std::vector<Part> parts;
    std::array<absl::Status, kMethods> methods;
    // True if a method can acknowledge.
    bool ready = false;
  };

  void Run();
  Report MakeReport() const;
  Part Look(const PeriodicCheck& check) const;
  void Publish(Report report);
  void Notify();
  // Gets the last report. Returns UNAVAILABLE if nothing is ready whatever the
  // report says: the server drains, or the report is too old.
  absl::Status Current(std::shared_ptr<const Report>* report) const;
  std::string Text(std::string_view first_line, const Report& report) const;

  const Options options_;

  mutable absl::Mutex mutex_;  // held briefly
  absl::CondVar changed_;
  std::shared_ptr<const Report> report_ ABSL_GUARDED_BY(mutex_);
  // True if a check has a new result.
  bool result_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;

  // Held while listeners are called.
  absl::Mutex listeners_mutex_;
  std::vector<std::function<void()>> listeners_
      ABSL_GUARDED_BY(listeners_mutex_);

  // Constant after construction. The first one is the store's; the others are
  // those of `options_.journals`, in order.
  std::list<PeriodicCheck> checks_;
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_READINESS_H_
