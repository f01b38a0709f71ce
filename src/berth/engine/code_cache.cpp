#include "berth/engine/code_cache.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>

#include "berth/base/format.hpp"
#include "berth/engine/instrument.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view suffix = ".code";
constexpr std::size_t secret_size = 32;

// A file is: the code, the offset map, then this. All numbers little-endian; the signature covers everything before it.
struct Trailer {
    std::array<char, 8> magic;
    std::uint64_t code_size;
    std::uint64_t map_size;
    std::uint32_t flags;
    std::uint32_t reserved;
    Digest key;
    Digest signature;
};
static_assert(sizeof(Trailer) == 32 + 64 && std::endian::native == std::endian::little);

constexpr std::array<char, 8> magic{'b', 'e', 'r', 't', 'h', 'c', 'c', '1'};
constexpr std::uint32_t flag_restore = 1;
constexpr std::uint32_t flag_exact_depth = 2;
constexpr std::uint32_t flag_component = 4;

const WasmEngine* engine_of(const CompiledModule& compiled) noexcept { return compiled.component ? compiled.component->engine().get() : compiled.module->engine().get(); }

class Descriptor {
public:
    explicit Descriptor(int value) noexcept : value_(value) {}
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return value_; }
    explicit operator bool() const noexcept { return value_ >= 0; }

private:
    int value_;
};

class Mapping {
public:
    Mapping(int descriptor, std::size_t size) noexcept : size_(size) {
        void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
        if (address != MAP_FAILED) data_ = static_cast<const std::uint8_t*>(address);
    }
    ~Mapping() {
        if (data_) ::munmap(const_cast<std::uint8_t*>(data_), size_);
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    explicit operator bool() const noexcept { return data_ != nullptr; }
    ByteView bytes() const noexcept { return {data_, size_}; }

private:
    const std::uint8_t* data_ = nullptr;
    std::size_t size_;
};

bool write_all(int descriptor, ByteView bytes) noexcept {
    while (!bytes.empty()) {
        const auto written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

bool read_all(int descriptor, MutableBytes bytes) noexcept {
    while (!bytes.empty()) {
        const auto count = ::read(descriptor, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

/// A regular file of this user with none of the `forbidden` permission bits.
bool is_own(int descriptor, mode_t forbidden, struct stat& status) noexcept {
    return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() && (status.st_mode & forbidden) == 0;
}

/// Writes `parts` to a name of its own beside `target`; `publish` gives it the target's name. False: nothing is left.
template <class Publish>
bool write_beside(const fs::path& target, std::span<const ByteView> parts, Publish publish) {
    static std::atomic<std::uint64_t> number{0};
    const auto temporary = target.parent_path() / format(".{}.{}.{}.tmp", target.filename().string(), ::getpid(), ++number);
    {
        const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file) return false;
        const bool complete = std::ranges::all_of(parts, [&](ByteView part) { return write_all(file.get(), part); });
        if (complete && publish(temporary, target)) return true;
    }
    ::unlink(temporary.c_str());
    return false;
}

bool make_private_directories(const fs::path& directory) {
    std::error_code error;
    if (fs::is_directory(directory, error)) return true;
    if (directory.has_parent_path() && directory.parent_path() != directory && !make_private_directories(directory.parent_path())) return false;
    return ::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST;
}

std::optional<Bytes> read_secret(const fs::path& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    if (!file || !is_own(file.get(), 077, status) || status.st_size != static_cast<off_t>(secret_size)) return std::nullopt;
    Bytes secret(secret_size);
    if (!read_all(file.get(), secret)) return std::nullopt;
    return secret;
}

void make_secret(const fs::path& path) {
    Bytes secret(secret_size);
    if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size()) || !make_private_directories(path.parent_path())) return;
    const std::array<ByteView, 1> parts{secret};
    // A link, not a rename: of two that start together the first one's secret stays.
    write_beside(path, parts, [](const fs::path& temporary, const fs::path& target) {
        const bool linked = ::link(temporary.c_str(), target.c_str()) == 0;
        if (linked) ::unlink(temporary.c_str());
        return linked;
    });
}

ByteView view(const Trailer& trailer, std::size_t size) noexcept { return {reinterpret_cast<const std::uint8_t*>(&trailer), size}; }

}  // namespace

CodeCache::CodeCache(Options options) : options_(std::move(options)) {}
CodeCache::~CodeCache() = default;

Digest CodeCache::key(Sha256 original, std::size_t size, bool exact_depth, const WasmEngine& engine) {
    // The engine's key names its settings, its version and the features of the processor it compiles for. The lengths
    // keep the parts apart.
    const auto parts = format("\n{}\n{}\n{}\n{}\n{}\n", pass_version, fuel_schedule, exact_depth ? depth_schedule : "native stack",
                              engine.configuration_key(), size);
    return original.update(as_bytes(parts)).finish();
}

fs::path CodeCache::path_of(const Digest& key) const { return options_.directory / (to_hex(key) + std::string(suffix)); }

const std::optional<Bytes>& CodeCache::secret() {
    std::call_once(secret_once_, [this] {
        secret_ = read_secret(options_.key_file);
        std::error_code error;
        if (!secret_ && !fs::exists(fs::symlink_status(options_.key_file, error))) {
            make_secret(options_.key_file);
            secret_ = read_secret(options_.key_file);
        }
    });
    return secret_;
}

std::shared_ptr<const CompiledModule> CodeCache::find(const Digest& key, const std::shared_ptr<WasmEngine>& engine) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = by_key_.find(key); found != by_key_.end()) {
            held_.splice(held_.begin(), held_, found->second);
            // Code belongs to one engine; another one with the same settings loads it for itself.
            if (engine_of(*held_.front().compiled) == engine.get()) {
                ++counters_.memory_hits;
                return held_.front().compiled;
            }
        }
    }
    auto loaded = options_.directory.empty() ? nullptr : load(key, engine);
    const std::lock_guard lock(mutex_);
    ++(loaded ? counters_.disk_hits : counters_.misses);
    if (loaded) keep(key, loaded);
    return loaded;
}

