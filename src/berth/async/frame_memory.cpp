#include "berth/async/frame_memory.hpp"

#include <array>
#include <new>
#include <utility>

#include "berth/base/sanitizers.hpp"

namespace berth::detail {

namespace {

// What is used after its end is found only where it is really given back.
constexpr bool keeps = !address_sanitized && !thread_sanitized;
constexpr std::size_t step = 256;      // sizes are rounded up to it
constexpr std::size_t classes = 32;    // up to 8 KiB
constexpr unsigned most_kept = 32;     // of each class: about 4 MiB a thread when all are full

struct Stock {
    struct Free {
        Free* next;
    };
    struct Class {
        Free* first = nullptr;
        unsigned count = 0;
    };
    std::array<Class, classes> of{};
    bool open = false;  // between the thread's first frame and its end
};
constinit thread_local Stock stock;

/// Opens the stock of its thread and empties it when the thread ends.
struct Keeper {
    Keeper() noexcept { stock.open = true; }
    ~Keeper() {
        stock.open = false;
        for (auto& of : stock.of) {
            while (of.first != nullptr) ::operator delete(std::exchange(of.first, of.first->next));
            of.count = 0;
        }
    }
};

void open_stock() noexcept { [[maybe_unused]] static thread_local const Keeper keeper; }

std::size_t class_of(std::size_t size) noexcept { return (size - 1) / step; }

}  // namespace

void* take_frame(std::size_t size) {
    if (!keeps) return ::operator new(size);
    const auto index = class_of(size);
    if (index >= classes) return ::operator new(size);
    auto& of = stock.of[index];
    if (of.first == nullptr) return ::operator new((index + 1) * step);
    --of.count;
    return std::exchange(of.first, of.first->next);
}

void give_frame(void* frame, std::size_t size) noexcept {
    if (!keeps) return ::operator delete(frame, size);
    const auto index = class_of(size);
    if (index < classes) {
        if (!stock.open) [[unlikely]] open_stock();
        auto& of = stock.of[index];
        if (stock.open && of.count < most_kept) {
            of.first = new (frame) Stock::Free{of.first};
            ++of.count;
            return;
        }
    }
    ::operator delete(frame);
}

}  // namespace berth::detail
