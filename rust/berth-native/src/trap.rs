//! What ended a call, told from the engine's error and the call's own context.

use wasmtime::{Error, Trap, WasmBacktrace};

use crate::abi::{Frame, MAX_FRAMES, Outcome};

/// `berth_trap`
pub const NONE: u32 = 0;
const OTHER: u32 = 10;

pub struct Frames {
    pub count: usize,
    pub frames: [Frame; MAX_FRAMES],
}

impl Frames {
    pub const NONE: Frames = Frames { count: 0, frames: [Frame { function: 0, function_offset: 0, module_offset: 0 }; MAX_FRAMES] };

    pub fn of(error: &Error) -> Frames {
        let mut frames = Frames::NONE;
        let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return frames };
        let offset = |offset: Option<usize>| offset.and_then(|offset| u32::try_from(offset).ok()).unwrap_or(u32::MAX);
        for frame in trace.frames().iter().take(MAX_FRAMES) {
            frames.frames[frames.count] =
                Frame { function: frame.func_index(), function_offset: offset(frame.func_offset()), module_offset: offset(frame.module_offset()) };
            frames.count += 1;
        }
        frames
    }
}

/// The trap of an error that no cause of our own explains.
pub fn classify(error: &Error) -> (Outcome, u32) {
    let Some(trap) = error.downcast_ref::<Trap>() else { return (Outcome::Trapped, OTHER) };
    let code = match trap {
        Trap::StackOverflow => return (Outcome::StackOverflow, OTHER), // the native stack, not the exact depth
        Trap::OutOfFuel => return (Outcome::OutOfFuel, NONE),
        Trap::Interrupt => return (Outcome::Stopped, NONE),
        Trap::UnreachableCodeReached => 1,
        Trap::MemoryOutOfBounds => 2,
        Trap::TableOutOfBounds => 3,
        Trap::IndirectCallToNull => 4,
        Trap::BadSignature => 5,
        Trap::IntegerOverflow => 6,
        Trap::IntegerDivisionByZero => 7,
        Trap::BadConversionToInteger => 8,
        Trap::HeapMisaligned => 9,
        _ => OTHER,
    };
    (Outcome::Trapped, code)
}
