//! Compiled components with their imports resolved.

use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::abi::{Bytes, Text, guard, slice};
use crate::component::state::{self, State};
use crate::config::Engine;
use crate::error::{CError, ErrorKind, module_error};
use crate::module::share;

pub struct Program {
    pub engine: Arc<Engine>,
    component: Component,
    pub pre: InstancePre<State>,
    /// Its exports looked up once; None: it handles no requests.
    pub handler: Option<ProxyPre<State>>,
    imports: Vec<String>,
    handles_http: bool,
    runs_command: bool,
}

impl Program {
    fn new(engine: Arc<Engine>, component: Component) -> Result<Program, CError> {
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(&engine.engine).map(|(name, _)| name.to_string()).collect();
        let exports = |interface: &str| ty.exports(&engine.engine).any(|(name, item)| name.starts_with(interface) && matches!(item.ty, ComponentItem::ComponentInstance(_)));
        let (handles_http, runs_command) = (exports("wasi:http/incoming-handler@0.2."), exports("wasi:cli/run@0.2."));
        let mut linker = Linker::<State>::new(&engine.engine);
        state::add_to_linker(&mut linker).map_err(|error| CError::new(ErrorKind::Internal, format!("{error:#}")))?;
        let pre = linker.instantiate_pre(&component).map_err(|error| CError::new(ErrorKind::ImportUnresolved, format!("{error:#}")))?;
        let handler = if handles_http { Some(ProxyPre::new(pre.clone()).map_err(|error| CError::new(ErrorKind::ImportUnresolved, format!("{error:#}")))?) } else { None };
        Ok(Program { engine, component, pre, handler, imports, handles_http, runs_command })
    }
}

fn publish(engine: Arc<Engine>, component: Component, program: *mut *const Program) -> Result<(), CError> {
    let made = Program::new(engine, component)?;
    // SAFETY: the contract of the exported functions: room for the answer.
    unsafe { program.write(Arc::into_raw(Arc::new(made))) };
    Ok(())
}

/// # Safety
/// `engine` is valid, `bytes` points at `size` bytes, `program` at room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_compile(engine: *const Engine, bytes: *const u8, size: usize, program: *mut *const Program) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let (engine, bytes) = unsafe { (share(engine), slice(bytes, size)) };
        let component = Component::from_binary(&engine.engine, bytes).map_err(|error| module_error(&error))?;
        publish(engine, component, program)
    })
}

/// # Safety
/// `program` is valid, `code` points at room for the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_serialize(program: *const Program, code: *mut Bytes) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let bytes = unsafe { &*program }.component.serialize().map_err(|error| CError::new(ErrorKind::Internal, format!("{error:#}")))?;
        unsafe { code.write(Bytes::from_vec(bytes)) };
        Ok(())
    })
}

/// # Safety
/// As `berth_component_compile`; `descriptor` is open, holds code that `berth_component_serialize` made, and its file does
/// not change as long as the component lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_map(engine: *const Engine, descriptor: i32, program: *mut *const Program) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let engine = unsafe { share(engine) };
        // SAFETY: the caller's contract; the engine opens the same file once more.
        let component = unsafe { Component::deserialize_file(&engine.engine, format!("/proc/self/fd/{descriptor}")) };
        publish(engine, component.map_err(|error| CError::new(ErrorKind::InvalidCode, format!("{error:#}")))?, program)
    })
}

/// # Safety
/// `program` was given out and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_delete(program: *const Program) {
    if !program.is_null() {
        // SAFETY: takes back the count that was given out.
        drop(unsafe { Arc::from_raw(program) });
    }
}

#[repr(C)]
pub struct Facts {
    handles_http: bool,
    runs_command: bool,
    import_count: usize,
    code_size: usize,
}

/// # Safety
/// Both are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_facts(program: *const Program, facts: *mut Facts) {
    // SAFETY: the caller's contract.
    let program = unsafe { &*program };
    let range = program.component.image_range();
    let described = Facts {
        handles_http: program.handles_http,
        runs_command: program.runs_command,
        import_count: program.imports.len(),
        code_size: range.end as usize - range.start as usize,
    };
    unsafe { facts.write(described) };
}

/// # Safety
/// `program` and `name` are valid, `index` is below the count; the text lives as long as the component.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_component_import(program: *const Program, index: usize, name: *mut Text) {
    // SAFETY: the caller's contract.
    unsafe { name.write(Text::of(&(&(*program).imports)[index])) };
}
