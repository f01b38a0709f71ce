//! The lifetime rules of the C interface, tried from Rust: what keeps what alive, and what may be dropped in which order.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use berth_native::abi::*;
use berth_native::config::{Engine, Options, berth_engine_delete, berth_engine_new};
use berth_native::error::{CError, berth_error_delete};
use berth_native::fiber::*;
use berth_native::instance::*;
use berth_native::link::*;
use berth_native::module::*;
use berth_native::wat::berth_wat_to_wasm;
use wasmtime::ValRaw;

fn succeed(error: *mut CError) {
    // SAFETY: an error handed out is valid until it is deleted.
    assert!(error.is_null(), "{:?}", unsafe { &*error });
}

fn engine() -> *const Engine {
    // SAFETY: all zero is a valid value of plain flags and numbers.
    let mut options: Options = unsafe { std::mem::zeroed() };
    options.simd = true;
    (options.instances, options.stacks, options.memory_size) = (3, 3, 1 << 20);
    (options.pooling, options.page_scan, options.stop_method, options.restore) = (2, 2, 2, true);
    let mut engine = null();
    // SAFETY: both pointers are valid.
    succeed(unsafe { berth_engine_new(&options, &mut engine) });
    engine
}

fn module(engine: *const Engine, text: &str) -> *const Module {
    let mut wasm = Bytes { data: null_mut(), size: 0 };
    let mut module = null();
    // SAFETY: the pointers are valid for the calls; the bytes are deleted once.
    unsafe {
        succeed(berth_wat_to_wasm(text.as_ptr(), text.len(), &mut wasm));
        succeed(berth_module_compile(engine, wasm.data, wasm.size, ModuleFacts { restore_eligible: true }, &mut module));
        berth_bytes_delete(wasm);
    }
    module
}

unsafe extern "C" fn suspend(context: *mut HostContext, _function: u32, _values: *mut ValRaw) -> u32 {
    // SAFETY: called with a context of the library; the state is the operation's place.
    unsafe {
        let place = (*context).state.cast::<*const Operation>();
        *place = berth_context_suspend(context);
    }
    HOST_SUSPEND
}

fn linked(module: *const Module, waiting: bool) -> *const Linked {
    let text = |text: &'static str| Text { data: text.as_ptr(), size: text.len() };
    let import =
        HostImport { module: text("h"), name: text("f"), params: null(), param_count: 0, results: null(), result_count: 0, function: 0, may_wait: true };
    let mut linked = null();
    // SAFETY: the pointers are valid for the call.
    succeed(unsafe { berth_module_link(module, &import, 1, suspend, waiting, &mut linked) });
    linked
}

fn setup() -> CallSetup {
    CallSetup {
        state: null_mut(),
        record: null(),
        fuel: UNLIMITED,
        depth: i32::MAX,
        trap_on_limit: false,
        restore: true,
        memory_limit: u64::MAX,
        table_limit: u64::MAX,
        account: null_mut(),
    }
}

fn report() -> Box<Report> {
    // SAFETY: all zero is a valid report.
    Box::new(unsafe { std::mem::zeroed() })
}

const COUNTER: &str = r#"(module (memory (export "\00berth.memory") 1) (global (export "\00berth.fuel") (mut i64) (i64.const 0))
  (func (export "next") (result i32) (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i32.load (i32.const 0))))"#;
const NEXT: u32 = 2;

#[test]
fn handles_keep_alive_what_they_need() {
    let engine = engine();
    let module = module(engine, COUNTER);
    let linked = linked(module, false);
    let mut instance = null_mut();
    let mut report = report();
    let mut value = [ValRaw::i32(0)];
    // SAFETY: each handle is deleted once; what comes after a deletion uses only handles that are still held.
    unsafe {
        berth_engine_delete(engine);
        berth_module_delete(module);
        berth_instance_new(linked, &setup(), &mut instance, &mut *report);
        assert_eq!(report.outcome, Outcome::Returned);
        berth_linked_module_delete(linked);
        for expected in 1..4 {
            assert_eq!(berth_instance_call(instance, NEXT, value.as_mut_ptr(), 1, &mut *report), Outcome::Returned as u32);
            assert_eq!(value[0].get_i32(), expected);
        }
        berth_instance_delete(instance);
    }
}

