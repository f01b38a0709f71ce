//! UDP sockets of wasi:sockets 0.2, answered from the host's table: it decides who may be sent to and heard.

use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime::{Error, Result};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{IncomingDatagram, OutgoingDatagram};
use wasmtime_wasi::p2::{DynPollable, subscribe};
use wasmtime_wasi_io::poll::Pollable;

use crate::component::host::{Function, Host, MOST_AT_ONCE, Waits};
use crate::component::sockets::{HostSocket, Ready, Socket, SocketOption, Store, TO_READ, TO_WRITE, ask, done, is_of_family, is_reachable, option, pack, socket_address};
use crate::component::state::State;

#[derive(Clone, Copy, PartialEq)]
enum Step {
    New,
    Binding,
    Bound,
}

pub struct Udp {
    host: Host,
    waits: Waits,
    object: u64,
    v6: bool,
    step: Step,
}

impl Drop for Udp {
    fn drop(&mut self) {
        let _ = self.host.ask(Function::TcpClose, [self.object, 0, 0, 0], &[]);
    }
}

impl HostSocket for Udp {
    fn at(&self) -> (Host, u64) {
        (self.host, self.object)
    }
}

#[async_trait::async_trait]
impl Pollable for Udp {
    async fn ready(&mut self) {} // nothing that it does itself takes time
}

/// One direction. It belongs to its socket, which the guest drops after it.
struct Direction {
    host: Host,
    waits: Waits,
    object: u64,
    v6: bool,
    remote: Option<(Vec<u8>, u64)>, // the only other end
}

impl Direction {
    async fn ready(&self, what: u64) {
        Ready { host: self.host, waits: &self.waits, function: Function::UdpReady, object: self.object, what }.await;
    }
}

pub struct Incoming(Direction);

#[async_trait::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        self.0.ready(TO_READ).await;
    }
}

pub struct Outgoing {
    direction: Direction,
    permitted: usize, // datagrams, for the next time that some are sent
}

#[async_trait::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        self.direction.ready(TO_WRITE).await;
    }
}

/// At once, in either direction.
const MOST_DATAGRAMS: usize = 16;
const MOST_IN_ONE: usize = u16::MAX as usize;

type This = Resource<Udp>;
type Streams = (Resource<Incoming>, Resource<Outgoing>);

fn settle(udp: &mut Socket<'_>) -> Result<()> {
    udp.func_wrap("[method]udp-socket.start-bind", |mut store: Store<'_>, (this, _, address): (This, Resource<Network>, IpSocketAddress)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        match socket.step {
            Step::New => {}
            Step::Binding => return Ok((Err(ErrorCode::ConcurrencyConflict),)),
            Step::Bound => return Ok((Err(ErrorCode::InvalidState),)),
        }
        if !is_of_family(socket.v6, &address) {
            return Ok((Err(ErrorCode::InvalidArgument),));
        }
        let (bytes, port) = pack(&address);
        done!(ask(socket.host, Function::UdpBind, [socket.object, port, 0, 0], &bytes));
        socket.step = Step::Binding;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    udp.func_wrap("[method]udp-socket.finish-bind", |mut store: Store<'_>, (this,): (This,)| {
        let socket = store.data_mut().table.get_mut(&this)?;
        if socket.step != Step::Binding {
            return Ok((Err(ErrorCode::NotInProgress),));
        }
        socket.step = Step::Bound;
        Ok((Ok::<(), ErrorCode>(()),))
    })?;
    udp.func_wrap("[method]udp-socket.stream", |mut store: Store<'_>, (this, address): (This, Option<IpSocketAddress>)| {
        let state = store.data_mut();
        if state.table.iter_children(&this)?.any(|child| child.is::<Incoming>() || child.is::<Outgoing>()) {
            return Err(Error::msg("udp-socket.stream while the streams that it gave before are still there"));
        }
        let socket = state.table.get(&this)?;
        if socket.step != Step::Bound {
            return Ok((Err(ErrorCode::InvalidState),));
        }
        if address.as_ref().is_some_and(|address| !is_reachable(socket.v6, address)) {
            return Ok((Err(ErrorCode::InvalidArgument),));
        }
        let remote = address.as_ref().map(pack);
        let (bytes, port) = remote.clone().unwrap_or_default();
        done!(ask(socket.host, Function::UdpStream, [socket.object, port, 0, 0], &bytes));
        let direction = |remote| Direction { host: socket.host, waits: socket.waits.clone(), object: socket.object, v6: socket.v6, remote };
        let incoming = Incoming(direction(remote.clone()));
        let outgoing = Outgoing { direction: direction(remote), permitted: 0 };
        let streams = (state.table.push_child(incoming, &this)?, state.table.push_child(outgoing, &this)?);
        Ok((Ok::<Streams, ErrorCode>(streams),))
    })
}

