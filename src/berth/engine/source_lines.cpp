#include "berth/engine/source_lines.hpp"

#include <algorithm>
#include <vector>

namespace berth {
namespace {

/// A cursor that fails for good at the first read beyond its end, like WasmReader, for the fields of DWARF.
class Cursor {
public:
    explicit Cursor(ByteView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    bool ok() const noexcept { return ok_; }
    bool at_end() const noexcept { return at_ == end_; }

    std::uint64_t number(std::size_t size) noexcept {
        if (size > 8 || !has(size)) return 0;
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(at_[i]) << (8 * i);
        at_ += size;
        return value;
    }
    std::uint8_t byte() noexcept { return static_cast<std::uint8_t>(number(1)); }

    std::uint64_t leb() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t next = byte();
            value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
            if ((next & 0x80) == 0) return value;
        }
        return fail();
    }
    std::int64_t signed_leb() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64;) {
            const std::uint8_t next = byte();
            value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
            shift += 7;
            if ((next & 0x80) != 0) continue;
            if ((next & 0x40) != 0 && shift < 64) value |= ~std::uint64_t{0} << shift;
            return static_cast<std::int64_t>(value);
        }
        return static_cast<std::int64_t>(fail());
    }
    std::string_view text() noexcept {
        const auto* terminator = std::find(at_, end_, std::uint8_t{0});
        if (terminator == end_) {
            fail();
            return {};
        }
        const std::string_view found(reinterpret_cast<const char*>(at_), static_cast<std::size_t>(terminator - at_));
        at_ = terminator + 1;
        return found;
    }
    ByteView bytes(std::uint64_t size) noexcept {
        if (!has(size)) return {};
        const ByteView view(at_, static_cast<std::size_t>(size));
        at_ += size;
        return view;
    }

private:
    bool has(std::uint64_t size) noexcept {
        if (size <= static_cast<std::uint64_t>(end_ - at_)) return true;
        fail();
        return false;
    }
    std::uint64_t fail() noexcept {
        ok_ = false;
        at_ = end_;
        return 0;
    }

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    bool ok_ = true;
};

std::string_view text_at(ByteView section, std::uint64_t offset) {
    return offset < section.size() ? Cursor(section.subspan(static_cast<std::size_t>(offset))).text() : std::string_view();
}

/// A name as the header tells it. One that stands in a section of strings is only looked up when it is wanted: a table
/// of many names without an end would otherwise be searched for each.
struct FileName {
    std::string_view name;
    ByteView section;
    std::uint64_t offset = 0;
    std::uint64_t directory = 0;

    std::string_view text() const { return section.empty() ? name : text_at(section, offset); }
};

/// Names beyond these are read over; no program has so many in one unit.
constexpr std::size_t most_names = 65'536;
/// Line tables beyond this are left alone, so that a trap costs no more than they are worth.
constexpr std::size_t most_line_bytes = std::size_t{32} << 20;

struct Row {
    std::uint64_t address = 0;
    std::uint64_t file = 1;
    std::uint64_t line = 1;
    std::uint64_t column = 0;
};

/// One unit of .debug_line: its header, then the program that makes its rows.
class Unit {
public:
    Unit(ByteView body, ByteView line_strings, ByteView strings) : in_(body), line_strings_(line_strings), strings_(strings) {}

    std::optional<SourcePlace> find(std::uint64_t address) {
        if (!read_header()) return std::nullopt;
        const auto row = run(address);
        return row ? place(*row) : std::nullopt;
    }

private:
    bool read_header() {
        version_ = static_cast<unsigned>(in_.number(2));
        if (version_ < 2 || version_ > 5) return false;
        if (version_ == 5) in_.number(2);  // sizes of addresses and segment selectors
        Cursor header(in_.bytes(in_.number(4)));
        least_instruction_ = header.byte();
        if (version_ >= 4) header.byte();  // operations per instruction
        header.byte();                     // whether rows begin statements
        line_base_ = static_cast<std::int8_t>(header.byte());
        line_range_ = header.byte();
        opcode_base_ = header.byte();
        for (unsigned i = 1; i < opcode_base_; ++i) operand_counts_.push_back(header.byte());
        if (version_ == 5) {
            read_entries(header, [this](const FileName& entry) { keep(directories_, entry); });
            read_entries(header, [this](const FileName& entry) { keep(files_, entry); });
        } else {
            read_old_tables(header);
        }
        return in_.ok() && header.ok() && line_range_ != 0 && opcode_base_ != 0;
    }

    static void keep(std::vector<FileName>& names, const FileName& name) {
        if (names.size() < most_names) names.push_back(name);
    }

    /// Before version 5 directory 0 is that of the compilation, which other sections tell, and files count from 1.
    void read_old_tables(Cursor& header) {
        directories_.emplace_back();
        files_.emplace_back();
        for (auto name = header.text(); !name.empty(); name = header.text()) keep(directories_, {.name = name});
        for (auto name = header.text(); !name.empty(); name = header.text()) {
            keep(files_, {.name = name, .directory = header.leb()});
            header.leb();
            header.leb();
        }
    }

