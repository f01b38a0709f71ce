#pragma once

#include <initializer_list>
#include <string_view>

#include "berth/base/bytes.hpp"

namespace berth::testing {

/// Modules put together byte by byte, for tests of what reads and writes the binary format.
inline Bytes leb(std::uint64_t value) {
    Bytes out;
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
    out.push_back(static_cast<std::uint8_t>(value));
    return out;
}

inline Bytes join(std::initializer_list<Bytes> parts) {
    Bytes out;
    for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

/// A length in front of bytes.
inline Bytes sized(const Bytes& content) { return join({leb(content.size()), content}); }
inline Bytes wasm_name(std::string_view text) { return sized(Bytes(text.begin(), text.end())); }

/// A count in front of items.
inline Bytes items(std::initializer_list<Bytes> parts) { return join({leb(parts.size()), join(parts)}); }

inline Bytes wasm_section(std::uint8_t id, const Bytes& payload) { return join({{id}, sized(payload)}); }
inline Bytes custom_section(std::string_view name, const Bytes& payload = {}) { return wasm_section(0, join({wasm_name(name), payload})); }

inline Bytes wasm_module(std::initializer_list<Bytes> sections) {
    return join({{0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00}, join(sections)});
}

/// A module with one function of type `type` (behind the 0x60), exported as `f`, with one page of memory, one table of
/// one element and one mutable i32 global. `body` is locals and operators with the last `end`.
inline Bytes function_module(const Bytes& body, const Bytes& type = {0x00, 0x00}) {
    return wasm_module({
        wasm_section(1, items({join({{0x60}, type})})),
        wasm_section(3, items({{0x00}})),
        wasm_section(4, items({{0x70, 0x00, 0x01}})),
        wasm_section(5, items({{0x00, 0x01}})),
        wasm_section(6, items({{0x7f, 0x01, 0x41, 0x00, 0x0b}})),
        wasm_section(7, items({join({wasm_name("f"), {0x00, 0x00}})})),
        wasm_section(9, items({{0x00, 0x41, 0x00, 0x0b, 0x01, 0x00}})),
        wasm_section(12, {0x01}),
        wasm_section(10, items({sized(body)})),
        wasm_section(11, items({{0x01, 0x02, 0xaa, 0xbb}})),
    });
}

}  // namespace berth::testing
