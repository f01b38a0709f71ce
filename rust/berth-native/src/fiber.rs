//! Calls that may wait: the guest runs on a fiber, a host function that waits suspends it and frees the thread.

use std::ffi::c_void;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use wasmtime::{Caller, Error, Extern, Func, Store, Val, ValRaw};

use crate::abi::{CallSetup, HOST_PROCEED, HOST_SUSPEND, HostContext, HostEntry, NO_EXPORT, Outcome, Record, Report, panic_text, slice};
use crate::call::{self, Context, Data, Failure};
use crate::error::{CError, ErrorKind};
use crate::layout;
use crate::link::{Linked, refuse, value_type};
use crate::module::{FUNCTION, Module, Signature, share};

/// Room for the values of one host call without an allocation.
const FEW_VALUES: usize = 16;

/// A host call whose results come later. One owner is the suspended call, the other the host.
#[derive(Default)]
pub struct Operation {
    state: Mutex<OperationState>,
}

#[derive(Default)]
struct OperationState {
    done: Option<(u32, Vec<ValRaw>)>,
    waker: Option<Waker>,
}

// SAFETY: raw values are plain bits here: references do not cross in results that come later.
unsafe impl Send for OperationState {}

struct Completion(Arc<Operation>);

impl Future for Completion {
    type Output = (u32, Vec<ValRaw>);
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.done.take() {
            Some(done) => Poll::Ready(done),
            None => {
                state.waker = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

// SAFETY: the values are plain bits (see `OperationState`).
unsafe impl Send for Completion {}

/// # Safety
/// `context` is the one handed to the running host function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_context_suspend(context: *mut HostContext) -> *const Operation {
    let operation = Arc::new(Operation::default());
    // SAFETY: a context handed to a host function is one of ours.
    unsafe { (*context.cast::<Context>()).pending = Some(operation.clone()) };
    Arc::into_raw(operation)
}

/// # Safety
/// `operation` came from `berth_context_suspend` and is completed once; `results` points at `count` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_operation_complete(operation: *const Operation, status: u32, results: *const ValRaw, count: usize) {
    // SAFETY: takes back the count that was given out.
    let (operation, results) = unsafe { (Arc::from_raw(operation), slice(results, count).to_vec()) };
    let waker = {
        let mut state = operation.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done = Some((status, results));
        state.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn to_raw(store: &mut Caller<'_, Data>, value: &Val) -> Result<ValRaw, Error> {
    value.to_raw(store)
}

type HostFuture<'a> = Box<dyn Future<Output = Result<(), Error>> + Send + 'a>;

/// The body of a host function that may wait.
pub fn enter_host<'a>(mut caller: Caller<'a, Data>, entry: HostEntry, function: u32, signature: Arc<Signature>, params: &'a [Val], results: &'a mut [Val]) -> HostFuture<'a> {
    Box::new(async move {
        let mut values = vec![ValRaw::i64(0); signature.params.len().max(signature.results.len()).max(FEW_VALUES)];
        for (slot, value) in values.iter_mut().zip(params) {
            *slot = to_raw(&mut caller, value)?;
        }
        let context = SharedContext(caller.data().context);
        // SAFETY: as for host functions that do not wait (`link::enter_host`).
        let (status, pending) = unsafe {
            let context = context.get();
            let outer = (*context).host.caller;
            (*context).host.caller = layout::as_context_pointer(&mut caller);
            let status = entry(&raw mut (*context).host, function, values.as_mut_ptr());
            (*context).host.caller = outer;
            (status, (*context).pending.take())
        };
        let (status, values) = match (status, pending) {
            (HOST_SUSPEND, Some(operation)) => Completion(operation).await,
            (status, _) => (status, values),
        };
        // SAFETY: no other reference into the context is held here.
        if status != HOST_PROCEED || unsafe { (*context.get()).must_end() } {
            return Err(refuse(unsafe { &mut *context.get() }, status));
        }
        if values.len() < results.len() {
            unsafe { (*context.get()).limits.failure = Failure::Internal("a host call was completed with too few results".into()) };
            return Err(Error::msg("too few results"));
        }
        for ((slot, raw), ty) in results.iter_mut().zip(values).zip(&signature.results) {
            let ty = value_type(*ty).ok_or_else(|| Error::msg("unknown value type"))?;
            // SAFETY: the host keeps to the signature it was linked with.
            *slot = unsafe { Val::from_raw(&mut caller, raw, ty) };
        }
        Ok(())
    })
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
    linked: Arc<Linked>,
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
    let call = Box::new(WaitingCall { guest: Some(guest), context, linked, record: setup.record, waker, refused });
    // SAFETY: the caller's contract.
    unsafe { started.write(Box::into_raw(call)) };
}

impl WaitingCall {
    fn is_stopped(&self) -> bool {
        // SAFETY: null, or a record that outlives the call.
        unsafe { self.record.as_ref() }.is_some_and(|record| record.stop.load(std::sync::atomic::Ordering::Acquire) != 0)
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
        let polled = unsafe { call::under_record(&self.linked, &raw mut *self.context, || guest.as_mut().poll(&mut task)) }?;
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
