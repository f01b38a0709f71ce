//! Stores with several instances for the specification tests (`berth_native/testing.h`): `spectest`, registered modules,
//! and private exports of the metering pass set before each call.

use std::collections::HashMap;

use wasmtime::{
    Extern, ExternRef, Func, Global, GlobalType, HeapType, Instance, Memory, MemoryType, Mutability, Ref, RefType, Store, Table, TableType,
    V128, Val, ValType,
};

use crate::abi::{Outcome, Text, guard, slice};
use crate::config::Engine;
use crate::error::CError;
use crate::module::Module;
use crate::trap;

const FUEL: &str = "\0berth.fuel";
const DEPTH: &str = "\0berth.depth";
const CHECK: &str = "\0berth.check";
const START: &str = "\0berth.start";

/// `BERTH_TRAP_OTHER`.
const OTHER: u32 = 10;

const BUDGET: i64 = 1 << 60;
const LEVELS: i32 = 1 << 30;

#[repr(C)]
pub struct TestValue {
    kind: u32,
    is_null: bool,
    bits: [u64; 2],
}

pub struct TestStore {
    store: Store<()>,
    counts: bool,
    instances: Vec<Instance>,
    registered: HashMap<String, Instance>,
    spectest: HashMap<&'static str, Extern>,
    check: Func,
    fuel: Vec<Global>,
    depth: Vec<Global>,
    used: u64,
}

impl TestStore {
    fn new(engine: &Engine) -> Result<TestStore, CError> {
        let mut store = Store::new(&engine.engine, ());
        let counts = engine.options.engine_fuel;
        if counts {
            store.set_fuel(BUDGET as u64).map_err(|error| CError::instantiation(&error))?;
        }
        if engine.epochs {
            store.set_epoch_deadline(u64::MAX / 2);
        }
        let check = Func::wrap(&mut store, || {});
        let spectest = spectest(&mut store).map_err(|error| CError::instantiation(&error))?;
        Ok(TestStore { store, counts, instances: vec![], registered: HashMap::new(), spectest, check, fuel: vec![], depth: vec![], used: 0 })
    }

    fn refill(&mut self) {
        if self.counts {
            let _ = self.store.set_fuel(BUDGET as u64);
        }
        for global in &self.fuel {
            let _ = global.set(&mut self.store, Val::I64(BUDGET));
        }
        for global in &self.depth {
            let _ = global.set(&mut self.store, Val::I32(LEVELS));
        }
    }

    fn settle(&mut self) {
        self.used = if self.counts {
            (BUDGET as u64).saturating_sub(self.store.get_fuel().unwrap_or(0))
        } else {
            self.fuel.iter().map(|global| (BUDGET - global.get(&mut self.store).i64().unwrap_or(0)) as u64).sum()
        };
    }

    fn instantiate(&mut self, module: &Module) -> Result<u32, (Outcome, u32)> {
        let unlinked = (Outcome::NotStarted, trap::NONE);
        let mut imports = vec![];
        for import in module.module.imports() {
            let found = match import.module() {
                "spectest" => self.spectest.get(import.name()).cloned(),
                other => self.registered.get(other).copied().and_then(|instance| instance.get_export(&mut self.store, import.name())),
            };
            imports.push(found.ok_or(unlinked)?);
        }
        self.refill();
        let instance = Instance::new(&mut self.store, &module.module, &imports).map_err(|error| match error.is::<wasmtime::Trap>() {
            true => trap::classify(&error),
            false => unlinked,
        })?;
        self.fuel.extend(instance.get_global(&mut self.store, FUEL));
        self.depth.extend(instance.get_global(&mut self.store, DEPTH));
        if let Some(table) = instance.get_table(&mut self.store, CHECK) {
            table.set(&mut self.store, 0, Ref::Func(Some(self.check))).map_err(|_| unlinked)?;
        }
        self.instances.push(instance);
        let index = self.instances.len() as u32 - 1;
        self.refill();
        if let Some(start) = instance.get_func(&mut self.store, START) {
            start.call(&mut self.store, &[], &mut []).map_err(|error| trap::classify(&error))?;
        }
        Ok(index)
    }

