// The calls of one connection: how a method's requests become streams, and
// their answers ends of calls.

#ifndef SLUICE_LOADGEN_CALL_SET_H_
#define SLUICE_LOADGEN_CALL_SET_H_

#include <cstddef>
#include <random>

#include "loadgen/h2_connection.h"
#include "loadgen/pacing.h"

namespace sluice {

// Lives as long as its connection and is destroyed after it. Not thread-safe.
class CallSet {
 public:
  virtual ~CallSet() = default;

  // Sends one request. False where the connection takes none any more. A stream
  // has many senders' requests, and so says of none whose it is.
  virtual bool Send(LoadClock::time_point intended_start,
                    LoadClock::time_point now, const LoadSender& sender) = 0;

  // Calls that have started and hold a place on the connection.
  virtual std::size_t in_flight() const = 0;

  // Whether all that was sent has ended, down to the last stream.
  virtual bool idle() const = 0;

  // Gives up the calls whose deadline has passed; false where there were none.
  // Their places are free once their streams are closed, which takes a Write.
  virtual bool Expire(LoadClock::time_point now) = 0;

  // Gives up each call that waits for its answer with the probability `share`.
  // As with Expire, this takes a Write.
  virtual void Abandon(double share, std::mt19937_64& random,
                       LoadClock::time_point now) = 0;

  // No more is sent: what is open may end.
  virtual void NoMoreSends() = 0;

  // The connection is gone, and with it all calls in flight.
  virtual void ConnectionLost(LoadClock::time_point now) = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_CALL_SET_H_
