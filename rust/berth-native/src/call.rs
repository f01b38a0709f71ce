//! One entry into guest code after another: instance, start section, initialisation, export; and what came of it.

use std::sync::atomic::{AtomicU32, Ordering::Acquire};

use wasmtime::{Caller, Error, Extern, Func, Instance, Ref, Store, UpdateDeadline, ValRaw};

use crate::abi::{CallSetup, HostContext, MemoryDefinition, NO_EXPORT, Outcome, Report, UNLIMITED};
use crate::code_map::CodeMap;
use crate::fiber::Waits;
use crate::error::{CError, ErrorKind};
use crate::layout::{Layout, Places};
use crate::limits::Limits;
use crate::link::{CHECK, Linked};
use crate::module::{FUNCTION, Module};
use crate::stop::{self, StopPlace};
use crate::trap::{self, Frames};

/// Why a call was ended by something of ours; decides before any trap code does.
#[derive(Debug)]
pub enum Failure {
    None,
    Stopped,
    MemoryDenied,
    TableDenied,
    Machine,
    Host,
    /// A declared minimum is above its limit: there is no instance.
    Limit(String),
    Internal(String),
}

/// An entry made by a host function ended like this; handed on when the host function ends the call for it.
pub struct Nested {
    outcome: Outcome,
    trap: u32,
    frames: Frames,
}

/// The context of an instance: the part that host functions see first, then ours. Outlives the store that points at it.
#[repr(C)]
pub struct Context {
    pub host: HostContext,
    pub limits: Limits,
    pub nested: Option<Box<Nested>>,
    pub waits: Waits,
    /// The mark of this call, and what is looked at while it runs: the same, or one that is always set when there are calls
    /// around it with marks of their own.
    mark: *const AtomicU32,
    look: *const AtomicU32,
    linked: *const Linked,
    /// What is the same for every call of the module: the largest memory, whether the engine counts by itself, and, from
    /// the first call under a record on, where it may be interrupted.
    largest_memory: u64,
    engine_fuel: bool,
    place: Option<StopPlace<'static>>,
    /// Stands in for the engine's definition in modules whose layout could not be checked.
    own_memory: MemoryDefinition,
    budget: i64,
}

/// What a store holds.
pub struct Data {
    pub context: *mut Context,
}

// SAFETY: a store and its context are used by one thread at a time, which may change between polls of a waiting call.
unsafe impl Send for Data {}

impl Context {
    pub fn new(linked: &Linked) -> Context {
        Context {
            host: HostContext {
                state: std::ptr::null_mut(),
                memory: std::ptr::null(),
                fuel: std::ptr::null_mut(),
                depth: std::ptr::null_mut(),
                record: std::ptr::null(),
                caller: std::ptr::null_mut(),
                instance: std::ptr::null_mut(),
                operation: 0,
            },
            limits: Limits::new(),
            nested: None,
            waits: Waits::default(),
            mark: &raw const stop::NEVER.stop,
            look: &raw const stop::NEVER.stop,
            linked,
            largest_memory: linked.module.engine.options.memory_size,
            engine_fuel: linked.module.engine.options.engine_fuel,
            place: None,
            own_memory: MemoryDefinition { base: std::ptr::null_mut(), size: 0 },
            budget: UNLIMITED,
        }
    }

    pub fn set_up(&mut self, setup: &CallSetup) {
        self.host.state = setup.state;
        self.host.record = setup.record;
        // SAFETY: null, or a record that outlives the calls under it.
        self.mark = unsafe { setup.record.as_ref() }.map_or(&raw const stop::NEVER.stop, |record| &raw const record.stop);
        self.look = self.mark;
        self.limits.memory = setup.memory_limit.min(self.largest_memory);
        self.limits.table = setup.table_limit;
        self.limits.account = setup.account;
        self.limits.trap = setup.trap_on_limit;
        self.limits.failure = Failure::None;
        self.limits.denied_memory = 0;
        self.limits.denied_table = 0;
        self.nested = None;
        self.budget = setup.fuel.max(0);
        self.set_budgets(setup.depth);
    }

    /// The private globals of an instance that is there already.
    pub fn set_budgets(&mut self, depth: i32) {
        // SAFETY: the places of the live instance, or null.
        unsafe {
            if let Some(fuel) = self.host.fuel.as_mut() {
                *fuel = self.budget;
            }
            if let Some(rest) = self.host.depth.as_mut() {
                *rest = depth;
            }
        }
    }

