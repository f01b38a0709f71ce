//! The request of a handler in, its answer out, and requests that the guest sends; all in parts, as they come.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Error, StoreContextMut};
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;
use wasmtime_wasi_http::p2::HttpError;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Method, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostIncomingRequest, HostOutgoingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{Error as HttpFailure, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use crate::abi::{Text, slice};
use crate::component::host::{Answer, Asking, END, EndedByHost, Function, Host, MOST_AT_ONCE, PENDING, Packed, Refused, SOME, Unpack, Waits};
use crate::component::state::State;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Field {
    pub name: Text,
    pub value: Text,
}

/// `berth_http_request`
#[repr(C)]
pub struct Request {
    pub method: Text,
    pub authority: Text,
    pub target: Text,
    pub is_https: bool,
    pub fields: *const Field,
    pub field_count: usize,
}

/// A body that the host has and that is read in parts, in the call that it came in.
struct HostBody {
    host: Host,
    waits: Waits,
    call: u64,
    function: Function,
    object: u64,
    ended: bool,
}

impl HostBody {
    fn new(host: Host, waits: Waits, function: Function, object: u64) -> HostBody {
        HostBody { host, call: waits.call(), waits, function, object, ended: false }
    }

    fn is_stale(&self) -> bool {
        self.waits.call() != self.call
    }
}

impl Body for HostBody {
    type Data = Bytes;
    type Error = HttpFailure;
    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpFailure>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.is_stale() {
            self.ended = true;
            return Poll::Ready(Some(Err(HttpFailure::ConnectionTerminated)));
        }
        let answer = self.host.ask(self.function, [self.object, MOST_AT_ONCE as u64, 0, 0], &[]);
        let next = match answer {
            Ok(answer) if answer.status == PENDING => {
                self.waits.park(context);
                return Poll::Pending;
            }
            Ok(answer) if answer.status == SOME => return Poll::Ready(Some(Ok(Frame::data(answer.bytes.into())))),
            Ok(answer) if answer.status == END => trailers(&answer.bytes),
            Ok(answer) => Some(Err(failure(answer.status, &answer))),
            Err(Refused::Denied) => Some(Err(HttpFailure::ConnectionTerminated)),
            Err(Refused::Ended) => {
                self.waits.end();
                return Poll::Pending;
            }
        };
        self.ended = true;
        Poll::Ready(next)
    }
}

impl Drop for HostBody {
    fn drop(&mut self) {
        if self.function == Function::HttpRead && !self.is_stale() {
            let _ = self.host.ask(Function::HttpClose, [self.object, 0, 0, 0], &[]);
        }
    }
}

/// The fields that follow a body, packed; those that are none are left out.
fn trailers(packed: &[u8]) -> Option<Result<Frame<Bytes>, HttpFailure>> {
    let mut fields = hyper::HeaderMap::new();
    let mut packed = Unpack(packed);
    while !packed.is_empty() {
        if let (Ok(name), Ok(value)) = (hyper::header::HeaderName::from_bytes(packed.bytes()), hyper::header::HeaderValue::from_bytes(packed.bytes())) {
            fields.append(name, value);
        }
    }
    (!fields.is_empty()).then(|| Ok(Frame::trailers(fields)))
}

/// What an outgoing request ended with: `berth_http_failure`.
fn failure(status: i32, answer: &Answer) -> HttpFailure {
    match status {
        2 => HttpFailure::HttpRequestDenied,
        3 => HttpFailure::DestinationIpProhibited,
        4 => HttpFailure::HttpResponseBodySize(None),
        _ => HttpFailure::InternalError(Some(answer.text())),
    }
}

type Sent = Result<hyper::Response<HyperOutgoingBody>, ErrorCode>;

