#include "tools/charts/page.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kHostile[] = "</script><script>alert('x')</script><a b=\"&\">";

int CountOf(absl::string_view text, absl::string_view part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != absl::string_view::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

Page SamplePage() {
  Page page;
  page.title = "A title";
  page.json = "{\"pools\": []}";
  page.script = "function chartsOf() { return []; }";
  return page;
}

TEST(HtmlEscape, EscapesAllThatEndsTextOrAttributes) {
  EXPECT_EQ(HtmlEscape("<a b=\"c\" d='e'>&"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
}

TEST(RenderPage, HasTextTablesAndTheReport) {
  Page page = SamplePage();
  page.about = "About it";
  page.summary = {"One paragraph.", "Another."};
  page.figures = {{"96 %", "in time"}};
  PageTable table;
  table.caption = "Numbers";
  table.columns = {"Name", "Value"};
  table.rows = {{"first", "17"}};
  page.tables = {table};
  page.footer = "The end";
  EXPECT_THAT(
      RenderPage(page),
      AllOf(StartsWith("<!DOCTYPE html>"), HasSubstr("<title>A title</title>"),
            HasSubstr("<h1>A title</h1>"), HasSubstr("About it"),
            HasSubstr("<p>Another.</p>"), HasSubstr("<dd>96 %</dd>"),
            HasSubstr("<h2>Numbers</h2>"), HasSubstr("<th>Value</th>"),
            HasSubstr("<td>17</td>"), HasSubstr("The end"),
            HasSubstr("\n{\"pools\": []}\n"),
            HasSubstr("function chartsOf()")));
}

TEST(RenderPage, AFoldedTableIsReadableWithoutScripts) {
  Page page = SamplePage();
  PageTable table;
  table.caption = "Values";
  table.columns = {"From"};
  table.rows = {{"20:30"}};
  table.folded = true;
  page.tables = {table};
  EXPECT_THAT(RenderPage(page),
              AllOf(HasSubstr("<details><summary>Values</summary>"),
                    HasSubstr("<td>20:30</td>"), HasSubstr("<noscript>")));
}

TEST(RenderPage, EscapesHostileTextEverywhere) {
  const int scripts = CountOf(RenderPage(SamplePage()), "<script");
  Page page = SamplePage();
  page.title = page.about = page.footer = kHostile;
  page.summary = {kHostile};
  page.figures = {{kHostile, kHostile}};
  PageTable table;
  table.caption = kHostile;
  table.columns = {kHostile};
  table.rows = {{kHostile}};
  page.tables = {table, table};
  page.tables[1].folded = true;
  page.json = absl::StrCat("{\"name\": \"</script><script>alert(1)<!--\"}");
  const std::string html = RenderPage(page);
  EXPECT_EQ(CountOf(html, "<script"), scripts);
  EXPECT_EQ(CountOf(html, "</script"), scripts);
  EXPECT_THAT(html, AllOf(Not(HasSubstr("alert('x')")), Not(HasSubstr("<!--")),
                          Not(HasSubstr("<a b=")),
                          HasSubstr("\\u003c/script>\\u003cscript>")));
}

TEST(RenderPage, TextThatLooksLikeAPlaceholderIsText) {
  Page page = SamplePage();
  page.title = "{{json}}";
  EXPECT_THAT(RenderPage(page), HasSubstr("<h1>{{json}}</h1>"));
}

TEST(RenderPage, LoadsNothing) {
  const std::string html = RenderPage(SamplePage());
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  EXPECT_THAT(html, testing::ContainsRegex("Dygraph"));
  for (const char* loading :
       {" src=", "<link", "@import", "url(http", "sourceMappingURL"}) {
    EXPECT_THAT(html, Not(HasSubstr(loading))) << loading;
  }
  // The address of dygraphs' licence appears in a comment only.
  EXPECT_THAT(html, Not(testing::ContainsRegex("(href|src) ?= ?.https?://")));
}

}  // namespace
}  // namespace sluice
