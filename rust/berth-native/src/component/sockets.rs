//! TCP sockets and name look-up of wasi:sockets 0.2, answered from the host's table, and what UDP sockets share with them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime::component::{Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Error, Result, StoreContextMut};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::ShutdownType;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::component::host::{Answer, END, EndedByHost, Function, Host, MOST_AT_ONCE, PENDING, Refused, SOME, Unpack, Waits, ended};
use crate::component::state::State;

/// What a socket is waiting for, where it can wait for something.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    New,
    Binding,
    Bound,
    Connecting,
    Connected,
    StartingToListen,
    Listening,
    Closed,
}

pub struct Tcp {
    host: Host,
    waits: Waits,
    object: u64,
    v6: bool,
    backlog: u64,
    step: Step,
}

impl Drop for Tcp {
    fn drop(&mut self) {
        let _ = self.host.ask(Function::TcpClose, [self.object, 0, 0, 0], &[]);
    }
}

/// Errors of sockets stand behind the statuses that mean something else.
const FIRST_ERROR: i32 = 10;

fn code(status: i32) -> ErrorCode {
    use ErrorCode::*;
    const CODES: [ErrorCode; 21] = [
        Unknown, AccessDenied, NotSupported, InvalidArgument, OutOfMemory, Timeout, ConcurrencyConflict, NotInProgress, WouldBlock, InvalidState, NewSocketLimit,
        AddressNotBindable, AddressInUse, RemoteUnreachable, ConnectionRefused, ConnectionReset, ConnectionAborted, DatagramTooLarge, NameUnresolvable, TemporaryResolverFailure,
        PermanentResolverFailure,
    ];
    usize::try_from(status - FIRST_ERROR).ok().and_then(|at| CODES.get(at).copied()).unwrap_or(Unknown)
}

pub type Done<T> = std::result::Result<T, ErrorCode>;

/// The answer, the guest's error, or the end of the call.
pub fn ask(host: Host, function: Function, numbers: [u64; 4], bytes: &[u8]) -> Result<Done<Answer>> {
    match host.ask(function, numbers, bytes) {
        Ok(answer) if answer.status == PENDING => Ok(Err(ErrorCode::WouldBlock)),
        Ok(answer) if answer.status >= FIRST_ERROR => Ok(Err(code(answer.status))),
        Ok(answer) => Ok(Ok(answer)),
        Err(Refused::Denied) => Ok(Err(ErrorCode::AccessDenied)),
        Err(Refused::Ended) => Err(Error::new(EndedByHost)),
    }
}

/// The answer; the guest's error goes back to it.
macro_rules! done {
    ($asked:expr) => {
        match $asked? {
            Ok(answer) => answer,
            Err(code) => return Ok((Err(code),)),
        }
    };
}

pub(crate) use done;

/// Address bytes and port for the host.
pub fn pack(address: &IpSocketAddress) -> (Vec<u8>, u64) {
    match address {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            (vec![a, b, c, d], v4.port.into())
        }
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            ([a, b, c, d, e, f, g, h].iter().flat_map(|part| part.to_be_bytes()).collect(), v6.port.into())
        }
    }
}

/// Whether a socket of that family can have this address: one of the other family in disguise belongs to the other's sockets.
pub fn is_of_family(v6: bool, address: &IpSocketAddress) -> bool {
    let IpSocketAddress::Ipv6(Ipv6SocketAddress { address: (a, b, c, d, e, f, g, h), .. }) = *address else { return !v6 };
    let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
    let is_plain = address.to_bits() > u128::from(u32::MAX) || address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED;
    v6 && is_plain && address.to_ipv4_mapped().is_none()
}

/// Whether packets can go there from a socket of that family.
pub fn is_reachable(v6: bool, address: &IpSocketAddress) -> bool {
    let (bytes, port) = pack(address);
    is_of_family(v6, address) && port != 0 && bytes.iter().any(|&byte| byte != 0)
}

fn ip(bytes: &[u8]) -> Option<IpAddress> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        let [a, b, c, d] = Ipv4Addr::from(four).octets();
        return Some(IpAddress::Ipv4((a, b, c, d)));
    }
    let [a, b, c, d, e, f, g, h] = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).segments();
    Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))
}

pub fn socket_address(bytes: &[u8], port: u64) -> Done<IpSocketAddress> {
    let port = port as u16;
    match ip(bytes) {
        Some(IpAddress::Ipv4(address)) => Ok(IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })),
        Some(IpAddress::Ipv6(address)) => Ok(IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })),
        None => Err(ErrorCode::InvalidState),
    }
}

