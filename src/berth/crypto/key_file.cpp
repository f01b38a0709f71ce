#include "berth/crypto/key_file.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"

namespace berth {
namespace {

constexpr std::string_view magic = "BRTHKEY1";
constexpr std::size_t salt_size = crypto_pwhash_argon2id_SALTBYTES;
constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t head_size = magic.size() + 2 + 12 + salt_size + nonce_size;
constexpr std::size_t plain_size = ed25519_seed_size + 8;  // and the label
constexpr std::size_t longest_label = 1'024;
constexpr std::uint32_t least_memory = 8'192;
constexpr std::uint32_t most_memory = 4U << 20;
constexpr std::uint32_t most_passes = 64;
static_assert(salt_size == 16 && nonce_size == 24);

void put_u32(Bytes& out, std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::uint32_t get_u32(ByteView bytes, std::size_t at) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{bytes[at + i]} << (8 * i);
    return value;
}

std::unexpected<Error> no_key_file(std::string_view why) { return fail(Code::bad_input, format("this is no key file: {}", why)); }

Result<void> check_work(const KeyFile::Work& work) {
    if (work.memory_kib < least_memory || work.memory_kib > most_memory) return no_key_file(format("its work of {} KiB is outside of {} to {}", work.memory_kib, least_memory, most_memory));
    if (work.passes < 1 || work.passes > most_passes) return no_key_file(format("its work of {} passes is outside of 1 to {}", work.passes, most_passes));
    return {};
}

Result<SecretBytes> key_of(ByteView passphrase, ByteView salt, const KeyFile::Work& work) {
    ready_crypto();
    SecretBytes key(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
    const auto* text = passphrase.empty() ? "" : reinterpret_cast<const char*>(passphrase.data());  // never null
    const auto done = crypto_pwhash_argon2id(key.bytes().data(), key.size(), text, passphrase.size(), salt.data(), work.passes, std::size_t{work.memory_kib} << 10, crypto_pwhash_argon2id_ALG_ARGON2ID13);
    if (done != 0) return fail(Code::unavailable, format("there is not enough memory to open a key file of {} KiB work", work.memory_kib));
    return key;
}

struct OpenFile {
    int fd = -1;
    ~OpenFile() {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

Result<Bytes> KeyFile::seal(const SigningKey& key, std::uint64_t created_at, std::string_view label, ByteView passphrase, Work work, ByteView salt, ByteView nonce) {
    BERTH_TRYV(check_work(work));
    if (label.size() > longest_label || !is_utf8(label)) return fail(Code::bad_input, format("a label is text of at most {} bytes", longest_label));
    BERTH_ASSERT(salt.size() == salt_size && nonce.size() == nonce_size);
    Bytes out(magic.begin(), magic.end());
    out.push_back(1);  // version
    out.push_back(1);  // Argon2id
    put_u32(out, work.memory_kib);
    put_u32(out, work.passes);
    put_u32(out, 1);  // lanes
    out.insert(out.end(), salt.begin(), salt.end());
    out.insert(out.end(), nonce.begin(), nonce.end());
    SecretBytes plain(plain_size + label.size());
    auto* to = std::copy(key.seed().begin(), key.seed().end(), plain.bytes().data());
    for (int shift = 0; shift < 64; shift += 8) *to++ = static_cast<std::uint8_t>(created_at >> shift);
    std::copy(label.begin(), label.end(), to);
    BERTH_TRY(const auto cipher, key_of(passphrase, salt, work));
    const auto head = out.size();
    out.resize(head + plain.size() + tag_size);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out.data() + head, nullptr, plain.bytes().data(), plain.size(), out.data(), head, nullptr, nonce.data(), cipher.bytes().data());
    return out;
}

Result<KeyFile> KeyFile::unseal(ByteView bytes, ByteView passphrase) {
    if (bytes.size() < head_size || !as_text(bytes).starts_with(magic)) return no_key_file("it does not begin with BRTHKEY1");
    if (bytes[8] != 1) return fail(Code::version_unsupported, format("the key file has version {}; this build reads 1", bytes[8]));
    if (bytes[9] != 1) return no_key_file(format("it names an unknown derivation {}", bytes[9]));
    const Work work{get_u32(bytes, 10), get_u32(bytes, 14)};
    BERTH_TRYV(check_work(work));
    if (get_u32(bytes, 18) != 1) return no_key_file("it asks for more than one lane");
    const auto sealed = bytes.subspan(head_size);
    if (sealed.size() < plain_size + tag_size || sealed.size() > plain_size + tag_size + longest_label) return no_key_file("its length is wrong");
    BERTH_TRY(const auto cipher, key_of(passphrase, bytes.subspan(22, salt_size), work));
    SecretBytes plain(sealed.size() - tag_size);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain.bytes().data(), nullptr, nullptr, sealed.data(), sealed.size(), bytes.data(), head_size, bytes.data() + 22 + salt_size, cipher.bytes().data()) != 0) {
        return fail(Code::integrity_failed, "key decryption failed");
    }
    const auto content = std::as_const(plain).bytes();
    BERTH_TRY(auto key, SigningKey::from_seed(content.first(ed25519_seed_size)));
    std::uint64_t created = 0;
    for (std::size_t i = 0; i < 8; ++i) created |= std::uint64_t{content[ed25519_seed_size + i]} << (8 * i);
    const auto label = as_text(content.subspan(plain_size));
    return KeyFile{std::move(key), created, is_utf8(label) ? std::string(label) : std::string()};
}

Result<void> KeyFile::create(const std::filesystem::path& file, const SigningKey& key, std::uint64_t created_at, std::string_view label, ByteView passphrase, Work work) {
    ready_crypto();
    std::array<std::uint8_t, salt_size> salt{};
    std::array<std::uint8_t, nonce_size> nonce{};
    randombytes_buf(salt.data(), salt.size());
    randombytes_buf(nonce.data(), nonce.size());
    BERTH_TRY(const auto bytes, seal(key, created_at, label, passphrase, work, salt, nonce));
    const auto cannot = [&](std::string_view why) { return fail(Code::cannot_create, format("the key file {} cannot be made: {}", file.string(), why)); };
    std::error_code error;
    if (file.has_parent_path() && std::filesystem::create_directories(file.parent_path(), error)) ::chmod(file.parent_path().c_str(), 0700);
    const auto part = file.string() + format(".part-{}", ::getpid());
    {
        const OpenFile out{::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
        if (out.fd < 0) return cannot(std::strerror(errno));
        const auto put = ::write(out.fd, bytes.data(), bytes.size());
        if (put != static_cast<ssize_t>(bytes.size()) || ::fsync(out.fd) != 0) {
            ::unlink(part.c_str());
            return cannot(std::strerror(errno));
        }
    }
    // A link fails where a rename would silently replace another key.
    const bool linked = ::link(part.c_str(), file.c_str()) == 0;
    const int why = errno;
    ::unlink(part.c_str());
    if (!linked) return cannot(why == EEXIST ? "there is one already; a key is never overwritten" : std::strerror(why));
    const OpenFile folder{::open(file.has_parent_path() ? file.parent_path().c_str() : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.fd >= 0) ::fsync(folder.fd);
    return {};
}

Result<KeyFile> KeyFile::open(const std::filesystem::path& file, ByteView passphrase) {
    const OpenFile in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (in.fd < 0) return fail(Code::file_not_found, format("the key file {} cannot be read: {}", file.string(), std::strerror(errno)));
    struct stat status{};
    if (::fstat(in.fd, &status) != 0 || !S_ISREG(status.st_mode)) return no_key_file("it is no regular file");
    if ((status.st_mode & 077) != 0) {
        Error error(Code::forbidden, format("the key file {} can be read or written by others", file.string()));
        error.set_fix(format("chmod 600 {}", file.string()));
        return fail(std::move(error));
    }
    Bytes bytes(head_size + plain_size + tag_size + longest_label + 1);
    std::size_t size = 0;
    while (size < bytes.size()) {
        const auto got = ::read(in.fd, bytes.data() + size, bytes.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::io_error, format("the key file {} cannot be read: {}", file.string(), std::strerror(errno)));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    bytes.resize(size);
    return unseal(bytes, passphrase) | note([&] { return "opening " + file.string(); });
}

}  // namespace berth
