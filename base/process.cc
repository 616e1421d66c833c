#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

#include "absl/base/config.h"

namespace sluice {

void OpenStandardDescriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // open returns the lowest free number. The numbers below are open.
    open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY);
  }
}

void IgnoreWriteSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

// Shared libraries open descriptors in their constructors, which run before
// main: gRPC opens an eventfd. Only functions in .preinit_array run earlier.
// Sanitizers are not initialized then.
#if !defined(ABSL_HAVE_ADDRESS_SANITIZER) && \
    !defined(ABSL_HAVE_THREAD_SANITIZER)
namespace {

using Initializer = void (*)();
[[gnu::section(".preinit_array"),
  gnu::used]] const Initializer kBeforeConstructors = OpenStandardDescriptors;

}  // namespace
#endif

}  // namespace sluice
