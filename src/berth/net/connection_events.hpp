#pragma once

// Of the HTTP server; not for other modules.

#include <memory>

namespace berth {

class HttpConnection;
class Reactor;

/// Tells the connections of one loop what happens to their sockets. The sockets are one set of the system's, which is itself
/// something that the loop waits for: so a connection reads because there is something, never to find out, and notices that its
/// peer has gone also while it does not read.
///
/// Used in the loop only. Connections look one after the other, in the order in which something happened to them; when one of
/// them loses the loop to another thread, that goes on with the rest.
class ConnectionEvents {
public:
    explicit ConnectionEvents(Reactor& reactor) : reactor_(reactor) {}
    ~ConnectionEvents();
    ConnectionEvents(const ConnectionEvents&) = delete;
    ConnectionEvents& operator=(const ConnectionEvents&) = delete;

    /// From here on `connection` is told. False: the system cannot.
    bool add(int descriptor, HttpConnection& connection);
    /// Before the descriptor is closed; afterwards the connection is not called any more.
    void remove(int descriptor, HttpConnection& connection) noexcept;
    /// Has the connection look soon, as if something had happened; not inside this call.
    void line_up(HttpConnection& connection);

private:
    struct Inner;
    Reactor& reactor_;
    std::shared_ptr<Inner> inner_;  // made for the first one; owners: this, and handlers that are under way
};

}  // namespace berth
