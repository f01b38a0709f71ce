//! The host as a table of C functions, and what waits on it.

use std::ffi::c_void;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use wasmtime::Error;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::abi::{Text, slice};
use crate::stop;

/// `berth_component_function`, in its order; the header says what the numbers and bytes of each mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Function {
    WallNow,
    WallResolution,
    MonotonicNow,
    MonotonicResolution,
    Subscribe,
    Due,
    SecureRandom,
    InsecureRandom,
    Environment,
    StdinRead,
    StdoutWrite,
    StderrWrite,
    RequestRead,
    ResponseHead,
    ResponseRoom,
    ResponseWrite,
    ResponseEnd,
    HttpHandle,
    HttpHead,
    HttpRead,
    HttpRoom,
    HttpWrite,
    HttpFinish,
    HttpClose,
    FilePreopens,
    FileOpen,
    FileRead,
    FileWrite,
    FileStat,
    FileStatAt,
    FileSetSize,
    FileSetTimes,
    FileSetTimesAt,
    FileSync,
    FileList,
    FileMakeDirectory,
    FileRemoveDirectory,
    FileRemove,
    FileRename,
    FileLink,
    FileSymlink,
    FileReadLink,
    FileClose,
    TcpCreate,
    TcpBind,
    TcpConnect,
    TcpConnected,
    TcpListen,
    TcpAccept,
    TcpReady,
    TcpRead,
    TcpWrite,
    TcpShutdown,
    TcpAddress,
    TcpClose,
    UdpCreate,
    UdpBind,
    UdpStream,
    UdpReady,
    UdpReceive,
    UdpSend,
    UdpAddress,
    SocketOption,
    SetSocketOption,
    NameLookup,
    NameAddresses,
}

/// `berth_component_op`
#[repr(C)]
pub struct Op {
    pub function: u32,
    pub object: u64,
    pub a: u64,
    pub b: u64,
    pub c: u64,
    pub bytes: Text,
}

/// `berth_component_answer`
#[repr(C)]
struct RawAnswer {
    status: i32,
    x: u64,
    y: u64,
    bytes: Text,
}

/// `berth_component_host`
#[repr(C)]
pub struct HostTable {
    perform: unsafe extern "C" fn(*mut c_void, *const Op, *mut RawAnswer) -> u32,
    wait: unsafe extern "C" fn(*mut c_void, u64),
}

const PROCEED: u32 = 0;
const DENIED: u32 = 1;
/// Nothing yet: ask again after a wait.
pub const PENDING: i32 = 1_000_000;
/// Statuses of what is read in parts.
pub const SOME: i32 = 0;
pub const END: i32 = 1;

/// What a host function answered.
pub struct Answer {
    pub status: i32,
    pub x: u64,
    pub y: u64,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The table with its state. Used by one thread at a time, for as long as the call, or the instance where it stays.
#[derive(Clone, Copy)]
pub struct Host {
    pub table: *const HostTable,
    pub state: *mut c_void,
}

// SAFETY: futures and streams that hold it are polled by one thread at a time, which is another one only after a wait, and dropped
// before the call returns. In an instance that stays they may be left to a later call; table and state outlive it.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

/// Why a host function did not do what it should.
#[derive(Debug)]
pub enum Refused {
    /// The world's own error, where the function has one.
    Denied,
    /// The call is over.
    Ended,
}

impl Host {
    /// `numbers`: the object, a, b, c.
    pub fn ask(self, function: Function, numbers: [u64; 4], bytes: &[u8]) -> Result<Answer, Refused> {
        let [object, a, b, c] = numbers;
        let op = Op { function: function as u32, object, a, b, c, bytes: Text { data: bytes.as_ptr(), size: bytes.len() } };
        let mut raw = RawAnswer { status: 0, x: 0, y: 0, bytes: Text { data: std::ptr::null(), size: 0 } };
        // SAFETY: the table and its state live as long as the call, or the instance.
        match unsafe { ((*self.table).perform)(self.state, &op, &mut raw) } {
            PROCEED if !stop::current_stopped() => {
                // SAFETY: valid until the host is asked again.
                let bytes = unsafe { slice(raw.bytes.data, raw.bytes.size) }.to_vec();
                Ok(Answer { status: raw.status, x: raw.x, y: raw.y, bytes })
            }
            DENIED => Err(Refused::Denied),
            _ => Err(Refused::Ended),
        }
    }

    /// For functions without an error to give back: a denied call ends the guest.
    pub fn ask_or_end(self, function: Function, numbers: [u64; 4]) -> wasmtime::Result<Answer> {
        self.ask(function, numbers, &[]).map_err(|_| Error::new(EndedByHost))
    }

