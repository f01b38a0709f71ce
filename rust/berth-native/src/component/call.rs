//! One call of a component: a fresh instance, run on the calling thread until it ends.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::{Context, Poll, Wake, Waker};

use wasmtime::component::ResourceTable;
use wasmtime::{Error, Store, Trap};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::WasiHttpCtx;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::abi::{Outcome, Record, Text, panic_text, slice};
use crate::code_map::CodeMap;
use crate::component::host::{EndedByHost, Host, HostTable, Timers};
use crate::component::http::{self, Field, Missing, Outgoing, Request, Response};
use crate::component::limits::{Denied, Limits};
use crate::component::program::Program;
use crate::component::state::State;
use crate::error::{CError, ErrorKind};
use crate::stop::{self, StopPlace};
use crate::trap;

/// `berth_component_setup`
#[repr(C)]
pub struct Setup {
    pub host: *const HostTable,
    pub state: *mut std::ffi::c_void,
    pub record: *const Record,
    pub fuel: i64,
    pub memory_limit: u64,
    pub table_limit: u64,
    pub output_limit: u64,
    pub trap_on_limit: bool,
    pub arguments: *const Text,
    pub argument_count: usize,
    pub variables: *const Field,
    pub variable_count: usize,
}

/// `berth_component_report`
#[repr(C)]
pub struct Report {
    pub outcome: Outcome,
    pub trap: u32,
    pub fuel_used: u64,
    pub peak_memory: u64,
    pub denied_memory: u32,
    pub denied_table: u32,
    /// The guest ended itself with this status; -1: it did not.
    pub exit_status: i32,
    pub output_too_large: bool,
    pub error: *mut CError,
    pub response: *mut Response,
}

/// The guest hands control back after so much fuel, for a look at the mark that stops it.
const FUEL_BETWEEN_LOOKS: u64 = 200_000;
/// Wakers of other threads only set a flag, so sleep is never longer.
const LONGEST_SLEEP: u64 = 20_000_000;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Release);
    }
}

/// Polls until it is done; None: the call must end. The future is dropped then, which unwinds the guest.
fn drive<T>(future: impl Future<Output = T>, host: Host, timers: &Timers) -> Option<T> {
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if stop::current_stopped() {
            return None;
        }
        timers.clear();
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        if flag.0.swap(false, AcqRel) || stop::current_stopped() {
            continue;
        }
        let rest = timers.earliest().map_or(LONGEST_SLEEP, |due| due.saturating_sub(host.now()));
        if rest > 0 {
            host.wait(rest.min(LONGEST_SLEEP));
        }
    }
}

