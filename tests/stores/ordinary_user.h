// Gives up the rights of root for a while, so that permissions of files count.

#ifndef SLUICE_TESTS_STORES_ORDINARY_USER_H_
#define SLUICE_TESTS_STORES_ORDINARY_USER_H_

#include <unistd.h>

#include "gtest/gtest.h"

namespace sluice {

// While the object exists, the process has the rights of an ordinary user. Does
// nothing if the process is not run by root.
class OrdinaryUser {
 public:
  OrdinaryUser() { EXPECT_TRUE(!root_ || seteuid(kNobody) == 0); }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;
  ~OrdinaryUser() { EXPECT_TRUE(!root_ || seteuid(0) == 0); }

 private:
  static constexpr uid_t kNobody = 65534;
  const bool root_ = geteuid() == 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_ORDINARY_USER_H_
