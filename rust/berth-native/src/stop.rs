//! Asynchronous stop of a running guest, without any check in its code.
//!
//! A thread that wants a call to end sets the mark in the call's record and signals the thread that runs it. Where the
//! interrupted instruction lies in a function body of that guest, the handler lets execution go on at a trap
//! instruction of the same module, or where it has none, of a small module of the same engine (the stub). The engine takes the pc of a trap only to look up the
//! trap and the frame pointer only for the backtrace; it resumes at the entry record that was stored before any body
//! ran, so every instruction of a body is a sound place. Anywhere else (trampolines, builtins, host code) the handler
//! does nothing: host functions, the limiter and the host check after bulk operations look at the mark, and whoever
//! wants the stop signals again until the call has ended.
//!
//! What this relies on: tail calls, GC types, stack switching and guest debugging are off (their prologues or inline
//! sequences could be split), and the cause of an end is read from the record, never from the trap, since a stop can
//! race with a real trap.

use std::cell::Cell;
use std::ptr::null;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*, compiler_fence};
use std::sync::{Arc, Mutex, OnceLock};

use wasmtime::{EngineWeak, Instance, Module, Store, Trap};
use wasmtime_environ::CompiledTrap;

use crate::abi::Record;
use crate::code_map::CodeMap;
use crate::config::Engine;

/// Default action "ignore", coalesces, needs no queue slot.
const SIGNAL: i32 = libc::SIGURG;

/// One entry of a thread into guest code; the innermost one is what the signal handler looks at.
pub struct Activation {
    previous: *const Activation,
    record: *const Record,
    map: *const CodeMap,
    stop_pc: usize,
}

thread_local! {
    static CURRENT: Cell<*const Activation> = const { Cell::new(null()) };
    static THREAD: Cell<i32> = const { Cell::new(0) };
}

#[inline]
fn thread_id() -> i32 {
    let known = THREAD.get();
    if known != 0 { known } else { look_up_thread() }
}

/// The first entry of a thread under a record; servers start their threads with signals blocked, and ours and those of
/// traps must come through.
#[cold]
fn look_up_thread() -> i32 {
    // SAFETY: a local set; no other preconditions.
    unsafe {
        let mut ours: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut ours);
        for signal in [SIGNAL, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS] {
            libc::sigaddset(&mut ours, signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &ours, std::ptr::null_mut());
        THREAD.set(libc::gettid());
    }
    THREAD.get()
}

impl Activation {
    /// Whether the call of this entry, or one around it on this thread, must end.
    fn must_end(&self) -> bool {
        let mut entry: *const Activation = self;
        // SAFETY: entries are on the stacks of the frames around this one and outlive it; records outlive the calls
        // that run under them.
        while let Some(activation) = unsafe { entry.as_ref() } {
            if unsafe { (*activation.record).stop.load(Acquire) } != 0 {
                return true;
            }
            entry = activation.previous;
        }
        false
    }
}

/// What `enter` needs to know of a module.
#[derive(Clone, Copy)]
pub struct StopPlace<'a> {
    pub map: &'a CodeMap,
    pub stop_pc: usize,
}

/// Runs `body`, which enters guest code of `place`, registered as this thread's innermost entry.
///
/// # Safety
/// `record` is valid until the call under it has ended.
#[inline]
pub unsafe fn enter<R>(record: *const Record, place: StopPlace<'_>, body: impl FnOnce() -> R) -> R {
    struct Leave<'a>(&'a Activation, i32);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            compiler_fence(SeqCst);
            CURRENT.set(self.0.previous);
            compiler_fence(SeqCst);
            // SAFETY: the contract of `enter`: the call has not ended yet.
            unsafe { (*self.0.record).thread.store(self.1, Release) };
        }
    }
    let activation = Activation { previous: CURRENT.get(), record, map: place.map, stop_pc: place.stop_pc };
    // SAFETY: the contract of this function.
    let outer = unsafe { (*record).thread.load(Relaxed) };
    unsafe { (*record).thread.store(thread_id(), Release) };
    compiler_fence(SeqCst);
    CURRENT.set(&activation);
    compiler_fence(SeqCst);
    let _leave = Leave(&activation, outer);
    body()
}

/// Whether this thread runs guest code already, further up its stack.
#[inline]
pub fn is_inside() -> bool {
    !CURRENT.get().is_null()
}

/// Stands for the record of calls that have none.
pub static NEVER: Record = Record { stop: AtomicU32::new(0), thread: AtomicI32::new(0), redirects: AtomicU32::new(0), reserved: 0 };

/// Makes a call that has others around it look more closely.
pub static ALWAYS: AtomicU32 = AtomicU32::new(1);

/// Whether this thread's innermost call, or one around it, must end: for host functions before they return.
#[inline]
pub fn current_stopped() -> bool {
    // SAFETY: the pointer is null or an entry further up this thread's stack.
    unsafe { CURRENT.get().as_ref() }.is_some_and(Activation::must_end)
}

