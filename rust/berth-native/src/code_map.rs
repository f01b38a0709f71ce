//! Where the function bodies of a module lie in memory: the only places at which a running guest may be stopped.

use wasmtime::Module;

/// Sorted ranges of function bodies. Trampolines, start-up functions and builtins are left out, and neighbouring
/// bodies are not merged, since the padding between two could hold a trampoline.
pub struct CodeMap {
    ranges: Box<[(usize, usize)]>,
}

impl CodeMap {
    /// Contains nothing: guests that are not to be interrupted.
    pub fn empty() -> &'static CodeMap {
        static EMPTY: std::sync::OnceLock<CodeMap> = std::sync::OnceLock::new();
        EMPTY.get_or_init(|| CodeMap { ranges: Box::new([]) })
    }

    pub fn of(module: &Module) -> CodeMap {
        let base = module.text().as_ptr() as usize;
        let mut ranges: Vec<_> =
            module.functions().filter(|body| body.len > 0).map(|body| (base + body.offset, base + body.offset + body.len)).collect();
        ranges.sort_unstable();
        CodeMap { ranges: ranges.into() }
    }

    /// Called from a signal handler: no allocation, no lock.
    pub fn contains(&self, pc: usize) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= pc);
        after > 0 && pc < self.ranges[after - 1].1
    }
}
