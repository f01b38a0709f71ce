#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/engine/host_context.hpp"
#include "berth/engine/module.hpp"

struct berth_linked_module;

namespace berth {

/// One function the host offers to a module.
struct HostImport {
    std::string_view module;
    std::string_view name;
    FunctionType type;
    std::uint32_t function = 0;  // handed to the entry
    bool may_wait = false;       // may return HostStatus::suspend; only with Linkage::waiting
};

enum class Linkage : std::uint8_t {
    synchronous,  // invoke and Instance
    waiting,      // PendingCall: the guest runs on a fiber and host functions may suspend it
};

/// How often instances were restored in place instead of made.
struct RestoreCounters {
    std::uint64_t restored = 0;
    std::uint64_t created = 0;
    std::uint64_t dropped = 0;
    std::uint64_t faults = 0;
};

/// A module with every import resolved: what instances are made from. Immutable, any thread. Restored instances are
/// kept here, so one LinkedModule belongs to one function version, one policy and one tenant.
class LinkedModule {
public:
    /// Fails with import_unresolved, listing every import that has no partner or one of another type.
    static Result<std::shared_ptr<LinkedModule>> link(std::shared_ptr<Module> module, std::span<const HostImport> imports, HostEntry entry,
                                                      Linkage linkage = Linkage::synchronous);

    LinkedModule(const LinkedModule&) = delete;
    LinkedModule& operator=(const LinkedModule&) = delete;

    const Module& module() const noexcept { return *module_; }
    RestoreCounters counters() const noexcept;
    berth_linked_module* handle() const noexcept { return handle_.get(); }

private:
    struct Deleter { void operator()(berth_linked_module* linked) const noexcept; };
    LinkedModule(std::shared_ptr<Module> module, berth_linked_module* handle);

    std::shared_ptr<Module> module_;  // owners: this, and a cache of modules
    std::unique_ptr<berth_linked_module, Deleter> handle_;
};

}  // namespace berth
