//! Calls that may wait: the guest runs on a fiber, a host function that waits suspends it and frees the thread.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use wasmtime::{Caller, Error, Extern, Func, Store, Val, ValRaw};

use crate::abi::{CallSetup, HOST_PROCEED, HOST_SUSPEND, HostContext, HostEntry, NO_EXPORT, Outcome, Record, Report, panic_text, slice};
use crate::call::{self, Context, Data, Failure};
use crate::error::{CError, ErrorKind};
use crate::layout;
use crate::link::{Linked, refuse, value_type};
use crate::module::{FUNCTION, Module, Signature, share};

/// Room for the values of one host call, kept by the context from call to call.
const FEW_VALUES: usize = 16;

/// Where an operation stands. Only the guest's side goes from IDLE to WAITING and back, only the host's to DONE.
const IDLE: u32 = 0;
const WAITING: u32 = 1;
const DONE: u32 = 2;

/// A host call whose results come later. One owner is the context of the suspended call, which uses it again for the
/// next one as soon as the host has let go of it; the other is the host.
pub struct Operation {
    state: AtomicU32,
    /// Written by the guest's side in IDLE; read by the host's after it has seen WAITING.
    waker: UnsafeCell<Option<Waker>>,
    /// Written by the host's side before DONE; read by the guest's after.
    done: UnsafeCell<(u32, Vec<ValRaw>)>,
}

// SAFETY: who may touch which cell follows from the state (above). Raw values are plain bits here: references do not
// cross in results that come later.
unsafe impl Send for Operation {}
unsafe impl Sync for Operation {}

impl Operation {
    fn new() -> Operation {
        Operation { state: AtomicU32::new(IDLE), waker: UnsafeCell::new(None), done: UnsafeCell::new((HOST_PROCEED, Vec::new())) }
    }

    /// By the guest's side: whether the results are there; if not, `task` is woken when they are.
    fn is_done(&self, task: &TaskContext<'_>) -> bool {
        // SAFETY: the guest's side alone writes the waker, and only in IDLE.
        let is_known = |operation: &Operation| unsafe { &*operation.waker.get() }.as_ref().is_some_and(|waker| waker.will_wake(task.waker()));
        match self.state.load(Acquire) {
            DONE => return true,
            WAITING if is_known(self) => return false,
            WAITING if self.state.compare_exchange(WAITING, IDLE, Acquire, Acquire).is_err() => return true,
            _ => {}
        }
        if !is_known(self) {
            // SAFETY: IDLE: the host's side does not look at it.
            unsafe { *self.waker.get() = Some(task.waker().clone()) };
        }
        self.state.compare_exchange(IDLE, WAITING, AcqRel, Acquire).is_err()
    }

    /// By the host's side, once.
    fn complete(&self, status: u32, results: &[ValRaw]) {
        // SAFETY: not DONE yet: the guest's side does not look at it.
        let done = unsafe { &mut *self.done.get() };
        done.0 = status;
        done.1.clear();
        done.1.extend_from_slice(results);
        if self.state.swap(DONE, AcqRel) == WAITING {
            // SAFETY: written before WAITING, and not touched again before the host's side has let go of the operation.
            if let Some(waker) = unsafe { &*self.waker.get() } {
                waker.wake_by_ref();
            }
        }
    }

    /// By the guest's side, after `is_done`.
    fn results(&self) -> (u32, &[ValRaw]) {
        // SAFETY: DONE: the host's side does not touch it any more.
        let done = unsafe { &*self.done.get() };
        (done.0, &done.1)
    }
}

/// What a context keeps for its host calls that wait; there is at most one of them at a time.
#[derive(Default)]
pub struct Waits {
    /// Made by the host function that is about to suspend the call.
    operation: Option<Arc<Operation>>,
    is_pending: bool,
    values: Vec<ValRaw>,
}

impl Waits {
    fn suspend(&mut self) -> Arc<Operation> {
        self.is_pending = true;
        match &mut self.operation {
            Some(operation) => match Arc::get_mut(operation) {
                Some(again) => *again.state.get_mut() = IDLE,
                None => *operation = Arc::new(Operation::new()),
            },
            none => *none = Some(Arc::new(Operation::new())),
        }
        self.operation.clone().unwrap_or_else(|| Arc::new(Operation::new()))
    }
}

/// # Safety
/// `context` is the one handed to the running host function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_context_suspend(context: *mut HostContext) -> *const Operation {
    // SAFETY: a context handed to a host function is one of ours.
    Arc::into_raw(unsafe { (*context.cast::<Context>()).waits.suspend() })
}

