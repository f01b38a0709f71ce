//! Compiled modules: made, stored as code and loaded again, described.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::sync::{Arc, OnceLock};

use wasmtime::{ExternType, HeapType, ModuleExport, ValType};

use crate::abi::{Bytes, ModuleFacts, Text, guard, slice};
use crate::code_map::CodeMap;
use crate::config::Engine;
use crate::error::{CError, ErrorKind, module_error};
use crate::stop;

pub const FUNCTION: u32 = 0;

/// Types of a function as the C side sees them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Signature {
    pub params: Vec<u8>,
    pub results: Vec<u8>,
}

pub struct Import {
    pub module: String,
    pub name: String,
    pub kind: u32,
    pub signature: Signature,
}

pub struct Export {
    pub name: String,
    pub kind: u32,
    pub signature: Signature,
    /// Room that a call needs: the larger of parameters and results.
    pub value_count: usize,
    pub handle: ModuleExport,
}

pub struct Module {
    pub engine: Arc<Engine>,
    pub module: wasmtime::Module,
    pub facts: ModuleFacts,
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
    pub map: CodeMap,
    stop_pc: OnceLock<usize>,
    pub private: PrivateExports,
    /// Bytes of the memory and elements of the largest table that an instance begins with.
    pub has_memory: bool,
    pub initial_memory: u64,
    pub initial_table: u64,
}

/// What the metering pass added, by export index.
#[derive(Default, Clone, Copy)]
pub struct PrivateExports {
    pub fuel: Option<u32>,
    pub depth: Option<u32>,
    pub check: Option<u32>,
    pub start: Option<u32>,
}

pub fn value_type(ty: &ValType) -> u8 {
    match ty {
        ValType::I32 => 0,
        ValType::I64 => 1,
        ValType::F32 => 2,
        ValType::F64 => 3,
        ValType::V128 => 4,
        ValType::Ref(reference) if matches!(reference.heap_type(), HeapType::Extern | HeapType::NoExtern) => 6,
        ValType::Ref(_) => 5,
    }
}

fn describe(ty: ExternType) -> (u32, Signature) {
    match ty {
        ExternType::Func(ty) => (
            FUNCTION,
            Signature { params: ty.params().map(|ty| value_type(&ty)).collect(), results: ty.results().map(|ty| value_type(&ty)).collect() },
        ),
        ExternType::Table(_) => (1, Signature::default()),
        ExternType::Memory(_) => (2, Signature::default()),
        ExternType::Global(_) => (3, Signature::default()),
        ExternType::Tag(_) => (4, Signature::default()),
    }
}

impl Module {
    fn new(engine: Arc<Engine>, module: wasmtime::Module, facts: ModuleFacts) -> Result<Module, CError> {
        let imports = module
            .imports()
            .map(|import| {
                let (kind, signature) = describe(import.ty());
                Import { module: import.module().into(), name: import.name().into(), kind, signature }
            })
            .collect();
        let exports = module
            .exports()
            .map(|export| {
                let (kind, signature) = describe(export.ty());
                let handle = module.get_export_index(export.name());
                handle.map(|handle| Export { name: export.name().into(), kind, value_count: signature.params.len().max(signature.results.len()), signature, handle })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| CError::new(ErrorKind::Internal, "an export has no index"))?;
        let find = |name: &str| exports.iter().position(|export: &Export| export.name == name).map(|index| index as u32);
        let private = PrivateExports {
            fuel: find("\0berth.fuel"),
            depth: find("\0berth.depth"),
            check: find("\0berth.check"),
            start: find("\0berth.start"),
        };
        let map = CodeMap::of(&module);
        let required = module.resources_required();
        let initial_memory = required.max_initial_memory_size.unwrap_or(0).saturating_mul(1 << 16);
        let initial_table = required.max_initial_table_size.unwrap_or(0);
        Ok(Module { engine, module, facts, imports, exports, map, stop_pc: OnceLock::new(), private, has_memory: required.num_memories > 0, initial_memory, initial_table })
    }

    /// The trap instruction that stopped guests are sent to; found at first need.
    #[inline]
    pub fn stop_pc(&self) -> Result<usize, CError> {
        match self.stop_pc.get() {
            Some(pc) => Ok(*pc),
            None => self.find_stop_pc(),
        }
    }

    #[cold]
    fn find_stop_pc(&self) -> Result<usize, CError> {
        let pc = match stop::own_trap(&self.module) {
            Some(pc) => pc,
            None => self.engine.stop_stub()?.pc,
        };
        Ok(*self.stop_pc.get_or_init(|| pc))
    }
}

/// An owner more for a handle given out by `Arc::into_raw`.
///
/// # Safety
/// `handle` is such a handle, not deleted yet.
pub unsafe fn share<T>(handle: *const T) -> Arc<T> {
    // SAFETY: the caller's contract.
    unsafe {
        Arc::increment_strong_count(handle);
        Arc::from_raw(handle)
    }
}

/// # Safety
/// `engine` is valid, `wasm` points at `size` bytes, `module` at room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_compile(
    engine: *const Engine,
    wasm: *const u8,
    size: usize,
    facts: ModuleFacts,
    module: *mut *const Module,
) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let (engine, wasm) = unsafe { (share(engine), slice(wasm, size)) };
        let compiled = wasmtime::Module::from_binary(&engine.engine, wasm).map_err(|error| module_error(&error))?;
        let made = Module::new(engine, compiled, facts)?;
        unsafe { module.write(Arc::into_raw(Arc::new(made))) };
        Ok(())
    })
}

