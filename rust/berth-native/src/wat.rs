//! Text format to binary.

use crate::abi::{Bytes, guard, slice};
use crate::error::{CError, ErrorKind};

/// # Safety
/// `text` points at `size` bytes, `wasm` at room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_wat_to_wasm(text: *const u8, size: usize, wasm: *mut Bytes) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let text = unsafe { slice(text, size) };
        let text = std::str::from_utf8(text).map_err(|error| CError::new(ErrorKind::InvalidModule, format!("the text is not UTF-8: {error}")))?;
        let bytes = wat::parse_str(text).map_err(|error| CError::new(ErrorKind::InvalidModule, error.to_string()))?;
        // SAFETY: the caller's contract.
        unsafe { wasm.write(Bytes::from_vec(bytes)) };
        Ok(())
    })
}
