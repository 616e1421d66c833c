#include "server/metrics/http_endpoint.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <list>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "base/time.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"
#include "server/metrics/families.h"
#include "server/transport/listening_sockets.h"

namespace sluice {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using HttpResponse = http::response<http::string_body>;

constexpr char kPlainText[] = "text/plain; charset=utf-8";
constexpr char kMetricsText[] = "text/plain; version=0.0.4; charset=utf-8";

// Limit for the request line and the header fields together.
constexpr std::uint32_t kHeaderBytesMax = 8192;
constexpr std::size_t kBufferBytesMax = std::size_t{2} * kHeaderBytesMax;
// Bytes that are read and thrown away before a connection is closed.
constexpr std::size_t kDiscardedBytesMax = std::size_t{64} << 10;
// Pause after a connection could not be accepted, e.g. because the process has
// no free file descriptor.
constexpr std::chrono::milliseconds kAcceptPause(100);

std::string_view View(beast::string_view text) {
  return {text.data(), text.size()};
}

// Returns the value of a parameter of the query, or an empty text.
std::string QueryParameter(const std::string& query, const std::string& name) {
  for (const absl::string_view pair : absl::StrSplit(query, '&')) {
    if (absl::StartsWith(pair, name + "=")) {
      // Names of methods contain no other character that must be encoded.
      return absl::StrReplaceAll(pair.substr(name.size() + 1),
                                 {{"%2F", "/"}, {"%2f", "/"}});
    }
  }
  return "";
}

bool HasBody(const http::request<http::empty_body>& request) {
  return request.chunked() ||
         (request.has_content_length() &&
          request[http::field::content_length].compare("0") != 0);
}

// Returns the category of errors that concern what the client has sent.
const beast::error_category& HttpCategory() {
  return http::make_error_code(http::error::bad_method).category();
}

bool TooLarge(beast::error_code error) {
  return error == http::error::header_limit ||
         error == http::error::buffer_overflow;
}

}  // namespace

// --- The loop ---

// The threads of an endpoint, and its connections. Members without a lock are
// used on the event thread only.
class HttpEndpoint::Loop {
 public:
  explicit Loop(Options options);
  ~Loop();

  // Takes over copies of the sockets and starts the event thread.
  absl::Status Start(const ListeningSockets& sockets);

  void SetContent(Content content);
  std::shared_ptr<const Content> content() const;

  const Options& options() const { return options_; }
  asio::io_context& io() { return io_; }

  // Moves the connection to the end of the connections: it is cut last.
  void Renew(const std::shared_ptr<Connection>& connection);
  void Remove(const std::shared_ptr<Connection>& connection);
  // Passes no metrics to the connection. Without this, connections that were
  // cut would collect here while a rendering hangs.
  void ForgetRender(const std::shared_ptr<Connection>& connection) {
    std::erase(awaiting_metrics_, connection);
  }
  void CountTimeout() { ++timeouts_; }

  // Renders the metrics and passes them to `connection`.
  void RenderFor(std::shared_ptr<Connection> connection);

 private:
  struct Listener {
    explicit Listener(asio::io_context& io) : acceptor(io), pause(io) {}

    Tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  void Accept(Listener* listener);
  void Add(Tcp::socket socket);
  void Render();
  std::string MetricsText() const;

  const Options options_;

  mutable absl::Mutex mutex_;  // held to copy a pointer
  std::shared_ptr<const Content> content_ ABSL_GUARDED_BY(mutex_);

  std::atomic<std::uint64_t> replaced_{0};
  std::atomic<std::uint64_t> timeouts_{0};

  // Declared before everything that uses it.
  asio::io_context io_{1};
  std::list<Listener> listeners_;
  // In the order in which their request or their pause began.
  std::list<std::shared_ptr<Connection>> connections_;
  // Connections that wait for metrics whose rendering has not begun.
  std::vector<std::shared_ptr<Connection>> awaiting_metrics_;
  bool rendering_ = false;

