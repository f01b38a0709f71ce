//! Engines: options, what this machine can do of them, and the pool.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use wasmtime::{Collector, Config, Enabled, Inlining, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::abi::{Bytes, guard};
use crate::error::{CError, ErrorKind};
use crate::restore;
use crate::stop::{self, StopStub};

pub const VERSION: &str = "wasmtime 48.0.8";

const OFF: u8 = 0;
const ON: u8 = 1;
const STOP_EPOCHS: u8 = 1;
const STOP_AUTO: u8 = 2;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Options {
    pub simd: bool,
    pub relaxed_simd: bool,
    pub relaxed_simd_deterministic: bool,
    pub nan_canonicalisation: bool,
    pub engine_fuel: bool,
    pub backtraces: bool,
    pub inlining: bool,
    pub pooling: u8,
    pub page_scan: u8,
    pub stop_method: u8,
    pub restore: bool,
    pub plain_pooling: bool,
    pub components: bool,
    pub instances: u32,
    pub stacks: u32,
    pub restore_slots: u32,
    pub restore_pages: u32,
    pub memory_size: u64,
    pub table_elements: u32,
    pub tables: u32,
    pub guest_stack: u64,
    pub host_stack: u64,
}

#[repr(C)]
pub struct Status {
    pub pooling: bool,
    pub page_scan: bool,
    pub page_scan_in_kernel: bool,
    pub swap_in_use: bool,
    pub signal_stop: bool,
    pub restore: bool,
    pub instances: u32,
    pub stacks: u32,
}

/// An engine with its options settled.
pub struct Engine {
    pub engine: wasmtime::Engine,
    pub options: Options,
    pub epochs: bool,
    page_scan: bool,
    page_scan_in_kernel: bool,
    swap_in_use: bool,
    stub: OnceLock<Result<StopStub, String>>,
    restore: OnceLock<bool>,
}

/// The settings with every "chosen here" replaced.
fn settled(options: &Options) -> Options {
    let mut settled = *options;
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    // A used slot is split into up to four mappings and every stack into two; other engines, code and the pages that
    // restored instances open share the rest of the process's mappings.
    let mappings = read_number("/proc/sys/vm/max_map_count").unwrap_or(65_530);
    settled.instances = or(options.instances.into(), (mappings / 32).clamp(64, 4_096)) as u32;
    settled.stacks = or(options.stacks.into(), settled.instances.into()) as u32;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    settled.restore_slots = or(options.restore_slots.into(), 2 * cores) as u32;
    settled.restore_pages = or(options.restore_pages.into(), 128) as u32;
    settled.memory_size = or(options.memory_size, 1 << 32);
    settled.table_elements = or(options.table_elements.into(), 100_000) as u32;
    settled.tables = or(options.tables.into(), 10) as u32;
    settled.guest_stack = or(options.guest_stack, 512 << 10);
    settled.host_stack = or(options.host_stack, 512 << 10);
    settled
}

fn read_number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The first line of the list is its heading.
fn swap_in_use() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|list| list.lines().count() > 1)
}

impl Engine {
    fn new(options: &Options) -> Result<Engine, CError> {
        let options = settled(options);
        let epochs = options.stop_method == STOP_EPOCHS || (options.stop_method == STOP_AUTO && !cfg!(target_arch = "x86_64"));
        let page_scan_in_kernel = PoolingAllocationConfig::is_pagemap_scan_available();
        let swap_in_use = swap_in_use();
        let page_scan = match options.page_scan {
            OFF => false,
            ON => page_scan_in_kernel,
            _ => page_scan_in_kernel && !swap_in_use,
        };
        if options.page_scan == ON && !page_scan_in_kernel {
            return Err(CError::new(ErrorKind::Configuration, "page-map scan needs Linux 6.7 or newer"));
        }
        let mut config = base_config(&options, epochs);
        if options.pooling != OFF {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&options, page_scan)));
        }
        let engine = wasmtime::Engine::new(&config).map_err(|error| CError::new(ErrorKind::Configuration, format!("{error:#}")))?;
        if epochs {
            stop::add_epoch_engine(&engine);
        }
        Ok(Engine { engine, options, epochs, page_scan, page_scan_in_kernel, swap_in_use, stub: OnceLock::new(), restore: OnceLock::new() })
    }

    /// The trap that stopped guests are sent to; made at first need.
    #[inline]
    pub fn stop_stub(&self) -> Result<&StopStub, CError> {
        match self.stub.get() {
            Some(Ok(stub)) => Ok(stub),
            _ => self.make_stop_stub(),
        }
    }

    #[cold]
    fn make_stop_stub(&self) -> Result<&StopStub, CError> {
        self.stub
            .get_or_init(|| if self.epochs { Err("this engine stops by epochs".into()) } else { StopStub::new(&self.engine) })
            .as_ref()
            .map_err(|text| CError::new(ErrorKind::Configuration, format!("guests cannot be stopped by signal here: {text}")))
    }

    /// Whether used instances are put back in place: switched on, and it passed its self-test.
    pub fn restores(&self) -> bool {
        self.options.restore && *self.restore.get_or_init(|| restore::self_test(&self.engine).is_ok())
    }

    fn configuration_key(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        let options = &self.options;
        format!(
            "{VERSION};{}-{};{:016x};simd={};relaxed={};relaxed-det={};nan={};fuel={};epochs={};components={};frames={};inline={};stack={}",
            std::env::consts::ARCH,
            std::env::consts::OS,
            hasher.finish(),
            options.simd,
            options.relaxed_simd,
            options.relaxed_simd_deterministic,
            options.nan_canonicalisation,
            options.engine_fuel,
            self.epochs,
            options.components,
            options.backtraces,
            options.inlining,
            options.guest_stack
        )
    }
}

