// The calls of one connection: turns requests into HTTP/2 streams, and answers
// into call ends.

#ifndef SLUICE_LOADGEN_INTERNAL_CALL_SET_H_
#define SLUICE_LOADGEN_INTERNAL_CALL_SET_H_

#include <cstddef>
#include <random>

#include "base/time.h"
#include "loadgen/internal/arrival_schedule.h"
#include "loadgen/internal/h2_connection.h"

namespace sluice {

// Belongs to one connection and must be destroyed after it. Not thread-safe.
class CallSet {
 public:
  virtual ~CallSet() = default;

  // Sends one request. Returns false if the connection accepts no more.
  // StreamCalls ignores `sender`, because a stream carries requests of many
  // senders.
  virtual bool Send(TimePoint intended_start, TimePoint now,
                    const LoadSender& sender) = 0;

  // Number of started calls whose streams are open.
  virtual std::size_t in_flight() const = 0;

  // True if every call has ended and every stream is closed.
  virtual bool idle() const = 0;

  // Cancels the calls whose deadline has passed. Returns false if there were no
  // such calls. The streams close with the next Write of the connection.
  virtual bool Expire(TimePoint now) = 0;

  // Cancels each unanswered call with the probability `share`. The streams
  // close with the next Write of the connection.
  virtual void Abandon(double share, std::mt19937_64& random,
                       TimePoint now) = 0;

  // To be called when no more requests will be sent, so that open streams may
  // be ended.
  virtual void NoMoreSends() = 0;

  // Ends all calls in flight. The connection must not be used any more.
  virtual void ConnectionLost(TimePoint now) = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_CALL_SET_H_