/// Waits until the host would answer: it is asked whether it is ready, without taking anything.
pub struct Ready<'a> {
    pub host: Host,
    pub waits: &'a Waits,
    pub function: Function,
    pub object: u64,
    pub what: u64,
}

pub const TO_READ: u64 = 0;
pub const TO_WRITE: u64 = 1;

impl Future for Ready<'_> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.host.ask(self.function, [self.object, self.what, 0, 0], &[]) {
            Ok(answer) if answer.status == PENDING => {
                self.waits.park(context);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Tcp {
    async fn ready(&mut self) {
        let what = match self.step {
            Step::Connecting => TO_WRITE,
            Step::Listening => TO_READ,
            _ => return,
        };
        Ready { host: self.host, waits: &self.waits, function: Function::TcpReady, object: self.object, what }.await;
    }
}

/// One direction of a connection. It belongs to its socket, which the guest drops after it.
struct Stream {
    host: Host,
    waits: Waits,
    object: u64,
}

fn failed(answer: &Answer) -> StreamError {
    StreamError::LastOperationFailed(Error::msg(format!("{:?}", code(answer.status))))
}

struct Incoming(Stream);

#[async_trait::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        Ready { host: self.0.host, waits: &self.0.waits, function: Function::TcpReady, object: self.0.object, what: TO_READ }.await;
    }
}

#[async_trait::async_trait]
impl InputStream for Incoming {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.0.host.ask(Function::TcpRead, [self.0.object, size.min(MOST_AT_ONCE) as u64, 0, 0], &[]) {
            Ok(answer) if answer.status == PENDING => Ok(Bytes::new()),
            Ok(answer) if answer.status == SOME => Ok(answer.bytes.into()),
            Ok(answer) if answer.status == END => Err(StreamError::Closed),
            Ok(answer) => Err(failed(&answer)),
            Err(Refused::Denied) => Err(StreamError::LastOperationFailed(Error::msg("access denied"))),
            Err(Refused::Ended) => Err(ended()),
        }
    }
}

struct Outgoing {
    stream: Stream,
    rest: Bytes, // what the system has not taken yet
}

impl Outgoing {
    /// Gives the system what is left. True when nothing is.
    fn push(&mut self) -> StreamResult<bool> {
        while !self.rest.is_empty() {
            match self.stream.host.ask(Function::TcpWrite, [self.stream.object, 0, 0, 0], &self.rest) {
                Ok(answer) if answer.status == PENDING => return Ok(false),
                Ok(answer) if answer.status == SOME => {
                    let taken = usize::try_from(answer.x).unwrap_or(usize::MAX).min(self.rest.len());
                    let _ = self.rest.split_to(taken);
                }
                Ok(answer) if answer.status == END => return Err(StreamError::Closed),
                Ok(answer) => return Err(failed(&answer)),
                Err(Refused::Denied) => return Err(StreamError::LastOperationFailed(Error::msg("access denied"))),
                Err(Refused::Ended) => return Err(ended()),
            }
        }
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        while let Ok(false) = self.push() {
            Ready { host: self.stream.host, waits: &self.stream.waits, function: Function::TcpReady, object: self.stream.object, what: TO_WRITE }.await;
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for Outgoing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !self.rest.is_empty() {
            return Err(StreamError::trap("write without permission"));
        }
        self.rest = bytes;
        self.push().map(|_| ())
    }
    fn flush(&mut self) -> StreamResult<()> {
        self.push().map(|_| ())
    }
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.push()? { MOST_AT_ONCE } else { 0 })
    }
}

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

fn streams(state: &mut State, socket: &Resource<Tcp>) -> Result<Streams> {
    let (host, waits, object) = {
        let socket = state.table.get(socket)?;
        (socket.host, socket.waits.clone(), socket.object)
    };
    let input: DynInputStream = Box::new(Incoming(Stream { host, waits: waits.clone(), object }));
    let output: DynOutputStream = Box::new(Outgoing { stream: Stream { host, waits, object }, rest: Bytes::new() });
    Ok((state.table.push_child(input, socket)?, state.table.push_child(output, socket)?))
}

pub type Store<'a> = StoreContextMut<'a, State>;
type This = Resource<Tcp>;
pub type Socket<'a> = LinkerInstance<'a, State>;

