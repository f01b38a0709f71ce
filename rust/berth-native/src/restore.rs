//! A used instance put back in place: a fresh one for the price of copying the pages it has ever written.
//!
//! The instance stays in its slot. Right after it was made its memory is write-protected; the first write to a page
//! faults once, the handler saves the page as it was and opens it. From then on each call pays one copy per opened
//! page. Globals are put back as one run of bytes that ends with those of the metering pass. Everything else a guest
//! can change makes the instance unfit: growth, a trap, a stop, too many pages; tables and segments are excluded by the
//! facts of the pass. The start section and the initialiser are not part of what is kept: they run for every call.
//!
//! The fault handler stands in front of the engine's. A memory is only ever written by the thread that runs its
//! instance, so the handler looks at the regions this thread has entered and at nothing else.

use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::*, compiler_fence};

use wasmtime::{Extern, Instance, Module, Store, Val};

use crate::instance::Live;
use crate::link::Linked;

const PAGE: usize = 4096;

/// A memory has at most 2^20 pages, so the top bit of a page's number is free. A page of zeros is cleared, not copied:
/// half of the bytes go through the caches.
const WAS_ZERO: u32 = 1 << 31;

/// What the handler may touch: one memory and the pages of it that were opened.
pub struct Region {
    base: *mut u8,
    size: usize,
    /// Opened pages in the order of their first writes, `WAS_ZERO` added to those that held nothing but zeros, and what
    /// the others held; both with room for `capacity`.
    pages: *mut u32,
    saved: *mut u8,
    count: usize,
    capacity: usize,
    /// More pages were written than can be put back: everything is open and the instance is to be dropped.
    overflown: bool,
    /// The machine refused to open a page.
    failed: bool,
    previous: *mut Region,
}

thread_local! {
    static CURRENT: Cell<*mut Region> = const { Cell::new(null_mut()) };
}

/// Opened pages of the whole process: each can split a mapping in two more, of which the kernel allows a number.
static OPEN_PAGES: AtomicI64 = AtomicI64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);

fn open_pages_allowed() -> i64 {
    static ALLOWED: OnceLock<i64> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse::<i64>().ok());
        mappings.unwrap_or(65_530) / 8
    })
}

impl Region {
    fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.base as usize) < self.size
    }

    /// Called from the handler: no allocation, no lock.
    fn open(&mut self, address: usize, allowed: i64) -> bool {
        let page = (address - self.base as usize) / PAGE;
        // SAFETY: the page lies in the region, which is mapped as long as it is registered, and the saved pages have
        // room for `capacity`. mprotect and memcpy are safe in a handler.
        unsafe {
            let start = self.base.add(page * PAGE);
            if self.count < self.capacity && OPEN_PAGES.load(Relaxed) < allowed {
                let mut entry = page as u32;
                if std::slice::from_raw_parts(start.cast::<u64>(), PAGE / 8).iter().all(|word| *word == 0) {
                    entry |= WAS_ZERO;
                } else {
                    std::ptr::copy_nonoverlapping(start, self.saved.add(self.count * PAGE), PAGE);
                }
                if libc::mprotect(start.cast(), PAGE, libc::PROT_READ | libc::PROT_WRITE) == 0 {
                    self.pages.add(self.count).write(entry);
                    self.count += 1;
                    OPEN_PAGES.fetch_add(1, Relaxed);
                    FAULTS.fetch_add(1, Relaxed);
                    return true;
                }
            }
            self.overflown = true;
            if libc::mprotect(self.base.cast(), self.size, libc::PROT_READ | libc::PROT_WRITE) == 0 {
                return true;
            }
            self.failed = true;
            false
        }
    }
}

/// Whoever handled faults before, written before our handler is installed.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static ALLOWED: AtomicI64 = AtomicI64::new(0);

unsafe extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's information about a fault.
    let address = unsafe { (*info).si_addr() } as usize;
    let mut region = CURRENT.get();
    // SAFETY: regions in the list belong to calls further up this thread's stack; only this thread uses them.
    while let Some(entered) = unsafe { region.as_mut() } {
        if entered.contains(address) {
            if entered.open(address, ALLOWED.load(Relaxed)) {
                return;
            }
            break;
        }
        region = entered.previous;
    }
    let Some(previous) = PREVIOUS.get() else { return };
    // SAFETY: the handler that was installed before, called as it asked to be.
    unsafe {
        if previous.sa_sigaction == libc::SIG_DFL || previous.sa_sigaction == libc::SIG_IGN {
            libc::sigaction(signal, previous, null_mut()); // the instruction faults again and ends the process
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(previous.sa_sigaction);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(i32) = std::mem::transmute(previous.sa_sigaction);
            handler(signal);
        }
    }
}