std::shared_ptr<const CompiledModule> CodeCache::load(const Digest& key, const std::shared_ptr<WasmEngine>& engine) {
    const auto reject = [this]() -> std::shared_ptr<const CompiledModule> {
        const std::lock_guard lock(mutex_);
        ++counters_.rejected;
        return nullptr;
    };
    const auto path = path_of(key);
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return errno == ENOENT || errno == ENOTDIR ? nullptr : reject();
    struct stat status {};
    if (!is_own(file.get(), 022, status) || status.st_size < static_cast<off_t>(sizeof(Trailer))) return reject();
    const auto& secret = this->secret();
    if (!secret) return reject();

    const Mapping mapping(file.get(), static_cast<std::size_t>(status.st_size));
    if (!mapping) return reject();
    const auto bytes = mapping.bytes();
    Trailer trailer{};
    std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof(Trailer), sizeof(Trailer));
    const auto body = bytes.size() - sizeof(Trailer);
    if (trailer.magic != magic || trailer.key != key || trailer.code_size > body || trailer.map_size != body - trailer.code_size) return reject();
    const auto signature = hmac_sha256(*secret, bytes.first(bytes.size() - sizeof(trailer.signature)));
    if (!equal_constant_time(signature, trailer.signature)) return reject();

    const auto map_bytes = bytes.subspan(trailer.code_size, trailer.map_size);
    auto offsets = OffsetMap::parse(Bytes(map_bytes.begin(), map_bytes.end()));
    const RestoreFacts restore{.eligible = (trailer.flags & flag_restore) != 0};
    if ((trailer.flags & flag_component) != 0) {
        auto component = Component::map(engine, file.get());
        if (!component) return reject();
        ::futimens(file.get(), nullptr);
        return std::make_shared<const CompiledModule>(CompiledModule{.component = *std::move(component)});
    }
    auto module = Module::map(engine, file.get(), restore);
    if (!offsets || !module) return reject();
    ::futimens(file.get(), nullptr);  // used now, for whoever lists or cleans; not important
    return std::make_shared<const CompiledModule>(
        CompiledModule{.module = *std::move(module), .offsets = *std::move(offsets), .restore = restore, .exact_depth = (trailer.flags & flag_exact_depth) != 0});
}

