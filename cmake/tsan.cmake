# What a build with ThreadSanitizer needs beside the compiler's flag: Abseil's
# locks made known to it (tests/tsan/absl_mutex.cc), and its options.

# Debian's Abseil is in an inline namespace, which is part of every symbol.
find_file(SLUICE_ABSL_OPTIONS_H absl/base/options.h REQUIRED)
file(STRINGS ${SLUICE_ABSL_OPTIONS_H} line
     REGEX "^#define ABSL_OPTION_INLINE_NAMESPACE_NAME ")
string(REGEX REPLACE ".* " "" inline_namespace ${line})
string(LENGTH ${inline_namespace} length)
set(absl_namespace 4absl${length}${inline_namespace})

add_library(sluice_tsan STATIC ${PROJECT_SOURCE_DIR}/tests/tsan/absl_mutex.cc)
# It goes into shared libraries too.
set_target_properties(sluice_tsan PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_definitions(
  sluice_tsan PRIVATE SLUICE_ABSL_NAMESPACE="${absl_namespace}")
target_link_libraries(sluice_tsan PUBLIC absl::synchronization)
foreach(symbol
        _ZN,5MutexD1Ev
        _ZN,5Mutex4LockEv
        _ZN,5Mutex6UnlockEv
        _ZN,5Mutex7TryLockEv
        _ZN,5Mutex10ReaderLockEv
        _ZN,5Mutex12ReaderUnlockEv
        _ZN,5Mutex13ReaderTryLockEv
        _ZN,5Mutex8LockWhenERKNS0_9ConditionE
        _ZN,5Mutex14ReaderLockWhenERKNS0_9ConditionE
        _ZN,5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE
        _ZN,5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE
        _ZN,5Mutex5AwaitERKNS0_9ConditionE
        _ZN,5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE
        _ZN,5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE
        _ZN,19ReleasableMutexLock7ReleaseEv
        _ZN,7CondVar4WaitEPNS0_5MutexE
        _ZN,7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE
        _ZN,7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE
        _ZN,12Notification6NotifyEv
        _ZNK,12Notification19WaitForNotificationEv
        _ZNK,12Notification30WaitForNotificationWithTimeoutENS0_8DurationE
        _ZNK,12Notification31WaitForNotificationWithDeadlineENS0_4TimeE
        _ZN,15BlockingCounter14DecrementCountEv
        _ZN,15BlockingCounter4WaitEv
        _ZN,7Barrier5BlockEv)
  string(REPLACE "," "${absl_namespace}" symbol ${symbol})
  # gRPC's libraries, which come later on the command line, refer to the
  # wrappers as well, also in a program that does not itself.
  target_link_options(sluice_tsan INTERFACE LINKER:--wrap=${symbol}
                                            LINKER:--undefined=__wrap_${symbol})
endforeach()
target_link_libraries(sluice_options INTERFACE sluice_tsan)

# Without the first, the inside of uninstrumented libraries is reported; without
# the second, now and then a thread of gRPC's that has just ended at the exit.
string(JOIN ":" SLUICE_TSAN_OPTIONS
       ignore_noninstrumented_modules=1
       report_thread_leaks=0
       suppressions=${PROJECT_SOURCE_DIR}/tests/tsan/suppressions.txt
       halt_on_error=1
       second_deadlock_stack=1)