/// Installs the handler once, over the engine's, which an engine has installed before.
fn install() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        ALLOWED.store(open_pages_allowed(), Relaxed);
        // SAFETY: a zeroed action is valid; the handler keeps to what a handler may do.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGSEGV, std::ptr::null(), &mut before) != 0 {
                return false;
            }
            let _ = PREVIOUS.set(before);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaddset(&mut action.sa_mask, libc::SIGURG);
            libc::sigaction(libc::SIGSEGV, &action, null_mut()) == 0
        }
    })
}

/// Saved pages of a region, mapped so that only those in use take memory.
struct Saved {
    data: *mut u8,
    size: usize,
}

impl Saved {
    fn new(pages: usize) -> Option<Saved> {
        let size = pages * PAGE;
        // SAFETY: a new private mapping.
        let data = unsafe { libc::mmap(null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        (data != libc::MAP_FAILED).then_some(Saved { data: data.cast(), size })
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and nothing refers into it any more.
        unsafe { libc::munmap(self.data.cast(), self.size) };
    }
}

/// The memory of an instance under protection, and its globals as they were.
pub struct Image {
    region: Box<Region>,
    _pages: Vec<u32>,
    _saved: Saved,
    globals_at: *mut u8,
    globals: Box<[u8]>,
}

impl Image {
    /// Protects the memory (`size` bytes at `base`, a multiple of the page size) and keeps the globals.
    ///
    /// # Safety
    /// The memory belongs to an instance that no guest code has entered; `globals_at` points at `globals_size` bytes of
    /// its globals. Both outlive the image.
    unsafe fn new(base: *mut u8, size: usize, globals_at: *mut u8, globals_size: usize, capacity: usize) -> Option<Image> {
        if !install() || size % PAGE != 0 {
            return None;
        }
        let mut pages = vec![0u32; capacity];
        let saved = Saved::new(capacity)?;
        // SAFETY: the caller's contract.
        let globals = unsafe { std::slice::from_raw_parts(globals_at, globals_size) }.into();
        let region = Box::new(Region {
            base,
            size,
            pages: pages.as_mut_ptr(),
            saved: saved.data,
            count: 0,
            capacity,
            overflown: false,
            failed: false,
            previous: null_mut(),
        });
        // SAFETY: the memory is this instance's own; nobody writes to it before the region is entered.
        if size > 0 && unsafe { libc::mprotect(base.cast(), size, libc::PROT_READ) } != 0 {
            return None;
        }
        Some(Image { region, _pages: pages, _saved: saved, globals_at, globals })
    }

    /// Runs `body`, which may write to the memory.
    pub fn entered<R>(&mut self, body: impl FnOnce() -> R) -> R {
        struct Leave(*mut Region);
        impl Drop for Leave {
            fn drop(&mut self) {
                compiler_fence(SeqCst);
                CURRENT.set(self.0);
                compiler_fence(SeqCst);
            }
        }
        self.region.previous = CURRENT.get();
        let _leave = Leave(self.region.previous);
        compiler_fence(SeqCst);
        CURRENT.set(&mut *self.region);
        compiler_fence(SeqCst);
        body()
    }

    pub fn is_overflown(&self) -> bool {
        self.region.overflown
    }

    pub fn has_failed(&self) -> bool {
        self.region.failed
    }

    /// Puts pages and globals back.
    ///
    /// # Safety
    /// The memory has its first size, and no guest code of the instance runs.
    pub unsafe fn put_back(&mut self) {
        let region = &*self.region;
        // SAFETY: pages and saved copies up to `count` were written by the handler; the pages are open.
        unsafe {
            let pages = std::slice::from_raw_parts(region.pages, region.count);
            let mut first = 0;
            while first < pages.len() {
                // Neighbours that were opened one after another, as a guest that fills a buffer does, go as one piece.
                let run = pages[first..].iter().zip(pages[first]..).take_while(|(page, next)| **page == *next).count();
                let start = region.base.add((pages[first] & !WAS_ZERO) as usize * PAGE);
                if pages[first] & WAS_ZERO != 0 {
                    std::ptr::write_bytes(start, 0, run * PAGE);
                } else {
                    std::ptr::copy_nonoverlapping(region.saved.add(first * PAGE), start, run * PAGE);
                }
                first += run;
            }
            std::ptr::copy_nonoverlapping(self.globals.as_ptr(), self.globals_at, self.globals.len());
        }
    }
}

impl Drop for Image {
    /// Opens everything: the pool writes to the memory when it takes it back.
    fn drop(&mut self) {
        OPEN_PAGES.fetch_sub(self.region.count as i64, Relaxed);
        if self.region.size > 0 {
            // SAFETY: the instance is still there: a slot drops its image first.
            unsafe { libc::mprotect(self.region.base.cast(), self.region.size, libc::PROT_READ | libc::PROT_WRITE) };
        }
    }
}

/// An instance kept for the next call. The image is dropped before the instance.
pub struct Slot {
    pub image: Image,
    pub live: Live,
}

// SAFETY: a slot is used by one thread at a time: it is taken out of its list for a call. The pointers in it lead to
// memory of its own instance.
unsafe impl Send for Slot {}

impl Slot {
    /// Keeps a new instance, if its module and its memory allow that.
    ///
    /// # Safety
    /// No guest code has entered the instance.
    pub unsafe fn new(linked: &Linked, live: Live) -> Result<Slot, Live> {
        let vmctx = live.places.vmctx;
        let Some(layout) = linked.layout.get().filter(|layout| layout.globals_size > 0 && !vmctx.is_null()) else { return Err(live) };
        if live.places.memory.is_null() && linked.module.has_memory {
            return Err(live); // a memory that cannot be seen cannot be put back
        }
        // SAFETY: the definition of the live instance, or null when there is no memory.
        let (base, size) = unsafe { live.places.memory.as_ref() }.map_or((null_mut(), 0), |memory| (memory.base, memory.size));
        let capacity = linked.module.engine.options.restore_pages as usize;
        // SAFETY: the caller's contract; the globals begin where the layout says.
        match unsafe { Image::new(base, size, vmctx.add(layout.globals), layout.globals_size, capacity) } {
            Some(image) => Ok(Slot { image, live }),
            None => Err(live),
        }
    }

    /// Puts the instance back after a call that returned; false: it is to be dropped.
    pub fn put_back(&mut self) -> bool {
        // SAFETY: as in `new`.
        let size = unsafe { self.live.places.memory.as_ref() }.map_or(0, |memory| memory.size);
        if size != self.image.region.size || self.image.is_overflown() {
            return false;
        }
        // SAFETY: the size is the first one; the call has ended.
        unsafe { self.image.put_back() };
        true
    }
}

/// First writes to pages so far, in the whole process.
pub fn faults() -> u64 {
    FAULTS.load(Relaxed)
}

const PROBE: &str = r#"(module (memory (export "memory") 3) (global $a (export "a") (mut i64) (i64.const 5)) (global $b (mut i32) (i32.const 6))
  (data (i32.const 4000) "some bytes that cross from one page into another one, and are put back as they were")
  (func (export "scribble") (param i32) (local $at i32)
    (loop $next (i64.store (local.get $at) (i64.extend_i32_u (local.get 0)))
      (local.set $at (i32.add (local.get $at) (i32.const 1016)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 196600))))
    (global.set $a (i64.extend_i32_u (local.get 0))) (global.set $b (local.get 0))))"#;