    fn call(&mut self, instance: u32, name: &str, arguments: &[TestValue]) -> Result<Vec<TestValue>, (Outcome, u32)> {
        let missing = (Outcome::NotStarted, trap::NONE);
        let instance = *self.instances.get(instance as usize).ok_or(missing)?;
        let function = instance.get_func(&mut self.store, name).ok_or(missing)?;
        let ty = function.ty(&self.store);
        let pairs = arguments.iter().zip(ty.params());
        let arguments = pairs.map(|(value, ty)| value.to_engine(&mut self.store, &ty)).collect::<Option<Vec<_>>>().ok_or(missing)?;
        let mut results = vec![Val::I32(0); ty.results().len()];
        self.refill();
        let ended = function.call(&mut self.store, &arguments, &mut results);
        self.settle();
        ended.map_err(|error| trap::classify(&error))?;
        results.iter().map(|value| TestValue::of(value, &self.store)).collect::<Option<Vec<_>>>().ok_or(missing)
    }
}

impl TestValue {
    fn number(kind: u32, bits: u64) -> TestValue {
        TestValue { kind, is_null: false, bits: [bits, 0] }
    }

    fn of(value: &Val, store: &Store<()>) -> Option<TestValue> {
        Some(match value {
            Val::I32(bits) => TestValue::number(0, u64::from(*bits as u32)),
            Val::I64(bits) => TestValue::number(1, *bits as u64),
            Val::F32(bits) => TestValue::number(2, u64::from(*bits)),
            Val::F64(bits) => TestValue::number(3, *bits),
            Val::V128(bits) => {
                let bits = bits.as_u128();
                TestValue { kind: 4, is_null: false, bits: [bits as u64, (bits >> 64) as u64] }
            }
            Val::FuncRef(function) => TestValue { kind: 5, is_null: function.is_none(), bits: [0, 0] },
            Val::ExternRef(None) => TestValue { kind: 6, is_null: true, bits: [0, 0] },
            Val::ExternRef(Some(reference)) => {
                let number = reference.data(store).ok()??.downcast_ref::<u32>().copied()?;
                TestValue::number(6, u64::from(number))
            }
            _ => return None,
        })
    }

    /// A null has no type of its own.
    fn to_engine(&self, store: &mut Store<()>, ty: &ValType) -> Option<Val> {
        if self.is_null {
            return ty.as_ref().map(|reference| Val::null_ref(reference.heap_type()));
        }
        Some(match self.kind {
            0 => Val::I32(self.bits[0] as i32),
            1 => Val::I64(self.bits[0] as i64),
            2 => Val::F32(self.bits[0] as u32),
            3 => Val::F64(self.bits[0]),
            4 => Val::V128(V128::from(u128::from(self.bits[0]) | u128::from(self.bits[1]) << 64)),
            6 => Val::ExternRef(Some(ExternRef::new(store, self.bits[0] as u32).ok()?)),
            _ => return None,
        })
    }
}

/// The module that the specification tests import from.
fn spectest(store: &mut Store<()>) -> wasmtime::Result<HashMap<&'static str, Extern>> {
    let global = |store: &mut Store<()>, ty: ValType, value: Val| Global::new(store, GlobalType::new(ty, Mutability::Const), value).map(Extern::from);
    let table = TableType::new(RefType::new(true, HeapType::Func), 10, Some(20));
    Ok(HashMap::from([
        ("print", Func::wrap(&mut *store, || {}).into()),
        ("print_i32", Func::wrap(&mut *store, |_: i32| {}).into()),
        ("print_i64", Func::wrap(&mut *store, |_: i64| {}).into()),
        ("print_f32", Func::wrap(&mut *store, |_: f32| {}).into()),
        ("print_f64", Func::wrap(&mut *store, |_: f64| {}).into()),
        ("print_i32_f32", Func::wrap(&mut *store, |_: i32, _: f32| {}).into()),
        ("print_f64_f64", Func::wrap(&mut *store, |_: f64, _: f64| {}).into()),
        ("global_i32", global(store, ValType::I32, Val::I32(666))?),
        ("global_i64", global(store, ValType::I64, Val::I64(666))?),
        ("global_f32", global(store, ValType::F32, Val::F32(666.6_f32.to_bits()))?),
        ("global_f64", global(store, ValType::F64, Val::F64(666.6_f64.to_bits()))?),
        ("table", Table::new(&mut *store, table, Ref::Func(None))?.into()),
        ("memory", Memory::new(&mut *store, MemoryType::new(1, Some(2)))?.into()),
    ]))
}

