//! Fresh instances called once, and instances that stay.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use wasmtime::{Error, Extern, Instance, Store, Val, ValRaw};

use crate::abi::{CallSetup, HostContext, NO_EXPORT, Outcome, Report, guard, panic_text};
use crate::call::{self, Context, Data, Functions, Plan};
use crate::error::{CError, ErrorKind};
use crate::layout::Places;
use crate::link::Linked;
use crate::module::share;
use crate::restore::Slot;

/// A store, its instance and the context they point at. The store is dropped first.
pub struct Live {
    pub store: Store<Data>,
    pub instance: Instance,
    pub places: Places,
    pub functions: Functions,
    pub context: Box<Context>,
}

fn plan(linked: &Linked, initialize: u32, export: u32, values: *mut ValRaw, room: usize) -> Plan {
    Plan { exports: [linked.module.private.start.unwrap_or(NO_EXPORT), initialize, export], values, room }
}

/// Makes an instance, runs it, and drops it.
///
/// # Safety
/// As `berth_invoke`.
unsafe fn run_once(linked: &Linked, setup: &CallSetup, plan: Plan, report: &mut Report) -> Result<(), CError> {
    let mut own = Context::new(linked);
    own.set_up(setup);
    let context = &raw mut own;
    // Declared after the context, so dropped before it.
    let mut store = call::new_store(linked, context).map_err(|error| CError::instantiation(&error))?;
    let in_guest = || {
        // SAFETY: the context is the store's and lives longer; the rest is the caller's contract.
        match unsafe { call::instantiate(linked, &mut store, context, setup.depth) } {
            // SAFETY: as above.
            Err(error) if unsafe { (*context).is_refusal(&error) } => Err(CError::instantiation(&error)),
            Err(error) => Ok(Err(error)),
            Ok((instance, _)) => unsafe { call::run(linked, &mut store, instance, &mut Functions::default(), plan, report) },
        }
    };
    // SAFETY: as above.
    let ran = unsafe { call::under_record(context, in_guest) }??;
    // SAFETY: no guest code runs any more, so nothing else refers into the context.
    call::account(unsafe { &mut *context }, &store, ran, report);
    Ok(())
}

/// An instance with its context; nothing but a start section that the pass has not moved has run in it.
///
/// # Safety
/// As `berth_invoke`.
unsafe fn make(linked: &Linked, setup: &CallSetup, report: &mut Report) -> Result<Option<Live>, CError> {
    let mut context = Box::new(Context::new(linked));
    context.set_up(setup);
    let pointer = &raw mut *context;
    let mut store = call::new_store(linked, pointer).map_err(|error| CError::instantiation(&error))?;
    // SAFETY: the box outlives the store.
    let made = unsafe { call::under_record(pointer, || call::instantiate(linked, &mut store, pointer, setup.depth)) }?;
    match made {
        Ok((instance, places)) => Ok(Some(Live { store, instance, places, functions: Functions::kept(&linked.module), context })),
        Err(error) if context.is_refusal(&error) => Err(CError::instantiation(&error)),
        Err(error) => {
            call::account(&mut context, &store, Err(error), report);
            Ok(None)
        }
    }
}

/// Runs the plan in an instance that is set up.
///
/// # Safety
/// As `berth_invoke`.
unsafe fn run_live(linked: &Linked, live: &mut Live, plan: Plan, report: &mut Report) -> Result<Result<(), Error>, CError> {
    let Live { store, instance, functions, context, .. } = live;
    // SAFETY: the caller's contract; the context is the one of the store.
    unsafe { call::under_record(&raw mut **context, || call::run(linked, store, *instance, functions, plan, report)) }?
}

/// So many calls go by before instances are kept, so that a module that is called once pays nothing for it; and so many
/// in a row may turn out not to be fit before it is given up.
const CALLS_BEFORE_KEEPING: u32 = 2;
const UNFIT_IN_A_ROW: u32 = 4;

fn may_restore(linked: &Linked, setup: &CallSetup) -> bool {
    let module = &*linked.module;
    setup.restore
        && module.facts.restore_eligible
        && module.private.fuel.is_some()
        && linked.unfit.load(Relaxed) < UNFIT_IN_A_ROW
        && module.initial_memory <= setup.memory_limit
        && module.initial_table <= setup.table_limit
        && linked.made.load(Relaxed) >= CALLS_BEFORE_KEEPING
        && module.engine.restores()
}

