// A disk that a test can let hang, in programs that it starts.
//
// hanging_disk.cc is a shared library that intercepts functions of the C
// library. Programs preload it (LD_PRELOAD).

#ifndef SLUICE_TESTS_FAKES_HANGING_DISK_H_
#define SLUICE_TESTS_FAKES_HANGING_DISK_H_

namespace sluice {

// Environment variable with the path of a file. While that file has text,
// reads, writes and syncs of all files whose path contains the text hang.
inline constexpr char kHangVariable[] = "SLUICE_HANGING_DISK";

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_HANGING_DISK_H_
