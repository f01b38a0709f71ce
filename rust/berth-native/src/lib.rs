//! Berth's engine binding: what the C++ runtime needs of wasmtime, behind the C header `berth_native/engine.h`.
//!
//! One file a subject; the `extern "C"` functions stand beside what they expose. Rules of every one of them:
//! a handle given out is a leaked `Box` that its `_delete` takes back, pointers given in are valid for the call unless
//! the header says otherwise, and no panic leaves (`abi::guard`).

pub mod abi;
pub mod call;
pub mod code_map;
pub mod component;
pub mod config;
pub mod error;
pub mod fiber;
pub mod instance;
pub mod layout;
pub mod limits;
pub mod link;
pub mod module;
pub mod restore;
pub mod stop;
pub mod testing;
pub mod trap;
pub mod wat;
