//! What the store of a component holds, and WASI 0.2 answered from the host's table.

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Error, Result};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, subscribe};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsCtx, WasiSocketsCtxView};
use wasmtime_wasi_http::p2::bindings as http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::IoView;

use crate::component::host::{Deadline, Host, Input, Need, Output, Timers};
use crate::component::http::Outgoing;
use crate::component::limits::Limits;

pub struct State {
    pub host: Host,
    pub timers: Timers,
    pub limits: Limits,
    pub arguments: Vec<String>,
    pub variables: Vec<(String, String)>,
    pub table: ResourceTable,
    pub http: WasiHttpCtx,
    pub outgoing: Outgoing,
    /// Without a folder: no descriptor exists, so nothing can be reached through it.
    pub files: WasiFilesystemCtx,
    /// Denies every address.
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

fn files(state: &mut State) -> WasiFilesystemCtxView<'_> {
    WasiFilesystemCtxView { ctx: &mut state.files, table: &mut state.table }
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
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, files)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, files)?;
    sockets::tcp::add_to_linker::<State, WasiSockets>(linker, network)?;
    sockets::udp::add_to_linker::<State, WasiSockets>(linker, network)?;
    sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(linker, network)?;
    sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(linker, network)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(linker, network)?;
    sockets::network::add_to_linker::<State, WasiSockets>(linker, &Default::default(), network)?;
    sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(linker, network)?;
    http::http::outgoing_handler::add_to_linker::<_, WasiHttp>(linker, State::http)?;
    http::http::types::add_to_linker::<_, WasiHttp>(linker, &Default::default(), State::http)?;
    Ok(())
}

impl clocks::wall_clock::Host for State {
    fn now(&mut self) -> Result<clocks::wall_clock::Datetime> {
        self.host.enter_or_end(Need::Clock, "wasi:clocks/wall-clock.now")?;
        let now = self.host.wall().max(0) as u64;
        Ok(clocks::wall_clock::Datetime { seconds: now / 1_000_000_000, nanoseconds: (now % 1_000_000_000) as u32 })
    }
    fn resolution(&mut self) -> Result<clocks::wall_clock::Datetime> {
        self.host.enter_or_end(Need::Clock, "wasi:clocks/wall-clock.resolution")?;
        Ok(clocks::wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl State {
    fn wait_until(&mut self, due: u64) -> Result<Resource<DynPollable>> {
        let deadline = self.table.push(Deadline { host: self.host, timers: self.timers.clone(), due })?;
        subscribe(&mut self.table, deadline)
    }

    fn fill(&mut self, need: Need, function: &str, size: u64) -> Result<Vec<u8>> {
        self.host.enter_or_end(need, function)?;
        if size > 1 << 20 {
            return Err(Error::msg("more than 1 MiB of random bytes at once"));
        }
        let mut bytes = vec![0; size as usize];
        self.host.random(&mut bytes);
        Ok(bytes)
    }

    fn number(&mut self, need: Need, function: &str) -> Result<u64> {
        self.host.enter_or_end(need, function)?;
        let mut bytes = [0; 8];
        self.host.random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
}

impl clocks::monotonic_clock::Host for State {
    fn now(&mut self) -> Result<u64> {
        self.host.enter_or_end(Need::Clock, "wasi:clocks/monotonic-clock.now")?;
        Ok(self.host.now())
    }
    fn resolution(&mut self) -> Result<u64> {
        self.host.enter_or_end(Need::Clock, "wasi:clocks/monotonic-clock.resolution")?;
        Ok(1)
    }
    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.host.enter_or_end(Need::Sleep, "wasi:clocks/monotonic-clock.subscribe-instant")?;
        self.wait_until(when)
    }
    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        self.host.enter_or_end(Need::Sleep, "wasi:clocks/monotonic-clock.subscribe-duration")?;
        self.wait_until(self.host.now().saturating_add(duration))
    }
}

impl random::random::Host for State {
    fn get_random_bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        self.fill(Need::SecureRandom, "wasi:random/random.get-random-bytes", size)
    }
    fn get_random_u64(&mut self) -> Result<u64> {
        self.number(Need::SecureRandom, "wasi:random/random.get-random-u64")
    }
}

impl random::insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        self.fill(Need::Random, "wasi:random/insecure.get-insecure-random-bytes", size)
    }
    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.number(Need::Random, "wasi:random/insecure.get-insecure-random-u64")
    }
}

impl random::insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        let first = self.number(Need::Random, "wasi:random/insecure-seed.insecure-seed")?;
        let mut bytes = [0; 8];
        self.host.random(&mut bytes);
        Ok((first, u64::from_le_bytes(bytes)))
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
        Ok(self.variables.clone())
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
        let stream: DynOutputStream = Box::new(Output(self.host, 1));
        Ok(self.table.push(stream)?)
    }
}

impl cli::stderr::Host for State {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Output(self.host, 2));
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