/// The handler: thread-local and atomic data only.
unsafe extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as in `current_stopped`; the handler runs on the thread whose entries it looks at.
    let top = unsafe { CURRENT.get().as_ref() };
    let Some(top) = top.filter(|top| top.must_end()) else {
        // SAFETY: handed on as it came.
        return unsafe { pass_on(signal, info, context) };
    };
    // SAFETY: the kernel's context of the interrupted code, ours to change until the handler returns.
    let registers = unsafe { &mut *(context as *mut libc::ucontext_t) };
    #[cfg(target_arch = "x86_64")]
    let pc = &mut registers.uc_mcontext.gregs[libc::REG_RIP as usize];
    #[cfg(target_arch = "aarch64")]
    let pc = &mut registers.uc_mcontext.pc;
    // SAFETY: map and record outlive the entry.
    if unsafe { (*top.map).contains(*pc as usize) } {
        unsafe { (*top.record).redirects.fetch_add(1, Relaxed) };
        *pc = top.stop_pc as _;
    }
}

/// Who handled the signal before us, written once before our handler is installed.
static PREVIOUS: OnceLock<KernelAction> = OnceLock::new();

/// # Safety
/// Called from the handler with its own arguments.
unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = PREVIOUS.get() else { return };
    if previous.handler == libc::SIG_DFL || previous.handler == libc::SIG_IGN || previous.handler == on_signal as *const () as usize {
        return; // the default for this signal is to ignore it
    }
    // SAFETY: the kernel held this address as the handler of that form.
    unsafe {
        if previous.flags & libc::SA_SIGINFO as u64 != 0 {
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(previous.handler);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(i32) = std::mem::transmute(previous.handler);
            handler(signal);
        }
    }
}

/// The kernel's own form of a signal action, for the raw system call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct KernelAction {
    handler: usize,
    flags: u64,
    #[cfg(target_arch = "x86_64")]
    restorer: usize,
    mask: u64,
}

fn kernel_action(new: Option<&KernelAction>) -> Option<KernelAction> {
    // SAFETY: all zero is a valid value.
    let mut old: KernelAction = unsafe { std::mem::zeroed() };
    // SAFETY: both structures have the kernel's layout, the last argument is the size of its signal set.
    let result = unsafe {
        libc::syscall(libc::SYS_rt_sigaction, SIGNAL as libc::c_long, new.map_or(null(), |action| action as *const KernelAction), &raw mut old, 8usize)
    };
    (result == 0).then_some(old)
}

/// Installs the handler once; the one before it is called for signals that are not ours.
fn install() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let Some(before) = kernel_action(None) else { return false };
        let _ = PREVIOUS.set(before);
        // SAFETY: a zeroed action is valid; the handler keeps to what a handler may do.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigfillset(&mut action.sa_mask);
            for synchronous in [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS] {
                libc::sigdelset(&mut action.sa_mask, synchronous);
            }
            if libc::sigaction(SIGNAL, &action, std::ptr::null_mut()) != 0 {
                return false;
            }
        }
        // The thread sanitizer puts a handler of its own in front that defers asynchronous signals until the next
        // library call, which a guest in a loop never makes: put ours in its place, keeping the C library's restorer.
        match kernel_action(None) {
            Some(mut now) if now.handler != on_signal as *const () as usize => {
                now.handler = on_signal as *const () as usize;
                now.flags |= (libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART) as u64;
                kernel_action(Some(&now)).is_some()
            }
            now => now.is_some(),
        }
    })
}

/// Whether the handler is still ours.
fn is_installed() -> bool {
    kernel_action(None).is_some_and(|action| action.handler == on_signal as *const () as usize)
}

#[cfg(target_arch = "x86_64")]
const TRAP: &[u8] = &[0x0f, 0x0b];
#[cfg(target_arch = "aarch64")]
const TRAP: &[u8] = &[0x1f, 0xc1, 0x00, 0x00];

/// A trap instruction in the code of `module`, which spares a single run the stub: every metered function that calls or
/// loops has one. The engine takes a trap's pc to find out which one it is, so it must be in the module's own list.
/// None: the handler could not be installed, or the module has no such instruction.
pub fn own_trap(module: &Module) -> Option<usize> {
    use wasmtime_environ::object::{File, Object, ObjectSection};
    if !install() {
        return None;
    }
    let image = module.image_range();
    // SAFETY: the range of the module's image, which lives as long as the module and is never written.
    let image = unsafe { std::slice::from_raw_parts(image.start, image.end.offset_from_unsigned(image.start)) };
    let file = File::parse(image).ok()?;
    let list = file.section_by_name(wasmtime_environ::obj::ELF_WASMTIME_TRAPS)?.data().ok()?;
    let text = module.text();
    wasmtime_environ::iterate_traps(list)?
        .filter(|(_, trap)| matches!(trap, CompiledTrap::Normal(_)))
        .find(|(offset, _)| text.get(*offset as usize..).is_some_and(|code| code.starts_with(TRAP)))
        .map(|(offset, _)| text.as_ptr() as usize + offset as usize)
}