    /// Sleeps until this time of the monotonic clock, until something that was waited for may have come, or the call must end.
    pub fn wait_until(self, due: u64) {
        // SAFETY: as in `ask`.
        unsafe { ((*self.table).wait)(self.state, due) }
    }
}

/// Numbers and texts for the host: unsigned LEB128, lengths in front.
#[derive(Default)]
pub struct Packed(pub Vec<u8>);

impl Packed {
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
}

/// Reads what the host packed; what is not there is empty or 0.
pub struct Unpack<'a>(pub &'a [u8]);

impl<'a> Unpack<'a> {
    pub fn number(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.0.split_first() else { return 0 };
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    pub fn bytes(&mut self) -> &'a [u8] {
        let size = usize::try_from(self.number()).unwrap_or(usize::MAX).min(self.0.len());
        let (part, rest) = self.0.split_at(size);
        self.0 = rest;
        part
    }
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// Who waits for what, collected anew in each round: when to look again, on the monotonic clock, and whom to poll then.
/// Everything is polled in every round, so that the order of what guests see does not depend on who was woken.
#[derive(Clone, Default)]
pub struct Waits(Arc<Round>);

#[derive(Default)]
struct Round {
    waiting: Mutex<Waiting>,
    /// How many calls the instance has served before this one.
    call: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    earliest: Option<u64>,
    parked: Vec<Waker>,
    ended: bool,
}

impl Waits {
    fn with<T>(&self, f: impl FnOnce(&mut Waiting) -> T) -> T {
        f(&mut self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Of an instance that stays: nothing that the call before waited for matters any more.
    pub fn begin_call(&self) {
        self.with(|waiting| *waiting = Waiting::default());
        self.0.call.fetch_add(1, Ordering::Relaxed);
    }
    pub fn call(&self) -> u64 {
        self.0.call.load(Ordering::Relaxed)
    }
    pub fn begin_round(&self) {
        let parked = self.with(|waiting| {
            waiting.earliest = None;
            std::mem::take(&mut waiting.parked)
        });
        for waker in parked {
            waker.wake();
        }
    }
    pub fn earliest(&self) -> Option<u64> {
        self.with(|waiting| waiting.earliest)
    }
    pub fn park(&self, context: &Context<'_>) {
        self.with(|waiting| waiting.parked.push(context.waker().clone()));
    }
    fn park_until(&self, context: &Context<'_>, due: u64) {
        self.with(|waiting| {
            waiting.earliest = Some(waiting.earliest.map_or(due, |earliest| earliest.min(due)));
            waiting.parked.push(context.waker().clone());
        });
    }
    /// A part of the call that runs beside the guest was ended by the host.
    pub fn end(&self) {
        self.with(|waiting| waiting.ended = true);
    }
    pub fn is_ended(&self) -> bool {
        self.with(|waiting| waiting.ended)
    }
}

/// A time on the monotonic clock as a thing to wait for.
pub struct Deadline {
    pub host: Host,
    pub waits: Waits,
    pub due: u64,
}

struct Due<'a>(&'a Deadline);

impl Future for Due<'_> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.0.host.ask(Function::Due, [0, self.0.due, 0, 0], &[]) {
            Ok(answer) if answer.status == PENDING => {
                self.0.waits.park_until(context, self.0.due);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        Due(self).await;
    }
}

/// Asks until the answer is not PENDING. Where the host ends the call there is none: nobody goes on with anything.
pub struct Asking<'a> {
    pub host: Host,
    pub waits: &'a Waits,
    pub function: Function,
    pub numbers: [u64; 4],
}

impl Future for Asking<'_> {
    type Output = Result<Answer, Refused>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.host.ask(self.function, self.numbers, &[]) {
            Ok(answer) if answer.status == PENDING => {
                self.waits.park(context);
                Poll::Pending
            }
            Err(Refused::Ended) => {
                self.waits.end();
                Poll::Pending
            }
            other => Poll::Ready(other),
        }
    }
}

/// Standard input: a read blocks until something is there.
pub struct Input(pub Host);

#[async_trait::async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {}
}

pub const MOST_AT_ONCE: usize = 64 << 10;

pub fn ended() -> StreamError {
    StreamError::Trap(Error::new(EndedByHost))
}

#[async_trait::async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let answer = self.0.ask(Function::StdinRead, [0, size.min(MOST_AT_ONCE) as u64, 0, 0], &[]).map_err(|_| ended())?;
        match answer.status {
            SOME => Ok(answer.bytes.into()),
            END => Err(StreamError::Closed),
            _ => Err(StreamError::LastOperationFailed(Error::msg("standard input cannot be read"))),
        }
    }
}

/// Standard output or error.
pub struct Output(pub Host, pub Function);

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.0.ask(self.1, [0; 4], &bytes).map_err(|_| ended())?.status {
            0 => Ok(()),
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
