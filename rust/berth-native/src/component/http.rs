//! Requests in and responses out, both whole in memory; requests that the guest sends.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot;
use wasmtime::component::Resource;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use crate::abi::{Text, slice};
use crate::component::host::{Host, Need, Refused};
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
    pub body: Text,
}

/// What the handler answered.
pub struct Response {
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

type Answer = Result<hyper::Response<HyperOutgoingBody>, ErrorCode>;

/// The request as the guest gets it, and where its answer arrives.
///
/// # Safety
/// `request` and everything it points at is valid.
pub unsafe fn take(state: &mut State, request: &Request) -> Result<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>, oneshot::Receiver<Answer>), wasmtime::Error> {
    // SAFETY: the caller's contract.
    let (bytes, text) = unsafe { (|text: Text| slice(text.data, text.size), |text: Text| text.to_string()) };
    let mut made = hyper::Request::builder().method(bytes(request.method)).uri(text(request.target));
    // SAFETY: the caller's contract.
    for field in unsafe { slice(request.fields, request.field_count) } {
        made = made.header(bytes(field.name), bytes(field.value));
    }
    let mut made = made.body(Full::new(Bytes::copy_from_slice(bytes(request.body))).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }))?;
    if !made.headers().contains_key("host") {
        made.headers_mut().insert("host", text(request.authority).parse()?);
    }
    let scheme = if request.is_https { Scheme::Https } else { Scheme::Http };
    let (sender, receiver) = oneshot::channel();
    let incoming = state.http().new_incoming_request(scheme, made)?;
    let outparam = state.http().new_response_outparam(sender)?;
    Ok((incoming, outparam, receiver))
}

/// Why there is no response.
pub enum Missing {
    /// The guest gave an error code, or ended without an answer.
    Refused(String),
    TooLarge,
}

/// Reads the answer as the guest writes it, up to `most` bytes.
pub async fn collect(receiver: oneshot::Receiver<Answer>, most: u64) -> Option<Result<Response, Missing>> {
    let answer = match receiver.await {
        Err(_) => return None,
        Ok(Err(code)) => return Some(Err(Missing::Refused(format!("{code:?}")))),
        Ok(Ok(answer)) => answer,
    };
    let (head, mut body) = answer.into_parts();
    let fields = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let mut response = Response { status: head.status.as_u16(), fields, body: Vec::new() };
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(bytes)) => {
                if (response.body.len() + bytes.len()) as u64 > most {
                    return Some(Err(Missing::TooLarge));
                }
                response.body.extend_from_slice(&bytes);
            }
            Ok(Err(_)) => {} // trailers: not sent on
            Err(error) => return Some(Err(Missing::Refused(format!("the body of the response ended with {error:?}")))),
        }
    }
    Some(Ok(response))
}

/// Requests that the guest sends: asked about, and denied unless granted.
pub struct Outgoing(pub Host);

type Sent = Result<(hyper::Response<WasiBody>, Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>), wasmtime_wasi_http::Error>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: hyper::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let reads = matches!(*request.method(), hyper::Method::GET | hyper::Method::HEAD);
        let (need, uri) = (if reads { Need::Fetch } else { Need::Send }, request.uri().to_string());
        let refused = match self.0.enter(need, "wasi:http/outgoing-handler.handle", &uri) {
            Err(Refused::Denied | Refused::Ended) => wasmtime_wasi_http::Error::HttpRequestDenied,
            // Granted: there is no provider of outgoing requests for components yet.
            Ok(()) => wasmtime_wasi_http::Error::InternalError(Some("not_implemented: this build sends no HTTP requests for components".into())),
        };
        Box::new(std::future::ready(Err(refused)))
    }
}
