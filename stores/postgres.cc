#include "stores/postgres.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "base/check.h"
#include "stores/kinds/postgres_url.h"

namespace sluice {
namespace {

// PostgreSQL counts microseconds from this time.
const absl::Time kPostgresEpoch = absl::FromUnixSeconds(946'684'800);

constexpr int kBinary = 1;

// libpq's port for a host without a port in a list of hosts.
constexpr char kDefaultPort[] = "5432";

constexpr char kSqlStatePayload[] = "sluice/sqlstate";

struct SqlStateMeaning {
  std::string_view prefix;
  absl::StatusCode code;
  const char* words;
};

// The first matching prefix counts.
// https://www.postgresql.org/docs/15/errcodes-appendix.html The statements are
// constant, so a rejected statement (42...) is a problem of the database, never
// of the submissions.
constexpr SqlStateMeaning kMeanings[] = {
    {"08", absl::StatusCode::kUnavailable, "the connection failed"},
    {"22", absl::StatusCode::kInvalidArgument, "a value cannot be stored"},
    {"23", absl::StatusCode::kInternal, "a constraint is violated"},
    {"25006", absl::StatusCode::kUnavailable, "the database is read-only"},
    {"25", absl::StatusCode::kUnavailable, "the transaction was ended"},
    {"28", absl::StatusCode::kUnavailable, "the role is not accepted"},
    {"3D", absl::StatusCode::kUnavailable, "the database does not exist"},
    {"3F", absl::StatusCode::kUnavailable, "the schema does not exist"},
    {"40P01", absl::StatusCode::kAborted, "deadlock"},
    {"40", absl::StatusCode::kAborted, "the transaction was rolled back"},
    {"42501", absl::StatusCode::kUnavailable, "the role lacks a privilege"},
    {"42", absl::StatusCode::kUnavailable, "the tables are not as expected"},
    {"53100", absl::StatusCode::kUnavailable, "the disk is full"},
    {"53300", absl::StatusCode::kUnavailable, "too many connections"},
    {"53", absl::StatusCode::kUnavailable, "the server lacks resources"},
    {"54", absl::StatusCode::kInvalidArgument, "a value is too large"},
    {"55", absl::StatusCode::kUnavailable, "something is locked or in use"},
    {"57014", absl::StatusCode::kUnavailable, "it took too long"},
    {"57", absl::StatusCode::kUnavailable, "the server is shutting down"},
    {"58", absl::StatusCode::kUnavailable, "the server's system failed"},
    {"XX001", absl::StatusCode::kDataLoss, "the database is damaged"},
    {"XX002", absl::StatusCode::kDataLoss, "an index is damaged"},
    {"", absl::StatusCode::kInternal, "unexpected error"},
};

template <typename Integer>
void AppendBigEndian(Integer value, std::string& out) {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  for (int shift = 8 * (sizeof(Integer) - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>((bits >> shift) & 0xff);
  }
}

// Reads an integer in two's complement, of up to eight bytes.
std::int64_t ReadBigEndian(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > sizeof(std::int64_t)) return 0;
  std::uint64_t bits = (bytes.front() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
  }
  return static_cast<std::int64_t>(bits);
}

// Returns libpq's message, which quotes no values: the connection was never
// open.
std::string ConnectErrorText(const PGconn* connection) {
  std::string text = PQerrorMessage(connection);
  absl::StripTrailingAsciiWhitespace(&text);
  return absl::StrReplaceAll(text, {{"\n\t", " "}, {"\n", "; "}});
}

// Parameters in the form that libpq expects.
class Pointers {
 public:
  explicit Pointers(absl::Span<const std::string> parameters)
      : formats_(parameters.size(), kBinary) {
    for (const std::string& parameter : parameters) {
      values_.push_back(parameter.data());
      lengths_.push_back(static_cast<int>(parameter.size()));
    }
  }

