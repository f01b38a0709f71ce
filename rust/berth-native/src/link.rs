//! Modules with their imports resolved, and the one way from guest code into the host.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use wasmtime::{Caller, Error, FuncType, HeapType, InstancePre, Linker, RefType, ValRaw, ValType};

use crate::abi::{HOST_PROCEED, HostEntry, Text, guard, slice};
use crate::call::{Context, Data, Failure};
use crate::error::{CError, ErrorKind};
use crate::fiber;
use crate::layout::{self, Layout};
use crate::module::{FUNCTION, Module, Signature, share};
use crate::restore::{self, Slot};

#[repr(C)]
pub struct HostImport {
    pub module: Text,
    pub name: Text,
    pub params: *const u8,
    pub param_count: usize,
    pub results: *const u8,
    pub result_count: usize,
    pub function: u32,
    pub may_wait: bool,
}

/// A module ready to be instantiated.
pub struct Linked {
    pub module: Arc<Module>,
    pub pre: InstancePre<Data>,
    /// Has the host check of the metering pass under `CHECK`.
    pub linker: Linker<Data>,
    pub layout: OnceLock<Layout>,
    pub waiting: bool,
    pub counters: Counters,
    /// Instances kept for the next call; the last one used is the first one taken.
    pub slots: Mutex<Vec<Box<Slot>>>,
    /// Calls that took no kept instance so far, and instances in a row that could not be put back.
    pub made: AtomicU32,
    pub unfit: AtomicU32,
}

/// How instances were had; any thread.
#[derive(Default)]
pub struct Counters {
    pub restored: AtomicU64,
    pub created: AtomicU64,
    pub dropped: AtomicU64,
}

#[repr(C)]
pub struct CounterValues {
    restored: u64,
    created: u64,
    dropped: u64,
    faults: u64, // of the whole process
}

pub const CHECK: (&str, &str) = ("\0berth", "check");

pub fn value_type(code: u8) -> Option<ValType> {
    Some(match code {
        0 => ValType::I32,
        1 => ValType::I64,
        2 => ValType::F32,
        3 => ValType::F64,
        4 => ValType::V128,
        5 => ValType::Ref(RefType::new(true, HeapType::Func)),
        6 => ValType::Ref(RefType::new(true, HeapType::Extern)),
        _ => return None,
    })
}

fn function_type(engine: &wasmtime::Engine, signature: &Signature) -> Result<FuncType, CError> {
    let list = |codes: &[u8]| codes.iter().map(|code| value_type(*code)).collect::<Option<Vec<_>>>();
    match (list(&signature.params), list(&signature.results)) {
        (Some(params), Some(results)) => Ok(FuncType::new(engine, params, results)),
        _ => Err(CError::new(ErrorKind::Internal, "unknown value type")),
    }
}

fn type_text(signature: &Signature) -> String {
    const NAMES: [&str; 7] = ["i32", "i64", "f32", "f64", "v128", "funcref", "externref"];
    let list = |codes: &[u8]| codes.iter().map(|code| NAMES.get(*code as usize).copied().unwrap_or("?")).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(&signature.params), list(&signature.results))
}

/// From the guest into the host and back: the host's answer, then the mark that stops the call.
#[inline]
fn enter_host(mut caller: Caller<'_, Data>, entry: HostEntry, function: u32, values: &mut [MaybeUninit<ValRaw>]) -> Result<(), Error> {
    let context = caller.data().context;
    // SAFETY: the context outlives the store whose data points at it, and only this thread uses it; no reference into
    // it is held across the call. The entry is a C function that keeps to the signature it was linked with.
    unsafe {
        (*context).host.caller = layout::as_context_pointer(&mut caller);
        let status = entry(&raw mut (*context).host, function, values.as_mut_ptr().cast());
        (*context).host.caller = std::ptr::null_mut();
        if status == HOST_PROCEED && !(*context).must_end() { Ok(()) } else { Err(refuse(&mut *context, status)) }
    }
}

#[cold]
pub fn refuse(context: &mut Context, status: u32) -> Error {
    if context.must_end() {
        context.limits.failure = Failure::Stopped;
        return Error::msg("stopped");
    }
    context.limits.failure = if status == crate::abi::HOST_TRAP {
        Failure::Host
    } else {
        Failure::Internal(format!("a host function that may not wait returned status {status}"))
    };
    Error::msg("ended by the host")
}

