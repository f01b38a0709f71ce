#include "berth/net/client_connection.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <boost/asio/write.hpp>

#include "berth/base/format.hpp"

namespace berth {
namespace {

using boost::asio::ip::tcp;
namespace ssl = boost::asio::ssl;

std::string openssl_text() {
    char text[256] = "unknown reason";
    if (const auto code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

tcp::endpoint to_asio(const Endpoint& endpoint) {
    if (endpoint.address.is_v4()) return {boost::asio::ip::address_v4(endpoint.address.v4_bytes()), endpoint.port};
    return {boost::asio::ip::address_v6(endpoint.address.bytes()), endpoint.port};
}

}  // namespace

Result<std::unique_ptr<ssl::context>> make_client_tls(const std::string& ca_file) {
    auto made = std::make_unique<ssl::context>(ssl::context::tls_client);
    auto* native = made->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    // The built-in places, by name: SSL_CTX_set_default_verify_paths would let the environment choose others. A system
    // without certificates is no error, it trusts nobody.
    X509_LOOKUP* folder = X509_STORE_add_lookup(SSL_CTX_get_cert_store(native), X509_LOOKUP_hash_dir());
    if (folder != nullptr) X509_LOOKUP_add_dir(folder, X509_get_default_cert_dir(), X509_FILETYPE_PEM);
    SSL_CTX_load_verify_file(native, X509_get_default_cert_file());
    ERR_clear_error();
    if (!ca_file.empty() && SSL_CTX_load_verify_file(native, ca_file.c_str()) != 1) {
        Error error(Code::config_error, format("network.ca_file {} holds no certificates that can be read: {}", ca_file, openssl_text()));
        error.set_fix("name a file of certificates in PEM form");
        return fail(std::move(error));
    }
    return made;
}

Task<Result<void>> ClientConnection::connect(Endpoint endpoint) {
    const auto target = to_asio(endpoint);
    boost::system::error_code error;
    // Made here and not by the library: a process that is started meanwhile must not inherit it.
    const int descriptor = ::socket(target.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) co_return fail(Code::upstream, format("no socket can be had: {}", std::generic_category().message(errno)));
    socket_.assign(target.protocol(), descriptor, error);
    if (error) {
        ::close(descriptor);
        co_return fail(Code::upstream, format("no socket can be had: {}", error.message()));
    }
    socket_.set_option(tcp::no_delay(true), error);
    const auto done = co_await asio_op([this, &target](auto handler) { socket_.async_connect(target, handler); });
    if (done.error) co_return fail(Code::upstream, format("{} port {} cannot be reached: {}", endpoint.address.text(), endpoint.port, done.error.message()));
    co_return Result<void>();
}

Task<Result<void>> ClientConnection::handshake(ssl::context& tls, const Url& url) {
    tls_.emplace(socket_, tls);
    auto* native = tls_->native_handle();
    auto* parameters = SSL_get0_param(native);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const bool bound = url.address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, url.host.c_str()) == 1
                                   : X509_VERIFY_PARAM_set1_host(parameters, url.host.c_str(), url.host.size()) == 1 && SSL_set_tlsext_host_name(native, url.host.c_str()) == 1;
    if (!bound) co_return fail(Code::upstream, format("TLS cannot be set up for {}", url.host));
    const auto done = co_await asio_op([this](auto handler) { tls_->async_handshake(ssl::stream_base::client, handler); });
    if (!done.error) co_return Result<void>();
    const auto verdict = SSL_get_verify_result(native);
    if (verdict == X509_V_OK) co_return fail(Code::upstream, format("the TLS handshake with {} failed: {}", url.authority(), done.error.message()));
    Error error(Code::upstream, format("the certificate of {} is not accepted: {}", url.authority(), X509_verify_cert_error_string(verdict)));
    error.set_fix("network.ca_file names a file of further certificates to trust");
    co_return fail(std::move(error));
}

Task<Result<std::size_t>> ClientConnection::read_some() {
    constexpr std::size_t at_once = 16 * 1024;
    const auto before = arrived.size();
    arrived.resize(before + at_once);
    const auto buffer = boost::asio::buffer(arrived.data() + before, at_once);
    const auto done = co_await asio_op([this, &buffer](auto handler) {
        if (tls_) {
            tls_->async_read_some(buffer, handler);
        } else {
            socket_.async_read_some(buffer, handler);
        }
    });
    arrived.resize(before + done.bytes);
    if (done.bytes != 0) co_return done.bytes;
    // A TLS stream has an end of its own; one that only stops was cut off.
    if (done.error == boost::asio::error::eof) co_return std::size_t{0};
    co_return fail(Code::upstream, format("the connection broke: {}", done.error.message()));
}

Task<Result<void>> ClientConnection::write(std::string_view bytes) {
    const auto buffer = boost::asio::buffer(bytes.data(), bytes.size());
    const auto done = co_await asio_op([this, &buffer](auto handler) {
        if (tls_) {
            boost::asio::async_write(*tls_, buffer, handler);
        } else {
            boost::asio::async_write(socket_, buffer, handler);
        }
    });
    if (done.error) co_return fail(Code::upstream, format("the connection broke while sending: {}", done.error.message()));
    co_return Result<void>();
}

void ClientConnection::close() noexcept {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

bool ClientConnection::is_quiet() {
    if (!socket_.is_open() || !arrived.empty()) return false;
    char byte = 0;
    const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace berth