/// # Safety
/// `module` is valid, `code` points at room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_serialize(module: *const Module, code: *mut Bytes) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let bytes = unsafe { &*module }.module.serialize().map_err(|error| CError::new(ErrorKind::Internal, format!("{error:#}")))?;
        unsafe { code.write(Bytes::from_vec(bytes)) };
        Ok(())
    })
}

fn code_error(error: wasmtime::Error) -> CError {
    CError::new(ErrorKind::InvalidCode, format!("{error:#}"))
}

/// # Safety
/// As `berth_module_compile`; the bytes are code that `berth_module_serialize` made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_load(
    engine: *const Engine,
    code: *const u8,
    size: usize,
    facts: ModuleFacts,
    module: *mut *const Module,
) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract, which is also the one of `deserialize`.
        let (engine, code) = unsafe { (share(engine), slice(code, size)) };
        let loaded = unsafe { wasmtime::Module::deserialize(&engine.engine, code) }.map_err(code_error)?;
        let made = Module::new(engine, loaded, facts)?;
        unsafe { module.write(Arc::into_raw(Arc::new(made))) };
        Ok(())
    })
}

/// # Safety
/// As `berth_module_load`; `descriptor` is open, and its file does not change as long as the module lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_map(engine: *const Engine, descriptor: i32, facts: ModuleFacts, module: *mut *const Module) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let engine = unsafe { share(engine) };
        // SAFETY: the descriptor stays the caller's: never closed here.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        let own = file.try_clone().map_err(|error| CError::new(ErrorKind::Io, error.to_string()))?;
        // SAFETY: the caller's contract.
        let loaded = unsafe { wasmtime::Module::deserialize_open_file(&engine.engine, own) }.map_err(code_error)?;
        let made = Module::new(engine, loaded, facts)?;
        unsafe { module.write(Arc::into_raw(Arc::new(made))) };
        Ok(())
    })
}

/// # Safety
/// `module` was given out and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_delete(module: *const Module) {
    if !module.is_null() {
        // SAFETY: takes back the count that was given out.
        drop(unsafe { Arc::from_raw(module) });
    }
}

#[repr(C)]
pub struct ImportInfo {
    module: Text,
    name: Text,
    kind: u32,
    params: *const u8,
    param_count: usize,
    results: *const u8,
    result_count: usize,
}

#[repr(C)]
pub struct ExportInfo {
    name: Text,
    kind: u32,
    params: *const u8,
    param_count: usize,
    results: *const u8,
    result_count: usize,
}

/// # Safety
/// `module` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_import_count(module: *const Module) -> usize {
    // SAFETY: the caller's contract.
    unsafe { &*module }.imports.len()
}

/// # Safety
/// `module` and `info` are valid, `index` is below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_import(module: *const Module, index: usize, info: *mut ImportInfo) {
    // SAFETY: the caller's contract.
    let import = unsafe { &(&(*module).imports)[index] };
    let (params, results) = (&import.signature.params, &import.signature.results);
    let described = ImportInfo {
        module: Text::of(&import.module),
        name: Text::of(&import.name),
        kind: import.kind,
        params: params.as_ptr(),
        param_count: params.len(),
        results: results.as_ptr(),
        result_count: results.len(),
    };
    unsafe { info.write(described) };
}

/// # Safety
/// `module` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_export_count(module: *const Module) -> usize {
    // SAFETY: the caller's contract.
    unsafe { &*module }.exports.len()
}

/// # Safety
/// `module` and `info` are valid, `index` is below the count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_export(module: *const Module, index: usize, info: *mut ExportInfo) {
    // SAFETY: the caller's contract.
    let export = unsafe { &(&(*module).exports)[index] };
    let (params, results) = (&export.signature.params, &export.signature.results);
    let described = ExportInfo {
        name: Text::of(&export.name),
        kind: export.kind,
        params: params.as_ptr(),
        param_count: params.len(),
        results: results.as_ptr(),
        result_count: results.len(),
    };
    unsafe { info.write(described) };
}

/// # Safety
/// `module` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_module_code_size(module: *const Module) -> usize {
    // SAFETY: the caller's contract.
    let range = unsafe { &*module }.module.image_range();
    range.end as usize - range.start as usize
}
