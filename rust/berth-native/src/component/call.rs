//! One call of a component, run by the caller until it ends: in a fresh instance, or in one that stays.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::LocalSet;
use tokio::task::coop::unconstrained;
use wasmtime::component::ResourceTable;
use wasmtime::{Error, Store, Trap};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::WasiHttpCtx;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest, HostOutgoingResponse};

use crate::abi::{Outcome, Record, Text, panic_text, slice};
use crate::code_map::CodeMap;
use crate::component::host::{EndedByHost, Host, HostTable, Waits};
use crate::component::http::{self, Answering, Outgoing, Request};
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
    pub trap_on_limit: bool,
    pub arguments: *const Text,
    pub argument_count: usize,
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
    pub error: *mut CError,
}

impl Report {
    fn empty() -> Report {
        Report { outcome: Outcome::NotStarted, trap: trap::NONE, fuel_used: 0, peak_memory: 0, denied_memory: 0, denied_table: 0, exit_status: -1, error: std::ptr::null_mut() }
    }
}

/// The guest hands control back after so much fuel, for a look at the mark that stops it.
const FUEL_BETWEEN_LOOKS: u64 = 200_000;
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Release);
    }
}

/// How the driving of a call ended.
enum Driven<T> {
    Done(T),
    /// The call must end, or the host has ended it. The future is dropped then, which unwinds the guest.
    Stopped,
    EndedByHost,
}

/// Runs `f` as this thread's innermost entry under the record of a call; null: the call cannot be stopped. Never inlined: which
/// thread it is may change between two of them, and nothing that belongs to one is kept outside.
///
/// # Safety
/// The record is valid until the call has ended.
#[inline(never)]
unsafe fn inside<T>(record: *const Record, f: impl FnOnce() -> T) -> T {
    if record.is_null() {
        return f();
    }
    // Component code is not interrupted where it stands: it comes back by itself, and host code looks at the mark.
    let place = StopPlace { map: CodeMap::empty(), stop_pc: 0 };
    // SAFETY: the contract of this function.
    unsafe { stop::enter(record, place, f) }
}

/// What comes after a part of a call.
enum Step<T> {
    Over(Driven<T>),
    Again,
    WaitUntil(u64),
}

