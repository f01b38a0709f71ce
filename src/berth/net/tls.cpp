#include "berth/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "berth/base/format.hpp"

namespace berth {

namespace {

constexpr std::string_view protocol = "http/1.1";

template <auto Free>
struct Freeing {
    template <class T>
    void operator()(T* thing) const noexcept {
        Free(thing);
    }
};

/// What the library says about the last failure.
std::string last_problem() {
    const auto number = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
    return reason != nullptr ? reason : "unknown reason";
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned int offered_size, void*) {
    for (unsigned at = 0; at + 1 <= offered_size && at + 1 + offered[at] <= offered_size; at += 1U + offered[at]) {
        if (std::string_view(reinterpret_cast<const char*>(offered + at + 1), offered[at]) != protocol) continue;
        *chosen = offered + at + 1;
        *size = offered[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

struct TlsContext::Loaded {
    std::unique_ptr<SSL_CTX, Freeing<SSL_CTX_free>> context{SSL_CTX_new(TLS_server_method())};

    static Result<std::shared_ptr<Loaded>> read(const Files& files);
};

Result<std::shared_ptr<TlsContext::Loaded>> TlsContext::Loaded::read(const Files& files) {
    const auto refused = [](const std::filesystem::path& file, std::string_view what) { return fail(Code::config_error, format("{}: {}: {}", file.string(), what, last_problem())); };
    ERR_clear_error();
    auto loaded = std::make_shared<Loaded>();
    auto* context = loaded->context.get();
    if (context == nullptr) return fail(Code::unavailable, "TLS cannot be set up: " + last_problem());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });  // never asks
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) return refused(files.certificate, "no certificate that can be used");
    if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) return refused(files.key, "no key that can be used");
    if (SSL_CTX_check_private_key(context) != 1) return refused(files.key, format("not the key of {}", files.certificate.string()));
    return loaded;
}

TlsContext::TlsContext(std::shared_ptr<Loaded> loaded) : loaded_(std::move(loaded)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::load(Files files) {
    BERTH_TRY(auto loaded, Loaded::read(files));
    return std::shared_ptr<TlsContext>(new TlsContext(std::move(loaded)));
}

Result<void> TlsContext::reload(Files files) {
    BERTH_TRY(auto fresh, Loaded::read(files));
    const std::lock_guard lock(mutex_);
    loaded_ = std::move(fresh);
    return {};
}

struct TlsSession::Body {
    std::shared_ptr<TlsContext::Loaded> loaded;
    std::unique_ptr<SSL, Freeing<SSL_free>> ssl;
    BIO* in = nullptr;   // owned by ssl
    BIO* out = nullptr;  // likewise
    bool broken = false;
};

std::unique_ptr<TlsSession> TlsContext::session() {
    auto body = std::make_unique<TlsSession::Body>();
    {
        const std::lock_guard lock(mutex_);
        body->loaded = loaded_;
    }
    body->ssl.reset(SSL_new(body->loaded->context.get()));
    body->in = BIO_new(BIO_s_mem());
    body->out = BIO_new(BIO_s_mem());
    if (!body->ssl || body->in == nullptr || body->out == nullptr) {
        BIO_free(body->in);
        BIO_free(body->out);
        return nullptr;
    }
    BIO_set_mem_eof_return(body->in, -1);  // empty is not the end
    SSL_set_bio(body->ssl.get(), body->in, body->out);
    SSL_set_accept_state(body->ssl.get());
    return std::make_unique<TlsSession>(std::move(body));
}

TlsSession::TlsSession(std::unique_ptr<Body> body) : body_(std::move(body)) {}
TlsSession::~TlsSession() = default;

bool TlsSession::is_established() const noexcept { return SSL_is_init_finished(body_->ssl.get()) == 1; }

void TlsSession::drain(std::string& wire) {
    std::array<char, 4096> part;
    while (true) {
        const int got = BIO_read(body_->out, part.data(), static_cast<int>(part.size()));
        if (got <= 0) return;
        wire.append(part.data(), static_cast<std::size_t>(got));
    }
}

TlsSession::State TlsSession::take(std::string_view arrived, std::string& plain, std::string& wire) {
    auto& body = *body_;
    if (body.broken) return State::broken;
    ERR_clear_error();
    if (BIO_write(body.in, arrived.data(), static_cast<int>(arrived.size())) != static_cast<int>(arrived.size())) body.broken = true;
    auto state = State::open;
    while (!body.broken) {
        std::array<char, 16 * 1024> part;
        const int got = SSL_read(body.ssl.get(), part.data(), static_cast<int>(part.size()));
        if (got > 0) {
            plain.append(part.data(), static_cast<std::size_t>(got));
            continue;
        }
        const auto problem = SSL_get_error(body.ssl.get(), got);
        if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE) break;
        if (problem == SSL_ERROR_ZERO_RETURN) {
            state = State::ended;
            break;
        }
        body.broken = true;
    }
    ERR_clear_error();
    drain(wire);  // with the alert, when it is broken
    return body.broken ? State::broken : state;
}

bool TlsSession::seal(std::string_view plain, std::string& wire) {
    auto& body = *body_;
    ERR_clear_error();
    while (!plain.empty() && !body.broken) {
        const int sent = SSL_write(body.ssl.get(), plain.data(), static_cast<int>(std::min<std::size_t>(plain.size(), 1 << 20)));
        if (sent <= 0) body.broken = true;
        else plain.remove_prefix(static_cast<std::size_t>(sent));
    }
    ERR_clear_error();
    drain(wire);
    return !body.broken;
}

void TlsSession::end(std::string& wire) {
    if (body_->broken || !is_established()) return;
    SSL_shutdown(body_->ssl.get());
    ERR_clear_error();
    drain(wire);
}

}  // namespace berth