    fn linked(&self) -> &'static Linked {
        // SAFETY: whoever owns the context holds the linked module; the reference is not kept beyond it.
        unsafe { &*self.linked }
    }

    /// The budget of an engine that counts by itself, for an instance that is there already.
    #[inline]
    pub fn refill(&self, store: &mut Store<Data>) {
        if self.engine_fuel {
            let _ = store.set_fuel(self.budget as u64);
        }
    }

    /// Where the code of the instance may be interrupted.
    #[inline(always)]
    fn stop_place(&mut self) -> Result<StopPlace<'static>, CError> {
        match self.place {
            Some(place) => Ok(place),
            None => self.find_stop_place(),
        }
    }

    /// In engines that stop by epochs nowhere: their calls are registered all the same, so that host functions and the
    /// epoch callback find the record.
    #[cold]
    fn find_stop_place(&mut self) -> Result<StopPlace<'static>, CError> {
        let module = &*self.linked().module;
        let place = if module.engine.epochs { StopPlace { map: CodeMap::empty(), stop_pc: 0 } } else { StopPlace { map: &module.map, stop_pc: module.stop_pc()? } };
        self.place = Some(place);
        Ok(place)
    }

    /// Decides what is looked at while the call runs; whether there are calls around it.
    #[inline(always)]
    fn enter(&mut self) -> bool {
        let is_inner = stop::is_inside();
        self.look = if is_inner { &raw const stop::ALWAYS } else { self.mark };
        is_inner
    }

    /// Whether the call has no record and none around it on this thread, so that nothing can stop it and nothing needs
    /// to be registered.
    #[inline(always)]
    pub fn begin_alone(&mut self) -> bool {
        let is_inner = self.enter();
        self.host.record.is_null() && !is_inner
    }

    /// For a kept instance: its memory has the size it began with.
    pub fn begin_again(&mut self, initial_memory: u64) {
        self.limits.peak_memory = initial_memory;
    }

    pub fn fail_machine(&mut self) {
        self.limits.failure = Failure::Machine;
    }
}

/// Runs `body`, which enters guest code, under the context's record if it has one.
///
/// # Safety
/// `context` belongs to the instance that is entered, or is to be.
#[inline(always)]
pub unsafe fn under_record<R>(context: *mut Context, body: impl FnOnce() -> R) -> Result<R, CError> {
    // SAFETY: the caller's contract; no guest code of the instance runs yet.
    let record = unsafe {
        (*context).enter();
        (*context).host.record
    };
    if record.is_null() {
        return Ok(body());
    }
    // SAFETY: the caller's contract.
    let place = unsafe { (*context).stop_place() }?;
    // SAFETY: the record of a setup is valid until its calls have ended.
    Ok(unsafe { stop::enter(record, place, body) })
}

/// A store whose data points at `context`, which must outlive it.
pub fn new_store(linked: &Linked, context: *mut Context) -> Result<Store<Data>, Error> {
    let engine = &linked.module.engine;
    let mut store = Store::try_new(&engine.engine, Data { context })?;
    // SAFETY: the context outlives the store, and the engine asks for one limiter at a time.
    store.limiter(|data| unsafe { &mut (*data.context).limits });
    if engine.epochs {
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(if stop::current_stopped() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) }));
    }
    Ok(store)
}

/// The budget of engines that count by themselves.
///
/// # Safety
/// `context` is the one of `store`.
pub unsafe fn fill_engine_fuel(linked: &Linked, store: &mut Store<Data>, context: *mut Context) -> Result<(), Error> {
    if linked.module.engine.options.engine_fuel {
        // SAFETY: the caller's contract.
        store.set_fuel(unsafe { (*context).budget } as u64)?;
    }
    Ok(())
}

/// Makes the instance and ties the context to it. A start section that the metering pass has not moved runs in here.
///
/// # Safety
/// `context` is the one of `store`.
pub unsafe fn instantiate(linked: &Linked, store: &mut Store<Data>, context: *mut Context, depth: i32) -> Result<(Instance, Places), Error> {
    // SAFETY: the caller's contract.
    unsafe {
        fill_engine_fuel(linked, store, context)?;
        let instance = linked.pre.instantiate(&mut *store)?;
        let places = tie(linked, store, instance, context, depth)?;
        Ok((instance, places))
    }
}

