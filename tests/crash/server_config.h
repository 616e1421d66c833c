// The configuration of the server under test.

#ifndef SLUICE_TESTS_CRASH_SERVER_CONFIG_H_
#define SLUICE_TESTS_CRASH_SERVER_CONFIG_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// Where Submit and ImportPatients are acknowledged. SubmitStream and
// RecordEvents are always acknowledged by the store.
enum class AckMode {
  kStored,       // in the store
  kJournal,      // in the queue on disk
  kMemoryQueue,  // in the queue in memory, which loses acknowledged submissions
};

// Returns a configuration. `store` is the value of the key `store`. The server
// picks free ports.
std::string ServerConfig(AckMode ack, absl::string_view store,
                         absl::string_view journal_path);

// Returns `text` as a quoted YAML string.
std::string YamlString(absl::string_view text);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SERVER_CONFIG_H_