    template <class Take>
    void read_entries(Cursor& header, Take take) {
        struct Format {
            std::uint64_t content;
            std::uint64_t form;
        };
        std::vector<Format> formats;
        for (unsigned left = header.byte(); left > 0; --left) {
            const auto content = header.leb();
            formats.push_back({.content = content, .form = header.leb()});
        }
        // Entries without a field take no bytes, so nothing would bound their number.
        for (std::uint64_t left = header.leb(); left > 0 && !formats.empty() && header.ok() && !header.at_end(); --left) {
            FileName entry;
            for (const auto& format : formats) {
                FileName text;
                std::uint64_t number = 0;
                switch (format.form) {
                    case 0x08: text.name = header.text(); break;  // in place
                    case 0x1f: text = {.section = line_strings_, .offset = header.number(4)}; break;
                    case 0x0e: text = {.section = strings_, .offset = header.number(4)}; break;
                    case 0x0f: number = header.leb(); break;
                    case 0x0b: number = header.number(1); break;
                    case 0x05: number = header.number(2); break;
                    case 0x06: number = header.number(4); break;
                    case 0x07: number = header.number(8); break;
                    case 0x1e: header.bytes(16); break;
                    case 0x09: header.bytes(header.leb()); break;
                    default: header.bytes(~std::uint64_t{0}); break;  // unknown: its size is too
                }
                if (format.content == 1) {
                    text.directory = entry.directory;
                    entry = text;
                }
                if (format.content == 2) entry.directory = number;
            }
            take(entry);
        }
    }

    /// The row whose code holds `address`: the last one of its sequence that begins at or before it.
    std::optional<Row> run(std::uint64_t address) {
        Row row;
        std::optional<Row> before;   // the row emitted last in this sequence
        bool counts = false;         // sequences at 0 are functions that were left out of the module
        std::optional<Row> found;
        const auto emit = [&](bool ends) {
            if (!before) counts = row.address != 0;
            if (before && counts && before->address <= address && address < row.address) found = before;
            before = row;
            if (ends) {
                before.reset();
                row = Row();
            }
        };
        const auto advance = [&](std::uint64_t steps) { row.address += steps * least_instruction_; };
        while (in_.ok() && !in_.at_end() && !found) {
            const unsigned opcode = in_.byte();
            if (opcode >= opcode_base_) {
                const unsigned adjusted = opcode - opcode_base_;
                advance(adjusted / line_range_);
                row.line += static_cast<std::uint64_t>(line_base_ + static_cast<int>(adjusted % line_range_));
                emit(false);
                continue;
            }
            switch (opcode) {
                case 0: {
                    Cursor extended(in_.bytes(in_.leb()));
                    switch (extended.byte()) {
                        case 1: emit(true); break;
                        case 2: row.address = extended.number(4); break;
                        default: break;
                    }
                    break;
                }
                case 1: emit(false); break;
                case 2: advance(in_.leb()); break;
                case 3: row.line += static_cast<std::uint64_t>(in_.signed_leb()); break;
                case 4: row.file = in_.leb(); break;
                case 5: row.column = in_.leb(); break;
                case 8: advance((255 - opcode_base_) / line_range_); break;
                case 9: row.address += in_.number(2); break;
                default:
                    for (unsigned left = operand_counts_[opcode - 1]; left > 0; --left) in_.leb();
                    break;
            }
        }
        return found;
    }

    std::optional<SourcePlace> place(const Row& row) const {
        if (row.file >= files_.size() || row.line == 0 || row.line > UINT32_MAX) return std::nullopt;
        const auto& file = files_[static_cast<std::size_t>(row.file)];
        SourcePlace found{.file = std::string(file.text()), .line = static_cast<std::uint32_t>(row.line),
                          .column = static_cast<std::uint32_t>(std::min<std::uint64_t>(row.column, UINT32_MAX))};
        if (found.file.empty()) return std::nullopt;
        if (found.file.front() != '/' && file.directory < directories_.size()) {
            const auto directory = directories_[static_cast<std::size_t>(file.directory)].text();
            if (!directory.empty()) found.file = std::string(directory) + "/" + found.file;
        }
        return found;
    }

    Cursor in_;
    ByteView line_strings_;
    ByteView strings_;
    unsigned version_ = 0;
    std::uint64_t least_instruction_ = 1;
    int line_base_ = 0;
    unsigned line_range_ = 0;
    unsigned opcode_base_ = 0;
    std::vector<std::uint8_t> operand_counts_;
    std::vector<FileName> directories_;
    std::vector<FileName> files_;
};

}  // namespace

SourceLines SourceLines::of(ByteView wasm, const ModuleInfo& info) {
    const auto copy = [&](std::string_view name) {
        const auto* section = info.custom(name);
        if (section == nullptr || section->payload.size > most_line_bytes) return Bytes();
        const auto part = wasm.subspan(section->payload.offset, section->payload.size);
        return Bytes(part.begin(), part.end());
    };
    SourceLines lines;
    const auto code = std::ranges::find(info.sections, std::uint8_t{10}, &WasmSection::id);
    if (code == info.sections.end()) return lines;
    lines.code_ = code->payload.offset;
    lines.lines_ = copy(".debug_line");
    if (lines.empty()) return lines;
    lines.line_strings_ = copy(".debug_line_str");
    lines.strings_ = copy(".debug_str");
    return lines;
}

std::optional<SourcePlace> SourceLines::find(std::uint32_t offset) const {
    if (offset < code_) return std::nullopt;
    const std::uint64_t address = offset - code_;
    Cursor units(lines_);
    while (units.ok() && !units.at_end()) {
        // Lengths of 64-bit units begin with a number that no 32-bit one has; wasm has none of them.
        const ByteView body = units.bytes(units.number(4));
        if (!units.ok()) break;
        if (auto place = Unit(body, line_strings_, strings_).find(address)) return place;
    }
    return std::nullopt;
}

}  // namespace berth
