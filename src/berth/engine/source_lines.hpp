#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "berth/base/bytes.hpp"
#include "berth/engine/module_info.hpp"

namespace berth {

struct SourcePlace {
    std::string file;          // with its directory where the module names one
    std::uint32_t line = 0;
    std::uint32_t column = 0;  // 0: not told

    bool operator==(const SourcePlace&) const = default;
};

/// The line tables (DWARF 2 to 5) of a module as it was before the metering pass: from offsets in the file to lines of
/// the source. Keeps copies of the sections it needs and reads them only when asked, so holding one is cheap.
///
/// The tables are the module's own word and may say anything; damaged ones give no place. Immutable, any thread.
class SourceLines {
public:
    SourceLines() = default;
    static SourceLines of(ByteView wasm, const ModuleInfo& info);

    bool empty() const noexcept { return lines_.empty(); }
    /// Where the code at this file offset of the original module comes from.
    std::optional<SourcePlace> find(std::uint32_t offset) const;

private:
    Bytes lines_;         // .debug_line
    Bytes line_strings_;  // .debug_line_str
    Bytes strings_;       // .debug_str
    std::size_t code_ = 0;  // begin of the code section's payload: where addresses count from
};

}  // namespace berth
