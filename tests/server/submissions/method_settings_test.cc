#include "server/submissions/method_settings.h"

#include <memory>

#include "gtest/gtest.h"

namespace sluice {
namespace {

std::shared_ptr<const MethodSettings> SettingsOf(const char* on_full) {
  return MakeMethodSettings({.pool = "clinical", .on_full = on_full},
                            FairBy::kNone);
}

TEST(MethodSettings, AreWhatTheConfigurationSays) {
  const MethodConfig config = {.pool = "clinical",
                               .on_full = "timed_wait",
                               .max_wait = absl::Milliseconds(250),
                               .ack = Ack::kQueued};
  const auto settings = MakeMethodSettings(config, FairBy::kNone);
  EXPECT_EQ(settings->config, config);
  EXPECT_TRUE(settings->refuses_unread);
  const Verdict verdict = settings->policy->OnFull({.now = TimePoint()}, {});
  EXPECT_EQ(verdict.kind, Verdict::Kind::kPark);
  EXPECT_EQ(verdict.until, TimePoint(std::chrono::milliseconds(250)));
}

TEST(MethodSettings, WhatMayBeDroppedIsReadFirst) {
  EXPECT_FALSE(SettingsOf("drop")->refuses_unread);
  EXPECT_FALSE(SettingsOf("drop_oldest")->refuses_unread);
  EXPECT_TRUE(SettingsOf("fail_fast")->refuses_unread);
}

TEST(MethodSettings, OnlyDropOldestMayDropWhatIsQueued) {
  EXPECT_TRUE(SettingsOf("drop_oldest")->droppable);
  EXPECT_FALSE(SettingsOf("drop")->droppable);
  EXPECT_FALSE(SettingsOf("block")->droppable);
  EXPECT_TRUE(SettingsOf("drop_oldest")->loses);
  EXPECT_TRUE(SettingsOf("drop")->loses);
  EXPECT_FALSE(SettingsOf("block")->loses);
}

TEST(LiveMethodSettings, ArriveWithTheNextCallAndStayWithTheLast) {
  LiveMethodSettings live;
  live.Set(SettingsOf("block"));
  const auto before = live.Get();
  live.Set(SettingsOf("drop"));
  EXPECT_EQ(before->config.on_full, "block");
  EXPECT_EQ(live.Get()->config.on_full, "drop");
}

TEST(LiveMethodSettings, AreFreedWithTheLastThatHoldsThem) {
  LiveMethodSettings live;
  live.Set(SettingsOf("block"));
  auto call = live.Get();
  const std::weak_ptr<const MethodSettings> settings = call;
  live.Set(SettingsOf("drop"));
  EXPECT_FALSE(settings.expired());
  call.reset();
  EXPECT_TRUE(settings.expired());
}

}  // namespace
}  // namespace sluice
