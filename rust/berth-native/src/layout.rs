//! Where an instance keeps its private globals and its memory definition, so that the host reads and sets them with a
//! plain load or store (through the engine's own functions each costs about 20 ns).
//!
//! The offsets come from the engine's own layout description, are checked on a real instance of each module before they
//! are used, and are the same for all instances of it. A module that cannot be checked has none of it: then the memory
//! is looked up through the engine at each entry.

use std::ffi::c_void;

use wasmtime::{Extern, Func, Instance, Store, Val};
use wasmtime_environ::{DefinedMemoryIndex, HostPtr, PtrSize, VMCONTEXT_MAGIC, VMOffsets, VMOffsetsFields};

use crate::abi::MemoryDefinition;
use crate::module::{FUNCTION, Module};

#[derive(Clone, Copy, Default, Debug)]
pub struct Layout {
    /// Export whose function is the module's own: its function reference leads to the instance.
    anchor: Option<u32>,
    memory: Option<usize>,
    pub fuel: Option<usize>,
    depth: Option<usize>,
    /// All globals up to the last one the metering pass added: where they begin and how many bytes they take.
    pub globals: usize,
    pub globals_size: usize,
}

/// The most globals searched for one; more than any module within limits has.
const MOST_GLOBALS: usize = 1 << 20;

/// The places of one instance.
#[derive(Clone, Copy)]
pub struct Places {
    pub vmctx: *mut u8,
    pub memory: *const MemoryDefinition,
    pub fuel: *mut i64,
    pub depth: *mut i32,
}

impl Places {
    pub const NONE: Places = Places { vmctx: std::ptr::null_mut(), memory: std::ptr::null(), fuel: std::ptr::null_mut(), depth: std::ptr::null_mut() };
}

fn exported<T>(module: &Module, store: &mut Store<T>, instance: Instance, index: u32) -> Option<Extern> {
    instance.get_module_export(store, &module.exports.get(index as usize)?.handle)
}

/// The instance behind a function of its own; null for a host function.
fn vmctx_of<T>(store: &mut Store<T>, function: Func) -> *mut u8 {
    let reference = function.to_raw(store).cast::<u8>();
    // SAFETY: a function reference lives as long as its store; the field's offset is the engine's own.
    let vmctx = unsafe { *reference.add(HostPtr.vm_func_ref().vmctx() as usize).cast::<*mut u8>() };
    // SAFETY: every context begins with its magic.
    if unsafe { *vmctx.cast::<u32>() } == VMCONTEXT_MAGIC { vmctx } else { std::ptr::null_mut() }
}

impl Layout {
    /// Looks at `instance`, which no guest code has entered yet; its globals are as before afterwards.
    pub fn of<T>(module: &Module, store: &mut Store<T>, instance: Instance) -> Layout {
        let mut layout = Layout::default();
        let mut vmctx = std::ptr::null_mut();
        for (index, _) in module.exports.iter().enumerate().filter(|(_, export)| export.kind == FUNCTION) {
            let Some(Extern::Func(function)) = exported(module, store, instance, index as u32) else { continue };
            vmctx = vmctx_of(store, function);
            if !vmctx.is_null() {
                layout.anchor = Some(index as u32);
                break;
            }
        }
        if vmctx.is_null() {
            return Layout::default();
        }
        let offsets = offsets_of(module);
        layout.globals = offsets.vmctx_globals_begin() as usize;
        layout.fuel = module.private.fuel.and_then(|index| global_offset(module, store, instance, index, vmctx, layout.globals));
        layout.depth = module.private.depth.and_then(|index| global_offset(module, store, instance, index, vmctx, layout.globals));
        let last = layout.fuel.max(layout.depth);
        layout.globals_size = last.map_or(0, |last| last + 16 - layout.globals);
        if module.module.resources_required().num_memories == 1 {
            layout.memory = memory_offset(module, store, instance, vmctx, &offsets);
        }
        layout
    }

