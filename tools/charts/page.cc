#include "tools/charts/page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace sluice {

// Embedded at build time (embed.cmake).
extern const std::string_view kPageTemplate;
extern const std::string_view kPageStyle;
extern const std::string_view kPageScript;

namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// In JSON, '<' occurs only within strings, where it may be written as an
// escape. Otherwise a name such as "</script>" would end the script element.
std::string ScriptEscape(const std::string& json) {
  return absl::StrReplaceAll(json, {{"<", "\\u003c"}});
}

std::string Cells(absl::string_view element,
                  const std::vector<std::string>& texts) {
  std::string html = "<tr>";
  for (const std::string& text : texts) {
    absl::StrAppend(&html, "<", element, ">", HtmlEscape(text), "</", element,
                    ">");
  }
  return html + "</tr>\n";
}

std::string RenderTable(const PageTable& table) {
  std::string rows = Cells("th", table.columns);
  for (const std::vector<std::string>& row : table.rows) {
    SLUICE_DCHECK_EQ(row.size(), table.columns.size());
    rows += Cells("td", row);
  }
  const std::string caption = HtmlEscape(table.caption);
  const std::string body = absl::StrCat(
      "<div class=\"table\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"",
      caption, "\"><table>\n", rows, "</table></div>\n");
  if (!table.folded) return absl::StrCat("<h2>", caption, "</h2>\n", body);
  return absl::StrCat("<details><summary>", caption, "</summary>\n", body,
                      "</details>\n");
}

std::string RenderTables(const std::vector<PageTable>& tables, bool folded) {
  std::string html;
  for (const PageTable& table : tables) {
    if (table.folded == folded) html += RenderTable(table);
  }
  return html;
}

std::string RenderSummary(const std::vector<std::string>& paragraphs) {
  std::string html;
  for (const std::string& paragraph : paragraphs) {
    absl::StrAppend(&html, "<p>", HtmlEscape(paragraph), "</p>\n");
  }
  return html;
}

std::string RenderFigures(
    const std::vector<std::pair<std::string, std::string>>& figures) {
  std::string html;
  for (const auto& [value, description] : figures) {
    absl::StrAppend(&html, "<div><dd>", HtmlEscape(value), "</dd><dt>",
                    HtmlEscape(description), "</dt></div>\n");
  }
  return html;
}

}  // namespace

std::string HtmlEscape(std::string_view text) {
  return absl::StrReplaceAll(View(text), {{"&", "&amp;"},
                                          {"<", "&lt;"},
                                          {">", "&gt;"},
                                          {"\"", "&quot;"},
                                          {"'", "&#39;"}});
}

std::string RenderPage(const Page& page) {
  SLUICE_DCHECK(!page.json.empty());
  // Replace in one pass, so that inserted text is not searched for
  // placeholders.
  return absl::StrReplaceAll(View(kPageTemplate),
                             {{"{{style}}", View(kPageStyle)},
                              {"{{title}}", HtmlEscape(page.title)},
                              {"{{about}}", HtmlEscape(page.about)},
                              {"{{summary}}", RenderSummary(page.summary)},
                              {"{{figures}}", RenderFigures(page.figures)},
                              {"{{tables}}", RenderTables(page.tables, false)},
                              {"{{values}}", RenderTables(page.tables, true)},
                              {"{{footer}}", HtmlEscape(page.footer)},
                              {"{{json}}", ScriptEscape(page.json)},
                              {"{{script}}", View(page.script)},
                              {"{{page_script}}", View(kPageScript)}});
}

}  // namespace sluice
