//! Errors as they cross: a kind the caller can act on, and a text.

use wasmtime::PoolConcurrencyLimitError;

#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    InvalidModule = 1,
    ImportUnresolved = 2,
    PoolExhausted = 3,
    Limit = 4,
    Configuration = 5,
    NotFound = 6,
    InvalidCode = 7,
    Io = 8,
    Internal = 9,
}

#[derive(Debug)]
pub struct CError {
    pub kind: ErrorKind,
    pub message: String,
}

impl CError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> CError {
        CError { kind, message: message.into() }
    }

    /// Why an instance could not be made.
    pub fn instantiation(error: &wasmtime::Error) -> CError {
        let kind = if error.is::<PoolConcurrencyLimitError>() { ErrorKind::PoolExhausted } else { ErrorKind::Internal };
        CError::new(kind, format!("{error:#}"))
    }
}

/// The proposals that can be off, by a word of the validator's message, and the name users know them by.
const PROPOSALS: &[(&str, &str)] = &[
    ("shared-everything", "shared-everything threads"),
    ("shared memor", "threads"),
    ("threads", "threads"),
    ("atomic", "threads"),
    ("memory64", "memory64"),
    ("64-bit", "memory64"),
    ("multi-memory", "multi-memory"),
    ("multiple memories", "multi-memory"),
    ("tail call", "tail calls"),
    ("exceptions", "exceptions"),
    ("exception refs", "exceptions"),
    ("legacy_exceptions", "exceptions"),
    ("function references", "typed function references"),
    ("function-references", "typed function references"),
    ("stack switching", "stack switching"),
    ("stack_switching", "stack switching"),
    ("custom page sizes", "custom page sizes"),
    ("custom-page-sizes", "custom page sizes"),
    ("wide arithmetic", "wide arithmetic"),
    ("relaxed SIMD", "relaxed SIMD"),
    ("relaxed simd", "relaxed SIMD"),
    ("SIMD support", "SIMD"),
    ("simd", "SIMD"),
    ("SIMD", "SIMD"),
    ("gc feature", "GC"),
    ("gc proposal", "GC"),
    ("gc support", "GC"),
    ("`gc`", "GC"),
    ("gc ", "GC"),
    ("component", "components"),
];

/// The engine's words about a refused module; a switched-off proposal is named first.
pub fn module_error(error: &wasmtime::Error) -> CError {
    let text = format!("{error:#}");
    let off = text.contains("not enabled") || text.contains("must be enabled") || text.contains("support is not") || text.contains("require") || text.contains("without the")
        || text.contains("disabled") || text.contains("multiple memories") || text.contains("illegal opcode");
    let named = PROPOSALS.iter().find(|(word, _)| off && text.contains(word)).map(|(_, name)| *name);
    match named {
        Some(name) => CError::new(ErrorKind::InvalidModule, format!("the module needs the {name} proposal, which is off: {text}")),
        None => CError::new(ErrorKind::InvalidModule, text),
    }
}

/// # Safety
/// `error` came from this library and has not been deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_error_kind_of(error: *const CError) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { (*error).kind as u32 }
}

/// # Safety
/// As `berth_error_kind_of`; the text lives as long as the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_error_message(error: *const CError, length: *mut usize) -> *const u8 {
    // SAFETY: the caller's contract.
    unsafe {
        let message = &(*error).message;
        *length = message.len();
        message.as_ptr()
    }
}

/// # Safety
/// As `berth_error_kind_of`, once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_error_delete(error: *mut CError) {
    if !error.is_null() {
        // SAFETY: every error handed out is a leaked box.
        drop(unsafe { Box::from_raw(error) });
    }
}