  int count() const { return static_cast<int>(values_.size()); }
  const char* const* values() const { return values_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

// Replaces libpq's callback, which would print the server's notices, including
// values.
void TakeNotice(void* notices, const PGresult* notice) {
  const char* text = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (text == nullptr) return;
  const std::string_view severity = text;
  auto& taken = *static_cast<PostgresNotices*>(notices);
  taken.ended = taken.ended || severity == "FATAL" || severity == "PANIC";
  taken.warned = taken.warned || severity == "WARNING";
}

bool IsCommit(const PGresult* result) {
  // The function does not change the result, but takes it without const.
  return std::string_view(PQcmdStatus(const_cast<PGresult*>(result))) ==
         "COMMIT";
}

}  // namespace

absl::Status PostgresError(std::string_view sqlstate, const char* doing) {
  const auto* meaning = std::ranges::find_if(
      kMeanings,
      [&](const SqlStateMeaning& m) { return sqlstate.starts_with(m.prefix); });
  const std::string state(sqlstate);
  absl::Status status(meaning->code, absl::StrCat(doing, ": ", meaning->words,
                                                  " (SQLSTATE ", state, ")"));
  status.SetPayload(kSqlStatePayload, absl::Cord(state));
  return status;
}

std::string PostgresSqlState(const absl::Status& status) {
  const absl::optional<absl::Cord> state = status.GetPayload(kSqlStatePayload);
  return state.has_value() ? std::string(*state) : "";
}

std::string PostgresBigint(std::int64_t value) {
  std::string bytes;
  AppendBigEndian(value, bytes);
  return bytes;
}

std::string PostgresTimestamp(absl::Time value) {
  return PostgresBigint(absl::ToUnixMicros(value) -
                        absl::ToUnixMicros(kPostgresEpoch));
}

PostgresArray::PostgresArray(Type type, std::size_t size) {
  AppendBigEndian<std::int32_t>(1, bytes_);  // number of dimensions
  AppendBigEndian<std::int32_t>(1, bytes_);  // flag: the array may have NULLs
  AppendBigEndian(static_cast<std::uint32_t>(type), bytes_);
  AppendBigEndian(static_cast<std::int32_t>(size), bytes_);
  AppendBigEndian<std::int32_t>(1, bytes_);  // index of the first element
}

PostgresArray& PostgresArray::Integer(std::int64_t value) {
  AppendBigEndian<std::int32_t>(sizeof(value), bytes_);
  AppendBigEndian(value, bytes_);
  return *this;
}

PostgresArray& PostgresArray::Bytes(std::string_view value) {
  AppendBigEndian(static_cast<std::int32_t>(value.size()), bytes_);
  bytes_ += value;
  return *this;
}

PostgresArray& PostgresArray::BytesOrNull(std::string_view value) {
  return value.empty() ? Null() : Bytes(value);
}

PostgresArray& PostgresArray::Json(std::string_view value) {
  constexpr char kVersion = 1;
  AppendBigEndian(static_cast<std::int32_t>(value.size() + 1), bytes_);
  bytes_ += kVersion;
  bytes_ += value;
  return *this;
}

PostgresArray& PostgresArray::Time(absl::Time value) {
  return Integer(absl::ToUnixMicros(value) -
                 absl::ToUnixMicros(kPostgresEpoch));
}

PostgresArray& PostgresArray::Null() {
  AppendBigEndian<std::int32_t>(-1, bytes_);
  return *this;
}

bool PostgresResult::IsNull(int row, int column) const {
  SLUICE_DCHECK(row >= 0 && row < rows());
  SLUICE_DCHECK(column >= 0 && column < PQnfields(handle_.get()));
  return PQgetisnull(handle_.get(), row, column) != 0;
}

bool PostgresResult::BoolAt(int row, int column) const {
  return IntegerAt(row, column) != 0;
}

std::int64_t PostgresResult::IntegerAt(int row, int column) const {
  return ReadBigEndian(BytesAt(row, column));
}

std::string_view PostgresResult::BytesAt(int row, int column) const {
  SLUICE_DCHECK(row >= 0 && row < rows());
  SLUICE_DCHECK(column >= 0 && column < PQnfields(handle_.get()));
  return {PQgetvalue(handle_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(handle_.get(), row, column))};
}

absl::Time PostgresResult::TimeAt(int row, int column) const {
  return kPostgresEpoch + absl::Microseconds(IntegerAt(row, column));
}

std::vector<PostgresHost> PostgresHosts(const std::string& url) {
  SLUICE_DCHECK(!CheckPostgresUrl(url).has_value());
  const PostgresSettings settings = *ParsePostgresUrl(url);
  const auto list = [&settings](const char* keyword) {
    const auto found = settings.find(keyword);
    return found == settings.end() || found->second.empty()
               ? std::vector<std::string>()
               : std::vector<std::string>(absl::StrSplit(found->second, ','));
  };
  const std::vector<std::string> names = list("host");
  const std::vector<std::string> addresses = list("hostaddr");
  const std::vector<std::string> ports = list("port");
  std::vector<PostgresHost> hosts(std::max(names.size(), addresses.size()));
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i < names.size()) hosts[i].host = names[i];
    if (i < addresses.size()) hosts[i].hostaddr = addresses[i];
    if (ports.size() == 1) hosts[i].port = ports[0];
    // A URL like postgresql://a,b has the list of ports ",". An empty value
    // would leave this list unchanged, which does not fit one host.
    if (ports.size() > 1) hosts[i].port = kDefaultPort;
    if (i < ports.size() && !ports[i].empty()) hosts[i].port = ports[i];
    // libpq ignores an empty value, so it would try all hosts of the URL. Treat
    // such a URL as one host.
    if (hosts[i].host.empty() && hosts[i].hostaddr.empty()) return {{}};
  }
  if (hosts.empty()) hosts.emplace_back();
  return hosts;
}

PostgresConnection::PostgresConnection(PGconn* connection)
    : notices_(std::make_unique<PostgresNotices>()), handle_(connection) {}

absl::StatusOr<PostgresConnection> PostgresConnection::Open(
    const std::string& url, const PostgresHost& host, TimePoint deadline) {
  SLUICE_DCHECK(!CheckPostgresUrl(url).has_value());
  // The URL overrides keywords before "dbname", but not keywords after it.
  // libpq ignores empty values. The keepalive settings detect a vanished peer
  // within a minute.
  constexpr const char* kKeywords[] = {"keepalives_idle",
                                       "keepalives_interval",
                                       "keepalives_count",
                                       "tcp_user_timeout",
                                       "target_session_attrs",
                                       "dbname",
                                       "host",
                                       "hostaddr",
                                       "port",
                                       "client_encoding",
                                       "fallback_application_name",
                                       nullptr};
  const char* const values[] = {"30",
                                "10",
                                "3",
                                "30000",
                                "read-write",
                                url.c_str(),
                                host.host.c_str(),
                                host.hostaddr.c_str(),
                                host.port.c_str(),
                                "UTF8",
                                "sluice",
                                nullptr};
  static_assert(std::size(kKeywords) == std::size(values));
  PostgresConnection connection(
      PQconnectStartParams(kKeywords, values, /*expand_dbname=*/1));
  connection.deadline_ = deadline;
  const absl::Status connected = connection.FinishConnecting();
  if (!connected.ok()) return connected;
  return connection;
}

absl::Status PostgresConnection::FinishConnecting() {
  PGconn* const handle = handle_.get();
  if (handle == nullptr) {
    return absl::UnavailableError("cannot connect to PostgreSQL: no memory");
  }
  PQsetNoticeReceiver(handle, TakeNotice, notices_.get());
  // Wait for writing before the first call of PQconnectPoll, as its
  // documentation requires.
  int events = POLLOUT;
  while (PQstatus(handle) != CONNECTION_BAD) {
    const absl::StatusOr<int> ready = Poll(events);
    if (!ready.ok()) {
      return absl::UnavailableError(absl::StrCat(
          "cannot connect to PostgreSQL: ", ready.status().message()));
    }
    if (*ready == 0) continue;
    const PostgresPollingStatusType next = PQconnectPoll(handle);
    if (next == PGRES_POLLING_FAILED) break;
    if (next == PGRES_POLLING_OK) {
      return PQsetnonblocking(handle, 1) == 0 ? absl::OkStatus() : Lost();
    }
    events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
  }
  return absl::UnavailableError(
      absl::StrCat("cannot connect to PostgreSQL: ", ConnectErrorText(handle)));
}

bool PostgresConnection::Alive() {
  PGconn* const handle = handle_.get();
  pollfd socket = {.fd = PQsocket(handle), .events = POLLIN, .revents = 0};
  if (socket.fd < 0 || poll(&socket, 1, 0) < 0) return false;
  if (socket.revents != 0) {
    if (PQconsumeInput(handle) == 0) return false;
    // Parse the bytes received. If the server has ended the session, this calls
    // TakeNotice or sets the connection's status.
    PQisBusy(handle);
  }
  return PQstatus(handle) == CONNECTION_OK && !notices_->ended;
}

absl::Status PostgresConnection::Lost() const {
  return absl::UnavailableError("the connection to PostgreSQL was lost");
}

absl::StatusOr<int> PostgresConnection::Poll(int events) const {
  pollfd socket = {.fd = PQsocket(handle_.get()),
                   .events = static_cast<std::int16_t>(events),
                   .revents = 0};
  if (socket.fd < 0) return Lost();
  // Round up, so that the last wait is not a busy loop. Limit the wait, because
  // poll takes an int.
  constexpr std::chrono::milliseconds kMax = std::chrono::hours(24);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      std::clamp(deadline_ - std::chrono::steady_clock::now(), Duration::zero(),
                 Duration(kMax)));
  const int ready = poll(&socket, 1, static_cast<int>(left.count()));
  if (ready < 0) {
    return errno == EINTR ? absl::StatusOr<int>(0) : Lost();
  }
  if (ready == 0) {
    return absl::UnavailableError("PostgreSQL did not answer in time");
  }
  return socket.revents;
}

