// Prints a page of sluice-load, for page_script_test.js.

#include <iostream>

#include "tests/charts/sample_load.h"
#include "tools/load/load_page.h"

int main() {
  const auto [options, result] = sluice::SampleLoad();
  std::cout << sluice::LoadPage(options, result);
}
