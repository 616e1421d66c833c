#include "tests/crash/campaign_store.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "tests/crash/server_config.h"
#include "tests/postgres/local_postgres.h"

namespace sluice {
namespace {

class SqliteCampaignStore final : public CampaignStore {
 public:
  explicit SqliteCampaignStore(const std::string& folder)
      : path_(absl::StrCat(folder, "/data/sluice.db")) {}

  std::string Yaml() const override {
    return absl::StrCat("{kind: sqlite, path: ", YamlString(path_), "}");
  }
  absl::StatusOr<std::unique_ptr<ContentReader>> OpenContent() const override {
    return OpenSqliteContent(path_);
  }

 private:
  const std::string path_;
};

class PostgresCampaignStore final : public CampaignStore {
 public:
  explicit PostgresCampaignStore(const std::string& folder)
      : folder_(folder),
        postgres_folder_(folder + "/postgres"),
        postgres_(postgres_folder_) {}

  std::string Yaml() const override {
    return absl::StrCat("{kind: postgres, url: ", YamlString(Url()), "}");
  }
  absl::StatusOr<std::unique_ptr<ContentReader>> OpenContent() const override {
    return OpenPostgresContent(Url());
  }

  bool is_server() const override { return true; }
  absl::Status Start() override {
    if (postgres_.running()) return absl::OkStatus();
    if (!std::filesystem::exists(postgres_folder_)) {
      const absl::Status made = Make();
      if (!made.ok()) return made;
    }
    return postgres_.Start();
  }
  absl::Status Kill() override { return postgres_.Kill(); }

 private:
  std::string Url() const { return postgres_.Url("postgres"); }

  absl::Status Make() {
    const absl::Status admitted = AdmitOtherUsers(folder_);
    if (!admitted.ok()) return admitted;
    std::error_code error;
    std::filesystem::create_directory(postgres_folder_, error);
    if (!error) return LocalPostgres::MakeCluster(postgres_folder_);
    return absl::UnavailableError(
        absl::StrCat("cannot make ", postgres_folder_, ": ", error.message()));
  }

  const std::string folder_;
  const std::string postgres_folder_;
  LocalPostgres postgres_;
};

class NoContent final : public ContentReader {
 public:
  absl::Status ReadAll(FindingsByKey&) override { return absl::OkStatus(); }
  absl::Status Read(const LedgerKey&, Findings&) override {
    return absl::OkStatus();
  }
};

class DiscardCampaignStore final : public CampaignStore {
 public:
  std::string Yaml() const override {
    return "{kind: discard, allow_loss: true}";
  }
  absl::StatusOr<std::unique_ptr<ContentReader>> OpenContent() const override {
    return std::make_unique<NoContent>();
  }
};

}  // namespace

std::unique_ptr<CampaignStore> MakeCampaignStore(absl::string_view kind,
                                                 const std::string& folder) {
  if (kind == "sqlite") return std::make_unique<SqliteCampaignStore>(folder);
  if (kind == "postgres")
    return std::make_unique<PostgresCampaignStore>(folder);
  if (kind == "discard") return std::make_unique<DiscardCampaignStore>();
  return nullptr;
}

}  // namespace sluice