/// # Safety
/// `operation` came from `berth_context_suspend` and is completed once; `results` points at `count` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_operation_complete(operation: *const Operation, status: u32, results: *const ValRaw, count: usize) {
    // SAFETY: takes back the count that was given out.
    let (operation, results) = unsafe { (Arc::from_raw(operation), slice(results, count)) };
    operation.complete(status, results);
}

/// A host function that may wait.
pub struct HostPoint {
    pub entry: HostEntry,
    pub function: u32,
    pub signature: Signature,
    /// How many values the context must have room for.
    pub room: usize,
}

impl HostPoint {
    pub fn new(entry: HostEntry, function: u32, signature: Signature) -> HostPoint {
        let room = signature.params.len().max(signature.results.len()).max(FEW_VALUES);
        HostPoint { entry, function, signature, room }
    }
}

/// A call of such a function under way.
struct HostCall<'a> {
    caller: Caller<'a, Data>,
    /// Owned by the linker's function, which the call runs under.
    point: *const HostPoint,
    params: &'a [Val],
    results: &'a mut [Val],
    is_waiting: bool,
}

// SAFETY: a call is polled by one thread at a time, and the pointer leads to what any thread may read.
unsafe impl Send for HostCall<'_> {}

impl HostCall<'_> {
    /// Enters the host; true: its results come later.
    fn enter(&mut self) -> Result<bool, Error> {
        let context = self.caller.data().context;
        // SAFETY: as for host functions that do not wait (`link::enter_host`): no reference into the context is held
        // across the entry, and nothing but this call uses its values.
        unsafe {
            let point = &*self.point;
            let values = &mut (*context).waits.values;
            if values.len() < point.room {
                values.resize(point.room, ValRaw::i64(0));
            }
            let values = values.as_mut_ptr();
            for (index, value) in self.params.iter().enumerate() {
                values.add(index).write(value.to_raw(&mut self.caller)?);
            }
            (*context).waits.is_pending = false;
            (*context).host.caller = layout::as_context_pointer(&mut self.caller);
            let status = (point.entry)(&raw mut (*context).host, point.function, values);
            (*context).host.caller = std::ptr::null_mut();
            if status == HOST_SUSPEND && (*context).waits.is_pending {
                return Ok(true);
            }
            self.leave(status, std::slice::from_raw_parts(values, point.room))?;
        }
        Ok(false)
    }

    /// Hands the results to the guest.
    fn leave(&mut self, status: u32, values: &[ValRaw]) -> Result<(), Error> {
        let context = self.caller.data().context;
        // SAFETY: the context outlives its store, and no other reference into it is held here.
        let (point, context) = unsafe { (&*self.point, &mut *context) };
        if status != HOST_PROCEED || context.must_end() {
            return Err(refuse(context, status));
        }
        if values.len() < self.results.len() {
            context.limits.failure = Failure::Internal("a host call was completed with too few results".into());
            return Err(Error::msg("too few results"));
        }
        for ((slot, raw), code) in self.results.iter_mut().zip(values).zip(&point.signature.results) {
            *slot = match *code {
                0 => Val::I32(raw.get_i32()),
                1 => Val::I64(raw.get_i64()),
                2 => Val::F32(raw.get_f32()),
                3 => Val::F64(raw.get_f64()),
                code => {
                    let ty = value_type(code).ok_or_else(|| Error::msg("unknown value type"))?;
                    // SAFETY: the host keeps to the signature it was linked with.
                    unsafe { Val::from_raw(&mut self.caller, *raw, ty) }
                }
            };
        }
        Ok(())
    }
}

impl Future for HostCall<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if !self.is_waiting {
            match self.enter() {
                Ok(true) => self.is_waiting = true,
                ended => return Poll::Ready(ended.map(|_| ())),
            }
        }
        let context = self.caller.data().context;
        // SAFETY: the context outlives its store; while the call is suspended nothing replaces the operation.
        let Some(operation) = (unsafe { (*context).waits.operation.as_deref() }) else {
            return Poll::Ready(Err(Error::msg("a host call waits for nothing")));
        };
        if !operation.is_done(task) {
            return Poll::Pending;
        }
        let (status, results) = operation.results();
        Poll::Ready(self.leave(status, results))
    }
}

type HostFuture<'a> = Box<dyn Future<Output = Result<(), Error>> + Send + 'a>;

/// The body of a host function that may wait.
pub fn enter_host<'a>(caller: Caller<'a, Data>, point: &HostPoint, params: &'a [Val], results: &'a mut [Val]) -> HostFuture<'a> {
    Box::new(HostCall { caller, point, params, results, is_waiting: false })
}

