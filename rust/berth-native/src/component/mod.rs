//! Components: programs and request handlers of WASI 0.2, behind the C header `berth_native/component.h`.
//!
//! The engine's crates give the bindings, streams, polling and HTTP types; clocks, random numbers, variables, the
//! standard streams, files and the network come from one C function, which also decides what is granted and records it. Everything runs on
//! the thread that calls: futures of host functions are polled there, and when all wait, the table's `wait` sleeps.

pub mod call;
pub mod datagrams;
pub mod describe;
pub mod files;
pub mod host;
pub mod http;
pub mod limits;
pub mod program;
pub mod sockets;
pub mod state;