/// A module with a trap instruction, one per engine, for the self-test and for modules without one: any trap pc the
/// engine knows will do for every module of it.
pub struct StopStub {
    module: Module,
    pub pc: usize,
}

const STUB: &str = r#"(module (func (export "stop") unreachable) (func (export "spin") (loop $again (br $again))))"#;

impl StopStub {
    /// Installs the handler and compiles the stub; its trap must be the expected one.
    pub fn new(engine: &wasmtime::Engine) -> Result<StopStub, String> {
        if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            return Err("no asynchronous stop on this processor".into());
        }
        if !install() {
            return Err("the signal handler could not be installed".into());
        }
        let text = |error: wasmtime::Error| format!("the stub does not run: {error:#}");
        let module = Module::new(engine, STUB).map_err(text)?;
        let body = module.functions().next().ok_or("the stub has no code")?;
        let code = &module.text()[body.offset..body.offset + body.len];
        let at = code.windows(TRAP.len()).position(|word| word == TRAP);
        let pc = code.as_ptr() as usize + at.ok_or("the stub has no trap instruction")?;
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).map_err(text)?;
        let stop = instance.get_typed_func::<(), ()>(&mut store, "stop").map_err(text)?;
        match stop.call(&mut store, ()) {
            Err(error) if error.downcast_ref::<Trap>() == Some(&Trap::UnreachableCodeReached) => Ok(StopStub { module, pc }),
            _ => Err("the stub's trap is another one".into()),
        }
    }

    /// Tries the whole mechanism out: a spin loop ends through the stub. Takes a thread and some milliseconds.
    pub fn self_test(&self, engine: &wasmtime::Engine) -> Result<(), String> {
        if !is_installed() {
            return Err("another part of the process has replaced the signal handler".into());
        }
        let map = CodeMap::of(&self.module);
        let record = Arc::new(Record { stop: AtomicU32::new(0), thread: Default::default(), redirects: AtomicU32::new(0), reserved: 0 });
        let ended = Arc::new(AtomicU32::new(0));
        let watcher = std::thread::spawn({
            let (record, ended) = (record.clone(), ended.clone());
            move || {
                while record.thread.load(Acquire) == 0 && ended.load(Acquire) == 0 {
                    std::thread::yield_now();
                }
                record.stop.store(1, Release);
                while ended.load(Acquire) == 0 {
                    kick(&record);
                    std::thread::sleep(std::time::Duration::from_micros(50));
                }
            }
        });
        let result = (|| {
            let mut store = Store::new(engine, ());
            let instance = Instance::new(&mut store, &self.module, &[])?;
            let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
            // SAFETY: the record lives until the watcher is joined.
            unsafe { enter(&*record, StopPlace { map: &map, stop_pc: self.pc }, || spin.call(&mut store, ())) }
        })();
        ended.store(1, Release);
        let joined = watcher.join();
        match result {
            Err(error) if error.downcast_ref::<Trap>() == Some(&Trap::UnreachableCodeReached) && joined.is_ok() => Ok(()),
            Err(error) => Err(format!("the stop of a spin loop ended as: {error:#}")),
            Ok(()) => Err("a spin loop returned".into()),
        }
    }
}

/// Engines whose guests look at an epoch instead of being interrupted.
static EPOCH_ENGINES: Mutex<Vec<EngineWeak>> = Mutex::new(Vec::new());
static EPOCH_COUNT: AtomicU32 = AtomicU32::new(0);

pub fn add_epoch_engine(engine: &wasmtime::Engine) {
    let mut engines = EPOCH_ENGINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    engines.retain(|engine| engine.upgrade().is_some());
    engines.push(engine.weak());
    EPOCH_COUNT.store(engines.len() as u32, Release);
}

/// Interrupts the thread that runs under `record`. The thread may have left in the meantime or be gone: then the
/// signal finds no entry that must end, or no thread.
pub fn kick(record: &Record) {
    let thread = record.thread.load(Acquire);
    if thread != 0 {
        // SAFETY: no memory is involved; an unknown thread is an error that does not matter.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
    }
    if EPOCH_COUNT.load(Acquire) != 0 {
        for engine in EPOCH_ENGINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
        }
    }
}

/// # Safety
/// `record` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_record_kick(record: *const Record) {
    // SAFETY: the caller's contract.
    kick(unsafe { &*record });
}

#[unsafe(no_mangle)]
pub extern "C" fn berth_current_stopped() -> bool {
    current_stopped()
}

/// # Safety
/// `engine` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_stop_self_test(engine: *const Engine) -> bool {
    // SAFETY: the caller's contract.
    let engine = unsafe { &*engine };
    let test = || engine.stop_stub().is_ok_and(|stub| stub.self_test(&engine.engine).is_ok());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).unwrap_or(false)
}
