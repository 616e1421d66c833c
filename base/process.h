// Prepares a process. Every program calls these functions first.

#ifndef SLUICE_BASE_PROCESS_H_
#define SLUICE_BASE_PROCESS_H_

namespace sluice {

// Opens the descriptors 0, 1 and 2 on /dev/null if they are closed, because the
// next files and sockets would get these numbers: messages on standard error
// would be written into a database or a connection. A program that calls this
// function calls it already before the constructors of shared libraries. Call
// it first in main too: builds with sanitizers do not call it before.
void OpenStandardDescriptors();

// Makes writes fail that would otherwise end the process: to a pipe or a socket
// that nobody reads (EPIPE), and beyond the file size limit (EFBIG).
void IgnoreWriteSignals();

}  // namespace sluice

#endif  // SLUICE_BASE_PROCESS_H_