/// Fills the private table of a new instance and lets the context know where its globals and its memory are.
///
/// # Safety
/// `context` is the one of `store`.
pub unsafe fn tie(linked: &Linked, store: &mut Store<Data>, instance: Instance, context: *mut Context, depth: i32) -> Result<Places, Error> {
    let module = &*linked.module;
    let layout = linked.layout.get_or_init(|| Layout::of(module, store, instance));
    let places = layout.places(module, store, instance);
    if let Some(Extern::Table(table)) = module.private.check.and_then(|index| export(module, store, instance, index)) {
        if let Extern::Func(check) = linked.linker.get(&mut *store, CHECK.0, CHECK.1)? {
            table.set(&mut *store, 0, Ref::Func(Some(check)))?;
        }
    }
    // SAFETY: the caller's contract; nothing else refers into the context here.
    unsafe { (*context).bind(module, store, instance, places, depth) };
    Ok(places)
}

pub fn export(module: &Module, store: &mut Store<Data>, instance: Instance, index: u32) -> Option<Extern> {
    instance.get_module_export(store, &module.exports.get(index as usize)?.handle)
}

impl Context {
    fn bind(&mut self, module: &Module, store: &mut Store<Data>, instance: Instance, places: Places, depth: i32) {
        self.limits.instantiating = false;
        self.host.memory = places.memory;
        self.host.fuel = places.fuel;
        self.host.depth = places.depth;
        if places.memory.is_null() {
            self.look_up_memory(module, store, instance);
        }
        self.set_budgets(depth);
    }

    fn look_up_memory(&mut self, module: &Module, store: &mut Store<Data>, instance: Instance) {
        let index = module.exports.iter().position(|export| export.kind == 2);
        if let Some(Extern::Memory(memory)) = index.and_then(|index| export(module, store, instance, index as u32)) {
            self.own_memory = MemoryDefinition { base: memory.data_ptr(&*store), size: memory.data_size(&*store) };
            self.host.memory = &raw const self.own_memory;
        }
    }

    /// How guest code that came back by itself ended: the last comparison of the budget is made here, since functions
    /// without calls and loops are charged without one.
    #[inline]
    pub fn returned(&self) -> Outcome {
        // SAFETY: the place of the live instance, or null.
        if unsafe { self.host.fuel.as_ref() }.is_some_and(|rest| *rest < 0) { Outcome::OutOfFuel } else { Outcome::Returned }
    }

    pub fn peak_memory(&self) -> u64 {
        self.limits.peak_memory
    }

    /// What ended the call: our own cause, then a passed budget, then the trap.
    fn cause(&mut self, error: &Error) -> (Outcome, u32, Frames) {
        let own = match std::mem::replace(&mut self.limits.failure, Failure::None) {
            Failure::None => None,
            Failure::Stopped => Some(Outcome::Stopped),
            Failure::MemoryDenied => Some(Outcome::MemoryDenied),
            Failure::TableDenied => Some(Outcome::TableDenied),
            Failure::Machine => Some(Outcome::MachineFailed),
            Failure::Host => {
                if let Some(nested) = self.nested.take() {
                    return (nested.outcome, nested.trap, nested.frames);
                }
                Some(Outcome::HostTrapped)
            }
            kept @ (Failure::Limit(_) | Failure::Internal(_)) => {
                self.limits.failure = kept;
                Some(Outcome::NotStarted)
            }
        };
        if let Some(outcome) = own {
            return (outcome, trap::NONE, Frames::of(error));
        }
        if self.must_end() {
            return (Outcome::Stopped, trap::NONE, Frames::of(error));
        }
        let (mut outcome, mut code) = trap::classify(error);
        // SAFETY: the places of the live instance, or null.
        let (fuel, depth) = unsafe { (self.host.fuel.as_ref(), self.host.depth.as_ref()) };
        if outcome == Outcome::Trapped && code == 1 {
            if fuel.is_some_and(|rest| *rest < 0) {
                (outcome, code) = (Outcome::OutOfFuel, trap::NONE);
            } else if depth.is_some_and(|rest| *rest < 0) {
                (outcome, code) = (Outcome::StackOverflow, trap::NONE);
            }
        }
        (outcome, code, Frames::of(error))
    }