fn create(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?.func_wrap("create-tcp-socket", |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
        let state = store.data_mut();
        let (host, waits) = (state.host, state.waits.clone());
        let v6 = matches!(family, IpAddressFamily::Ipv6);
        let answer = done!(ask(host, Function::TcpCreate, [0, v6.into(), 0, 0], &[]));
        let socket = Tcp { host, waits, object: answer.x, v6, backlog: 128, step: Step::New };
        Ok((Ok::<This, ErrorCode>(state.table.push(socket)?),))
    })
}

fn connect(tcp: &mut Socket<'_>) -> Result<()> {
    tcp.func_wrap("[method]tcp-socket.start-bind", |mut store: Store<'_>, (this, _, address): (This, Resource<Network>, IpSocketAddress)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if socket.step != Step::New {
            return Ok((Err(ErrorCode::InvalidState),));
        }
        if !is_of_family(socket.v6, &address) {
            return Ok((Err(ErrorCode::InvalidArgument),));
        }
        let (bytes, port) = pack(&address);
        done!(ask(socket.host, Function::TcpBind, [socket.object, port, 0, 0], &bytes));
        socket.step = Step::Binding;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    tcp.func_wrap("[method]tcp-socket.finish-bind", |mut store: Store<'_>, (this,): (This,)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if socket.step != Step::Binding {
            return Ok((Err(ErrorCode::NotInProgress),));
        }
        socket.step = Step::Bound;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    tcp.func_wrap("[method]tcp-socket.start-connect", |mut store: Store<'_>, (this, _, address): (This, Resource<Network>, IpSocketAddress)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        match socket.step {
            Step::New | Step::Bound => {}
            Step::Connecting | Step::Binding | Step::StartingToListen => return Ok((Err(ErrorCode::ConcurrencyConflict),)),
            _ => return Ok((Err(ErrorCode::InvalidState),)),
        }
        if !is_reachable(socket.v6, &address) {
            return Ok((Err(ErrorCode::InvalidArgument),));
        }
        let (bytes, port) = pack(&address);
        done!(ask(socket.host, Function::TcpConnect, [socket.object, port, 0, 0], &bytes));
        socket.step = Step::Connecting;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    tcp.func_wrap("[method]tcp-socket.finish-connect", |mut store: Store<'_>, (this,): (This,)| {
        let state = store.data_mut();
        let socket = state.table.get_mut(&this)?;
        if socket.step != Step::Connecting {
            return Ok((Err(ErrorCode::NotInProgress),));
        }
        match ask(socket.host, Function::TcpConnected, [socket.object, 0, 0, 0], &[])? {
            Ok(_) => socket.step = Step::Connected,
            Err(ErrorCode::WouldBlock) => return Ok((Err(ErrorCode::WouldBlock),)),
            Err(code) => {
                socket.step = Step::Closed;
                return Ok((Err(code),));
            }
        }
        Ok((Ok::<Streams, ErrorCode>(streams(state, &this)?),))
    })
}

fn listen(tcp: &mut Socket<'_>) -> Result<()> {
    tcp.func_wrap("[method]tcp-socket.start-listen", |mut store: Store<'_>, (this,): (This,)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if socket.step != Step::Bound {
            return Ok((Err(ErrorCode::InvalidState),));
        }
        done!(ask(socket.host, Function::TcpListen, [socket.object, socket.backlog, 0, 0], &[]));
        socket.step = Step::StartingToListen;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    tcp.func_wrap("[method]tcp-socket.finish-listen", |mut store: Store<'_>, (this,): (This,)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if socket.step != Step::StartingToListen {
            return Ok((Err(ErrorCode::NotInProgress),));
        }
        socket.step = Step::Listening;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    tcp.func_wrap("[method]tcp-socket.accept", |mut store: Store<'_>, (this,): (This,)| {
        let state = store.data_mut();
        let socket = state.table.get(&this)?;
        if socket.step != Step::Listening {
            return Ok((Err(ErrorCode::InvalidState),));
        }
        let answer = done!(ask(socket.host, Function::TcpAccept, [socket.object, 0, 0, 0], &[]));
        let accepted = Tcp { host: socket.host, waits: socket.waits.clone(), object: answer.x, v6: socket.v6, backlog: 0, step: Step::Connected };
        let accepted = state.table.push(accepted)?;
        let (input, output) = streams(state, &accepted)?;
        Ok((Ok::<(This, Resource<DynInputStream>, Resource<DynOutputStream>), ErrorCode>((accepted, input, output)),))
    })?;
    tcp.func_wrap("[method]tcp-socket.set-listen-backlog-size", |mut store: Store<'_>, (this, size): (This, u64)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if size == 0 {
            return Ok((Err(ErrorCode::InvalidArgument),));
        }
        if matches!(socket.step, Step::Connecting | Step::Connected | Step::Closed) {
            return Ok((Err(ErrorCode::InvalidState),));
        }
        let size = size.min(4096);
        if matches!(socket.step, Step::StartingToListen | Step::Listening) {
            done!(ask(socket.host, Function::TcpListen, [socket.object, size, 0, 0], &[]));
        }
        socket.backlog = size;
        Ok((Ok::<(), ErrorCode>(()),))
    })
}