absl::Status PostgresConnection::Await() {
  PGconn* const handle = handle_.get();
  const int flushed = PQflush(handle);
  if (flushed < 0) return Lost();
  // Read also while there are bytes to send. Otherwise both sides could wait
  // for each other with full buffers.
  const absl::StatusOr<int> ready =
      Poll(flushed > 0 ? POLLIN | POLLOUT : POLLIN);
  if (!ready.ok()) return ready.status();
  const bool readable = (*ready & ~POLLOUT) != 0;
  return readable && PQconsumeInput(handle) == 0 ? Lost() : absl::OkStatus();
}

absl::StatusOr<PostgresResult> PostgresConnection::NextResult() {
  while (PQisBusy(handle_.get()) != 0) {
    const absl::Status waited = Await();
    if (!waited.ok()) return waited;
  }
  return PostgresResult(PQgetResult(handle_.get()));
}

absl::Status PostgresConnection::StatusOf(const PGresult* result) const {
  switch (PQresultStatus(result)) {
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_PIPELINE_SYNC:
      return absl::OkStatus();
    default:
      break;
  }
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  // Without a SQLSTATE the error is libpq's own, about the connection.
  if (sqlstate == nullptr) return Lost();
  return PostgresError(sqlstate, "PostgreSQL cannot run a statement");
}