fn look(udp: &mut Socket<'_>) -> Result<()> {
    for (name, remote) in [("[method]udp-socket.local-address", 0_u64), ("[method]udp-socket.remote-address", 1)] {
        udp.func_wrap(name, move |store: Store<'_>, (this,): (This,)| {
            let socket = store.data().table.get(&this)?;
            if socket.step != Step::Bound {
                return Ok((Err(ErrorCode::InvalidState),));
            }
            let answer = done!(ask(socket.host, Function::UdpAddress, [socket.object, remote, 0, 0], &[]));
            Ok((socket_address(&answer.bytes, answer.x),))
        })?;
    }
    udp.func_wrap("[method]udp-socket.address-family", |store: Store<'_>, (this,): (This,)| {
        Ok((if store.data().table.get(&this)?.v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 },))
    })?;
    udp.func_wrap("[method]udp-socket.subscribe", |mut store: Store<'_>, (this,): (This,)| -> Result<(Resource<DynPollable>,)> {
        Ok((subscribe(&mut store.data_mut().table, this)?,))
    })?;
    use SocketOption::*;
    option::<Udp, u8>(udp, HopLimit, "[method]udp-socket.unicast-hop-limit", "[method]udp-socket.set-unicast-hop-limit")?;
    option::<Udp, u64>(udp, ReceiveBuffer, "[method]udp-socket.receive-buffer-size", "[method]udp-socket.set-receive-buffer-size")?;
    option::<Udp, u64>(udp, SendBuffer, "[method]udp-socket.send-buffer-size", "[method]udp-socket.set-send-buffer-size")
}

fn incoming(udp: &mut Socket<'_>) -> Result<()> {
    udp.func_wrap("[method]incoming-datagram-stream.receive", |store: Store<'_>, (this, most): (Resource<Incoming>, u64)| {
        let stream = &store.data().table.get(&this)?.0;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(MOST_DATAGRAMS);
        let (mut datagrams, mut size) = (Vec::new(), 0);
        while datagrams.len() < most && size < MOST_AT_ONCE {
            match ask(stream.host, Function::UdpReceive, [stream.object, 0, 0, 0], &[])? {
                Ok(answer) => {
                    let (address, data) = answer.bytes.split_at(usize::try_from(answer.y).unwrap_or(usize::MAX).min(answer.bytes.len()));
                    match socket_address(address, answer.x) {
                        Ok(remote_address) => datagrams.push(IncomingDatagram { data: data.to_vec(), remote_address }),
                        Err(code) => return Ok((Err(code),)),
                    }
                    size += data.len();
                }
                Err(ErrorCode::WouldBlock) => break,
                Err(_) if !datagrams.is_empty() => break,
                Err(code) => return Ok((Err(code),)),
            }
        }
        Ok((Ok::<Vec<IncomingDatagram>, ErrorCode>(datagrams),))
    })?;
    udp.func_wrap("[method]incoming-datagram-stream.subscribe", |mut store: Store<'_>, (this,): (Resource<Incoming>,)| -> Result<(Resource<DynPollable>,)> {
        Ok((subscribe(&mut store.data_mut().table, this)?,))
    })
}

