//! What the store of a component holds, and WASI 0.2 answered from the host's table.

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Error, Result};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtx, WasiSocketsCtxView};
use wasmtime_wasi_http::p2::bindings as http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::IoView;

use crate::component::datagrams;
use crate::component::host::{Deadline, Function, Host, Input, Output, Unpack, Waits};
use crate::component::http::{self as handler, Outgoing};
use crate::component::limits::Limits;
use crate::component::sockets as own_sockets;

pub struct State {
    pub host: Host,
    pub waits: Waits,
    pub limits: Limits,
    pub arguments: Vec<String>,
    pub table: ResourceTable,
    pub http: WasiHttpCtx,
    pub outgoing: Outgoing,
    /// Of the network handle alone: it denies every address.
    pub sockets: WasiSocketsCtx,
}

impl IoView for State {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}

fn network(state: &mut State) -> WasiSocketsCtxView<'_> {
    WasiSocketsCtxView { ctx: &mut state.sockets, table: &mut state.table }
}

/// Every interface of `wasi:cli/imports` and `wasi:http/proxy`; a component may import any of them.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    wasmtime_wasi_io::add_to_linker_async(linker)?;
    type Own = HasSelf<State>;
    clocks::wall_clock::add_to_linker::<State, Own>(linker, |state| state)?;
    clocks::monotonic_clock::add_to_linker::<State, Own>(linker, |state| state)?;
    random::random::add_to_linker::<State, Own>(linker, |state| state)?;
    random::insecure::add_to_linker::<State, Own>(linker, |state| state)?;
    random::insecure_seed::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::exit::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::environment::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::stdin::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::stdout::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::stderr::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::terminal_input::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::terminal_output::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::terminal_stdin::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::terminal_stdout::add_to_linker::<State, Own>(linker, |state| state)?;
    cli::terminal_stderr::add_to_linker::<State, Own>(linker, |state| state)?;
    filesystem::preopens::add_to_linker::<State, Own>(linker, |state| state)?;
    filesystem::types::add_to_linker::<State, Own>(linker, |state| state)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(linker, network)?;
    sockets::network::add_to_linker::<State, WasiSockets>(linker, &Default::default(), network)?;
    own_sockets::add_to_linker(linker)?;
    datagrams::add_to_linker(linker)?;
    handler::add_to_linker(linker)?;
    http::http::types::add_to_linker::<_, WasiHttp>(linker, &Default::default(), State::http)?;
    Ok(())
}

fn datetime(nanoseconds: u64) -> clocks::wall_clock::Datetime {
    clocks::wall_clock::Datetime { seconds: nanoseconds / 1_000_000_000, nanoseconds: (nanoseconds % 1_000_000_000) as u32 }
}

impl clocks::wall_clock::Host for State {
    fn now(&mut self) -> Result<clocks::wall_clock::Datetime> {
        Ok(datetime(self.host.ask_or_end(Function::WallNow, [0; 4])?.x))
    }
    fn resolution(&mut self) -> Result<clocks::wall_clock::Datetime> {
        Ok(datetime(self.host.ask_or_end(Function::WallResolution, [0; 4])?.x))
    }
}

impl State {
    /// `kind` 0: at this time of the clock, 1: after so long.
    fn subscribe_clock(&mut self, kind: u64, time: u64) -> Result<Resource<DynPollable>> {
        let due = self.host.ask_or_end(Function::Subscribe, [0, kind, time, 0])?.x;
        let deadline = self.table.push(Deadline { host: self.host, waits: self.waits.clone(), due })?;
        subscribe(&mut self.table, deadline)
    }

    fn fill(&mut self, function: Function, size: u64) -> Result<Vec<u8>> {
        if size > 1 << 20 {
            return Err(Error::msg("more than 1 MiB of random bytes at once"));
        }
        Ok(self.host.ask_or_end(function, [0, size, 0, 0])?.bytes)
    }

    fn number(&mut self, function: Function) -> Result<u64> {
        let bytes = self.fill(function, 8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Error::msg("the host gave too few random bytes"))?))
    }
}

impl clocks::monotonic_clock::Host for State {
    fn now(&mut self) -> Result<u64> {
        Ok(self.host.ask_or_end(Function::MonotonicNow, [0; 4])?.x)
    }
    fn resolution(&mut self) -> Result<u64> {
        Ok(self.host.ask_or_end(Function::MonotonicResolution, [0; 4])?.x)
    }
    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.subscribe_clock(0, when)
    }
    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        self.subscribe_clock(1, duration)
    }
}

impl random::random::Host for State {
    fn get_random_bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        self.fill(Function::SecureRandom, size)
    }
    fn get_random_u64(&mut self) -> Result<u64> {
        self.number(Function::SecureRandom)
    }
}

impl random::insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        self.fill(Function::InsecureRandom, size)
    }
    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.number(Function::InsecureRandom)
    }
}

impl random::insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((self.number(Function::InsecureRandom)?, self.number(Function::InsecureRandom)?))
    }
}

impl cli::exit::Host for State {
    fn exit(&mut self, status: std::result::Result<(), ()>) -> Result<()> {
        Err(Error::new(I32Exit(i32::from(status.is_err()))))
    }
    fn exit_with_code(&mut self, status: u8) -> Result<()> {
        Err(Error::new(I32Exit(status.into())))
    }
}

impl cli::environment::Host for State {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        let answer = self.host.ask_or_end(Function::Environment, [0; 4])?;
        let mut packed = Unpack(&answer.bytes);
        let mut variables = Vec::new();
        while !packed.is_empty() {
            variables.push((packed.text(), packed.text()));
        }
        Ok(variables)
    }
    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.arguments.clone())
    }
    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl cli::stdin::Host for State {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Input(self.host));
        Ok(self.table.push(stream)?)
    }
}

impl cli::stdout::Host for State {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Output(self.host, Function::StdoutWrite));
        Ok(self.table.push(stream)?)
    }
}

impl cli::stderr::Host for State {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Output(self.host, Function::StderrWrite));
        Ok(self.table.push(stream)?)
    }
}

impl cli::terminal_input::Host for State {}
impl cli::terminal_input::HostTerminalInput for State {
    fn drop(&mut self, terminal: Resource<cli::terminal_input::TerminalInput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}
impl cli::terminal_output::Host for State {}
impl cli::terminal_output::HostTerminalOutput for State {
    fn drop(&mut self, terminal: Resource<cli::terminal_output::TerminalOutput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}
impl cli::terminal_stdin::Host for State {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<cli::terminal_input::TerminalInput>>> {
        Ok(None) // the guest sees a stream, whatever is behind it
    }
}
impl cli::terminal_stdout::Host for State {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<cli::terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}
impl cli::terminal_stderr::Host for State {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<cli::terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}
