#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/process/launch_user.hpp"

namespace berth {

/// How messages of what is wrong with a multipart body begin.
constexpr std::string_view multipart_problem = "the multipart body is wrong: ";

/// Files of one request in a folder of their own, removed with it.
class SpooledFiles {
public:
    explicit SpooledFiles(std::filesystem::path folder, std::shared_ptr<const LaunchUser> reader = nullptr) : folder_(std::move(folder)), reader_(std::move(reader)) {}
    ~SpooledFiles();
    SpooledFiles(const SpooledFiles&) = delete;
    SpooledFiles& operator=(const SpooledFiles&) = delete;

    /// Writes one and returns its path. What the client calls it is no part of that.
    Result<std::string> add(std::string_view bytes);

private:
    std::filesystem::path folder_;
    std::shared_ptr<const LaunchUser> reader_;  // who the files are for; null: the host's user. With the settings
    std::size_t count_ = 0;
};

/// A body of type multipart/form-data as the input of a function: fields as strings (repeated names: lists), files in
/// `_files` as {name, filename, content_type, size, data} with base64 data, or `path` instead of it when they are spooled.
Result<std::string> multipart_to_json(std::string_view body, std::string_view content_type, SpooledFiles* spool = nullptr);

}  // namespace berth
