//! Limits of a component: the memories and tables of all its core instances together.

use wasmtime::{Error, ResourceLimiter, Result};

use crate::stop;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    Nothing,
    Memory,
    Table,
    /// Asked for at the start: there is no instance.
    AtStart,
    Machine,
}

#[derive(Clone)]
pub struct Limits {
    pub memory: u64,
    pub table: u64,
    pub trap: bool,
    pub instantiating: bool,
    pub used: u64,
    pub peak: u64,
    pub denied_memory: u32,
    pub denied_table: u32,
    pub denied: Denied,
    pub text: String,
}

impl Limits {
    pub fn new(memory: u64, table: u64, trap: bool) -> Limits {
        Limits { memory, table, trap, instantiating: true, used: 0, peak: 0, denied_memory: 0, denied_table: 0, denied: Denied::Nothing, text: String::new() }
    }

    /// For another call of the same instance: what it holds stays counted.
    pub fn begin_call(&mut self, memory: u64, table: u64, trap: bool) {
        *self = Limits { instantiating: false, used: self.used, peak: self.peak, ..Limits::new(memory, table, trap) };
    }

    fn at_start(&mut self, text: String) -> Error {
        self.denied = Denied::AtStart;
        self.text = text;
        Error::msg("the limit is below what the component needs at its start")
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if !self.instantiating && stop::current_stopped() {
            return Err(Error::msg("stopped"));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.used + (desired - current) as u64;
        if wanted <= self.memory {
            self.used = wanted;
            self.peak = self.peak.max(wanted);
            return Ok(true);
        }
        if self.instantiating {
            return Err(self.at_start(format!("the component declares memories of {wanted} bytes; the limit is {}", self.memory)));
        }
        self.denied_memory += 1;
        if self.trap {
            self.denied = Denied::Memory;
            return Err(Error::msg("memory growth past the limit"));
        }
        Ok(false)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.denied = Denied::Machine;
        Err(error.context("the machine could not grow the memory"))
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if desired as u64 <= self.table {
            return Ok(true);
        }
        if self.instantiating {
            return Err(self.at_start(format!("the component declares a table of {desired} elements; the limit is {}", self.table)));
        }
        self.denied_table += 1;
        if self.trap {
            self.denied = Denied::Table;
            return Err(Error::msg("table growth past the limit"));
        }
        Ok(false)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.denied = Denied::Machine;
        Err(error.context("the machine could not grow the table"))
    }

    fn instances(&self) -> usize {
        1_000
    }
    fn tables(&self) -> usize {
        1_000
    }
    fn memories(&self) -> usize {
        1_000
    }
}