/// The request as the guest gets it, and where its answer arrives.
///
/// # Safety
/// `request` and everything it points at is valid.
pub unsafe fn take(state: &mut State, request: &Request) -> Result<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>, oneshot::Receiver<Sent>), wasmtime::Error> {
    // SAFETY: the caller's contract.
    let (bytes, text) = unsafe { (|text: Text| slice(text.data, text.size), |text: Text| text.to_string()) };
    let mut made = hyper::Request::builder().method(bytes(request.method)).uri(text(request.target));
    // SAFETY: the caller's contract.
    for field in unsafe { slice(request.fields, request.field_count) } {
        made = made.header(bytes(field.name), bytes(field.value));
    }
    let mut made = made.body(HostBody::new(state.host, state.waits.clone(), Function::RequestRead, 0))?;
    if !made.headers().contains_key("host") {
        made.headers_mut().insert("host", text(request.authority).parse()?);
    }
    let scheme = if request.is_https { Scheme::Https } else { Scheme::Http };
    let (sender, receiver) = oneshot::channel();
    let incoming = state.http().new_incoming_request(scheme, made)?;
    let outparam = state.http().new_response_outparam(sender)?;
    Ok((incoming, outparam, receiver))
}

/// What an answer and the guest that gives it know of each other.
#[derive(Default)]
pub struct Answering {
    /// The guest has failed; what it left open of its body looks like its end then and is none.
    pub failed: AtomicBool,
    /// The answer waits for its taker, and otherwise for the guest.
    pub waits_for_room: AtomicBool,
}

/// Hands the answer to the host as the guest writes it. Why there is none: the guest gave an error code, or its body ended
/// with one. None: it ended without an answer, or the host has ended the call.
pub async fn answer(receiver: oneshot::Receiver<Sent>, host: Host, waits: &Waits, answering: &Answering) -> Option<String> {
    let (head, mut body) = match receiver.await {
        Err(_) => return None,
        Ok(Err(code)) => return Some(format!("{code:?}")),
        Ok(Ok(answer)) => answer.into_parts(),
    };
    let over = |refused: Refused| {
        let _ = refused;
        waits.end();
        None
    };
    if let Err(refused) = host.ask(Function::ResponseHead, [0, head.status.as_u16().into(), 0, 0], &pack_fields(&head.headers).0) {
        return over(refused);
    }
    let mut trailers = Packed::default();
    while let Some(frame) = body.frame().await {
        let data = match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => data,
            Ok(Err(frame)) => {
                if let Ok(fields) = frame.into_trailers() {
                    trailers = pack_fields(&fields);
                }
                continue;
            }
            Err(error) => {
                return Some(format!("the body of the response ended with {error:?}"));
            }
        };
        answering.waits_for_room.store(true, Ordering::Relaxed);
        if let Err(refused) = (Asking { host, waits, function: Function::ResponseRoom, numbers: [0; 4] }).await {
            return over(refused);
        }
        answering.waits_for_room.store(false, Ordering::Relaxed);
        if let Err(refused) = host.ask(Function::ResponseWrite, [0; 4], &data) {
            return over(refused);
        }
    }
    if answering.failed.load(Ordering::Relaxed) {
        return None;
    }
    host.ask(Function::ResponseEnd, [0; 4], &trailers.0).map_or_else(over, |_| None)
}

fn pack_fields(fields: &hyper::HeaderMap) -> Packed {
    let mut packed = Packed::default();
    for (name, value) in fields {
        packed.bytes(name.as_str().as_bytes());
        packed.bytes(value.as_bytes());
    }
    packed
}

/// What the engine's crate asks about fields and schemes; sending is done below.
pub struct Outgoing;

type Response = Result<(hyper::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpFailure>> + Send>), HttpFailure>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        _: hyper::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), HttpFailure>> + Send>,
    ) -> Box<dyn Future<Output = Response> + Send> {
        Box::new(std::future::ready(Err(HttpFailure::HttpRequestDenied)))
    }
}

fn method_name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => name,
    }
}

/// The request for the host: method, address, the three time-outs in nanoseconds (0: none), then the fields.
fn pack(request: &HostOutgoingRequest, options: Option<&RequestOptions>) -> Result<Packed, ErrorCode> {
    let scheme = match &request.scheme {
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) | None => "https",
        Some(Scheme::Other(_)) => return Err(ErrorCode::HttpProtocolError),
    };
    let authority = request.authority.as_deref().unwrap_or_default();
    let path = request.path_with_query.as_deref().unwrap_or("/");
    let mut packed = Packed::default();
    packed.bytes(method_name(&request.method).as_bytes());
    packed.bytes(format!("{scheme}://{authority}{}{path}", if path.starts_with(['/', '?']) { "" } else { "/" }).as_bytes());
    for limit in [options.and_then(|o| o.connect_timeout), options.and_then(|o| o.first_byte_timeout), options.and_then(|o| o.between_bytes_timeout)] {
        packed.number(limit.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)));
    }
    packed.0.extend_from_slice(&pack_fields(&request.headers).0);
    Ok(packed)
}

