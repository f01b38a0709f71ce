//! Growth of memories and tables: allowed, answered with -1, or the end of the call.

use wasmtime::{Error, ResourceLimiter, Result};

use crate::abi::MemoryAccount;
use crate::call::Failure;
use crate::stop;

const WASM32_BYTES: usize = 1 << 32;

/// Limits of one instance, and what it did about them. In the call's context; the store's limiter points here.
pub struct Limits {
    pub memory: u64,
    pub table: u64,
    pub trap: bool,
    /// Null, or what the call holds in all; valid for the call.
    pub account: *mut MemoryAccount,
    /// Until the instance exists a refusal is a module that asks for too much, not a growth.
    pub instantiating: bool,
    pub peak_memory: u64,
    pub denied_memory: u32,
    pub denied_table: u32,
    pub failure: Failure,
}

// SAFETY: the account belongs to the call under way and is touched by the thread that runs it alone.
unsafe impl Send for Limits {}

impl Limits {
    pub fn new() -> Limits {
        Limits { memory: u64::MAX, table: u64::MAX, trap: false, account: std::ptr::null_mut(), instantiating: true, peak_memory: 0, denied_memory: 0, denied_table: 0, failure: Failure::None }
    }

    /// Adds a growth to what the call holds, unless that would pass the limit of the sum.
    fn account_for(&mut self, bytes: u64) -> bool {
        // SAFETY: null, or the account of the call under way, which only this thread touches.
        let Some(account) = (unsafe { self.account.as_mut() }) else { return true };
        if self.instantiating {
            return true; // the caller counted what the module begins with
        }
        let held = account.guest.saturating_add(account.host);
        if bytes > account.total_limit.saturating_sub(held) {
            account.denied += 1;
            return false;
        }
        account.guest += bytes;
        true
    }

    /// A growth is a call out of the guest, so it looks at the mark that stops the call.
    fn look_at_mark(&mut self) -> Result<()> {
        if !self.instantiating && stop::current_stopped() {
            self.failure = Failure::Stopped;
            return Err(Error::msg("stopped"));
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.look_at_mark()?;
        if desired > maximum.unwrap_or(WASM32_BYTES).min(WASM32_BYTES) {
            return Ok(false); // beyond what the module itself declares: not ours to count
        }
        if desired as u64 <= self.memory && self.account_for((desired - current) as u64) {
            self.peak_memory = self.peak_memory.max(desired as u64);
            return Ok(true);
        }
        if self.instantiating {
            self.failure = Failure::Limit(format!("the module declares a memory of {desired} bytes; the limit is {}", self.memory));
            return Err(Error::msg("memory minimum above the limit"));
        }
        self.denied_memory += 1;
        if self.trap {
            self.failure = Failure::MemoryDenied;
            return Err(Error::msg("memory growth past the limit"));
        }
        Ok(false)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        // The limit allowed it and the machine could not: never shown to the guest, whose course must not depend on it.
        self.failure = Failure::Machine;
        Err(error.context("the machine could not grow the memory"))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.look_at_mark()?;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if desired as u64 <= self.table && self.account_for(8 * (desired - current) as u64) {
            return Ok(true);
        }
        if self.instantiating {
            self.failure = Failure::Limit(format!("the module declares a table of {desired} elements; the limit is {}", self.table));
            return Err(Error::msg("table minimum above the limit"));
        }
        self.denied_table += 1;
        if self.trap {
            self.failure = Failure::TableDenied;
            return Err(Error::msg("table growth past the limit"));
        }
        Ok(false)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failure = Failure::Machine;
        Err(error.context("the machine could not grow the table"))
    }

    fn instances(&self) -> usize {
        usize::MAX
    }
    fn tables(&self) -> usize {
        usize::MAX
    }
    fn memories(&self) -> usize {
        usize::MAX
    }
}
