//! Fresh instances called once, and instances that stay.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wasmtime::{Error, Extern, Func, Instance, Store, Val, ValRaw};

use crate::abi::{CallSetup, HostContext, NO_EXPORT, Outcome, Report, guard, panic_text};
use crate::call::{self, Context, Data};
use crate::error::{CError, ErrorKind};
use crate::link::Linked;
use crate::module::share;
use crate::stop;

/// A store, its instance and the context they point at. The store is dropped first.
pub struct Live {
    pub store: Store<Data>,
    pub instance: Instance,
    pub context: Box<Context>,
}

/// The phases of a call: number of the report, export.
fn phases(linked: &Linked, initialize: u32, export: u32) -> [(u32, u32); 3] {
    [(0, linked.module.private.start.unwrap_or(NO_EXPORT)), (1, initialize), (2, export)]
}

/// Makes an instance and runs it; true when the instance may be used again.
///
/// # Safety
/// As `berth_invoke`; `context` is set up and outlives the store that is made into `made`.
unsafe fn make_and_run(
    linked: &Linked,
    context: *mut Context,
    setup: &CallSetup,
    phases: [(u32, u32); 3],
    values: *mut ValRaw,
    count: usize,
    report: &mut Report,
    made: &mut Option<(Store<Data>, Instance)>,
) -> Result<(), CError> {
    let mut store = call::new_store(linked, context).map_err(|error| CError::instantiation(&error))?;
    let ended = call::under_record(linked, setup.record, || {
        // SAFETY: the caller's contract.
        match unsafe { call::instantiate(linked, &mut store, context, setup.depth) } {
            Err(error) => Ok((None, Err(error))),
            Ok(instance) => unsafe { call::run(linked, &mut store, instance, phases, values, count, report) }.map(|ran| (Some(instance), ran)),
        }
    })??;
    // SAFETY: no guest code runs any more, so nothing else refers into the context.
    let context = unsafe { &mut *context };
    let (instance, ran) = ended;
    match ran {
        Ok(()) => report.outcome = context.returned(),
        Err(error) if instance.is_none() && !error.is::<wasmtime::Trap>() && matches!(context.limits.failure, call::Failure::None) => {
            return Err(CError::instantiation(&error));
        }
        Err(error) => context.report_failure(&error, report),
    }
    context.report_usage(&store, report);
    *made = instance.map(|instance| (store, instance));
    Ok(())
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
        let mut context = Context::new(linked);
        context.set_up(setup);
        let mut made = None;
        // SAFETY: the caller's contract; the context is declared before what points at it, so it is dropped after it.
        unsafe { make_and_run(linked, &raw mut context, setup, phases(linked, initialize, export), values, count, report, &mut made) }
    }));
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => call::not_started(report, error),
        Err(panic) => call::not_started(report, CError::new(ErrorKind::Internal, panic_text(&*panic))),
    }
}

/// An instance that stays between calls.
pub struct Lasting {
    live: Live,
    linked: Arc<Linked>,
    /// Function exports by index, looked up at first use.
    functions: Vec<Option<Func>>,
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
        let mut context = Box::new(Context::new(&linked));
        context.set_up(setup);
        let mut made = None;
        let none = std::ptr::NonNull::dangling().as_ptr();
        // SAFETY: the caller's contract; the box outlives the store.
        unsafe { make_and_run(&linked, &raw mut *context, setup, phases(&linked, NO_EXPORT, NO_EXPORT), none, 0, report, &mut made) }?;
        if let Some((store, made)) = made.filter(|_| report.outcome == Outcome::Returned) {
            let functions = vec![None; linked.module.exports.len()];
            let lasting = Box::new(Lasting { live: Live { store, instance: made, context }, linked: linked.clone(), functions });
            // SAFETY: the caller's contract.
            unsafe { instance.write(Box::into_raw(lasting)) };
        }
        Ok(())
    }));
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => call::not_started(report, error),
        Err(panic) => call::not_started(report, CError::new(ErrorKind::Internal, panic_text(&*panic))),
    }
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
    instance.live.context.set_up(setup);
    instance.live.context.set_budgets(setup.depth);
    if instance.linked.module.engine.options.engine_fuel {
        let _ = instance.live.store.set_fuel(setup.fuel.max(0) as u64);
    }
}

/// # Safety
/// As `berth_invoke`; no other call into the instance runs on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_instance_call(instance: *mut Lasting, export: u32, values: *mut ValRaw, count: usize, report: *mut Report) -> u32 {
    // SAFETY: the caller's contract.
    let lasting = unsafe { &mut *instance };
    let Live { store, instance, context } = &mut lasting.live;
    let done = catch_unwind(AssertUnwindSafe(|| {
        let known = lasting.functions.get(export as usize).copied().flatten();
        let function = match known.filter(|_| lasting.linked.module.exports[export as usize].signature.value_count() <= count) {
            Some(function) => function,
            None => {
                let function = call::function(&lasting.linked.module, store, *instance, export, count)?;
                lasting.functions[export as usize] = Some(function);
                function
            }
        };
        call::under_record(&lasting.linked, context.host.record, || {
            if stop::current_stopped() {
                return Err(Error::msg("stopped before it began"));
            }
            // SAFETY: the room was checked against the signature; the types are the caller's contract.
            unsafe { function.call_unchecked(&mut *store, std::ptr::slice_from_raw_parts_mut(values, count)) }
        })
    }));
    let failed = match done {
        Ok(Ok(Ok(()))) if context.returned() == Outcome::Returned => return Outcome::Returned as u32,
        failed => failed,
    };
    // SAFETY: the caller's contract.
    let report = unsafe { call::clear(report) };
    report.phase = 2;
    match failed {
        Ok(Ok(Err(error))) => {
            context.report_failure(&error, report);
            context.report_usage(store, report);
        }
        Ok(Ok(Ok(()))) => {
            report.outcome = context.returned();
            context.report_usage(store, report);
        }
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
