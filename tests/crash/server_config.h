// The configuration of the server under test.

#ifndef SLUICE_TESTS_CRASH_SERVER_CONFIG_H_
#define SLUICE_TESTS_CRASH_SERVER_CONFIG_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// The place that acknowledges Submit and ImportPatients. SubmitStream and
// RecordEvents are always acknowledged by the store.
enum class AckMode {
  kStored,       // the store
  kJournal,      // the queue on disk
  kMemoryQueue,  // the queue in memory, which loses acknowledged submissions
};

// Returns a configuration. `store` is the value of the key `store`. The server
// picks free ports.
std::string ServerConfig(AckMode ack, absl::string_view store,
                         absl::string_view journal_path);

// Returns `text` as a quoted YAML string.
std::string YamlString(absl::string_view text);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SERVER_CONFIG_H_
