// Prints a page of sluice-load, for page_script_test.js.
//
//   print_load_page [pool]
//
// With `pool`, the page has scraped metrics.

#include <iostream>
#include <string_view>

#include "tests/charts/sample_load.h"
#include "tools/load/load_page.h"

int main(int argc, char** argv) {
  auto [options, result] = sluice::SampleLoad();
  if (argc > 1 && std::string_view(argv[1]) == "pool") {
    sluice::AddSamplePool(&result);
  }
  std::cout << sluice::LoadPage(options, result);
}