#[test]
fn kept_instances_go_with_their_linked_module() {
    let engine = engine();
    for _ in 0..10 {
        let module = module(engine, COUNTER);
        let linked = linked(module, false);
        let mut report = report();
        let mut value = [ValRaw::i32(0)];
        // SAFETY: as above. With a pool of three, instances that were left behind would fill it.
        unsafe {
            for _ in 0..5 {
                berth_invoke(linked, &setup(), NO_EXPORT, NEXT, value.as_mut_ptr(), 1, &mut *report);
                assert_eq!((report.outcome, value[0].get_i32()), (Outcome::Returned, 1));
            }
            assert!(report.restored);
            berth_linked_module_delete(linked);
            berth_module_delete(module);
        }
    }
    // SAFETY: held until here.
    unsafe { berth_engine_delete(engine) };
}

#[test]
fn an_instance_whose_memory_cannot_be_seen_is_not_kept() {
    let engine = engine();
    let module = module(engine, &COUNTER.replace(r#"(export "\00berth.memory")"#, ""));
    let linked = linked(module, false);
    let mut report = report();
    let mut value = [ValRaw::i32(0)];
    // SAFETY: as above.
    unsafe {
        for _ in 0..10 {
            berth_invoke(linked, &setup(), NO_EXPORT, NEXT - 1, value.as_mut_ptr(), 1, &mut *report);
            assert_eq!((report.outcome, report.restored, value[0].get_i32()), (Outcome::Returned, false, 1));
        }
        berth_linked_module_delete(linked);
        berth_module_delete(module);
        berth_engine_delete(engine);
    }
}

#[test]
fn nothing_is_deleted_by_deleting_null() {
    // SAFETY: null is allowed by all of them.
    unsafe {
        berth_error_delete(null_mut());
        berth_engine_delete(null());
        berth_module_delete(null());
        berth_linked_module_delete(null());
        berth_instance_delete(null_mut());
        berth_waiting_call_delete(null_mut());
        berth_bytes_delete(Bytes { data: null_mut(), size: 0 });
    }
}

const WAITS: &str = r#"(module (import "h" "f" (func $f)) (memory 1) (func (export "go") (call $f)))"#;

extern "C" fn wake(data: *mut c_void) {
    // SAFETY: the data is a counter that `drop_waker` releases.
    unsafe { (*data.cast::<AtomicU32>()).fetch_add(1, Relaxed) };
}
extern "C" fn drop_waker(data: *mut c_void) {
    // SAFETY: given out by `Arc::into_raw`, released once.
    drop(unsafe { Arc::from_raw(data.cast::<AtomicU32>()) });
}

#[test]
fn a_waiting_call_may_end_before_its_operation_and_after_it() {
    let engine = engine();
    let module = module(engine, WAITS);
    let linked = linked(module, true);
    for complete_first in [true, false, true, false, false] {
        let mut operation: *const Operation = null();
        let wakes = Arc::new(AtomicU32::new(0));
        let mut call = null_mut();
        let mut report = report();
        let setup = CallSetup { state: (&raw mut operation).cast(), ..setup() };
        // SAFETY: the state outlives the call; call and operation are given up once each, in either order.
        unsafe {
            let data = Arc::into_raw(wakes.clone()).cast_mut().cast();
            berth_waiting_call_start(linked, &setup, NO_EXPORT, 0, null(), 0, wake, data, drop_waker, &mut call);
            assert!(!berth_waiting_call_poll(call, null_mut(), 0, &mut *report));
            if complete_first {
                berth_operation_complete(operation, HOST_PROCEED, null(), 0);
                assert_eq!(wakes.load(Relaxed), 1);
                assert!(berth_waiting_call_poll(call, null_mut(), 0, &mut *report));
                assert_eq!(report.outcome, Outcome::Returned);
                berth_waiting_call_delete(call);
            } else {
                berth_waiting_call_delete(call);
                berth_operation_complete(operation, HOST_PROCEED, null(), 0);
            }
        }
        assert_eq!(Arc::strong_count(&wakes), 1, "the waker's data is released");
    }
    // SAFETY: held until here.
    unsafe {
        berth_linked_module_delete(linked);
        berth_module_delete(module);
        berth_engine_delete(engine);
    }
}
