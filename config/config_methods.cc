#include "config/config_methods.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "policies/registry.h"

namespace sluice {
namespace {

constexpr char kDefault[] = "default";
constexpr absl::Duration kMaxWaitMax = absl::Hours(24);

std::string FullName(Method method) {
  return std::string(FullMethodName(method));
}

// An entry of `methods` and the methods that it applies to. The entry `default`
// applies to all methods without an entry; any other entry applies to the
// method that it names.
struct Entry {
  ConfigSection section;
  MethodConfig config;
  std::vector<Method> methods;
};

void RejectUnknownMethods(ConfigSection& section) {
  std::vector<std::string> known = {kDefault};
  for (const Method method : kAllMethods) known.push_back(FullName(method));
  for (const std::string& name : section.Keys()) {
    if (std::ranges::find(known, name) == known.end()) {
      section.Error(name, UnknownName("method", name, known));
    }
  }
}

// Returns the names of the policies that `wanted` accepts, e.g. "block,
// fail_fast, timed_wait".
std::string PolicyNames(bool (*wanted)(const PolicyKind&)) {
  std::vector<std::string> names;
  for (const PolicyKind& kind : PolicyKinds()) {
    if (wanted(kind)) names.emplace_back(kind.name);
  }
  return absl::StrJoin(names, ", ");
}

// Reads on_full and max_wait over the inherited values. Errors in an inherited
// value were reported at the entry `default`.
void ReadPolicy(ConfigSection& section, std::string* inherited,
                absl::Duration* max_wait) {
  std::string on_full = *inherited;
  section.ReadText("on_full", &on_full);
  const PolicyKind* policy = FindPolicyKind(on_full);
  if (policy != nullptr && on_full != *inherited) {
    *inherited = on_full;
    // The inherited max_wait belongs to another policy.
    *max_wait = absl::ZeroDuration();
  }
  section.ReadDuration("max_wait", kMaxWaitMax, max_wait);

  if (policy == nullptr) {
    std::vector<std::string> known;
    for (const PolicyKind& kind : PolicyKinds()) known.emplace_back(kind.name);
    section.Error("on_full", UnknownName("policy", on_full, known));
  } else if (policy->takes_max_wait && section.Has("on_full") &&
             !section.Has("max_wait") && *max_wait == absl::ZeroDuration()) {
    section.Error("max_wait", absl::StrCat("missing: ", on_full,
                                           " needs the longest time to wait, "
                                           "e.g. 250ms"));
  } else if (!policy->takes_max_wait && section.Has("max_wait")) {
    section.Error("max_wait",
                  absl::StrCat("not allowed: on_full is ", on_full,
                               ", which has no time limit; remove max_wait, or "
                               "use ",
                               PolicyNames([](const PolicyKind& kind) {
                                 return kind.takes_max_wait;
                               })));
  }
}

// Reads the shadow policy, which applies to the methods of this entry only and
// is not inherited.
void ReadShadow(ConfigSection& entry, ShadowConfig* shadow) {
  *shadow = ShadowConfig();
  ConfigSection section = entry.Section("shadow");
  if (!section.present()) return;
  if (section.Has("on_full")) {
    ReadPolicy(section, &shadow->on_full, &shadow->max_wait);
    section.RejectUnknownKeys();
  } else {
    section.Error("on_full", "missing: name the policy to compare with");
  }
}

void ReadAck(ConfigSection& section, Ack* ack) {
  std::string text;
  if (!section.ReadText("ack", &text)) return;
  if (text == "stored") {
    *ack = Ack::kStored;
  } else if (text == "queued") {
    *ack = Ack::kQueued;
  } else {
    section.Error(
        "ack", UnknownName("acknowledgement mode", text, {"stored", "queued"}));
  }
}

void ReadPriority(ConfigSection& section, Priority* priority) {
  std::string text;
  if (!section.ReadText("priority", &text)) return;
  const auto* name = std::ranges::find(kPriorityNames, text);
  if (name != kPriorityNames.end()) {
    *priority = static_cast<Priority>(name - kPriorityNames.begin());
    return;
  }
  section.Error("priority",
                UnknownName("priority", text,
                            {kPriorityNames.begin(), kPriorityNames.end()}));
}

void ReadEntry(Entry& entry) {
  entry.section.ReadText("pool", &entry.config.pool);
  ReadPolicy(entry.section, &entry.config.on_full, &entry.config.max_wait);
  ReadShadow(entry.section, &entry.config.shadow);
  ReadAck(entry.section, &entry.config.ack);
  ReadPriority(entry.section, &entry.config.priority);
  entry.section.ReadBool("allow_loss", &entry.config.allow_loss);
  entry.section.RejectUnknownKeys();
}

// Reads the entries of all methods that take submissions, `default` first.
std::vector<Entry> ReadSubmissionEntries(ConfigSection& methods) {
  std::vector<Entry> entries = {
      {.section = methods.Section(kDefault), .config = {}, .methods = {}}};
  ReadEntry(entries.front());
  for (const Method method : kAllMethods) {
    if (method == Method::kGetReceipts) continue;
    if (!methods.Has(FullName(method))) {
      entries.front().methods.push_back(method);
      continue;
    }
    Entry entry = {.section = methods.Section(FullName(method)),
                   .config = entries.front().config,
                   .methods = {method}};
    entry.config.allow_loss = false;  // not inherited
    ReadEntry(entry);
    entries.push_back(std::move(entry));
  }
  return entries;
}

// Reads the entry of GetReceipts. A lookup carries no submission, so `ack` and
// `allow_loss` do not exist, and `default` does not apply.
Entry ReadReceiptsEntry(ConfigSection& methods) {
  Entry entry = {.section = methods.Section(FullName(Method::kGetReceipts)),
                 .config = {.pool = std::string(kReceiptsPool)},
                 .methods = {Method::kGetReceipts}};
  entry.section.ReadText("pool", &entry.config.pool);
  ReadPolicy(entry.section, &entry.config.on_full, &entry.config.max_wait);
  ReadShadow(entry.section, &entry.config.shadow);
  entry.section.RejectUnknownKeys();
  if (FindPolicyKind(entry.config.on_full)->loses) {
    entry.section.Error("on_full",
                        absl::StrCat(entry.config.on_full,
                                     " is not allowed for GetReceipts: the "
                                     "caller would get no answer; use ",
                                     PolicyNames([](const PolicyKind& kind) {
                                       return !kind.loses;
                                     })));
  }
  return entry;
}

// --- Loss ---

// Reports an entry that could lose submissions although neither allow_loss nor
// may_lose permits it.
void RejectLoss(Entry& entry, const Config& config) {
  if (entry.config.allow_loss) return;
  std::vector<std::string> losers;
  for (const Method method : entry.methods) {
    if (!MayLose(method)) losers.push_back(FullName(method));
  }
  if (losers.empty()) return;

  const auto reject = [&](const std::string& key, const std::string& value,
                          const std::string& why, const std::string& instead) {
    entry.section.Error(
        key,
        absl::StrCat(value, entry.section.Has(key) ? "" : " (from default)",
                     why, " of ", absl::StrJoin(losers, ", "), "; use ",
                     instead, ", or accept the loss with allow_loss: true"));
  };
  const PolicyKind& policy = *FindPolicyKind(entry.config.on_full);
  if (policy.loses) {
    reject("on_full", entry.config.on_full,
           absl::StrCat(policy.evicts
                            ? " drops submissions from the queue"
                            : " drops submissions that arrive at a full queue",
                        ": it would lose submissions"),
           "another policy");
  }
  const auto pool = config.pools.find(entry.config.pool);
  const bool journal =
      pool != config.pools.end() && !pool->second.journal_path.empty();
  if (entry.config.ack == Ack::kQueued && !journal) {
    reject("ack", "queued",
           " acknowledges submissions that are only in a memory queue: a crash "
           "would lose acknowledged submissions",
           "a queue of kind journal, ack: stored");
  }
}

// Reports an entry that could drop a submission after its caller was answered.
// The answer must say that the submission was dropped, so the caller must not
// be answered before. Errors of `default` are reported at `default` only.
void RejectUntoldLoss(Entry& entry) {
  const std::string& on_full = entry.config.on_full;
  if (!FindPolicyKind(on_full)->evicts || entry.config.ack == Ack::kStored) {
    return;
  }
  if (entry.section.Has("on_full")) {
    entry.section.Error(
        "on_full",
        absl::StrCat(on_full,
                     " needs ack: stored: with ack: queued, a caller whose "
                     "submission is dropped from the queue has been answered "
                     "already"));
  } else if (entry.section.Has("ack")) {
    entry.section.Error(
        "ack", absl::StrCat("must be stored where on_full is ", on_full,
                            " (from default): otherwise a caller whose "
                            "submission is dropped from the queue has been "
                            "answered already"));
  }
}

// --- Pools ---

std::vector<std::string> PoolNames(const Config& config) {
  std::vector<std::string> names;
  for (const auto& [name, pool] : config.pools) names.push_back(name);
  return names;
}

void RequireKnownPool(Entry& entry, const std::vector<std::string>& known) {
  const std::string& pool = entry.config.pool;
  if (entry.section.Has("pool") && !pool.empty() &&
      std::ranges::find(known, pool) == known.end()) {
    entry.section.Error("pool", UnknownName("pool", pool, known));
  }
}

// Adds the receipts pool, which the file need not mention, and checks the pool
// of GetReceipts.
void BindReceiptsPool(Entry& receipts, Config* config) {
  if (receipts.config.pool == kReceiptsPool) {
    config->pools.try_emplace(receipts.config.pool,
                              DefaultReceiptsPool(config->limits));
  }
  RequireKnownPool(receipts, PoolNames(*config));
  const auto pool = config->pools.find(receipts.config.pool);
  if (pool != config->pools.end() && !pool->second.journal_path.empty()) {
    receipts.section.Error("pool",
                           absl::StrCat(receipts.config.pool,
                                        " has a journal, which GetReceipts "
                                        "cannot use: name a pool with a queue "
                                        "in memory"));
  }
}

// Checks the entry's pool. An entry without a pool gets the pool for
// submissions if there is only one.
void BindSubmissionPool(Entry& entry, const Entry& receipts,
                        const Config& config) {
  const std::string& questions = receipts.config.pool;
  if (entry.section.Has("pool") && entry.config.pool == questions) {
    entry.section.Error(
        "pool",
        absl::StrCat(Quoted(questions), " is the pool of ",
                     FullName(Method::kGetReceipts),
                     ", whose lookups must not wait behind submissions: use "
                     "another pool"));
    return;
  }
  std::vector<std::string> names = PoolNames(config);
  std::erase(names, questions);
  RequireKnownPool(entry, names);
  if (!entry.config.pool.empty() || entry.methods.empty()) return;
  if (names.size() == 1) {
    entry.config.pool = names.front();
  } else if (names.empty()) {
    entry.section.Error(
        "pool", "missing: there is no pool for submissions, add one to pools");
  } else {
    entry.section.Error("pool", absl::StrCat("missing: use one of ",
                                             absl::StrJoin(names, ", ")));
  }
}

void RejectUnusedPools(ConfigSection& root, const std::vector<Entry>& entries,
                       const Entry& receipts, const Config& config) {
  absl::btree_set<std::string> used = {receipts.config.pool};
  for (const Entry& entry : entries) {
    if (!entry.methods.empty()) used.insert(entry.config.pool);
  }
  ConfigSection pools = root.Section("pools");
  for (const std::string& name : PoolNames(config)) {
    if (!used.contains(name)) {
      pools.Error(name,
                  "no method uses this pool: remove it, or use it in methods");
    }
  }
}

void BindPools(ConfigSection& root, std::vector<Entry>& entries,
               Entry& receipts, Config* config) {
  if (config->pools.empty()) return;  // reported already
  BindReceiptsPool(receipts, config);
  for (Entry& entry : entries) BindSubmissionPool(entry, receipts, *config);
  RejectUnusedPools(root, entries, receipts, *config);
}

}  // namespace

void ReadMethods(ConfigSection& root, Config* config) {
  ConfigSection methods = root.Section("methods");
  RejectUnknownMethods(methods);
  std::vector<Entry> entries = ReadSubmissionEntries(methods);
  Entry receipts = ReadReceiptsEntry(methods);
  BindPools(root, entries, receipts, config);
  for (Entry& entry : entries) {
    RejectLoss(entry, *config);
    RejectUntoldLoss(entry);
  }

  entries.push_back(std::move(receipts));
  for (const Entry& entry : entries) {
    for (const Method method : entry.methods) {
      config->methods[Index(method)] = entry.config;
    }
  }
}

}  // namespace sluice