  // Has one thread, which renders the metrics.
  asio::thread_pool renderer_{1};
  std::thread thread_;
};

// --- A connection ---

//   accepted --> ReadRequest --> OnRequest --> Send --> OnSent --> Linger
//                    ^                                    |
//                    +------------- AwaitRequest <--------+  keep-alive
//
// Every step has a deadline: the request's from ReadRequest to the end of
// Linger, the pause's in AwaitRequest.
class HttpEndpoint::Connection
    : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop* loop, Tcp::socket socket)
      : loop_(loop), stream_(std::move(socket)) {}

  void Start() { ReadRequest(); }
  // Ends the connection. Operations in progress return with an error.
  void Cut() {
    if (std::exchange(cut_, true)) return;
    stream_.close();
    loop_->ForgetRender(shared_from_this());
  }
  void SendMetrics(const std::string& text) {
    if (!cut_) Send(http::status::ok, kMetricsText, text);
  }

 private:
  friend class Loop;
  using Member = void (Connection::*)(beast::error_code, std::size_t);

  // Returns a handler that keeps this object, and calls `member` unless the
  // connection was cut.
  auto Then(Member member) {
    return [self = shared_from_this(), member](beast::error_code error,
                                               std::size_t bytes) {
      if (self->cut_) return;
      if (error == beast::error::timeout) self->loop_->CountTimeout();
      (self.get()->*member)(error, bytes);
    };
  }

  void AwaitRequest() {
    loop_->Renew(shared_from_this());
    stream_.expires_after(ToMonotonic(loop_->options().idle_timeout));
    stream_.async_read_some(buffer_.prepare(kHeaderBytesMax),
                            Then(&Connection::OnFirstBytes));
  }

  void OnFirstBytes(beast::error_code error, std::size_t bytes) {
    if (error) return End();
    buffer_.commit(bytes);
    ReadRequest();
  }

  void ReadRequest() {
    loop_->Renew(shared_from_this());
    // The deadline stays until the next call of expires_after. It ends all
    // operations that follow, so a client that sends or reads a byte at a time
    // gains nothing.
    stream_.expires_after(ToMonotonic(loop_->options().request_timeout));
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    http::async_read_header(stream_, buffer_, *parser_,
                            Then(&Connection::OnRequest));
  }

  void OnRequest(beast::error_code error, std::size_t /*bytes*/) {
    if (error == http::error::end_of_stream ||
        (error && error.category() != HttpCategory())) {
      return End();
    }
    keep_alive_ = false;
    head_ = false;
    version_ = 11;
    if (error) {
      return TooLarge(error)
                 ? Send(http::status::request_header_fields_too_large,
                        kPlainText, "the header is too large\n")
                 : Send(http::status::bad_request, kPlainText,
                        "not a valid HTTP request\n");
    }
    const auto& request = parser_->get();
    // A body is not read, so no request can follow it.
    keep_alive_ = request.keep_alive() && !HasBody(request);
    head_ = request.method() == http::verb::head;
    version_ = request.version();
    Answer(head_ || request.method() == http::verb::get,
           View(request.target()));
  }

  void Answer(bool allowed, std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    const std::string query(target.substr(
        path.size() == target.size() ? path.size() : path.size() + 1));
    if (path != "/metrics" && path != "/healthz" && path != "/readyz") {
      return Send(http::status::not_found, kPlainText,
                  "try /metrics, /healthz, /readyz\n");
    }
    if (!allowed) {
      return Send(http::status::method_not_allowed, kPlainText,
                  "only GET and HEAD are allowed\n");
    }
    if (path == "/healthz") return Send(http::status::ok, kPlainText, "ok\n");
    if (path == "/metrics") return loop_->RenderFor(shared_from_this());
    const std::optional<Readiness> readiness =
        loop_->content()->readiness(QueryParameter(query, "method"));
    if (!readiness.has_value()) {
      return Send(http::status::not_found, kPlainText, "unknown method\n");
    }
    Send(
        readiness->ready ? http::status::ok : http::status::service_unavailable,
        kPlainText, readiness->text);
  }

  void Send(http::status status, const char* content_type,
            const std::string& body) {
    response_ = HttpResponse(status, version_);
    response_.set(http::field::content_type, content_type);
    response_.set(http::field::cache_control, "no-store");
    if (status == http::status::method_not_allowed) {
      response_.set(http::field::allow, "GET, HEAD");
    }
    response_.keep_alive(keep_alive_);
    response_.content_length(body.size());
    if (!head_) response_.body() = body;
    http::async_write(stream_, response_, Then(&Connection::OnSent));
  }

  void OnSent(beast::error_code error, std::size_t /*bytes*/) {
    response_ = HttpResponse();
    if (error) return End();
    if (!keep_alive_) return BeginLinger();
    if (buffer_.size() > 0) {
      ReadRequest();
    } else {
      AwaitRequest();
    }
  }

  // The kernel resets a connection that is closed while received bytes are
  // unread, and the client may then lose the answer. Therefore announce the
  // end, and wait for the client's.
  void BeginLinger() {
    beast::error_code ignored;
    stream_.socket().shutdown(Tcp::socket::shutdown_send, ignored);
    discarded_ = 0;
    Linger();
  }

  void Linger() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kHeaderBytesMax),
                            Then(&Connection::OnDiscarded));
  }

  void OnDiscarded(beast::error_code error, std::size_t bytes) {
    discarded_ += bytes;
    if (error || discarded_ > kDiscardedBytesMax) return End();
    Linger();
  }

  void End() {
    Cut();
    loop_->Remove(shared_from_this());
  }

  Loop* const loop_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kBufferBytesMax};
  std::optional<http::request_parser<http::empty_body>> parser_;
  HttpResponse response_;
  std::size_t discarded_ = 0;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool cut_ = false;
  // Position in Loop::connections_.
  std::list<std::shared_ptr<Connection>>::iterator position_;
};

