#include "berth/base/error.hpp"

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace berth {

struct Error::Body {
    Code code;
    std::string message;
    std::vector<std::string> notes;
    std::string where;
    std::string from;
    std::string fix;
    std::string diagnostic;
    std::string trap;
    std::vector<std::string> frames;
    std::optional<Origin> origin;
    std::optional<int> exit_status;
};

void Error::Deleter::operator()(Body* body) const noexcept { delete body; }

Error::Error(Code code, std::string message) : body_(new Body{.code = code, .message = std::move(message)}) {}
Error::Error(const Error& other) : body_(new Body(*other.body_)) {}
Error& Error::operator=(const Error& other) {
    if (this != &other) body_.reset(new Body(*other.body_));
    return *this;
}

Code Error::code() const noexcept { return body_->code; }
const std::string& Error::message() const noexcept { return body_->message; }
const std::string& Error::where() const noexcept { return body_->where; }
const std::string& Error::from() const noexcept { return body_->from; }
const std::string& Error::fix() const noexcept { return body_->fix; }
const std::string& Error::diagnostic() const noexcept { return body_->diagnostic; }
const std::string& Error::trap() const noexcept { return body_->trap; }
const std::vector<std::string>& Error::frames() const noexcept { return body_->frames; }
Origin Error::origin() const noexcept { return body_->origin.value_or(row(body_->code).origin); }
int Error::exit_status() const noexcept { return body_->exit_status.value_or(row(body_->code).exit); }

Error& Error::set_where(std::string text) { body_->where = std::move(text); return *this; }
Error& Error::set_from(std::string text) { body_->from = std::move(text); return *this; }
Error& Error::set_fix(std::string text) { body_->fix = std::move(text); return *this; }
Error& Error::set_diagnostic(std::string text) { body_->diagnostic = std::move(text); return *this; }
Error& Error::set_trap(std::string name) { body_->trap = std::move(name); return *this; }
Error& Error::set_frames(std::vector<std::string> frames) { body_->frames = std::move(frames); return *this; }
Error& Error::set_origin(Origin origin) { body_->origin = origin; return *this; }
Error& Error::set_exit_status(int status) { body_->exit_status = status; return *this; }
Error& Error::add_note(std::string text) { body_->notes.push_back(std::move(text)); return *this; }

std::string Error::full_message() const {
    std::string text;
    for (auto note = body_->notes.rbegin(); note != body_->notes.rend(); ++note) text += *note + ": ";
    return text + body_->message;
}

namespace detail {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
    std::fprintf(stderr, "berth: broken invariant: %s at %s:%d\n", expression, file, line);
    std::abort();
}

}  // namespace detail

}  // namespace berth
