#pragma once

#include <map>
#include <memory>
#include <string>

#include "berth/host/providers/memory_files.hpp"

namespace berth {

/// One thing of an image. Its names are in the directories that hold it.
struct MemoryNode {
    FileKind kind = FileKind::regular;
    std::uint64_t inode = 0;
    std::uint64_t links = 1;
    std::int64_t accessed = 0;
    std::int64_t modified = 0;
    std::int64_t changed = 0;
    Bytes content;                                                        // of a file
    std::string target;                                                   // of a link
    std::map<std::string, std::shared_ptr<MemoryNode>, std::less<>> children;   // of a directory
    bool readable = true;                                                 // false: the machine did not let it be read
};
using NodePtr = std::shared_ptr<MemoryNode>;

/// What a MemoryFiles holds; shared by everything opened from it.
struct MemoryFiles::Image {
    Setup setup;
    std::uint64_t bytes = 0;
    std::uint64_t next_inode = 1;
    struct Root {
        NodePtr node;
        std::string virtual_name;
        bool writable = false;
    };
    std::map<std::string, Root, std::less<>> roots;  // by the name of the mount

    std::int64_t now() const { return setup.now ? setup.now() : setup.time; }

    NodePtr make(FileKind kind, std::int64_t time) {
        auto node = std::make_shared<MemoryNode>();
        node->kind = kind;
        node->inode = next_inode++;
        node->accessed = node->modified = node->changed = time;
        return node;
    }

    /// Makes room for a file of `size` bytes where one of `before` was; false when the image is full.
    bool resize(MemoryNode& node, std::uint64_t size) {
        const auto others = bytes - node.content.size();
        if (size > setup.max_bytes - std::min(others, setup.max_bytes)) return false;
        node.content.resize(static_cast<std::size_t>(size));
        bytes = others + size;
        return true;
    }

    Result<void> take_into(MemoryNode& directory, int fd, const std::string& shown, int depth);
};

}  // namespace berth