fn base_config(options: &Options, epochs: bool) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .collector(Collector::Null)
        .signals_based_traps(true)
        .native_unwind_info(false)
        .generate_address_map(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(if options.backtraces { NonZeroUsize::new(crate::abi::MAX_FRAMES) } else { None })
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(options.nan_canonicalisation)
        .compiler_inlining(if options.inlining { Inlining::Yes } else { Inlining::No })
        .memory_reservation(1 << 32)
        .memory_guard_size(32 << 20)
        .memory_may_move(false)
        .memory_init_cow(true)
        .epoch_interruption(epochs)
        .max_wasm_stack(options.guest_stack as usize)
        .async_stack_size((options.guest_stack + options.host_stack) as usize);
    // On in every world.
    config
        .wasm_extended_const(true)
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_reference_types(true)
        .wasm_branch_hinting(true)
        .wasm_simd(options.simd)
        .wasm_relaxed_simd(options.simd && options.relaxed_simd)
        .relaxed_simd_deterministic(options.relaxed_simd_deterministic);
    // Off everywhere.
    config
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(false)
        .wasm_function_references(false)
        .wasm_wide_arithmetic(false)
        .wasm_gc(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_stack_switching(false)
        .wasm_exceptions(false);
    config.wasm_component_model(options.components);
    if options.engine_fuel {
        config.consume_fuel(true).operator_cost(schedule_1());
    }
    config
}

/// The cost table of the fuel schedule `berth-fuel-1`, set explicitly so that an update of the engine cannot change it.
fn schedule_1() -> OperatorCost {
    let mut cost = OperatorCost::new();
    (cost.Nop, cost.Drop, cost.Block, cost.Loop, cost.Unreachable, cost.Return, cost.Else, cost.End) = (0, 0, 0, 0, 0, 0, 0, 0);
    let variable = &mut cost.variable;
    (variable.memory_copy_per_byte, variable.memory_fill_per_byte, variable.memory_init_per_byte, variable.memory_grow_per_page) = (1, 1, 1, 0);
    (variable.table_copy_per_element, variable.table_fill_per_element) = (1, 1);
    (variable.table_init_per_element, variable.table_grow_per_element) = (1, 1);
    cost
}

fn pool(options: &Options, page_scan: bool) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(options.instances)
        .total_memories(options.instances)
        .total_tables(options.instances.saturating_mul(2))
        .total_stacks(options.stacks)
        .total_gc_heaps(options.instances)
        .max_tables_per_module(options.tables + 2)
        .table_elements(options.table_elements as usize)
        .max_memory_size(options.memory_size as usize)
        .max_core_instance_size(64 << 20);
    if options.components {
        // A component has several core instances: counted only, where memories, tables and stacks take room.
        pool.total_component_instances(options.instances)
            .total_core_instances(options.instances.saturating_mul(64))
            .total_tables(options.instances.saturating_mul(4))
            .max_core_instances_per_component(64)
            .max_tables_per_component(64)
            .max_memories_per_component(16)
            .max_component_instance_size(16 << 20);
    }
    if !options.plain_pooling {
        pool.linear_memory_keep_resident(256 << 10)
            .table_keep_resident(4 << 10)
            .async_stack_keep_resident(16 << 10)
            .decommit_batch_size(16)
            .pagemap_scan(if page_scan { Enabled::Yes } else { Enabled::No });
    }
    pool
}

/// # Safety
/// Both pointers are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_engine_new(options: *const Options, engine: *mut *const Engine) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let made = Engine::new(unsafe { &*options })?;
        unsafe { engine.write(Arc::into_raw(Arc::new(made))) };
        Ok(())
    })
}

/// # Safety
/// `engine` came from `berth_engine_new` and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_engine_delete(engine: *const Engine) {
    if !engine.is_null() {
        // SAFETY: takes back the count that was given out.
        drop(unsafe { Arc::from_raw(engine) });
    }
}

/// # Safety
/// Both pointers are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_engine_status_of(engine: *const Engine, status: *mut Status) {
    // SAFETY: the caller's contract.
    let engine = unsafe { &*engine };
    let signal_stop = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.stop_stub().is_ok_and(|stub| stub.self_test(&engine.engine).is_ok()))).unwrap_or(false);
    let restores = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.restores())).unwrap_or(false);
    let pooling = engine.options.pooling != OFF;
    unsafe {
        status.write(Status {
            pooling,
            page_scan: pooling && engine.page_scan && !engine.options.plain_pooling,
            page_scan_in_kernel: engine.page_scan_in_kernel,
            swap_in_use: engine.swap_in_use,
            signal_stop,
            restore: restores,
            instances: if pooling { engine.options.instances } else { 0 },
            stacks: if pooling { engine.options.stacks } else { 0 },
        })
    };
}

/// # Safety
/// `engine` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_engine_configuration_key(engine: *const Engine) -> Bytes {
    // SAFETY: the caller's contract.
    Bytes::from_vec(unsafe { &*engine }.configuration_key().into_bytes())
}

/// # Safety
/// `length` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_engine_version(length: *mut usize) -> *const u8 {
    // SAFETY: the caller's contract.
    unsafe { length.write(VERSION.len()) };
    VERSION.as_ptr()
}

/// # Safety
/// `engine` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_engine_advance_epoch(engine: *const Engine) {
    // SAFETY: the caller's contract.
    unsafe { &*engine }.engine.increment_epoch();
}