/// Both at once on this thread.
async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    poll_fn(move |context| {
        if a.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(context)
        {
            a = Some(value);
        }
        if b.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(context)
        {
            b = Some(value);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

/// What is left of a store when its guest has ended.
struct Ended {
    ran: Result<(), Error>,
    fuel_left: u64,
    limits: Limits,
}

fn end(mut store: Store<State>, ran: Result<(), Error>) -> Ended {
    let fuel_left = store.get_fuel().unwrap_or(0);
    let limits = std::mem::replace(&mut store.data_mut().limits, Limits::new(0, 0, false));
    Ended { ran, fuel_left, limits }
}

async fn run_command(program: &Program, mut store: Store<State>) -> Ended {
    let ran = async {
        let command = CommandPre::new(program.pre.clone())?.instantiate_async(&mut store).await?;
        store.data_mut().limits.instantiating = false;
        match command.wasi_cli_run().call_run(&mut store).await? {
            Ok(()) => Ok(()),
            Err(()) => Err(Error::new(I32Exit(1))),
        }
    }
    .await;
    end(store, ran)
}

/// # Safety
/// As `berth_component_call`.
unsafe fn run(program: &Program, setup: &Setup, request: Option<&Request>, report: &mut Report) -> Result<(), CError> {
    let host = Host { table: setup.host, state: setup.state };
    let timers = Timers::default();
    // SAFETY: the caller's contract.
    let (arguments, variables) = unsafe {
        (
            slice(setup.arguments, setup.argument_count).iter().map(|text| text.to_string()).collect(),
            slice(setup.variables, setup.variable_count).iter().map(|each| (each.name.to_string(), each.value.to_string())).collect(),
        )
    };
    let state = State {
        host,
        timers: timers.clone(),
        limits: Limits::new(setup.memory_limit, setup.table_limit, setup.trap_on_limit),
        arguments,
        variables,
        table: ResourceTable::new(),
        http: WasiHttpCtx::new(),
        outgoing: Outgoing(host),
        files: Default::default(),
        sockets: Default::default(),
    };
    let internal = |error: Error| CError::new(ErrorKind::Internal, format!("{error:#}"));
    let budget = setup.fuel.max(0) as u64;
    let mut store = Store::new(&program.engine.engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_fuel(budget).map_err(internal)?;
    store.fuel_async_yield_interval(Some(FUEL_BETWEEN_LOOKS)).map_err(internal)?;

    let ended = match request {
        None => drive(run_command(program, store), host, &timers),
        Some(request) => {
            let pre = ProxyPre::new(program.pre.clone()).map_err(internal)?;
            // SAFETY: the caller's contract.
            let (incoming, outparam, receiver) = unsafe { http::take(store.data_mut(), request) }.map_err(internal)?;
            let handle = async move {
                let ran = async {
                    let proxy = pre.instantiate_async(&mut store).await?;
                    store.data_mut().limits.instantiating = false;
                    proxy.wasi_http_incoming_handler().call_handle(&mut store, incoming, outparam).await
                }
                .await;
                end(store, ran) // drops the store, and with it what the guest left open of its answer
            };
            drive(both(handle, http::collect(receiver, setup.output_limit)), host, &timers).map(|(ended, answer)| {
                match answer {
                    Some(Ok(response)) => report.response = Box::into_raw(Box::new(response)),
                    Some(Err(Missing::TooLarge)) => report.output_too_large = true,
                    Some(Err(Missing::Refused(why))) => report.error = Box::into_raw(Box::new(CError::new(ErrorKind::NotFound, why))),
                    None => {}
                }
                ended
            })
        }
    };
    let Some(ended) = ended else {
        report.outcome = Outcome::Stopped;
        return Ok(());
    };
    report.fuel_used = budget.saturating_sub(ended.fuel_left);
    report.peak_memory = ended.limits.peak;
    report.denied_memory = ended.limits.denied_memory;
    report.denied_table = ended.limits.denied_table;
    let Err(error) = ended.ran else {
        report.outcome = Outcome::Returned;
        return Ok(());
    };
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        report.exit_status = exit.0;
        report.outcome = Outcome::Returned;
        return Ok(());
    }
    report.outcome = match ended.limits.denied {
        _ if stop::current_stopped() => Outcome::Stopped,
        _ if error.is::<EndedByHost>() => Outcome::HostTrapped,
        Denied::Memory => Outcome::MemoryDenied,
        Denied::Table => Outcome::TableDenied,
        Denied::Machine => Outcome::MachineFailed,
        Denied::AtStart => Outcome::NotStarted,
        Denied::Nothing if ended.limits.instantiating && !error.is::<Trap>() => Outcome::NotStarted,
        Denied::Nothing => {
            let (outcome, code) = trap::classify(&error);
            report.trap = code;
            outcome
        }
    };
    if report.outcome == Outcome::OutOfFuel {
        report.fuel_used = budget;
    }
    let described = match ended.limits.denied {
        Denied::AtStart => CError::new(ErrorKind::Limit, ended.limits.text),
        _ if report.outcome == Outcome::NotStarted => CError::instantiation(&error),
        _ => CError::new(ErrorKind::Internal, error.root_cause().to_string()),
    };
    if !report.error.is_null() {
        // SAFETY: made above; the trap says more.
        drop(unsafe { Box::from_raw(report.error) });
    }
    report.error = Box::into_raw(Box::new(described));
    Ok(())
}

/// # Safety
/// `program` and `setup` are valid with all they point at, the record and the host's state outlive the call; `request` is
/// null for a command; `report` has room for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_call(program: *const Program, setup: *const Setup, request: *const Request, report: *mut Report) {
    // SAFETY: the caller's contract.
    let (program, setup, request, report) = unsafe {
        report.write(Report {
            outcome: Outcome::NotStarted,
            trap: trap::NONE,
            fuel_used: 0,
            peak_memory: 0,
            denied_memory: 0,
            denied_table: 0,
            exit_status: -1,
            output_too_large: false,
            error: std::ptr::null_mut(),
            response: std::ptr::null_mut(),
        });
        (&*program, &*setup, request.as_ref(), &mut *report)
    };
    let done = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's contract.
        let mut body = || unsafe { run(program, setup, request, report) };
        if setup.record.is_null() {
            return body();
        }
        // Component code is not interrupted where it stands: it comes back by itself, and host code looks at the mark.
        let place = StopPlace { map: CodeMap::empty(), stop_pc: 0 };
        // SAFETY: the caller's contract.
        unsafe { stop::enter(setup.record, place, body) }
    }));
    let error = match done {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(panic) => CError::new(ErrorKind::Internal, panic_text(&*panic)),
    };
    report.outcome = Outcome::NotStarted;
    report.error = Box::into_raw(Box::new(error));
}

/// # Safety
/// `response` is one of a report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_http_response_status(response: *const Response) -> u16 {
    // SAFETY: the caller's contract.
    unsafe { (*response).status }
}

/// # Safety
/// `response` is one of a report; the text lives as long as it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_http_response_body(response: *const Response) -> Text {
    // SAFETY: the caller's contract.
    let body = unsafe { &(*response).body };
    Text { data: body.as_ptr(), size: body.len() }
}

/// # Safety
/// `response` is one of a report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_http_response_field_count(response: *const Response) -> usize {
    // SAFETY: the caller's contract.
    unsafe { (*response).fields.len() }
}

/// # Safety
/// `response` is one of a report, `index` below the count; the texts live as long as it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_http_response_field(response: *const Response, index: usize) -> Field {
    // SAFETY: the caller's contract.
    let (name, value) = unsafe { &(&(*response).fields)[index] };
    Field { name: Text::of(name), value: Text { data: value.as_ptr(), size: value.len() } }
}

/// # Safety
/// `response` is one of a report and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_http_response_delete(response: *mut Response) {
    if !response.is_null() {
        // SAFETY: every response given out is a leaked box.
        drop(unsafe { Box::from_raw(response) });
    }
}
