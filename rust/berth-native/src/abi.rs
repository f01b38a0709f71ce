//! The C structures of `berth_native/engine.h`, field by field, and the guard around every exported function.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, AtomicU32};

use wasmtime::ValRaw;

use crate::error::{CError, ErrorKind};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub data: *mut u8,
    pub size: usize,
}

impl Bytes {
    pub fn from_vec(bytes: Vec<u8>) -> Bytes {
        let boxed = bytes.into_boxed_slice();
        let size = boxed.len();
        Bytes { data: Box::into_raw(boxed).cast(), size }
    }
}

/// # Safety
/// `bytes` came from this library and is deleted once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_bytes_delete(bytes: Bytes) {
    if !bytes.data.is_null() {
        // SAFETY: `from_vec` leaked exactly this boxed slice.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes.data, bytes.size)) });
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    pub data: *const u8,
    pub size: usize,
}

impl Text {
    pub fn of(text: &str) -> Text {
        Text { data: text.as_ptr(), size: text.len() }
    }
    /// # Safety
    /// The bytes are valid for `'a`.
    pub unsafe fn to_string(self) -> String {
        // SAFETY: the caller's contract.
        String::from_utf8_lossy(unsafe { slice(self.data, self.size) }).into_owned()
    }
}

/// A slice from C, where an empty one may be a null pointer.
///
/// # Safety
/// `data` points at `size` values that stay valid and unchanged for `'a`.
pub unsafe fn slice<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        return &[];
    }
    // SAFETY: the caller's contract; not empty, so not null.
    unsafe { std::slice::from_raw_parts(data, size) }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModuleFacts {
    pub restore_eligible: bool,
}

/// `berth_record`: in the caller's memory, shared with its threads, hence atomics only.
#[repr(C)]
pub struct Record {
    pub stop: AtomicU32,
    pub thread: AtomicI32,
    pub redirects: AtomicU32,
    pub reserved: u32,
}

#[repr(C)]
pub struct MemoryDefinition {
    pub base: *mut u8,
    pub size: usize,
}

/// `berth_context`: the part of a call's context that host functions see.
#[repr(C)]
pub struct HostContext {
    pub state: *mut c_void,
    pub memory: *const MemoryDefinition,
    pub fuel: *mut i64,
    pub depth: *mut i32,
    pub record: *const Record,
    pub caller: *mut c_void,
    pub instance: *mut c_void,
    pub operation: u64,
}

pub type HostEntry = unsafe extern "C" fn(*mut HostContext, u32, *mut ValRaw) -> u32;

pub const HOST_PROCEED: u32 = 0;
pub const HOST_TRAP: u32 = 1;
pub const HOST_SUSPEND: u32 = 2;

/// What one call holds. The host's side writes `host` between growths, this side `guest` and `denied`.
#[repr(C)]
pub struct MemoryAccount {
    pub guest: u64,
    pub host: u64,
    pub total_limit: u64,
    pub denied: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallSetup {
    pub state: *mut c_void,
    pub record: *const Record,
    pub fuel: i64,
    pub depth: i32,
    pub trap_on_limit: bool,
    pub restore: bool,
    pub memory_limit: u64,
    pub table_limit: u64,
    pub account: *mut MemoryAccount,
}

pub const UNLIMITED: i64 = i64::MAX;
pub const NO_EXPORT: u32 = u32::MAX;
pub const MAX_FRAMES: usize = 32;

#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Returned = 0,
    Trapped = 1,
    Stopped = 2,
    OutOfFuel = 3,
    StackOverflow = 4,
    MemoryDenied = 5,
    TableDenied = 6,
    HostTrapped = 7,
    MachineFailed = 8,
    NotStarted = 9,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frame {
    pub function: u32,
    pub function_offset: u32,
    pub module_offset: u32,
}

#[repr(C)]
pub struct Report {
    pub outcome: Outcome,
    pub trap: u32,
    pub fuel_used: u64,
    pub fuel_exact: bool,
    pub restored: bool,
    pub denied_memory: u32,
    pub denied_table: u32,
    pub phase: u32,
    pub peak_memory: u64,
    pub frame_count: u32,
    pub error: *mut CError,
    pub frames: [Frame; MAX_FRAMES],
}

/// Runs the body of a fallible exported function: an error is handed out, a panic becomes an internal error.
pub fn guard(body: impl FnOnce() -> Result<(), CError>) -> *mut CError {
    // The closures touch only what they make themselves and publish it as the last step, so nothing half done is seen
    // after a panic.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => std::ptr::null_mut(),
        Ok(Err(error)) => Box::into_raw(Box::new(error)),
        Err(panic) => Box::into_raw(Box::new(CError::new(ErrorKind::Internal, panic_text(&*panic)))),
    }
}

pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("internal panic: {}", text.unwrap_or_else(|| "without text".into()))
}