/// `berth_socket_option`
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum SocketOption {
    KeepAlive,
    KeepAliveIdle,
    KeepAliveInterval,
    KeepAliveCount,
    HopLimit,
    ReceiveBuffer,
    SendBuffer,
}

/// A value of an option as the interface has it, and as the host has it.
pub trait OptionValue: Lift + Lower + Send + Sync + 'static {
    fn to_host(self) -> u64;
    fn from_host(value: u64) -> Self;
}
impl OptionValue for bool {
    fn to_host(self) -> u64 {
        self.into()
    }
    fn from_host(value: u64) -> bool {
        value != 0
    }
}
macro_rules! number_option {
    ($($number:ty),*) => {
        $(impl OptionValue for $number {
            fn to_host(self) -> u64 {
                self.into()
            }
            fn from_host(value: u64) -> $number {
                value.try_into().unwrap_or(<$number>::MAX)
            }
        })*
    };
}
number_option!(u8, u32, u64);

/// A socket of either kind, as the host knows it.
pub trait HostSocket: Send + Sync + 'static {
    fn at(&self) -> (Host, u64);
}
impl HostSocket for Tcp {
    fn at(&self) -> (Host, u64) {
        (self.host, self.object)
    }
}

/// An option that is read with `get` and set with `set`. The host knows which values there are.
pub fn option<S: HostSocket, T: OptionValue>(sockets: &mut Socket<'_>, name: SocketOption, get: &str, set: &str) -> Result<()> {
    sockets.func_wrap(get, move |store: Store<'_>, (this,): (Resource<S>,)| {
        let (host, object) = store.data().table.get(&this)?.at();
        let answer = done!(ask(host, Function::SocketOption, [object, name as u64, 0, 0], &[]));
        Ok((Ok::<T, ErrorCode>(T::from_host(answer.x)),))
    })?;
    sockets.func_wrap(set, move |store: Store<'_>, (this, value): (Resource<S>, T)| {
        let (host, object) = store.data().table.get(&this)?.at();
        done!(ask(host, Function::SetSocketOption, [object, name as u64, value.to_host(), 0], &[]));
        Ok((Ok::<(), ErrorCode>(()),))
    })
}

fn rest(tcp: &mut Socket<'_>) -> Result<()> {
    for (name, remote) in [("[method]tcp-socket.local-address", 0_u64), ("[method]tcp-socket.remote-address", 1)] {
        tcp.func_wrap(name, move |store: Store<'_>, (this,): (This,)| {
            let socket = store.data().table.get(&this)?;
            let answer = done!(ask(socket.host, Function::TcpAddress, [socket.object, remote, 0, 0], &[]));
            Ok((socket_address(&answer.bytes, answer.x),))
        })?;
    }
    tcp.func_wrap("[method]tcp-socket.is-listening", |store: Store<'_>, (this,): (This,)| Ok((store.data().table.get(&this)?.step == Step::Listening,)))?;
    tcp.func_wrap("[method]tcp-socket.address-family", |store: Store<'_>, (this,): (This,)| {
        Ok((if store.data().table.get(&this)?.v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 },))
    })?;
    tcp.func_wrap("[method]tcp-socket.shutdown", |mut store: Store<'_>, (this, how): (This, ShutdownType)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if socket.step != Step::Connected {
            return Ok((Err(ErrorCode::InvalidState),));
        }
        let how = match how {
            ShutdownType::Receive => 0,
            ShutdownType::Send => 1,
            ShutdownType::Both => 2,
        };
        done!(ask(socket.host, Function::TcpShutdown, [socket.object, how, 0, 0], &[]));
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    tcp.func_wrap("[method]tcp-socket.subscribe", |mut store: Store<'_>, (this,): (This,)| Ok((subscribe(&mut store.data_mut().table, this)?,)))?;
    use SocketOption::*;
    option::<Tcp, bool>(tcp, KeepAlive, "[method]tcp-socket.keep-alive-enabled", "[method]tcp-socket.set-keep-alive-enabled")?;
    option::<Tcp, u64>(tcp, KeepAliveIdle, "[method]tcp-socket.keep-alive-idle-time", "[method]tcp-socket.set-keep-alive-idle-time")?;
    option::<Tcp, u64>(tcp, KeepAliveInterval, "[method]tcp-socket.keep-alive-interval", "[method]tcp-socket.set-keep-alive-interval")?;
    option::<Tcp, u32>(tcp, KeepAliveCount, "[method]tcp-socket.keep-alive-count", "[method]tcp-socket.set-keep-alive-count")?;
    option::<Tcp, u8>(tcp, HopLimit, "[method]tcp-socket.hop-limit", "[method]tcp-socket.set-hop-limit")?;
    option::<Tcp, u64>(tcp, ReceiveBuffer, "[method]tcp-socket.receive-buffer-size", "[method]tcp-socket.set-receive-buffer-size")?;
    option::<Tcp, u64>(tcp, SendBuffer, "[method]tcp-socket.send-buffer-size", "[method]tcp-socket.set-send-buffer-size")
}

