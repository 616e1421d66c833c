#include "server/submissions/assigned_recorder.h"

#include "gtest/gtest.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

TEST(AssignedRecorder, RecordsTheHighestNumberBeforeItEnds) {
  GatedStore store;
  {
    AssignedRecorder recorder(&store, SystemClock());
    recorder.Record(7);
    recorder.Record(5);
  }
  EXPECT_EQ(store.assigned(), 7);
}

// A hung thread uses the store, which then must not be destroyed.
TEST(AssignedRecorder, IsNotIdleWhileTheStoreHangs) {
  GatedStore store;
  AssignedRecorder recorder(&store, SystemClock());
  EXPECT_TRUE(recorder.AwaitIdle(SystemClock()->Now()));
  store.HoldRecording();
  recorder.Record(1);
  recorder.Record(2);
  EXPECT_FALSE(recorder.AwaitIdle(SystemClock()->Now()));
  store.ReleaseRecording();
  EXPECT_TRUE(recorder.AwaitIdle(SystemClock()->Now() +
                                 absl::ToChronoNanoseconds(kPatience)));
  EXPECT_EQ(store.assigned(), 2);
}

}  // namespace
}  // namespace sluice