std::shared_ptr<const CompiledModule> CodeCache::insert(const Digest& key, CompiledModule compiled) {
    auto shared = std::make_shared<const CompiledModule>(std::move(compiled));
    const bool to_disk = !options_.directory.empty();
    const bool written = to_disk && write(key, *shared);
    const std::lock_guard lock(mutex_);
    if (to_disk) ++(written ? counters_.written : counters_.write_failures);
    keep(key, shared);
    return shared;
}

bool CodeCache::write(const Digest& key, const CompiledModule& compiled) {
    const auto& secret = this->secret();
    if (!secret || !make_private_directories(options_.directory)) return false;
    const auto code = compiled.component ? compiled.component->serialize() : compiled.module->serialize();
    if (!code) return false;
    const auto& map = compiled.offsets.bytes();
    Trailer trailer{};
    trailer.magic = magic;
    trailer.code_size = code->size();
    trailer.map_size = map.size();
    trailer.flags = (compiled.restore.eligible ? flag_restore : 0) | (compiled.exact_depth ? flag_exact_depth : 0) | (compiled.component ? flag_component : 0);
    trailer.key = key;
    Bytes whole;
    whole.reserve(code->size() + map.size() + sizeof(Trailer));
    whole.insert(whole.end(), code->begin(), code->end());
    whole.insert(whole.end(), map.begin(), map.end());
    const auto unsigned_part = view(trailer, sizeof(Trailer) - sizeof(trailer.signature));
    whole.insert(whole.end(), unsigned_part.begin(), unsigned_part.end());
    const auto signature = hmac_sha256(*secret, whole);
    const std::array<ByteView, 2> parts{whole, signature};
    return write_beside(path_of(key), parts, [](const fs::path& temporary, const fs::path& target) {
        return ::rename(temporary.c_str(), target.c_str()) == 0;
    });
}

void CodeCache::keep(const Digest& key, std::shared_ptr<const CompiledModule> compiled) {
    const auto drop = [this](std::list<Held>::iterator held) {
        held_bytes_ -= held->size;
        by_key_.erase(held->key);
        held_.erase(held);
    };
    if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
    const std::uint64_t size = compiled->component ? compiled->component->code_size() : compiled->module->code_size();
    held_.push_front({key, std::move(compiled), size});
    by_key_[key] = held_.begin();
    held_bytes_ += size;
    while (held_.size() > 1 && (held_.size() > options_.modules || held_bytes_ > options_.bytes)) drop(std::prev(held_.end()));
}

CodeCache::Counters CodeCache::counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
}

Result<std::vector<CodeCache::Entry>> CodeCache::list() const {
    std::vector<Entry> entries;
    std::error_code error;
    if (options_.directory.empty() || !fs::exists(options_.directory, error)) return entries;
    fs::directory_iterator files(options_.directory, error);
    if (error) return fail(Code::io_error, format("{} cannot be read: {}", options_.directory.string(), error.message()));
    for (; files != fs::directory_iterator(); files.increment(error)) {
        const auto& file = *files;
        if (error || file.path().extension() != suffix) continue;
        std::error_code ignored;
        entries.push_back({file.path().stem().string(), file.file_size(ignored), file.last_write_time(ignored)});
    }
    std::ranges::sort(entries, {}, &Entry::name);
    return entries;
}

Result<std::size_t> CodeCache::clear() {
    BERTH_TRY(const auto entries, list());
    std::size_t removed = 0;
    for (const auto& entry : entries) {
        const auto path = options_.directory / (entry.name + std::string(suffix));
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
            return fail(Code::io_error, format("{} cannot be removed: {}", path.string(), std::generic_category().message(errno)));
        }
        ++removed;
    }
    const std::lock_guard lock(mutex_);
    by_key_.clear();
    held_.clear();
    held_bytes_ = 0;
    return removed;
}

}  // namespace berth
