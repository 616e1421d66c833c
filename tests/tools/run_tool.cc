#include "tests/tools/run_tool.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace sluice {
namespace {

std::filesystem::path TempFolder() {
  const auto folder = std::filesystem::path(testing::TempDir()) /
                      ("tools_test." + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  return folder;
}

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string ReadAndRemove(const std::filesystem::path& path) {
  std::string content = Read(path);
  std::filesystem::remove(path);
  return content;
}

}  // namespace

ToolRun RunTool(const std::string& program,
                const std::vector<std::string>& arguments) {
  const std::string out = TempFolder() / "stdout";
  const std::string err = TempFolder() / "stderr";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), kFlags,
                                   0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), kFlags,
                                   0600);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);

  ToolRun run;
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr,
                                argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return run;
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
  run.out = ReadAndRemove(out);
  run.err = ReadAndRemove(err);
  return run;
}

void ExpectBadUsage(const std::string& program,
                    const std::vector<std::string>& arguments) {
  const ToolRun run = RunTool(program, arguments);
  const std::string name = std::filesystem::path(program).filename();
  EXPECT_EQ(run.exit_code, 2) << testing::PrintToString(arguments);
  EXPECT_TRUE(run.err.starts_with(name + ": ")) << run.err;
  EXPECT_EQ(run.out, "");
}

std::string WriteTempFile(const std::string& name, const std::string& content) {
  const auto path = TempFolder() / name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string ReadTempFile(const std::string& name) {
  return Read(TempFolder() / name);
}

}  // namespace sluice
