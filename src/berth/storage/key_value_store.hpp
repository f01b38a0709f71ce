#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth {

/// One transaction: it sees its own changes and, of everything else, the state at its begin. Dropped without `commit` it
/// changes nothing. One thread; the store outlives it.
class StoreTransaction {
public:
    virtual ~StoreTransaction() = default;

    virtual Result<std::optional<Bytes>> get(ByteView key) = 0;
    /// Keys and values up to 16 MiB; longer ones are payload_too_large.
    virtual Result<void> put(ByteView key, ByteView value) = 0;
    /// No error when it is not there.
    virtual Result<void> erase(ByteView key) = 0;
    /// Keys from `from` (inclusive) to `to` (exclusive; empty: to the end), in the order of their bytes, until `take` says
    /// no. Changing the store while walking is allowed; what is changed may be seen or not.
    virtual Result<void> walk(ByteView from, ByteView to, const std::function<bool(ByteView key, ByteView value)>& take) = 0;

    /// After this returns, the changes are durable. Fails with conflict when another transaction changed something since the
    /// begin of this one: nothing has happened then, and the whole can be tried again.
    virtual Result<void> commit() = 0;
};

enum class StoreAccess : std::uint8_t { read, write };

/// Ordered keys and values of bytes. Any thread.
class KeyValueStore {
public:
    virtual ~KeyValueStore() = default;

    /// Writing transactions wait for each other; reading ones wait for nobody.
    virtual Result<std::unique_ptr<StoreTransaction>> begin(StoreAccess access) = 0;

    /// One value on its own.
    Result<std::optional<Bytes>> get(ByteView key);
    Result<void> put(ByteView key, ByteView value);
};

inline constexpr std::size_t largest_stored_value = 16 << 20;

}  // namespace berth
