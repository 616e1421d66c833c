// The version of the program.

#ifndef SLUICE_SERVER_BUILD_INFO_H_
#define SLUICE_SERVER_BUILD_INFO_H_

namespace sluice {

// Set by CMake from the project's version.
inline constexpr char kVersion[] = SLUICE_VERSION;

}  // namespace sluice

#endif  // SLUICE_SERVER_BUILD_INFO_H_
