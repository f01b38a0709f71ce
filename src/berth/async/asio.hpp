#pragma once

// The glue between coroutines and Asio; included by sources of modules that own descriptors, never by their headers.

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/wait_traits.hpp>
#include <chrono>
#include <coroutine>
#include <utility>

#include "berth/async/loop_thread.hpp"
#include "berth/async/reactor.hpp"

namespace berth {

using LoopExecutor = boost::asio::io_context::executor_type;
using TcpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, LoopExecutor>;
using PipeEnd = boost::asio::posix::basic_stream_descriptor<LoopExecutor>;
using LoopTimer = boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>;

boost::asio::io_context& io_context_of(Reactor& reactor) noexcept;

/// `co_await asio_op([&](auto handler) { socket.async_read_some(buffer, handler); })` in the reactor's loop; gives
/// {error_code, transferred}. One coroutine waits for one operation.
template <class Start>
auto asio_op(Start start) {
    struct Result {
        boost::system::error_code error;
        std::size_t bytes = 0;
    };
    struct Awaiter {
        Start start;
        Result result;

        struct Handler {
            Awaiter* awaiter;
            std::coroutine_handle<> awaiting;
            void operator()(const boost::system::error_code& error, std::size_t bytes = 0) const {
                awaiter->result = {error, bytes};
                resume_in_loop(awaiting);
            }
        };
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> awaiting) { start(Handler{this, awaiting}); }
        Result await_resume() const noexcept { return result; }
    };
    return Awaiter{std::move(start), {}};
}

}  // namespace berth
