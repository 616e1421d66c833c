// Runs a program as a user would.

#ifndef SLUICE_TESTS_TOOLS_RUN_TOOL_H_
#define SLUICE_TESTS_TOOLS_RUN_TOOL_H_

#include <string>
#include <vector>

namespace sluice {

struct ToolRun {
  int exit_code = -1;  // -1 where a signal ended it, or it did not start
  std::string out;
  std::string err;
};

// Waits for its end.
ToolRun RunTool(const std::string& program,
                const std::vector<std::string>& arguments);

// A file of its own folder under the test's temporary one.
std::string WriteTempFile(const std::string& name, const std::string& content);
// What is in it now.
std::string ReadTempFile(const std::string& name);

}  // namespace sluice

#endif  // SLUICE_TESTS_TOOLS_RUN_TOOL_H_
