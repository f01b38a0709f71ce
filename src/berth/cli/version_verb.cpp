#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/wasm_engine.hpp"

namespace berth::cli {
namespace {

using LibraryVersion = std::pair<int, int>;

/// The newest version of the C library that a symbol of this binary asks for: with an older one it does not start. Nothing when it
/// was linked without one.
LibraryVersion least_c_library() {
    LibraryVersion least{};
    const auto look = [](dl_phdr_info* info, std::size_t, void* data) {
        auto& newest = *static_cast<LibraryVersion*>(data);
        const auto at = [&](ElfW(Addr) address) { return address < info->dlpi_addr ? address + info->dlpi_addr : address; };  // the loader has relocated them, or not
        for (int i = 0; i < info->dlpi_phnum; ++i) {
            if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
            const char* texts = nullptr;
            const ElfW(Verneed)* need = nullptr;
            for (const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr); entry->d_tag != DT_NULL; ++entry) {
                if (entry->d_tag == DT_STRTAB) texts = reinterpret_cast<const char*>(at(entry->d_un.d_ptr));
                if (entry->d_tag == DT_VERNEED) need = reinterpret_cast<const ElfW(Verneed)*>(at(entry->d_un.d_ptr));
            }
            while (texts != nullptr && need != nullptr) {
                const auto* version = reinterpret_cast<const ElfW(Vernaux)*>(reinterpret_cast<const char*>(need) + need->vn_aux);
                for (int left = need->vn_cnt; left > 0; --left) {
                    std::string_view name = texts + version->vna_name;
                    if (name.starts_with("GLIBC_")) {
                        name.remove_prefix(6);
                        LibraryVersion one{};
                        const auto [dot, problem] = std::from_chars(name.data(), name.data() + name.size(), one.first);
                        if (problem == std::errc() && dot != name.data() + name.size()) std::from_chars(dot + 1, name.data() + name.size(), one.second);
                        newest = std::max(newest, one);
                    }
                    version = reinterpret_cast<const ElfW(Vernaux)*>(reinterpret_cast<const char*>(version) + version->vna_next);
                }
                need = need->vn_next == 0 ? nullptr : reinterpret_cast<const ElfW(Verneed)*>(reinterpret_cast<const char*>(need) + need->vn_next);
            }
        }
        return 1;  // the first is the binary itself
    };
    dl_iterate_phdr(look, &least);
    return least;
}

std::string build_options() {
#if defined(__clang__)
    std::string text = "clang " __clang_version__;
#else
    std::string text = "gcc " __VERSION__;
#endif
#if defined(__x86_64__)
    text += ", x86_64";
#elif defined(__aarch64__)
    text += ", aarch64";
#endif
#if defined(NDEBUG)
    text += ", optimised";
#else
    text += ", with debug checks";
#endif
#if defined(__SANITIZE_ADDRESS__)
    text += ", address sanitizer";
#endif
#if defined(__SANITIZE_THREAD__)
    text += ", thread sanitizer";
#endif
    return text + ", stores sqlite memory, sandbox none";
}

Result<int> run(Context& context) {
    const auto [major, minor] = least_c_library();
    const std::vector<std::pair<std::string, std::string>> rows{
        {"version", std::string(berth_version())},
        {"engine", WasmEngine::version()},
        {"fuel", std::string(fuel_schedule)},
        {"depth", std::string(depth_schedule)},
        {"formats", "policy 1, journal 1, receipt 1, key file 1, signature 1, record log 1, store 1, function manifest 1"},
        {"worlds", "bare, wasi (wasi_snapshot_preview1), component (WASI 0.2: wasi:http/incoming-handler, wasi:cli/run)"},
        {"build", build_options()},
        {"c_library", gnu_get_libc_version()},
        {"c_library_least", major == 0 ? std::string("none") : format("{}.{}", major, minor)},
    };
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.version");
        for (const auto& [key, value] : rows) json.member(key, value);
        json.end_object();
        context.console.line(json.text());
    } else {
        context.console.line(format("berth {}", berth_version()));
        for (std::size_t i = 1; i < rows.size(); ++i) context.console.line(format("  {:<15} {}", rows[i].first, rows[i].second));
    }
    return 0;
}

}  // namespace

const Verb version_verb{"version", "Versions of Berth, its engine and its formats",
                        [](CommandLine&, Context& context, std::function<Result<int>()>& action) { action = [&context] { return run(context); }; }};

}  // namespace berth::cli