/// A call in a kept instance, or in a new one that is then kept.
///
/// # Safety
/// As `berth_invoke`.
unsafe fn run_kept(linked: &Linked, setup: &CallSetup, plan: Plan, report: &mut Report) -> Result<(), CError> {
    let kept = linked.slots.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut slot = match kept {
        Some(mut slot) => {
            linked.counters.restored.fetch_add(1, Relaxed);
            report.restored = true;
            let live = &mut slot.live;
            live.context.set_up(setup);
            live.context.begin_again(linked.module.initial_memory);
            live.context.refill(&mut live.store);
            slot
        }
        None => {
            linked.counters.created.fetch_add(1, Relaxed);
            // SAFETY: the caller's contract.
            let Some(live) = (unsafe { make(linked, setup, report) })? else { return Ok(()) };
            // SAFETY: eligible modules are metered, so their start section has been moved: nothing has run.
            match unsafe { Slot::new(linked, live) } {
                Ok(slot) => Box::new(slot),
                Err(mut live) => {
                    linked.unfit.fetch_add(1, Relaxed);
                    // SAFETY: the caller's contract.
                    let ran = unsafe { run_live(linked, &mut live, plan, report) }?;
                    call::account(&mut live.context, &live.store, ran, report);
                    return Ok(());
                }
            }
        }
    };
    let Slot { image, live } = &mut *slot;
    // SAFETY: the caller's contract.
    let ran = image.entered(|| unsafe { run_live(linked, live, plan, report) })?;
    if image.has_failed() {
        live.context.fail_machine();
    }
    call::account(&mut live.context, &live.store, ran, report);
    if report.outcome == Outcome::Returned {
        if slot.put_back() {
            linked.unfit.store(0, Relaxed);
            let mut slots = linked.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.len() < linked.module.engine.options.restore_slots as usize {
                slots.push(slot);
                return Ok(());
            }
            return Ok(()); // more calls at once than are kept: this instance was one too many
        }
        linked.unfit.fetch_add(1, Relaxed);
    }
    linked.counters.dropped.fetch_add(1, Relaxed);
    Ok(())
}

fn finish(report: &mut Report, done: std::thread::Result<Result<(), CError>>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => call::not_started(report, error),
        Err(panic) => call::not_started(report, CError::new(ErrorKind::Internal, panic_text(&*panic))),
    }
}

/// # Safety
/// `linked` is valid; `setup` is valid with a record that outlives the call; `values` has room for `count` values, the
/// first of which have the types of the export's parameters; `report` has room for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_invoke(
    linked: *const Linked,
    setup: *const CallSetup,
    initialize: u32,
    export: u32,
    values: *mut ValRaw,
    count: usize,
    report: *mut Report,
) {
    // SAFETY: the caller's contract.
    let (linked, setup, report) = unsafe { (&*linked, &*setup, call::clear(report)) };
    let done = catch_unwind(AssertUnwindSafe(|| {
        let plan = plan(linked, initialize, export, values, count);
        if may_restore(linked, setup) {
            // SAFETY: the caller's contract.
            return unsafe { run_kept(linked, setup, plan, report) };
        }
        linked.made.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract.
        unsafe { run_once(linked, setup, plan, report) }
    }));
    finish(report, done);
}

/// How an entry that did not simply return came back: from the guest, or refused before it.
type Ended = Result<Result<(), Error>, CError>;

/// An instance that stays between calls.
pub struct Lasting {
    live: Live,
    linked: Arc<Linked>,
}

/// # Safety
/// As `berth_invoke`; `instance` has room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_new(linked: *const Linked, setup: *const CallSetup, instance: *mut *mut Lasting, report: *mut Report) {
    // SAFETY: the caller's contract.
    let (linked, setup, report) = unsafe {
        instance.write(std::ptr::null_mut());
        (share(linked), &*setup, call::clear(report))
    };
    let done = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's contract.
        let Some(mut live) = (unsafe { make(&linked, setup, report) })? else { return Ok(()) };
        let plan = plan(&linked, NO_EXPORT, NO_EXPORT, std::ptr::NonNull::dangling().as_ptr(), 0);
        // SAFETY: the caller's contract.
        let ran = unsafe { run_live(&linked, &mut live, plan, report) }?;
        call::account(&mut live.context, &live.store, ran, report);
        if report.outcome == Outcome::Returned {
            // SAFETY: the caller's contract.
            unsafe { instance.write(Box::into_raw(Box::new(Lasting { live, linked: linked.clone() }))) };
        }
        Ok(())
    }));
    finish(report, done);
}

/// # Safety
/// `instance` was given out and is deleted once, not from inside a call into it; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_delete(instance: *mut Lasting) {
    if !instance.is_null() {
        // SAFETY: every instance given out is a leaked box.
        drop(unsafe { Box::from_raw(instance) });
    }
}

/// # Safety
/// Both are valid, and no call into the instance runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_set_up(instance: *mut Lasting, setup: *const CallSetup) {
    // SAFETY: the caller's contract.
    let (instance, setup) = unsafe { (&mut *instance, &*setup) };
    let Live { store, context, .. } = &mut instance.live;
    context.set_up(setup);
    context.refill(store);
}