    /// Whether this call or one around it must end. While it runs that is one load, as long as it is the outermost one.
    #[inline(always)]
    pub fn must_end(&self) -> bool {
        // SAFETY: the mark of a record that outlives the call, or a static one.
        unsafe { (*self.look).load(Acquire) != 0 && self.is_marked() }
    }

    #[cold]
    fn is_marked(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.mark).load(Acquire) != 0 || stop::current_stopped() }
    }

    /// Fills `report` for a call that did not return.
    #[cold]
    pub fn report_failure(&mut self, error: &Error, report: &mut Report) {
        let (outcome, code, frames) = self.cause(error);
        report.outcome = outcome;
        report.trap = code;
        report.frame_count = frames.count as u32;
        report.frames[..frames.count].copy_from_slice(&frames.frames[..frames.count]);
        let described = match std::mem::replace(&mut self.limits.failure, Failure::None) {
            Failure::Limit(text) => CError::new(ErrorKind::Limit, text),
            Failure::Internal(text) => CError::new(ErrorKind::Internal, text),
            _ => CError::new(ErrorKind::Internal, error.root_cause().to_string()),
        };
        report.error = Box::into_raw(Box::new(described));
    }

    /// How an instance that cannot be had shows: the engine's error is no trap of guest code and no cause of ours.
    pub fn is_refusal(&self, error: &Error) -> bool {
        !error.is::<wasmtime::Trap>() && matches!(self.limits.failure, Failure::None)
    }

    /// Fuel, memory and denials so far.
    pub fn report_usage(&self, store: &Store<Data>, report: &mut Report) {
        self.report_counted(report);
        if self.host.fuel.is_null() && self.linked().module.engine.options.engine_fuel {
            report.fuel_used = (self.budget as u64).saturating_sub(store.get_fuel().unwrap_or(0));
        }
    }

    /// The same without what only the store knows.
    pub fn report_counted(&self, report: &mut Report) {
        // SAFETY: the place of the live instance, or null.
        report.fuel_used = unsafe { self.host.fuel.as_ref() }.map_or(0, |rest| (self.budget - (*rest).max(0)).max(0) as u64);
        report.fuel_exact = matches!(report.outcome, Outcome::Returned | Outcome::OutOfFuel);
        if report.outcome == Outcome::OutOfFuel {
            report.fuel_used = self.budget as u64;
        }
        report.peak_memory = self.peak_memory();
        report.denied_memory = self.limits.denied_memory;
        report.denied_table = self.limits.denied_table;
    }
}

/// A report in which nothing has happened yet; the frames are not touched.
///
/// # Safety
/// `report` points at room for one.
pub unsafe fn clear<'a>(report: *mut Report) -> &'a mut Report {
    // SAFETY: every field but the frames is written, and the frames are plain numbers of which only the first
    // `frame_count` are read.
    unsafe {
        (&raw mut (*report).outcome).write(Outcome::NotStarted);
        let report = &mut *report;
        report.trap = trap::NONE;
        report.fuel_used = 0;
        report.fuel_exact = false;
        report.restored = false;
        report.denied_memory = 0;
        report.denied_table = 0;
        report.phase = 0;
        report.peak_memory = 0;
        report.frame_count = 0;
        report.error = std::ptr::null_mut();
        report
    }
}

/// Fills the report for how a call of `store` ended.
pub fn account(context: &mut Context, store: &Store<Data>, ran: Result<(), Error>, report: &mut Report) {
    match ran {
        Ok(()) => report.outcome = context.returned(),
        Err(error) => context.report_failure(&error, report),
    }
    context.report_usage(store, report);
}

pub fn not_started(report: &mut Report, error: CError) {
    report.outcome = Outcome::NotStarted;
    report.error = Box::into_raw(Box::new(error));
}

/// The function exports of an instance that were called before, by index; empty: not worth keeping.
#[derive(Default)]
pub struct Functions(Vec<Option<Known>>);

#[derive(Clone, Copy)]
struct Known {
    function: Func,
    value_count: usize,
}

impl Functions {
    pub fn kept(module: &Module) -> Functions {
        Functions(vec![None; module.exports.len()])
    }

    /// A function export that was called before and takes no more values than there is room for.
    #[inline(always)]
    pub fn known(&self, index: u32, room: usize) -> Option<Func> {
        match self.0.get(index as usize) {
            Some(Some(known)) if known.value_count <= room => Some(known.function),
            _ => None,
        }
    }

