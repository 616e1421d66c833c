# Settings for builds with ThreadSanitizer (TSan). TSan does not know the locks
# of Debian's Abseil, which is not instrumented. tests/tsan/absl_mutex.cc wraps
# their functions and reports each lock and unlock to TSan.

# The inline namespace of Debian's Abseil is part of every symbol.
find_file(SLUICE_ABSL_OPTIONS_H absl/base/options.h REQUIRED)
file(STRINGS ${SLUICE_ABSL_OPTIONS_H} line
     REGEX "^#define ABSL_OPTION_INLINE_NAMESPACE_NAME ")
string(REGEX REPLACE ".* " "" inline_namespace ${line})
string(LENGTH ${inline_namespace} length)
set(absl_namespace 4absl${length}${inline_namespace})

add_library(sluice_tsan STATIC ${PROJECT_SOURCE_DIR}/tests/tsan/absl_mutex.cc)
# Shared libraries link it too.
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
  # gRPC's libraries come later on the command line and need the wrappers too,
  # even if the program itself does not.
  target_link_options(sluice_tsan INTERFACE LINKER:--wrap=${symbol}
                                            LINKER:--undefined=__wrap_${symbol})
endforeach()
target_link_libraries(sluice_options INTERFACE sluice_tsan)

# Options of TSan:
#   ignore_noninstrumented_modules  no reports from inside uninstrumented
#                                   libraries
#   report_thread_leaks             no reports of gRPC threads that are just
#                                   ending when the program exits
string(JOIN ":" SLUICE_TSAN_OPTIONS
       ignore_noninstrumented_modules=1
       report_thread_leaks=0
       suppressions=${PROJECT_SOURCE_DIR}/tests/tsan/suppressions.txt
       halt_on_error=1
       second_deadlock_stack=1)