// --- The loop's functions ---

HttpEndpoint::Loop::Loop(Options options) : options_(std::move(options)) {
  SetContent(options_.content);
}

HttpEndpoint::Loop::~Loop() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
  renderer_.join();
}

void HttpEndpoint::Loop::SetContent(Content content) {
  if (!content.readiness) {
    content.readiness = [](std::string_view) {
      return Readiness{.ready = false, .text = "starting\n"};
    };
  }
  auto shared = std::make_shared<const Content>(std::move(content));
  const absl::MutexLock lock(&mutex_);
  content_ = std::move(shared);
}

std::shared_ptr<const HttpEndpoint::Content> HttpEndpoint::Loop::content()
    const {
  const absl::MutexLock lock(&mutex_);
  return content_;
}

absl::Status HttpEndpoint::Loop::Start(const ListeningSockets& sockets) {
  for (const int fd : sockets.fds()) {
    int family = AF_INET;
    socklen_t size = sizeof(family);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    Listener& listener = listeners_.emplace_back(io_);
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    beast::error_code error;
    listener.acceptor.assign(family == AF_INET6 ? Tcp::v6() : Tcp::v4(), copy,
                             error);
    if (!error) listener.acceptor.non_blocking(true, error);
    if (copy < 0 || error) {
      return absl::UnavailableError(
          "metrics: cannot listen: no file descriptor");
    }
    Accept(&listener);
  }
  thread_ = std::thread([this] { io_.run(); });
  return absl::OkStatus();
}

void HttpEndpoint::Loop::Accept(Listener* listener) {
  listener->acceptor.async_accept(
      [this, listener](beast::error_code error, Tcp::socket socket) {
        if (!error) {
          Add(std::move(socket));
          return Accept(listener);
        }
        listener->pause.expires_after(kAcceptPause);
        listener->pause.async_wait(
            [this, listener](beast::error_code) { Accept(listener); });
      });
}

void HttpEndpoint::Loop::Add(Tcp::socket socket) {
  if (connections_.size() >= options_.connections_max) {
    ++replaced_;
    connections_.front()->Cut();
    connections_.pop_front();
  }
  auto connection = std::make_shared<Connection>(this, std::move(socket));
  connection->position_ = connections_.insert(connections_.end(), connection);
  connection->Start();
}

void HttpEndpoint::Loop::Renew(const std::shared_ptr<Connection>& connection) {
  connections_.splice(connections_.end(), connections_, connection->position_);
}

void HttpEndpoint::Loop::Remove(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection->position_);
}

void HttpEndpoint::Loop::RenderFor(std::shared_ptr<Connection> connection) {
  awaiting_metrics_.push_back(std::move(connection));
  if (!rendering_) Render();
}

// Renders once for all connections that wait. Connections that ask meanwhile
// get the next rendering, so that no client is given old values.
void HttpEndpoint::Loop::Render() {
  rendering_ = true;
  asio::post(renderer_, [this, waiting = std::exchange(awaiting_metrics_, {})] {
    asio::post(io_, [this, waiting, text = MetricsText()] {
      for (const auto& connection : waiting) connection->SendMetrics(text);
      rendering_ = false;
      if (!awaiting_metrics_.empty()) Render();
    });
  });
}

std::string HttpEndpoint::Loop::MetricsText() const {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : content()->metrics) {
    std::vector<prometheus::MetricFamily> collected = source->Collect();
    std::ranges::move(collected, std::back_inserter(families));
  }
  Family dropped(prometheus::MetricType::Counter,
                 "sluice_http_dropped_connections_total",
                 "Connections to the metrics address that the server cut, by "
                 "reason.");
  dropped.Add({{"reason", "timeout"}}, timeouts_.load());
  dropped.Add({{"reason", "replaced"}}, replaced_.load());
  families.push_back(dropped.Take());
  return prometheus::TextSerializer().Serialize(families);
}

// --- The endpoint ---

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(
    Options options) {
  const absl::StatusOr<ListeningSockets> sockets =
      ListeningSockets::Open(options.address);
  if (!sockets.ok()) {
    return absl::UnavailableError(
        absl::StrCat("metrics: ", sockets.status().message()));
  }
  auto loop = std::make_unique<Loop>(std::move(options));
  if (const absl::Status started = loop->Start(*sockets); !started.ok()) {
    return started;
  }
  return std::unique_ptr<HttpEndpoint>(
      new HttpEndpoint(std::move(loop), sockets->port()));
}

HttpEndpoint::HttpEndpoint(std::unique_ptr<Loop> loop, int port)
    : loop_(std::move(loop)), port_(port) {}

HttpEndpoint::~HttpEndpoint() = default;

void HttpEndpoint::SetContent(Content content) {
  loop_->SetContent(std::move(content));
}

}  // namespace sluice