/// Polls until it is done, and what was started beside it as well. Between two rounds, while it waits, the call is on no
/// thread's books: the host may go on with it on another one. Its wakers are called by who drives it and by nobody else, and so the
/// set of tasks, which takes its first thread for its only one, is touched by one thread at a time.
///
/// # Safety
/// The record, which may be null, is valid until the call has ended.
unsafe fn drive<T>(future: impl Future<Output = T>, host: Host, waits: &Waits, record: *const Record) -> Driven<T> {
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let beside = LocalSet::new();
    let mut future = pin!(beside.run_until(future));
    let mut round = || {
        if stop::current_stopped() {
            return Step::Over(Driven::Stopped);
        }
        waits.begin_round();
        flag.0.store(false, Release);
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Step::Over(Driven::Done(value));
        }
        if waits.is_ended() {
            return Step::Over(Driven::EndedByHost);
        }
        if flag.0.swap(false, AcqRel) || stop::current_stopped() {
            return Step::Again;
        }
        Step::WaitUntil(waits.earliest().unwrap_or(u64::MAX))
    };
    loop {
        // SAFETY: the contract of this function.
        match unsafe { inside(record, &mut round) } {
            Step::Over(driven) => return driven,
            Step::Again => {}
            Step::WaitUntil(due) => host.wait_until(due),
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

/// A call that must end is refused everything by its host: then the stop is the reason.
fn ended_by_host() -> Outcome {
    if stop::current_stopped() { Outcome::Stopped } else { Outcome::HostTrapped }
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

fn internal(error: Error) -> CError {
    CError::new(ErrorKind::Internal, format!("{error:#}"))
}

fn no_handler() -> CError {
    CError::new(ErrorKind::NotFound, "the component handles no requests")
}

fn budget(setup: &Setup) -> u64 {
    setup.fuel.max(0) as u64
}

/// # Safety
/// As `berth_component_call`.
unsafe fn new_store(program: &Program, setup: &Setup, waits: &Waits) -> Result<Store<State>, CError> {
    // SAFETY: the caller's contract.
    let arguments = unsafe { slice(setup.arguments, setup.argument_count).iter().map(|text| text.to_string()).collect() };
    let state = State {
        host: Host { table: setup.host, state: setup.state },
        waits: waits.clone(),
        limits: Limits::new(setup.memory_limit, setup.table_limit, setup.trap_on_limit),
        arguments,
        table: ResourceTable::new(),
        http: WasiHttpCtx::new(),
        outgoing: Outgoing,
        sockets: Default::default(),
    };
    let mut store = Store::new(&program.engine.engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_fuel(budget(setup)).map_err(internal)?;
    store.fuel_async_yield_interval(Some(FUEL_BETWEEN_LOOKS)).map_err(internal)?;
    Ok(store)
}

/// # Safety
/// As `berth_component_call`.
unsafe fn run(program: &Program, setup: &Setup, request: Option<&Request>, report: &mut Report) -> Result<(), CError> {
    let host = Host { table: setup.host, state: setup.state };
    let waits = Waits::default();
    // SAFETY: the caller's contract.
    let mut store = unsafe { new_store(program, setup, &waits) }?;
    let driven = match request {
        // SAFETY: the caller's contract.
        None => unsafe { drive(run_command(program, store), host, &waits, setup.record) },
        Some(request) => {
            let pre = program.handler.as_ref().ok_or_else(no_handler)?.clone();
            // SAFETY: the caller's contract.
            let (incoming, outparam, receiver) = unsafe { http::take(store.data_mut(), request) }.map_err(internal)?;
            let answering = Answering::default();
            let handle = async {
                let mut store = store;
                let ran = async {
                    let proxy = pre.instantiate_async(&mut store).await?;
                    store.data_mut().limits.instantiating = false;
                    proxy.wasi_http_incoming_handler().call_handle(&mut store, incoming, outparam).await
                }
                .await;
                answering.failed.store(ran.is_err(), Relaxed);
                end(store, ran) // drops the store, and with it what the guest left open of its answer
            };
            // SAFETY: the caller's contract.
            match unsafe { drive(both(handle, http::answer(receiver, host, &waits, &answering)), host, &waits, setup.record) } {
                Driven::Done((ended, missing)) => {
                    report_missing(missing, report);
                    Driven::Done(ended)
                }
                Driven::Stopped => Driven::Stopped,
                Driven::EndedByHost => Driven::EndedByHost,
            }
        }
    };
    // SAFETY: the caller's contract.
    unsafe { inside(setup.record, || fill(driven, budget(setup), &waits, report)) };
    Ok(())
}

/// Why the handler gave no answer.
fn report_missing(missing: Option<String>, report: &mut Report) {
    if let Some(why) = missing {
        report.error = Box::into_raw(Box::new(CError::new(ErrorKind::NotFound, why)));
    }
}

fn fill(driven: Driven<Ended>, budget: u64, waits: &Waits, report: &mut Report) {
    let ended = match driven {
        Driven::Done(ended) => ended,
        Driven::Stopped => {
            report.outcome = Outcome::Stopped;
            return;
        }
        Driven::EndedByHost => {
            report.outcome = ended_by_host();
            return;
        }
    };
    report.fuel_used = budget.saturating_sub(ended.fuel_left);
    report.peak_memory = ended.limits.peak;
    report.denied_memory = ended.limits.denied_memory;
    report.denied_table = ended.limits.denied_table;
    if waits.is_ended() {
        report.outcome = ended_by_host(); // while its answer was taken, which may be after the guest has ended
        return;
    }
    let Err(error) = ended.ran else {
        report.outcome = Outcome::Returned;
        return;
    };
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        report.exit_status = exit.0;
        report.outcome = Outcome::Returned;
        return;
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
}

/// An instance that handles one request behind the other.
pub struct Kept {
    store: Store<State>,
    proxy: Proxy,
}

/// What a guest may have at once while its instance stays, so that looking through it takes no time worth mentioning.
const MOST_RESOURCES: usize = 1 << 16;
/// What it may leave behind after a call: streams and directories that it opens once, and a few that it forgets.
const MOST_LEFT_OVER: usize = 256;

impl Kept {
    fn begin_call(&mut self, setup: &Setup) -> Result<(), CError> {
        let state = self.store.data_mut();
        state.waits.begin_call();
        state.limits.begin_call(setup.memory_limit, setup.table_limit, setup.trap_on_limit);
        self.store.set_fuel(budget(setup)).map_err(internal)
    }

    /// Ends what was under way in the call. False: the guest has left too much, and the instance must not be entered again.
    fn end_call(&mut self) -> bool {
        let mut count = 0;
        for entry in self.store.data_mut().table.iter_mut() {
            count += 1;
            if let Some(response) = entry.downcast_mut::<HostFutureIncomingResponse>() {
                // Its task ended with the call.
                if !matches!(response, HostFutureIncomingResponse::Consumed) {
                    *response = HostFutureIncomingResponse::Ready(Err(wasmtime_wasi_http::Error::ConnectionTerminated));
                }
            } else if entry.downcast_ref::<HostOutgoingRequest>().is_some_and(|request| request.body.is_some())
                || entry.downcast_ref::<HostOutgoingResponse>().is_some_and(|response| response.body.is_some())
            {
                return false; // megabytes of a body may wait in it
            }
        }
        count <= MOST_LEFT_OVER
    }
}

/// # Safety
/// As `berth_component_call_kept`.
unsafe fn run_kept(program: &Program, setup: &Setup, request: &Request, slot: &mut Option<Box<Kept>>, report: &mut Report) -> Result<(), CError> {
    let host = Host { table: setup.host, state: setup.state };
    let pre = program.handler.as_ref().ok_or_else(no_handler)?;
    let (mut store, proxy) = match slot.take() {
        Some(mut kept) => {
            kept.begin_call(setup)?;
            (kept.store, Some(kept.proxy))
        }
        None => {
            // SAFETY: the caller's contract.
            let mut store = unsafe { new_store(program, setup, &Waits::default()) }?;
            store.data_mut().table.set_max_capacity(MOST_RESOURCES);
            (store, None)
        }
    };
    let waits = store.data().waits.clone();
    // SAFETY: the caller's contract.
    let (incoming, outparam, receiver) = unsafe { http::take(store.data_mut(), request) }.map_err(internal)?;
    let answering = Answering::default();
    let left = RefCell::new(None);
    let handle = async {
        let mut store = store;
        let mut proxy = proxy;
        let ran = async {
            let proxy = match &mut proxy {
                Some(proxy) => proxy,
                empty => {
                    let made = pre.instantiate_async(&mut store).await?;
                    store.data_mut().limits.instantiating = false;
                    empty.insert(made)
                }
            };
            proxy.wasi_http_incoming_handler().call_handle(&mut store, incoming, outparam).await
        }
        .await;
        answering.failed.store(ran.is_err(), Relaxed);
        let ended = Ended { fuel_left: store.get_fuel().unwrap_or(0), limits: store.data().limits.clone(), ran };
        if let (Ok(()), Some(proxy)) = (&ended.ran, proxy) {
            left.replace(Some(Box::new(Kept { store, proxy })));
        }
        ended
    };
    let mut answer = pin!(unconstrained(http::answer(receiver, host, &waits, &answering)));
    let answer = poll_fn(|context| {
        let polled = answer.as_mut().poll(context);
        // The guest has ended and left its answer open: as in a fresh instance, that is the end of both.
        let given_up = if polled.is_pending() && !answering.waits_for_room.load(Relaxed) { left.take() } else { None };
        if given_up.is_some() {
            drop(given_up);
            return answer.as_mut().poll(context);
        }
        polled
    });
    // SAFETY: the caller's contract.
    let driven = match unsafe { drive(both(handle, answer), host, &waits, setup.record) } {
        Driven::Done((ended, missing)) => {
            report_missing(missing, report);
            Driven::Done(ended)
        }
        Driven::Stopped => Driven::Stopped,
        Driven::EndedByHost => Driven::EndedByHost,
    };
    let is_done = matches!(driven, Driven::Done(_));
    // SAFETY: the caller's contract.
    unsafe { inside(setup.record, || fill(driven, budget(setup), &waits, report)) };
    if is_done
        && matches!(report.outcome, Outcome::Returned)
        && let Some(mut kept) = left.take()
        && kept.end_call()
    {
        *slot = Some(kept);
    }
    Ok(())
}

/// # Safety
/// `program` and `setup` are valid with all they point at, the record and the host's state outlive the call; `request` is
/// null for a command; `report` has room for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_call(program: *const Program, setup: *const Setup, request: *const Request, report: *mut Report) {
    // SAFETY: the caller's contract.
    let (program, setup, request, report) = unsafe {
        report.write(Report::empty());
        (&*program, &*setup, request.as_ref(), &mut *report)
    };
    // SAFETY: the caller's contract.
    report_failure(report, |report| unsafe { run(program, setup, request, report) });
}

/// # Safety
/// As `berth_component_call`, with a request; `instance` points at null or at what another call with the same component, host
/// and state has left there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_call_kept(program: *const Program, setup: *const Setup, request: *const Request, instance: *mut *mut Kept, report: *mut Report) {
    // SAFETY: the caller's contract.
    let (program, setup, request, report) = unsafe {
        report.write(Report::empty());
        (&*program, &*setup, &*request, &mut *report)
    };
    // SAFETY: given out by an earlier call, and taken back here.
    let taken = unsafe { instance.replace(std::ptr::null_mut()) };
    let mut slot = (!taken.is_null()).then(|| unsafe { Box::from_raw(taken) });
    // SAFETY: the caller's contract.
    report_failure(report, |report| unsafe { run_kept(program, setup, request, &mut slot, report) });
    if let Some(kept) = slot {
        // SAFETY: the caller's contract.
        unsafe { instance.write(Box::into_raw(kept)) };
    }
}

/// # Safety
/// `instance` was given out by `berth_component_call_kept` and is deleted once; its host and state are still there. Null does
/// nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_instance_delete(instance: *mut Kept) {
    if !instance.is_null() {
        // SAFETY: takes back what was given out.
        let kept = unsafe { Box::from_raw(instance) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(kept)));
    }
}

/// Whatever keeps the call from its beginning is told as its report.
fn report_failure(report: &mut Report, run: impl FnOnce(&mut Report) -> Result<(), CError>) {
    let error = match catch_unwind(AssertUnwindSafe(|| run(report))) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(panic) => CError::new(ErrorKind::Internal, panic_text(&*panic)),
    };
    report.outcome = Outcome::NotStarted;
    report.error = Box::into_raw(Box::new(error));
}
