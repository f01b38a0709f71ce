#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "berth/runtime/discovery.hpp"
#include "berth/runtime/generation.hpp"

namespace berth {

struct Policy;

/// One version of a subprocess function, with all that its calls need. Immutable once it is listed.
struct ProcessFunction final : Function {
    DiscoveredFunction found;               // as it lies on disk
    std::shared_ptr<const Policy> policy;   // null: none is written for it. With its calls
    std::string run_entry;                  // what is started, relative to the folder: the source or the build's output
    RuntimeRef run_with;                    // how it is started
    std::string version_choice;             // where a version manager's choice for it lies (RuntimeFinder::choice)
    std::filesystem::path run_folder;       // its working directory: the folder, or the copy of it
    std::shared_ptr<const Generation> copy; // null: it runs in its folder. With calls that outlive the version
    std::shared_ptr<const Generation> image; // of a program: the file that is executed. Null: the entry itself
    std::vector<std::pair<std::string, std::string>> env;      // of the host for all, then its own
    std::vector<std::pair<std::string, std::string>> secrets;  // name and value
    std::vector<std::string> secrets_in_environment;
    std::optional<Error> refused;           // every call answers this
    std::string refused_details;
    std::string content;                    // hash of what it is made of, the copied files included
    std::map<std::string, std::size_t> files;  // what it is made of, each with a mark that changes with it
};

}  // namespace berth
