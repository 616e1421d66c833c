// For libraries that intercept functions of the C library.

#ifndef SLUICE_TESTS_FAKES_NEXT_FUNCTION_H_
#define SLUICE_TESTS_FAKES_NEXT_FUNCTION_H_

#include <dlfcn.h>

namespace sluice {

// Returns the C library's definition of a function.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_NEXT_FUNCTION_H_