impl Linked {
    fn new(module: Arc<Module>, imports: &[(String, String, Signature, u32, bool)], entry: HostEntry, waiting: bool) -> Result<Linked, CError> {
        let engine = &module.engine.engine;
        let mut linker = Linker::<Data>::new(engine);
        let mut missing = Vec::new();
        let mut defined = std::collections::HashSet::new();
        for wanted in &module.imports {
            let name = format!("{}.{}", wanted.module, wanted.name);
            if wanted.kind != FUNCTION {
                const KINDS: [&str; 5] = ["function", "table", "memory", "global", "tag"];
                missing.push(format!("{name} (a {}; only functions can be imported)", KINDS.get(wanted.kind as usize).unwrap_or(&"thing")));
                continue;
            }
            match imports.iter().find(|offered| offered.0 == wanted.module && offered.1 == wanted.name) {
                None => missing.push(format!("{name} {}", type_text(&wanted.signature))),
                Some(offered) if offered.2 != wanted.signature => {
                    missing.push(format!("{name} {} (the host offers {})", type_text(&wanted.signature), type_text(&offered.2)))
                }
                Some((_, _, signature, function, may_wait)) => {
                    let function = *function;
                    let ty = function_type(engine, signature)?;
                    if !defined.insert((&wanted.module, &wanted.name)) {
                        continue; // imported twice
                    }
                    if waiting && *may_wait {
                        let point = fiber::HostPoint::new(entry, function, signature.clone());
                        linker
                            .func_new_async(&wanted.module, &wanted.name, ty, move |caller, params, results| fiber::enter_host(caller, &point, params, results))
                            .map_err(|error| CError::new(ErrorKind::Internal, format!("{error:#}")))?;
                        continue;
                    }
                    // SAFETY: `enter_host` hands on the values as they are; the entry was given for this signature.
                    unsafe {
                        linker.func_new_unchecked(&wanted.module, &wanted.name, ty, move |caller, values| enter_host(caller, entry, function, values))
                    }
                    .map_err(|error| CError::new(ErrorKind::Internal, format!("{error:#}")))?;
                }
            }
        }
        if !missing.is_empty() {
            return Err(CError::new(ErrorKind::ImportUnresolved, missing.join("; ")));
        }
        let internal = |error: wasmtime::Error| CError::new(ErrorKind::Internal, format!("{error:#}"));
        linker
            .func_wrap(CHECK.0, CHECK.1, |caller: Caller<'_, Data>| -> Result<(), Error> {
                // SAFETY: as in `enter_host`.
                let context = unsafe { &mut *caller.data().context };
                if context.must_end() { Err(refuse(context, HOST_PROCEED)) } else { Ok(()) }
            })
            .map_err(internal)?;
        let pre = linker.instantiate_pre(&module.module).map_err(internal)?;
        Ok(Linked { module, pre, linker, layout: OnceLock::new(), waiting, counters: Counters::default(), slots: Mutex::default(), made: AtomicU32::new(0), unfit: AtomicU32::new(0) })
    }
}

/// # Safety
/// `module` is valid, `imports` points at `count` of them, `entry` is safe to call with contexts of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_link(
    module: *const Module,
    imports: *const HostImport,
    count: usize,
    entry: HostEntry,
    waiting: bool,
    linked: *mut *const Linked,
) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let (module, imports) = unsafe { (share(module), slice(imports, count)) };
        let imports: Vec<_> = imports
            .iter()
            .map(|import| unsafe {
                let signature =
                    Signature { params: slice(import.params, import.param_count).to_vec(), results: slice(import.results, import.result_count).to_vec() };
                (import.module.to_string(), import.name.to_string(), signature, import.function, import.may_wait)
            })
            .collect();
        let made = Linked::new(module, &imports, entry, waiting)?;
        unsafe { linked.write(Arc::into_raw(Arc::new(made))) };
        Ok(())
    })
}

/// # Safety
/// `linked` was given out and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_linked_module_delete(linked: *const Linked) {
    if !linked.is_null() {
        // SAFETY: takes back the count that was given out.
        drop(unsafe { Arc::from_raw(linked) });
    }
}

/// # Safety
/// Both are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_linked_module_counters(linked: *const Linked, counters: *mut CounterValues) {
    // SAFETY: the caller's contract.
    let own = unsafe { &(*linked).counters };
    let values = CounterValues {
        restored: own.restored.load(Relaxed),
        created: own.created.load(Relaxed),
        dropped: own.dropped.load(Relaxed),
        faults: restore::faults(),
    };
    unsafe { counters.write(values) };
}