/// The context's address, carried over a suspension.
#[derive(Clone, Copy)]
struct SharedContext(*mut Context);
// SAFETY: a call is polled by one thread at a time, and the context is only used during polls.
unsafe impl Send for SharedContext {}
impl SharedContext {
    fn get(self) -> *mut Context {
        self.0
    }
}

struct CWaker {
    wake: extern "C" fn(*mut c_void),
    data: *mut c_void,
    drop_data: extern "C" fn(*mut c_void),
}
// SAFETY: the header asks for callbacks that may be called from any thread.
unsafe impl Send for CWaker {}
unsafe impl Sync for CWaker {}
impl Wake for CWaker {
    fn wake(self: Arc<Self>) {
        (self.wake)(self.data);
    }
    fn wake_by_ref(self: &Arc<Self>) {
        (self.wake)(self.data);
    }
}
impl Drop for CWaker {
    fn drop(&mut self) {
        (self.drop_data)(self.data);
    }
}

/// What the guest's side of a call comes to.
struct Ended {
    store: Store<Data>,
    ran: Result<(), Error>,
    results: Vec<ValRaw>,
    phase: u32,
}

type GuestFuture = Pin<Box<dyn Future<Output = Result<Ended, CError>>>>;

/// A call on a fiber. The guest's future is dropped before the context it points at.
pub struct WaitingCall {
    guest: Option<GuestFuture>,
    context: Box<Context>,
    /// Outlives the context, which points at it.
    _linked: Arc<Linked>,
    record: *const Record,
    waker: Waker,
    refused: Option<CError>,
}

fn function(module: &Module, store: &mut Store<Data>, instance: wasmtime::Instance, index: u32) -> Result<(Func, Signature), CError> {
    let export = module.exports.get(index as usize).filter(|export| export.kind == FUNCTION);
    match export.and_then(|found| call::export(module, store, instance, index).map(|value| (found, value))) {
        Some((found, Extern::Func(function))) => Ok((function, found.signature.clone())),
        _ => Err(CError::new(ErrorKind::NotFound, format!("export {index} is no function"))),
    }
}

/// # Safety
/// The context outlives the future.
async unsafe fn run_guest(linked: Arc<Linked>, context: SharedContext, depth: i32, exports: [u32; 3], arguments: Vec<ValRaw>) -> Result<Ended, CError> {
    let mut store = call::new_store(&linked, context.get()).map_err(|error| CError::instantiation(&error))?;
    // SAFETY: the caller's contract.
    if let Err(error) = unsafe { call::fill_engine_fuel(&linked, &mut store, context.get()) } {
        return Err(CError::instantiation(&error));
    }
    let instance = match linked.pre.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        // SAFETY: the caller's contract.
        Err(error) if unsafe { (*context.get()).is_refusal(&error) } => return Err(CError::instantiation(&error)),
        Err(error) => return Ok(Ended { store, ran: Err(error), results: Vec::new(), phase: 0 }),
    };
    // SAFETY: the caller's contract.
    if let Err(error) = unsafe { call::tie(&linked, &mut store, instance, context.get(), depth) } {
        return Err(CError::instantiation(&error));
    }
    let mut results = Vec::new();
    for (phase, index) in exports.into_iter().enumerate().filter(|(_, index)| *index != NO_EXPORT) {
        let (function, signature) = function(&linked.module, &mut store, instance, index)?;
        let given: &[ValRaw] = if phase == 2 { &arguments } else { &[] };
        if given.len() < signature.params.len() {
            return Err(CError::new(ErrorKind::NotFound, format!("export {index} takes {} values and was given {}", signature.params.len(), given.len())));
        }
        let mut params = Vec::with_capacity(signature.params.len());
        for (raw, code) in given.iter().zip(&signature.params) {
            let ty = value_type(*code).ok_or_else(|| CError::new(ErrorKind::Internal, "unknown value type"))?;
            // SAFETY: the types are the caller's contract.
            params.push(unsafe { Val::from_raw(&mut store, *raw, ty) });
        }
        let mut values = vec![Val::I32(0); signature.results.len()];
        if let Err(error) = function.call_async(&mut store, &params, &mut values).await {
            return Ok(Ended { store, ran: Err(error), results, phase: phase as u32 });
        }
        if phase == 2 {
            for value in &values {
                results.push(value.to_raw(&mut store).map_err(|error| CError::new(ErrorKind::Internal, format!("{error:#}")))?);
            }
        }
    }
    Ok(Ended { store, ran: Ok(()), results, phase: 2 })
}

