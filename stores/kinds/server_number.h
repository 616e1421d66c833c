// The number of a server among the servers that share a store.

#ifndef SLUICE_STORES_KINDS_SERVER_NUMBER_H_
#define SLUICE_STORES_KINDS_SERVER_NUMBER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sluice {

// Sources of a number outside the configuration.
struct ServerNumberSources {
  // Returns the value of an environment variable, or nothing.
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::function<std::string()> host_name;
};

// Returns the environment and the host name of this process.
ServerNumberSources SystemServerNumberSources();

// A number, or the reason why there is none. Exactly one of the two is set.
struct ServerNumber {
  std::optional<std::int64_t> number;
  std::string error;
};

// Reads a number from 0 to `max`. `text` is one of:
//   7           the number itself
//   env:NAME    the value of the environment variable NAME
//   hostname    the digits after the last `-` in the first part of the host
//               name: 2 for `sluice-2` and `sluice-2.sluice.example.org`
ServerNumber ReadServerNumber(const std::string& text, std::int64_t max,
                              const ServerNumberSources& sources);

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_SERVER_NUMBER_H_
