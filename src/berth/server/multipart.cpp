#include "berth/server/multipart.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <unordered_map>
#include <utility>

#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::size_t most_parts = 10'000;
constexpr std::size_t longest_head = 16 << 10;

std::unexpected<Error> refuse(std::string_view what) { return fail(Code::bad_input, format("{}{}", multipart_problem, what)); }

/// The value of `; name=value` or `; name="value"`; empty: there is none.
std::optional<std::string> parameter(std::string_view field, std::string_view wanted) {
    auto at = field.find(';');
    while (at != std::string_view::npos) {
        field.remove_prefix(at + 1);
        const auto equals = field.find('=');
        if (equals == std::string_view::npos) return {};
        const auto name = lower_case(trimmed(field.substr(0, equals)));
        field = field.substr(equals + 1);
        std::string value;
        if (field.starts_with('"')) {
            std::size_t i = 1;
            while (i < field.size() && field[i] != '"') {
                if (field[i] == '\\' && i + 1 < field.size() && (field[i + 1] == '"' || field[i + 1] == '\\')) ++i;
                value.push_back(field[i++]);
            }
            if (i >= field.size()) return {};
            field.remove_prefix(i + 1);
        } else {
            value = trimmed(field.substr(0, field.find(';')));
        }
        if (name == wanted) return value;
        at = field.find(';');
    }
    return {};
}

struct Part {
    std::string name, filename, type;
    bool is_file = false;
    std::string_view body;
};

Result<Part> read_part(std::string_view text) {
    Part part;
    const auto end = text.find("\r\n\r\n");
    const bool bare = text.starts_with("\r\n");
    if (!bare && end > longest_head) return refuse("a part has no end of its head");  // npos, too, is beyond it
    auto head = bare ? std::string_view() : text.substr(0, end);
    part.body = text.substr(bare ? 2 : end + 4);
    bool named = false;
    while (!head.empty()) {
        const auto line_end = head.find("\r\n");
        const auto line = head.substr(0, line_end);
        head.remove_prefix(line_end == std::string_view::npos ? head.size() : line_end + 2);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) return refuse("a line of a part's head has no colon");
        const auto name = lower_case(trimmed(line.substr(0, colon)));
        const auto value = trimmed(line.substr(colon + 1));
        if (name == "content-disposition") {
            auto given = parameter(value, "name");
            if (!given || !lower_case(value).starts_with("form-data")) return refuse("a part has no name");
            part.name = std::move(*given);
            named = true;
            if (auto file = parameter(value, "filename")) {
                part.filename = std::move(*file);
                part.is_file = true;
            }
        } else if (name == "content-type") {
            part.type = value;
        } else if (name == "content-transfer-encoding" && lower_case(value) != "binary" && lower_case(value) != "8bit" && lower_case(value) != "7bit") {
            return refuse(format("the transfer encoding {} is not read", value.substr(0, 40)));
        }
    }
    if (!named) return refuse("a part has no name");
    if (!is_utf8(part.name) || !is_utf8(part.filename) || !is_utf8(part.type)) return refuse("a part's head is not UTF-8");
    return part;
}

}  // namespace

SpooledFiles::~SpooledFiles() {
    std::error_code ignored;
    if (count_ > 0) std::filesystem::remove_all(folder_, ignored);
}

Result<std::string> SpooledFiles::add(std::string_view bytes) {
    std::error_code problem;
    std::filesystem::create_directories(folder_, problem);
    if (problem) return fail(Code::cannot_create, format("{} cannot be made: {}", folder_.string(), problem.message()));
    ::chmod(folder_.c_str(), 0700);
    if (reader_ && ::chown(folder_.c_str(), reader_->user, reader_->group) != 0) return fail(Code::cannot_create, format("{} cannot be given to {}", folder_.string(), reader_->name));
    const auto path = folder_ / std::to_string(count_++);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return fail(Code::cannot_create, format("{} cannot be made", path.string()));
    if (reader_ && ::fchown(file, reader_->user, reader_->group) != 0) {
        ::close(file);
        return fail(Code::cannot_create, format("{} cannot be given to {}", path.string(), reader_->name));
    }
    while (!bytes.empty()) {
        const auto written = ::write(file, bytes.data(), bytes.size());
        if (written <= 0) break;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    ::close(file);
    if (!bytes.empty()) return fail(Code::cannot_create, format("{} cannot be written", path.string()));
    return path.string();
}

Result<std::string> multipart_to_json(std::string_view body, std::string_view content_type, SpooledFiles* spool) {
    const auto boundary = parameter(content_type, "boundary");
    if (!boundary || boundary->empty() || boundary->size() > 70) return refuse("its type names no boundary of 1 to 70 characters");
    const auto delimiter = "--" + *boundary;
    const auto between = "\r\n" + delimiter;
    auto at = body.starts_with(delimiter) ? std::size_t{0} : body.find(between);
    if (at == std::string_view::npos) return refuse("its boundary does not appear");
    body.remove_prefix(at == 0 && body.starts_with(delimiter) ? delimiter.size() : at + between.size());

    std::vector<std::pair<std::string, std::vector<std::string>>> fields;
    std::unordered_map<std::string, std::size_t> places;
    std::vector<Part> files;
    std::size_t count = 0;
    while (!body.starts_with("--")) {
        const auto line_end = body.find("\r\n");
        if (line_end == std::string_view::npos || body.substr(0, line_end).find_first_not_of(" \t") != std::string_view::npos) return refuse("a boundary is followed by something else than a line end");
        body.remove_prefix(line_end + 2);
        // A part without a body ends with the line end of its head.
        const bool empty = body.starts_with(delimiter);
        const auto end = empty ? 0 : body.find(between);
        if (end == std::string_view::npos) return refuse("its last boundary is missing");
        if (++count > most_parts) return refuse(format("it has more than {} parts", most_parts));
        BERTH_TRY(auto part, read_part(body.substr(0, end)));
        body.remove_prefix(end + (empty ? delimiter.size() : between.size()));
        if (part.name == "_files") return refuse("a field cannot be called _files");
        if (part.is_file) {
            files.push_back(std::move(part));
            continue;
        }
        if (!is_utf8(part.body)) return refuse(format("the field \"{}\" is not UTF-8", part.name));
        const auto [place, fresh] = places.try_emplace(part.name, fields.size());
        if (fresh) fields.emplace_back(part.name, std::vector<std::string>());
        fields[place->second].second.emplace_back(part.body);
    }
    JsonWriter json;
    json.begin_object();
    for (const auto& [name, values] : fields) {
        json.key(name);
        if (values.size() == 1) {
            json.value(std::string_view(values[0]));
            continue;
        }
        json.begin_array();
        for (const auto& value : values) json.value(std::string_view(value));
        json.end_array();
    }
    if (!files.empty()) {
        json.key("_files").begin_array();
        for (const auto& file : files) {
            json.begin_object().member("name", std::string_view(file.name)).member("filename", std::string_view(file.filename));
            json.member("content_type", file.type.empty() ? std::string_view("application/octet-stream") : std::string_view(file.type)).member("size", static_cast<std::uint64_t>(file.body.size()));
            if (spool) {
                BERTH_TRY(const auto path, spool->add(file.body));
                json.member("path", std::string_view(path));
            } else {
                json.member("data", std::string_view(base64(file.body)));
            }
            json.end_object();
        }
        json.end_array();
    }
    json.end_object();
    return json.take();
}

}  // namespace berth