/// # Safety
/// `engine` is valid; `store` takes the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_store_new(engine: *const Engine, store: *mut *mut TestStore) -> *mut CError {
    guard(|| {
        // SAFETY: the caller's contract.
        let made = TestStore::new(unsafe { &*engine })?;
        // SAFETY: as above; written last.
        unsafe { store.write(Box::into_raw(Box::new(made))) };
        Ok(())
    })
}

/// # Safety
/// `store` was given out and is deleted once; null does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_store_delete(store: *mut TestStore) {
    if !store.is_null() {
        // SAFETY: takes back the box that was given out.
        drop(unsafe { Box::from_raw(store) });
    }
}

/// # Safety
/// All pointers are valid; the module was compiled by the store's engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_instantiate(store: *mut TestStore, module: *const Module, instance: *mut u32, code: *mut u32) -> u32 {
    // SAFETY: the caller's contract.
    let (store, module, instance, code) = unsafe { (&mut *store, &*module, &mut *instance, &mut *code) };
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.instantiate(module)));
    let (outcome, trap) = match done {
        Ok(Ok(index)) => {
            *instance = index;
            (Outcome::Returned, trap::NONE)
        }
        Ok(Err(ended)) => ended,
        Err(_) => (Outcome::NotStarted, OTHER),
    };
    *code = trap;
    outcome as u32
}

/// # Safety
/// `store` is valid and `name` readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_register(store: *mut TestStore, instance: u32, name: Text) {
    // SAFETY: the caller's contract.
    let (store, name) = unsafe { (&mut *store, name.to_string()) };
    if let Some(instance) = store.instances.get(instance as usize) {
        store.registered.insert(name, *instance);
    }
}

/// # Safety
/// All pointers are valid for their counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_call(
    store: *mut TestStore,
    instance: u32,
    name: Text,
    arguments: *const TestValue,
    argument_count: usize,
    results: *mut TestValue,
    room: usize,
    count: *mut usize,
    code: *mut u32,
) -> u32 {
    // SAFETY: the caller's contract.
    let (store, name, arguments, code) = unsafe { (&mut *store, name.to_string(), slice(arguments, argument_count), &mut *code) };
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.call(instance, &name, arguments)));
    let (outcome, trap) = match done {
        Ok(Ok(values)) if values.len() <= room => {
            // SAFETY: the caller's contract, and it was just compared with the room.
            unsafe { count.write(values.len()) };
            for (index, value) in values.into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { results.add(index).write(value) };
            }
            (Outcome::Returned, trap::NONE)
        }
        Ok(Err(ended)) => ended,
        Ok(Ok(_)) | Err(_) => (Outcome::NotStarted, OTHER),
    };
    *code = trap;
    outcome as u32
}

/// # Safety
/// All pointers are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_global(store: *mut TestStore, instance: u32, name: Text, value: *mut TestValue) -> bool {
    // SAFETY: the caller's contract.
    let (store, name) = unsafe { (&mut *store, name.to_string()) };
    let Some(instance) = store.instances.get(instance as usize).copied() else { return false };
    let Some(global) = instance.get_global(&mut store.store, &name) else { return false };
    let read = global.get(&mut store.store);
    let Some(read) = TestValue::of(&read, &store.store) else { return false };
    // SAFETY: the caller's contract.
    unsafe { value.write(read) };
    true
}

/// # Safety
/// `store` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn berth_test_fuel_used(store: *const TestStore) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { &*store }.used
}
