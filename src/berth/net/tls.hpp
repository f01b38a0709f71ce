#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"

namespace berth {

class TlsSession;

/// What a listener shows of itself: a certificate with its chain and the key of it. TLS 1.2 and 1.3, `http/1.1` by ALPN.
/// Any thread.
class TlsContext {
public:
    struct Files {
        std::filesystem::path certificate;  // PEM: its own, then those that lead to a known authority
        std::filesystem::path key;          // PEM, without a passphrase
        bool operator==(const Files&) const = default;
    };
    /// Fails with config_error that names the file and what is wrong with it.
    static Result<std::shared_ptr<TlsContext>> load(Files files);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    /// Reads the files again. Connections from now on get what is there now, or, when that fails, still what was before.
    Result<void> reload(Files files);
    /// The server's side of a new connection; null when there is no memory.
    std::unique_ptr<TlsSession> session();

    struct Loaded;

private:
    explicit TlsContext(std::shared_ptr<Loaded> loaded);
    std::mutex mutex_;
    std::shared_ptr<Loaded> loaded_;  // guarded by mutex_; with the sessions that were made of it
};

/// One TLS connection without a socket: bytes of the wire go in and out. One thread at a time.
class TlsSession {
public:
    struct Body;
    explicit TlsSession(std::unique_ptr<Body> body);
    ~TlsSession();

    enum class State : std::uint8_t { open, ended, broken };
    /// Takes what has come over the wire; appends what it said to `plain` and what is to be sent because of it to `wire`.
    State take(std::string_view arrived, std::string& plain, std::string& wire);
    /// Appends `plain` to `wire` as the other end expects it. False before the handshake is over and after an error.
    bool seal(std::string_view plain, std::string& wire);
    /// Appends the word that nothing more comes.
    void end(std::string& wire);
    bool is_established() const noexcept;

private:
    void drain(std::string& wire);
    std::unique_ptr<Body> body_;
};

}  // namespace berth