// Any warning in the exchange that has the COMMIT counts. The warning of the
// COMMIT may be read together with the result of the statement before the
// COMMIT, so warnings cannot be assigned to statements.
absl::Status PostgresConnection::OutcomeOf(bool committed) const {
  if (!committed || !notices_->warned) return absl::OkStatus();
  return absl::UnavailableError(
      "PostgreSQL warned about a COMMIT, so its outcome is unknown");
}

absl::Status PostgresConnection::Start(const std::string& sql) {
  // No statement may be queued. Otherwise TakeAnswer would take the results of
  // queued statements for the answer.
  SLUICE_DCHECK_EQ(queued_, 0u);
  notices_->warned = false;
  answer_ = absl::OkStatus();
  answer_has_commit_ = false;
  return PQsendQuery(handle_.get(), sql.c_str()) != 0 ? absl::OkStatus()
                                                      : Lost();
}

std::optional<absl::Status> PostgresConnection::TakeAnswer() {
  while (true) {
    while (PQisBusy(handle_.get()) != 0) {
      const absl::Status waited = Await();
      if (waited.ok()) continue;
      if (std::chrono::steady_clock::now() < deadline_) return waited;
      return std::nullopt;
    }
    const PostgresResult next(PQgetResult(handle_.get()));
    if (next.empty()) break;
    answer_has_commit_ = answer_has_commit_ || IsCommit(next.get());
    answer_.Update(StatusOf(next.get()));
  }
  answer_.Update(OutcomeOf(answer_has_commit_));
  return answer_;
}