/// Gives the host the body of a request as the guest writes it.
async fn send_body(mut body: HyperOutgoingBody, host: Host, waits: Waits, object: u64) {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            // The guest dropped its body without finishing it: nobody must take the part for the whole.
            let _ = host.ask(Function::HttpClose, [object, 0, 0, 0], &[]);
            return;
        };
        let Ok(mut data) = frame.into_data() else { continue };
        while !data.is_empty() {
            let Ok(room) = (Asking { host, waits: &waits, function: Function::HttpRoom, numbers: [object, 0, 0, 0] }).await else { return };
            let part = data.split_to(data.len().min(room.x as usize));
            match host.ask(Function::HttpWrite, [object, 0, 0, 0], &part) {
                Ok(_) => {}
                Err(Refused::Denied) => return,
                Err(Refused::Ended) => return waits.end(),
            }
        }
    }
    let _ = host.ask(Function::HttpFinish, [object, 0, 0, 0], &[]);
}

type Received = Result<(hyper::Response<WasiBody>, AbortOnDropJoinHandle<()>), HttpFailure>;

async fn receive(host: Host, waits: Waits, object: u64, sender: AbortOnDropJoinHandle<()>) -> Received {
    let body = HostBody::new(host, waits.clone(), Function::HttpRead, object);
    let answer = match (Asking { host, waits: &waits, function: Function::HttpHead, numbers: [object, 0, 0, 0] }).await {
        Ok(answer) if answer.status == SOME => answer,
        Ok(answer) => return Err(failure(answer.status, &answer)),
        Err(_) => return Err(HttpFailure::HttpRequestDenied),
    };
    let mut response = hyper::Response::builder().status(answer.x as u16);
    let mut fields = Unpack(&answer.bytes);
    while !fields.is_empty() {
        let (name, value) = (fields.bytes(), fields.bytes());
        response = response.header(name, value);
    }
    let response = response.body(body.boxed_unsync()).map_err(|_| HttpFailure::HttpProtocolError)?;
    Ok((response, sender))
}

/// The one interface that is answered here whole: the engine's crate would send by itself.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Parameters = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);
    linker.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap("handle", |mut store: StoreContextMut<'_, State>, (request, options): Parameters| {
        match handle(store.data_mut(), request, options) {
            Ok(future) => Ok((Ok(future),)),
            Err(error) => Ok((Err::<Resource<HostFutureIncomingResponse>, ErrorCode>(error.downcast()?),)),
        }
    })
}

/// `wasi:http/outgoing-handler.handle`
fn handle(state: &mut State, request: Resource<HostOutgoingRequest>, options: Option<Resource<RequestOptions>>) -> Result<Resource<HostFutureIncomingResponse>, HttpError> {
    let options = match &options {
        Some(options) => Some(*state.table.get(options)?),
        None => None,
    };
    let mut request = state.table.delete(request)?;
    let announced = request.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let body = request.body.take();
    if body.is_none() && announced.is_some_and(|size| size != 0) {
        return Err(ErrorCode::HttpRequestBodySize(Some(0)).into());
    }
    let packed = pack(&request, options.as_ref())?;
    let (host, waits) = (state.host, state.waits.clone());
    let opened = match host.ask(Function::HttpHandle, [0, body.is_some().into(), 0, 0], &packed.0) {
        Ok(answer) => answer,
        Err(Refused::Denied) => return Err(ErrorCode::HttpRequestDenied.into()),
        Err(Refused::Ended) => return Err(HttpError::trap(Error::new(EndedByHost))),
    };
    match opened.status {
        SOME => {}
        4 => return Err(ErrorCode::HttpRequestUriInvalid.into()),
        _ => return Err(ErrorCode::InternalError(Some(opened.text())).into()),
    }
    let object = opened.x;
    let sender = match body {
        Some(body) => spawn_local(send_body(body, host, waits.clone(), object)),
        None => spawn_local(std::future::ready(())),
    };
    let response = spawn_local(receive(host, waits, object, sender.into()));
    Ok(state.table.push(HostFutureIncomingResponse::Pending(response.into()))?)
}