/// The addresses of a name, as they are asked for one after the other.
pub struct Lookup {
    host: Host,
    waits: Waits,
    object: u64,
    found: Option<Done<std::vec::IntoIter<IpAddress>>>,
}

impl Lookup {
    fn look(&mut self) -> Result<bool> {
        if self.found.is_none() {
            self.found = match ask(self.host, Function::NameAddresses, [self.object, 0, 0, 0], &[])? {
                Err(ErrorCode::WouldBlock) => None,
                Err(code) => Some(Err(code)),
                Ok(answer) => {
                    let mut packed = Unpack(&answer.bytes);
                    let mut addresses = Vec::new();
                    while !packed.is_empty() {
                        addresses.extend(ip(packed.bytes()));
                    }
                    Some(Ok(addresses.into_iter()))
                }
            };
        }
        Ok(self.found.is_some())
    }
}

struct Looked<'a>(&'a mut Lookup);

impl Future for Looked<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.0.look() {
            Ok(false) => {
                self.0.waits.park(context);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        Looked(self).await;
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let _ = self.host.ask(Function::TcpClose, [self.object, 0, 0, 0], &[]);
    }
}

fn look_up(linker: &mut Linker<State>) -> Result<()> {
    let mut lookup = linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    lookup.resource("resolve-address-stream", ResourceType::host::<Lookup>(), |mut store, rep| {
        store.data_mut().table.delete(Resource::<Lookup>::new_own(rep))?;
        Ok(())
    })?;
    lookup.func_wrap("resolve-addresses", |mut store: Store<'_>, (_, name): (Resource<Network>, String)| {
        let state = store.data_mut();
        let (host, waits) = (state.host, state.waits.clone());
        let answer = done!(ask(host, Function::NameLookup, [0; 4], name.as_bytes()));
        Ok((Ok::<Resource<Lookup>, ErrorCode>(state.table.push(Lookup { host, waits, object: answer.x, found: None })?),))
    })?;
    lookup.func_wrap("[method]resolve-address-stream.resolve-next-address", |mut store: Store<'_>, (this,): (Resource<Lookup>,)| {
        let lookup = store.data_mut().table.get_mut(&this)?;
        lookup.look()?;
        Ok((match &mut lookup.found {
            None => Err(ErrorCode::WouldBlock),
            Some(Err(code)) => Err(*code),
            Some(Ok(addresses)) => Ok(addresses.next()),
        },))
    })?;
    lookup.func_wrap("[method]resolve-address-stream.subscribe", |mut store: Store<'_>, (this,): (Resource<Lookup>,)| -> Result<(Resource<DynPollable>,)> {
        Ok((subscribe(&mut store.data_mut().table, this)?,))
    })
}

pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    create(linker)?;
    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    tcp.resource("tcp-socket", ResourceType::host::<Tcp>(), |mut store, rep| {
        store.data_mut().table.delete(Resource::<Tcp>::new_own(rep))?;
        Ok(())
    })?;
    connect(&mut tcp)?;
    listen(&mut tcp)?;
    rest(&mut tcp)?;
    look_up(linker)
}
