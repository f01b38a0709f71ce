//! The peer of `bench/engine_bench.cpp`: the same work done by a Rust program on the same engine, by the engine's own
//! means. Reads one command a line, answers one number a line (nanoseconds per operation):
//!
//!     instantiate POOL PAGES COUNT     create, call with PAGES dirty pages, drop
//!     call POOL COUNT                  typed call of an empty function
//!     host POOL COUNT                  COUNT typed calls of a host function by one guest loop
//!
//! POOL is `demand`, `default` (pooling as the engine sets it up) or `tuned` (what is best of its own switches).

use std::io::{BufRead, Write};
use wasmtime::*;

const GUEST: &str = include_str!("engine_guest.wat");

/// Of this thread, in nanoseconds.
fn processor_time() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the structure it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

struct Peer {
    engine: Engine,
    pre: InstancePre<u64>,
}

impl Peer {
    fn new(pool: &str) -> Result<Peer> {
        let mut config = Config::new();
        config.concurrency_support(false).memory_may_move(false);
        if pool != "demand" {
            let mut pooling = PoolingAllocationConfig::default();
            if pool == "tuned" {
                pooling.linear_memory_keep_resident(256 << 10).table_keep_resident(4096).pagemap_scan(Enabled::Auto);
            }
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling));
        }
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, GUEST)?;
        let mut linker = Linker::<u64>::new(&engine);
        linker.func_wrap("h", "f", |mut caller: Caller<'_, u64>, x: i32| -> i32 {
            *caller.data_mut() += 1;
            x + 1
        })?;
        Ok(Peer { pre: linker.instantiate_pre(&module)?, engine })
    }

    fn instantiate(&self, pages: i32, count: u32) -> Result<f64> {
        let touch = self.pre.module().get_export_index("touch").ok_or_else(|| Error::msg("no touch"))?;
        let begin = processor_time();
        for _ in 0..count {
            let mut store = Store::new(&self.engine, 0);
            let instance = self.pre.instantiate(&mut store)?;
            let function = instance.get_module_export(&mut store, &touch).and_then(Extern::into_func).ok_or_else(|| Error::msg("no touch"))?;
            assert_eq!(function.typed::<i32, i32>(&store)?.call(&mut store, pages)?, pages);
        }
        Ok((processor_time() - begin) / f64::from(count))
    }

    fn call(&self, count: u32) -> Result<f64> {
        let mut store = Store::new(&self.engine, 0);
        let instance = self.pre.instantiate(&mut store)?;
        let empty = instance.get_typed_func::<i32, i32>(&mut store, "empty")?;
        let begin = processor_time();
        for round in 0..count as i32 {
            std::hint::black_box(empty.call(&mut store, round)?);
        }
        Ok((processor_time() - begin) / f64::from(count))
    }

    fn host(&self, count: u32) -> Result<f64> {
        let mut store = Store::new(&self.engine, 0);
        let instance = self.pre.instantiate(&mut store)?;
        let calls = instance.get_typed_func::<i32, i32>(&mut store, "calls")?;
        let begin = processor_time();
        calls.call(&mut store, count as i32)?;
        Ok((processor_time() - begin) / f64::from(count))
    }
}

fn main() -> Result<()> {
    let peers = [("demand", Peer::new("demand")?), ("default", Peer::new("default")?), ("tuned", Peer::new("tuned")?)];
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u32>().ok()).unwrap_or(1);
        let peer = words.get(1).and_then(|pool| peers.iter().find(|(name, _)| name == pool)).map(|(_, peer)| peer);
        let peer = peer.ok_or_else(|| Error::msg("unknown pool"))?;
        let answer = match words[0] {
            "instantiate" => peer.instantiate(number(2) as i32, number(3))?,
            "call" => peer.call(number(2))?,
            "host" => peer.host(number(2))?,
            _ => return Err(Error::msg("unknown command")),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