/// # Safety
/// `linked` and `setup` are valid, `values` points at `count` values of the parameters' types, the record outlives the
/// call, and the callbacks keep to the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_waiting_call_start(
    linked: *const Linked,
    setup: *const CallSetup,
    initialize: u32,
    export: u32,
    values: *const ValRaw,
    count: usize,
    wake: extern "C" fn(*mut c_void),
    data: *mut c_void,
    drop_data: extern "C" fn(*mut c_void),
    started: *mut *mut WaitingCall,
) {
    // SAFETY: the caller's contract.
    let (linked, setup, arguments) = unsafe { (share(linked), &*setup, slice(values, count).to_vec()) };
    let waker = Waker::from(Arc::new(CWaker { wake, data, drop_data }));
    let mut context = Box::new(Context::new(&linked));
    context.set_up(setup);
    let shared = SharedContext(&raw mut *context);
    let exports = [linked.module.private.start.unwrap_or(NO_EXPORT), initialize, export];
    let refused = (!linked.waiting).then(|| CError::new(ErrorKind::Internal, "the module was not linked for calls that wait"));
    // SAFETY: the future is dropped before the context (field order, and `end`).
    let guest: GuestFuture = Box::pin(unsafe { run_guest(linked.clone(), shared, setup.depth, exports, arguments) });
    let call = Box::new(WaitingCall { guest: Some(guest), context, _linked: linked, record: setup.record, waker, refused });
    // SAFETY: the caller's contract.
    unsafe { started.write(Box::into_raw(call)) };
}

impl WaitingCall {
    fn is_stopped(&self) -> bool {
        // SAFETY: null, or a record that outlives the call.
        unsafe { self.record.as_ref() }.is_some_and(|record| record.stop.load(Acquire) != 0)
    }

    /// True: the report is written.
    fn poll(&mut self, values: &mut [ValRaw], report: &mut Report) -> Result<bool, CError> {
        if let Some(error) = self.refused.take() {
            self.guest = None;
            return Err(error);
        }
        if self.is_stopped() && self.guest.is_some() {
            return Ok(self.end_stopped(report));
        }
        let Some(guest) = &mut self.guest else { return Err(CError::new(ErrorKind::Internal, "the call has ended before")) };
        let mut task = TaskContext::from_waker(&self.waker);
        // SAFETY: the context is the one of the guest's store.
        let polled = unsafe { call::under_record(&raw mut *self.context, || guest.as_mut().poll(&mut task)) }?;
        let ended = match polled {
            Poll::Ready(ended) => ended,
            // A stop that came while the guest ran and found it leaving: it ends here instead of waiting on.
            Poll::Pending if self.is_stopped() => return Ok(self.end_stopped(report)),
            Poll::Pending => return Ok(false),
        };
        let ended = ended.inspect_err(|_| self.guest = None)?;
        report.phase = ended.phase;
        for (slot, result) in values.iter_mut().zip(&ended.results) {
            *slot = *result;
        }
        if ended.ran.is_ok() && values.len() < ended.results.len() {
            return Err(CError::new(ErrorKind::NotFound, "no room for the results"));
        }
        call::account(&mut self.context, &ended.store, ended.ran, report);
        drop(ended.store);
        self.guest = None;
        Ok(true)
    }

    /// The suspended guest is unwound and dropped; its budget is read before it goes.
    fn end_stopped(&mut self, report: &mut Report) -> bool {
        report.outcome = Outcome::Stopped;
        self.context.report_counted(report);
        self.guest = None;
        true
    }
}

/// # Safety
/// `call` is valid and polled by one thread at a time; `values` has room for `count`, `report` for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_waiting_call_poll(call: *mut WaitingCall, values: *mut ValRaw, count: usize, report: *mut Report) -> bool {
    // SAFETY: the caller's contract.
    let (call, values, report) = unsafe { (&mut *call, if count == 0 { &mut [] } else { std::slice::from_raw_parts_mut(values, count) }, call::clear(report)) };
    match catch_unwind(AssertUnwindSafe(|| call.poll(values, report))) {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => {
            call::not_started(report, error);
            true
        }
        Err(panic) => {
            call::not_started(report, CError::new(ErrorKind::Internal, panic_text(&*panic)));
            true
        }
    }
}

/// # Safety
/// `call` was given out and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_waiting_call_delete(call: *mut WaitingCall) {
    if !call.is_null() {
        // SAFETY: every call given out is a leaked box.
        drop(unsafe { Box::from_raw(call) });
    }
}
