//! The host as a table of C functions, and what of WASI is answered straight from it.

use std::ffi::c_void;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime::Error;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::abi::Text;
use crate::stop;

/// `berth_component_need`: what a function needs a grant for.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Need {
    Nothing = 0,
    Clock = 1,
    Sleep = 2,
    SecureRandom = 3,
    Random = 4,
    Fetch = 5,
    Send = 6,
    Connect = 7,
    Datagram = 8,
}

pub const GRANTED: u32 = 0;
const DENIED: u32 = 1;

/// `berth_component_host`
#[repr(C)]
pub struct HostTable {
    pub enter: unsafe extern "C" fn(*mut c_void, u32, Text, Text) -> u32,
    pub wall_clock: unsafe extern "C" fn(*mut c_void) -> i64,
    pub monotonic_clock: unsafe extern "C" fn(*mut c_void) -> u64,
    pub random: unsafe extern "C" fn(*mut c_void, *mut u8, usize),
    pub read: unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> i64,
    pub write: unsafe extern "C" fn(*mut c_void, u32, *const u8, usize) -> u32,
    pub wait: unsafe extern "C" fn(*mut c_void, u64),
}

/// The table with its state. Used by the calling thread only, for as long as the call.
#[derive(Clone, Copy)]
pub struct Host {
    pub table: *const HostTable,
    pub state: *mut c_void,
}

// SAFETY: futures and streams that hold it are polled by the calling thread and dropped before the call returns.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// Why a host function did not begin.
pub enum Refused {
    /// The world's own error, where the function has one.
    Denied,
    /// The call is over.
    Ended,
}

impl Host {
    pub fn enter(self, need: Need, function: &str, scope: &str) -> Result<(), Refused> {
        // SAFETY: the table and its state live as long as the call.
        match unsafe { ((*self.table).enter)(self.state, need as u32, Text::of(function), Text::of(scope)) } {
            GRANTED if !stop::current_stopped() => Ok(()),
            DENIED => Err(Refused::Denied),
            _ => Err(Refused::Ended),
        }
    }

    /// For functions without an error to give back: a denied call ends the guest.
    pub fn enter_or_end(self, need: Need, function: &str) -> wasmtime::Result<()> {
        self.enter(need, function, "").map_err(|_| Error::new(EndedByHost))
    }

    pub fn now(self) -> u64 {
        // SAFETY: as in `enter`.
        unsafe { ((*self.table).monotonic_clock)(self.state) }
    }

    pub fn wall(self) -> i64 {
        // SAFETY: as in `enter`.
        unsafe { ((*self.table).wall_clock)(self.state) }
    }

    pub fn random(self, out: &mut [u8]) {
        // SAFETY: as in `enter`; the bytes are ours.
        unsafe { ((*self.table).random)(self.state, out.as_mut_ptr(), out.len()) }
    }

    /// Sleeps for so many nanoseconds, or until the call must end.
    pub fn wait(self, nanoseconds: u64) {
        // SAFETY: as in `enter`.
        unsafe { ((*self.table).wait)(self.state, nanoseconds) }
    }
}

/// The end of a call by the host, which knows why.
#[derive(Debug)]
pub struct EndedByHost;

impl std::fmt::Display for EndedByHost {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ended by the host")
    }
}
impl std::error::Error for EndedByHost {}

/// When waiting futures want to be polled again, on the monotonic clock; collected anew in each round.
#[derive(Clone, Default)]
pub struct Timers(Arc<Mutex<Vec<u64>>>);

impl Timers {
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    pub fn earliest(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().min()
    }
    fn add(&self, due: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(due);
    }
}

/// A time on the monotonic clock as a thing to wait for.
pub struct Deadline {
    pub host: Host,
    pub timers: Timers,
    pub due: u64,
}

struct Due<'a>(&'a Deadline);

impl Future for Due<'_> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0.host.now() >= self.0.due {
            return Poll::Ready(());
        }
        self.0.timers.add(self.0.due);
        Poll::Pending
    }
}

#[async_trait::async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        Due(self).await;
    }
}

/// Standard input: a read blocks until something is there.
pub struct Input(pub Host);

#[async_trait::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {}
}

const MOST_AT_ONCE: usize = 64 << 10;

#[async_trait::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        if let Err(Refused::Denied | Refused::Ended) = self.0.enter(Need::Nothing, "wasi:io/streams.read", "") {
            return Err(StreamError::Trap(Error::new(EndedByHost)));
        }
        let mut buffer = vec![0; size.min(MOST_AT_ONCE)];
        loop {
            // SAFETY: as in `Host::enter`; the buffer is ours.
            let count = unsafe { ((*self.0.table).read)(self.0.state, buffer.as_mut_ptr(), buffer.len()) };
            match count {
                0 => return Err(StreamError::Closed),
                1.. => {
                    buffer.truncate(count as usize);
                    return Ok(buffer.into());
                }
                -2 if stop::current_stopped() => return Err(StreamError::Trap(Error::new(EndedByHost))),
                -2 => {}
                _ => return Err(StreamError::LastOperationFailed(Error::msg("standard input cannot be read"))),
            }
        }
    }
}

/// Standard output (1) and error (2).
pub struct Output(pub Host, pub u32);

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.0.enter(Need::Nothing, "wasi:io/streams.write", "").is_err() {
            return Err(StreamError::Trap(Error::new(EndedByHost)));
        }
        // SAFETY: as in `Host::enter`.
        match unsafe { ((*self.0.table).write)(self.0.state, self.1, bytes.as_ptr(), bytes.len()) } {
            0 => Ok(()),
            1 => Err(StreamError::Trap(Error::new(EndedByHost))),
            _ => Err(StreamError::Closed),
        }
    }
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST_AT_ONCE)
    }
}
