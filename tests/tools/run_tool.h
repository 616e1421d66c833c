// Runs a program from the command line.

#ifndef SLUICE_TESTS_TOOLS_RUN_TOOL_H_
#define SLUICE_TESTS_TOOLS_RUN_TOOL_H_

#include <string>
#include <vector>

namespace sluice {

struct ToolRun {
  int exit_code = -1;  // -1 after a signal, or if not started
  std::string out;
  std::string err;
};

// Runs a program and waits for its end.
ToolRun RunTool(const std::string& program,
                const std::vector<std::string>& arguments);

// Expects that a program rejects the arguments: exit code 2, a message on
// standard error that begins with the program's name, and no output.
void ExpectBadUsage(const std::string& program,
                    const std::vector<std::string>& arguments);

// Writes a file in a temporary folder of this process. Returns its path.
std::string WriteTempFile(const std::string& name, const std::string& content);
// Returns the content of a file in the temporary folder.
std::string ReadTempFile(const std::string& name);

}  // namespace sluice

#endif  // SLUICE_TESTS_TOOLS_RUN_TOOL_H_
