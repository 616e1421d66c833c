// The configuration of the server under test.

#ifndef SLUICE_TESTS_CRASH_SERVER_CONFIG_H_
#define SLUICE_TESTS_CRASH_SERVER_CONFIG_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// What Submit and ImportPatients are answered from. SubmitStream and
// RecordEvents are answered once the store has a submission, in any case.
enum class AckMode {
  kStored,       // the store
  kJournal,      // a queue on disk
  kMemoryQueue,  // a queue in memory: it loses what it acknowledged
};

// `store` is the value of the key of that name; the journal is at
// `journal_path`. Ports are any that are free.
std::string ServerConfig(AckMode ack, absl::string_view store,
                         absl::string_view journal_path);

// As a string of YAML.
std::string YamlString(absl::string_view text);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SERVER_CONFIG_H_