    /// A function export that takes no more values than there is room for.
    #[inline(always)]
    pub fn get(&mut self, module: &Module, store: &mut Store<Data>, instance: Instance, index: u32, room: usize) -> Result<Func, CError> {
        match self.known(index, room) {
            Some(function) => Ok(function),
            None => self.find(module, store, instance, index, room),
        }
    }

    #[cold]
    fn find(&mut self, module: &Module, store: &mut Store<Data>, instance: Instance, index: u32, room: usize) -> Result<Func, CError> {
        let function = look_up(module, store, instance, index, room)?;
        if let Some(kept) = self.0.get_mut(index as usize) {
            *kept = Some(Known { function, value_count: module.exports[index as usize].value_count });
        }
        Ok(function)
    }
}

fn look_up(module: &Module, store: &mut Store<Data>, instance: Instance, index: u32, room: usize) -> Result<Func, CError> {
    let described = module.exports.get(index as usize).filter(|export| export.kind == FUNCTION);
    let described = described.ok_or_else(|| CError::new(ErrorKind::NotFound, format!("export {index} is no function")))?;
    if described.value_count > room {
        let text = format!("{} takes {} values and was given room for {room}", described.name, described.value_count);
        return Err(CError::new(ErrorKind::NotFound, text));
    }
    match export(module, store, instance, index) {
        Some(Extern::Func(function)) => Ok(function),
        _ => Err(CError::new(ErrorKind::NotFound, format!("export {index} is no function"))),
    }
}

/// What is called: start section that the pass moved, initialiser, export (phases of the report), and its values.
#[derive(Clone, Copy)]
pub struct Plan {
    pub exports: [u32; 3],
    pub values: *mut ValRaw,
    pub room: usize,
}

/// Runs the plan as far as it comes.
///
/// # Safety
/// `values` has room for `room` values of the right types; the store's record is entered.
pub unsafe fn run(
    linked: &Linked,
    store: &mut Store<Data>,
    instance: Instance,
    functions: &mut Functions,
    plan: Plan,
    report: &mut Report,
) -> Result<Result<(), Error>, CError> {
    for (phase, index) in plan.exports.into_iter().enumerate() {
        if index == NO_EXPORT {
            continue;
        }
        report.phase = phase as u32;
        if stop::current_stopped() {
            return Ok(Err(Error::msg("stopped before it began")));
        }
        let (values, room) = if phase == 2 { (plan.values, plan.room) } else { (std::ptr::NonNull::dangling().as_ptr(), 0) };
        let function = functions.get(&linked.module, store, instance, index, room)?;
        // SAFETY: the room was checked against the signature; the types are the caller's contract.
        if let Err(error) = unsafe { function.call_unchecked(&mut *store, std::ptr::slice_from_raw_parts_mut(values, room)) } {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// From inside a host function: another export of the calling instance.
///
/// # Safety
/// `context` is the one handed to the running host function, `values` has room for `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_context_call(context: *mut HostContext, index: u32, values: *mut ValRaw, count: usize) -> u32 {
    let context = context.cast::<Context>();
    let entered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // SAFETY: a context handed to a host function is one of ours, and its caller is set while that function runs.
        unsafe {
            let linked = (*context).linked();
            if linked.waiting {
                return Outcome::NotStarted; // the engine cannot enter a guest on a fiber synchronously
            }
            let Some(caller) = (*context).host.caller.cast::<Caller<'_, Data>>().as_mut() else { return Outcome::NotStarted };
            let export = linked.module.exports.get(index as usize).filter(|export| export.kind == FUNCTION && export.value_count <= count);
            let Some(Extern::Func(function)) = export.and_then(|export| caller.get_module_export(&export.handle)) else { return Outcome::NotStarted };
            let outer = (*context).host.caller;
            let called = function.call_unchecked(&mut *caller, std::ptr::slice_from_raw_parts_mut(values, count));
            // Host functions of that call were inside this one.
            (*context).host.caller = outer;
            match called {
                Ok(()) => Outcome::Returned,
                Err(error) => {
                    let (outcome, trap, frames) = (*context).cause(&error);
                    (*context).nested = Some(Box::new(Nested { outcome, trap, frames }));
                    outcome
                }
            }
        }
    }));
    entered.unwrap_or(Outcome::NotStarted) as u32
}