absl::Status PostgresConnection::Execute(const std::string& sql) {
  const absl::Status started = Start(sql);
  if (!started.ok()) return started;
  return TakeAnswer().value_or(
      absl::UnavailableError("PostgreSQL did not answer in time"));
}

void PostgresConnection::Queued(bool sent) {
  ++queued_;
  send_failed_ = send_failed_ || !sent;
}

bool PostgresConnection::EnterPipeline() {
  return PQenterPipelineMode(handle_.get()) != 0;
}

void PostgresConnection::SendPrepare(const char* name, const char* sql) {
  Queued(EnterPipeline() &&
         PQsendPrepare(handle_.get(), name, sql, 0, nullptr) != 0);
}

void PostgresConnection::Send(const char* name,
                              absl::Span<const std::string> parameters) {
  const Pointers p(parameters);
  Queued(EnterPipeline() &&
         PQsendQueryPrepared(handle_.get(), name, p.count(), p.values(),
                             p.lengths(), p.formats(), kBinary) != 0);
}

void PostgresConnection::SendQuery(const char* sql,
                                   absl::Span<const std::string> parameters) {
  const Pointers p(parameters);
  Queued(EnterPipeline() &&
         PQsendQueryParams(handle_.get(), sql, p.count(), nullptr, p.values(),
                           p.lengths(), p.formats(), kBinary) != 0);
}

absl::StatusOr<std::vector<PostgresResult>> PostgresConnection::Receive() {
  const std::size_t count = std::exchange(queued_, 0);
  SLUICE_DCHECK_GT(count, 0u);
  notices_->warned = false;
  if (send_failed_ || PQpipelineSync(handle_.get()) == 0) return Lost();
  std::vector<PostgresResult> results;
  bool committed = false;
  absl::Status status;
  for (std::size_t i = 0; i < count; ++i) {
    absl::StatusOr<PostgresResult> result = NextResult();
    if (!result.ok()) return result.status();
    committed = committed || IsCommit(result->get());
    status.Update(StatusOf(result->get()));
    results.push_back(*std::move(result));
    const absl::StatusOr<PostgresResult> end = NextResult();
    if (!end.ok()) return end.status();
    if (!end->empty()) return Lost();
  }
  const absl::StatusOr<PostgresResult> sync = NextResult();
  if (!sync.ok()) return sync.status();
  status.Update(OutcomeOf(committed));
  if (!status.ok()) return status;
  if (PQresultStatus(sync->get()) != PGRES_PIPELINE_SYNC ||
      PQexitPipelineMode(handle_.get()) == 0) {
    return Lost();
  }
  return results;
}

absl::StatusOr<PostgresResult> PostgresConnection::ReceiveOne() {
  absl::StatusOr<std::vector<PostgresResult>> results = Receive();
  if (!results.ok()) return results.status();
  return std::move(results->front());
}

absl::StatusOr<PostgresResult> PostgresConnection::Run(
    const char* name, absl::Span<const std::string> parameters) {
  Send(name, parameters);
  return ReceiveOne();
}

absl::StatusOr<PostgresResult> PostgresConnection::Query(
    const char* sql, absl::Span<const std::string> parameters) {
  SendQuery(sql, parameters);
  return ReceiveOne();
}

}  // namespace sluice