/// Sends one. What is wrong with it by itself is told before the host is asked.
fn send(stream: &Direction, datagram: &OutgoingDatagram) -> Result<Result<(), ErrorCode>, Error> {
    let to = match (&stream.remote, &datagram.remote_address) {
        (_, Some(address)) if !is_reachable(stream.v6, address) => return Ok(Err(ErrorCode::InvalidArgument)),
        (Some(only), Some(address)) if pack(address) != *only => return Ok(Err(ErrorCode::InvalidArgument)),
        (Some(_), _) => None,
        (None, Some(address)) => Some(pack(address)),
        (None, None) => return Ok(Err(ErrorCode::InvalidArgument)),
    };
    if datagram.data.len() > MOST_IN_ONE {
        return Ok(Err(ErrorCode::DatagramTooLarge));
    }
    let (mut bytes, port) = to.unwrap_or_default();
    let address_size = bytes.len() as u64;
    bytes.extend_from_slice(&datagram.data);
    Ok(ask(stream.host, Function::UdpSend, [stream.object, port, address_size, 0], &bytes)?.map(|_| ()))
}

fn outgoing(udp: &mut Socket<'_>) -> Result<()> {
    udp.func_wrap("[method]outgoing-datagram-stream.check-send", |mut store: Store<'_>, (this,): (Resource<Outgoing>,)| {
        let stream = store.data_mut().table.get_mut(&this)?;
        let direction = &stream.direction;
        stream.permitted = match ask(direction.host, Function::UdpReady, [direction.object, TO_WRITE, 0, 0], &[])? {
            Ok(_) => MOST_DATAGRAMS,
            Err(ErrorCode::WouldBlock) => 0,
            Err(code) => return Ok((Err(code),)),
        };
        Ok((Ok::<u64, ErrorCode>(stream.permitted as u64),))
    })?;
    udp.func_wrap("[method]outgoing-datagram-stream.send", |mut store: Store<'_>, (this, datagrams): (Resource<Outgoing>, Vec<OutgoingDatagram>)| {
        let stream = store.data_mut().table.get_mut(&this)?;
        if datagrams.is_empty() {
            return Ok((Ok(0),));
        }
        if datagrams.len() > std::mem::take(&mut stream.permitted) {
            return Err(Error::msg("outgoing-datagram-stream.send of more datagrams than check-send permitted"));
        }
        let mut sent = 0_u64;
        for datagram in &datagrams {
            match send(&stream.direction, datagram)? {
                Ok(()) => sent += 1,
                Err(ErrorCode::WouldBlock) => break,
                Err(_) if sent > 0 => break,
                Err(code) => return Ok((Err(code),)),
            }
        }
        Ok((Ok::<u64, ErrorCode>(sent),))
    })?;
    udp.func_wrap("[method]outgoing-datagram-stream.subscribe", |mut store: Store<'_>, (this,): (Resource<Outgoing>,)| -> Result<(Resource<DynPollable>,)> {
        Ok((subscribe(&mut store.data_mut().table, this)?,))
    })
}

/// The guest drops it; the host's part goes with it.
fn resource<T: Send + 'static>(udp: &mut Socket<'_>, name: &str) -> Result<()> {
    udp.resource(name, ResourceType::host::<T>(), |mut store, rep| {
        store.data_mut().table.delete(Resource::<T>::new_own(rep))?;
        Ok(())
    })
}

pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.instance("wasi:sockets/udp-create-socket@0.2.12")?.func_wrap("create-udp-socket", |mut store: Store<'_>, (family,): (IpAddressFamily,)| {
        let state = store.data_mut();
        let (host, waits) = (state.host, state.waits.clone());
        let v6 = matches!(family, IpAddressFamily::Ipv6);
        let answer = done!(ask(host, Function::UdpCreate, [0, v6.into(), 0, 0], &[]));
        let socket = Udp { host, waits, object: answer.x, v6, step: Step::New };
        Ok((Ok::<This, ErrorCode>(state.table.push(socket)?),))
    })?;
    let mut udp = linker.instance("wasi:sockets/udp@0.2.12")?;
    resource::<Udp>(&mut udp, "udp-socket")?;
    resource::<Incoming>(&mut udp, "incoming-datagram-stream")?;
    resource::<Outgoing>(&mut udp, "outgoing-datagram-stream")?;
    settle(&mut udp)?;
    look(&mut udp)?;
    incoming(&mut udp)?;
    outgoing(&mut udp)
}
