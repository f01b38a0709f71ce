#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/base/ip_address.hpp"

namespace berth {

/// Turns host names into addresses. Any thread.
class NameResolver {
public:
    using Done = std::move_only_function<void(Result<std::vector<IpAddress>>)>;

    virtual ~NameResolver() = default;
    /// Calls `done` once, on any thread, perhaps within this call. Fails with `upstream` when there is no such name.
    virtual void resolve(std::string host, Done done) = 0;
};

/// The system's resolver. A look-up blocks a thread of its own, at most 8 at a time; further ones wait. At most 16
/// addresses of a name are used.
class SystemResolver final : public NameResolver {
public:
    SystemResolver();
    ~SystemResolver() override;
    void resolve(std::string host, Done done) override;

private:
    struct Queue;
    std::shared_ptr<Queue> queue_;  // owners: this, and the threads of look-ups that nobody waits for any more
};

struct Endpoint {
    IpAddress address;
    std::uint16_t port;
};

/// Where a connection to a checked address really goes. The one way in which anything leaves: tests put their own server
/// behind it, or see that nothing came.
class Connector {
public:
    virtual ~Connector() = default;
    virtual Result<Endpoint> reach(const Endpoint& checked) = 0;
};

/// The network as it is.
class DirectConnector final : public Connector {
public:
    Result<Endpoint> reach(const Endpoint& checked) override { return checked; }
};

}  // namespace berth