/// # Safety
/// As `berth_invoke`; no other call into the instance runs on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_call(instance: *mut Lasting, export: u32, values: *mut ValRaw, count: usize, report: *mut Report) -> u32 {
    // SAFETY: the caller's contract.
    let lasting = unsafe { &mut *instance };
    let live = &mut lasting.live;
    if live.context.begin_alone() {
        if let Some(function) = live.functions.known(export, count) {
            // SAFETY: the room was checked against the signature, and the types are the caller's contract.
            let called = || unsafe { function.call_unchecked(&mut live.store, std::ptr::slice_from_raw_parts_mut(values, count)) };
            let done = catch_unwind(AssertUnwindSafe(called));
            if matches!(done, Ok(Ok(()))) && live.context.returned() == Outcome::Returned {
                return Outcome::Returned as u32;
            }
            // SAFETY: the caller's contract.
            return unsafe { end_call(live, done.map(Ok), report) };
        }
    }
    // SAFETY: the caller's contract.
    unsafe { call_registered(lasting, export, values, count, report) }
}

/// The call of an export under a record, or of one that was not called before.
///
/// # Safety
/// As `berth_instance_call`.
#[inline(never)]
unsafe fn call_registered(lasting: &mut Lasting, export: u32, values: *mut ValRaw, count: usize, report: *mut Report) -> u32 {
    let Live { store, instance, functions, context, .. } = &mut lasting.live;
    // One word comes out of it: nothing, when all is well.
    let done = catch_unwind(AssertUnwindSafe(|| -> Option<Box<Ended>> {
        let function = match functions.get(&lasting.linked.module, store, *instance, export, count) {
            Ok(function) => function,
            Err(refused) => return Some(Box::new(Err(refused))),
        };
        let pointer = &raw mut **context;
        // SAFETY: the context is the instance's own; the room was checked against the signature, and the types are the
        // caller's contract.
        let ended = unsafe {
            call::under_record(pointer, || {
                if (*pointer).must_end() {
                    return Err(Error::msg("stopped before it began"));
                }
                function.call_unchecked(&mut *store, std::ptr::slice_from_raw_parts_mut(values, count))
            })
        };
        match ended {
            Ok(Ok(())) if context.returned() == Outcome::Returned => None,
            ended => Some(Box::new(ended)),
        }
    }));
    match done {
        Ok(None) => Outcome::Returned as u32,
        // SAFETY: the caller's contract.
        Ok(Some(ended)) => unsafe { end_call(&mut lasting.live, Ok(*ended), report) },
        Err(panic) => unsafe { end_call(&mut lasting.live, Err(panic), report) },
    }
}

/// Writes the report of a call that did not simply return.
///
/// # Safety
/// `report` has room for one.
#[cold]
unsafe fn end_call(live: &mut Live, done: std::thread::Result<Ended>, report: *mut Report) -> u32 {
    // SAFETY: the caller's contract.
    let report = unsafe { call::clear(report) };
    report.phase = 2;
    match done {
        Ok(Ok(ran)) => call::account(&mut live.context, &live.store, ran, report),
        Ok(Err(error)) => call::not_started(report, error),
        Err(panic) => call::not_started(report, CError::new(ErrorKind::Internal, panic_text(&*panic))),
    }
    report.outcome as u32
}

/// # Safety
/// Both are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_report(instance: *mut Lasting, report: *mut Report) {
    // SAFETY: the caller's contract.
    let (instance, report) = unsafe { (&*instance, call::clear(report)) };
    report.outcome = Outcome::Returned;
    instance.live.context.report_usage(&instance.live.store, report);
}

/// # Safety
/// `instance` is valid; the context lives as long as it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_context(instance: *mut Lasting) -> *mut HostContext {
    // SAFETY: the caller's contract.
    unsafe { &raw mut (*instance).live.context.host }
}

/// # Safety
/// Both are valid, and no call into the instance runs on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_global(instance: *mut Lasting, export: u32, value: *mut ValRaw) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let lasting = unsafe { &mut *instance };
        let Live { store, instance, .. } = &mut lasting.live;
        let Some(Extern::Global(global)) = call::export(&lasting.linked.module, store, *instance, export) else {
            return Err(CError::new(ErrorKind::NotFound, format!("export {export} is no global")));
        };
        let raw = match global.get(&mut *store) {
            Val::I32(number) => ValRaw::i32(number),
            Val::I64(number) => ValRaw::i64(number),
            Val::F32(bits) => ValRaw::f32(bits),
            Val::F64(bits) => ValRaw::f64(bits),
            Val::V128(bits) => ValRaw::v128(bits.as_u128()),
            _ => return Err(CError::new(ErrorKind::NotFound, "references are not read from globals")),
        };
        unsafe { value.write(raw) };
        Ok(())
    })
}
