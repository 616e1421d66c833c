// A SQLite file for fuzzers. The file is written once, and damaged again for
// each input.

#ifndef SLUICE_TESTS_FUZZ_DAMAGED_FILE_H_
#define SLUICE_TESTS_FUZZ_DAMAGED_FILE_H_

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {

class DamagedFile {
 public:
  // `write` must create a file at the path, and call `in_use` while the file is
  // open, so that its write-ahead log still exists.
  DamagedFile(
      const std::string& name,
      const std::function<void(const std::string& path,
                               const std::function<void()>& in_use)>& write)
      : directory_(absl::StrCat("/dev/shm/sluice-fuzz-", name, "-", getpid())),
        path_(absl::StrCat(directory_, "/file.db")) {
    std::filesystem::create_directories(directory_);
    write(path_, [this] {
      open_ = Read(path_);
      log_ = Read(path_ + "-wal");
    });
    closed_ = Read(path_);
    Require(!closed_.empty() && !log_.empty(), "the file is written");
    static std::string remove_at_exit;
    remove_at_exit = directory_;
    std::atexit([] { std::filesystem::remove_all(remove_at_exit); });
  }

  const std::string& path() const { return path_; }

  // Writes the damaged file. The first byte of the input chooses whether the
  // log exists and whether a file is cut. The other bytes form pairs of a
  // position and the new value of a byte. Returns true if the file differs from
  // the undamaged one.
  bool Damage(InputReader& input) const {
    const int choice = input.Byte();
    const bool with_log = (choice & 1) != 0;
    std::string file = with_log ? open_ : closed_;
    std::string log = with_log ? log_ : "";
    std::string& target = with_log && (choice & 2) != 0 ? log : file;
    const std::string original = target;
    if ((choice & 4) != 0) target.resize(input.Word() % (target.size() + 1));
    while (!input.empty() && !target.empty()) {
      const std::size_t position = input.Word() % target.size();
      target[position] = static_cast<char>(input.Byte());
    }
    const bool damaged = target != original;
    std::filesystem::remove(path_ + "-shm");
    Write(path_, file);
    if (with_log) {
      Write(path_ + "-wal", log);
    } else {
      std::filesystem::remove(path_ + "-wal");
    }
    return damaged;
  }

 private:
  static std::string Read(const std::string& path) {
    auto bytes = ReadFile(path);
    Require(bytes.ok(), "the file is read");
    return *std::move(bytes);
  }
  static void Write(const std::string& path, const std::string& bytes) {
    Require(WriteFile(path, bytes).ok(), "the file is written");
  }

  const std::string directory_;
  const std::string path_;
  std::string closed_;
  std::string open_;
  std::string log_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FUZZ_DAMAGED_FILE_H_