/// Writes all over an instance, puts it back, and compares it with a new one; twice, since the second time no page
/// faults any more.
pub fn self_test(engine: &wasmtime::Engine) -> Result<(), String> {
    let text = |error: wasmtime::Error| format!("{error:#}");
    let module = Module::new(engine, PROBE).map_err(text)?;
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).map_err(text)?;
    let memory = instance.get_memory(&mut store, "memory").ok_or("no memory")?;
    let scribble = instance.get_typed_func::<i32, ()>(&mut store, "scribble").map_err(text)?;
    let mut fresh_store = Store::new(engine, ());
    let fresh = Instance::new(&mut fresh_store, &module, &[]).map_err(text)?;
    let untouched = fresh.get_memory(&mut fresh_store, "memory").ok_or("no memory")?;
    let mut none = [0u8; 0];
    // SAFETY: nothing has entered the instance; the image is dropped before the store.
    let image = unsafe { Image::new(memory.data_ptr(&store), memory.data_size(&store), none.as_mut_ptr(), 0, 64) };
    let mut image = image.ok_or("the memory cannot be protected")?;
    for round in 1..=2 {
        image.entered(|| scribble.call(&mut store, 0x5a5a_0000 + round)).map_err(text)?;
        if memory.data(&store) == untouched.data(&fresh_store) || image.region.count != 48 {
            return Err("writes were not noticed".into());
        }
        // SAFETY: the memory cannot have grown; the call has ended.
        unsafe { image.put_back() };
        if memory.data(&store) != untouched.data(&fresh_store) {
            return Err("the memory differs from a new one".into());
        }
    }
    let Some(Extern::Global(global)) = instance.get_export(&mut store, "a") else { return Err("no global".into()) };
    match global.get(&mut store) {
        Val::I64(0x5a5a_0002) => Ok(()),
        _ => Err("the globals are not where they should be".into()),
    }
}