    pub fn places<T>(&self, module: &Module, store: &mut Store<T>, instance: Instance) -> Places {
        let Some(Extern::Func(function)) = self.anchor.and_then(|anchor| exported(module, store, instance, anchor)) else { return Places::NONE };
        let vmctx = vmctx_of(store, function);
        if vmctx.is_null() {
            return Places::NONE;
        }
        // SAFETY: the offsets were checked on an instance of this module; the fields live as long as the instance.
        unsafe {
            Places {
                vmctx,
                memory: self.memory.map_or(std::ptr::null(), |offset| *vmctx.add(offset).cast::<*const MemoryDefinition>()),
                fuel: self.fuel.map_or(std::ptr::null_mut(), |offset| vmctx.add(offset).cast()),
                depth: self.depth.map_or(std::ptr::null_mut(), |offset| vmctx.add(offset).cast()),
            }
        }
    }
}

fn offsets_of(module: &Module) -> VMOffsets<HostPtr> {
    let imported = |kind: u32| module.imports.iter().filter(|import| import.kind == kind).count() as u32;
    let required = module.module.resources_required();
    VMOffsets::from(VMOffsetsFields {
        ptr: HostPtr,
        num_imported_functions: imported(FUNCTION),
        num_imported_tables: imported(1),
        num_imported_memories: imported(2),
        num_imported_globals: imported(3),
        num_imported_tags: imported(4),
        num_defined_tables: required.num_tables,
        num_defined_memories: required.num_memories,
        num_owned_memories: required.num_memories,
        // What follows the globals is not asked for.
        num_defined_globals: 0,
        num_defined_tags: 0,
        num_escaped_funcs: 0,
        num_runtime_data: 0,
        has_startup_func: false,
    })
}

/// Sets the global to two values that occur nowhere else and looks where they appear.
fn global_offset<T>(module: &Module, store: &mut Store<T>, instance: Instance, index: u32, vmctx: *mut u8, begin: usize) -> Option<usize> {
    let Some(Extern::Global(global)) = exported(module, store, instance, index) else { return None };
    let before = global.get(&mut *store);
    let wide = matches!(before, Val::I64(_));
    let mut found = None;
    for mark in [0x5e3d_91b7_0c44_a8f1_u64, 0x17f2_6610_9d3b_e2c5] {
        global.set(&mut *store, if wide { Val::I64(mark as i64) } else { Val::I32(mark as i32) }).ok()?;
        let shows = |slot: usize| {
            // SAFETY: the global itself is in this array, so the search ends inside the instance.
            let bits = unsafe { vmctx.add(begin + slot * 16).cast::<u64>().read_volatile() };
            if wide { bits == mark } else { bits as u32 == mark as u32 }
        };
        let slot = match found {
            None => (0..MOST_GLOBALS).find(|slot| shows(*slot))?,
            Some(slot) => shows(slot).then_some(slot)?,
        };
        found = Some(slot);
    }
    global.set(&mut *store, before).ok()?;
    found.map(|slot| begin + slot * 16)
}

/// The pointer to the definition of memory 0, when it agrees with what the engine says about an exported one.
fn memory_offset<T>(module: &Module, store: &mut Store<T>, instance: Instance, vmctx: *mut u8, offsets: &VMOffsets<HostPtr>) -> Option<usize> {
    let offset = offsets.vmctx_vmmemory_pointer(DefinedMemoryIndex::from_u32(0)) as usize;
    let index = module.exports.iter().position(|export| export.kind == 2)?;
    let Some(Extern::Memory(memory)) = exported(module, store, instance, index as u32) else { return None };
    // SAFETY: inside the instance by the engine's own layout; a module with one memory has this pointer.
    let definition = unsafe { &**vmctx.add(offset).cast::<*const MemoryDefinition>() };
    (definition.base == memory.data_ptr(&*store) && definition.size == memory.data_size(&*store)).then_some(offset)
}

/// Kept apart so that a pointer from C can be used as one.
pub fn as_context_pointer<T>(value: &mut T) -> *mut c_void {
    (value as *mut T).cast()
}
