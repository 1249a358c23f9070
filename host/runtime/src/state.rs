//! What a call's store holds: the session, and everything that ends with the call.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use super::egress::{EgressConfig, HttpCall, Waits};
use super::error::Phase;
use super::imports::cache::CacheView;
use super::imports::certificates::JudgeView;
use super::imports::http::HttpView;
use super::imports::keys::KeysView;
use super::imports::log::LogView;
use super::imports::secrets::SecretsView;
use super::log::{CallLog, LineStream, Stream};
use super::memory::{MemoryLimiter, MemoryPool};
use super::observer::CallObserver;
use super::rehearsal::Spent;
use super::session::Session;
use super::turns::{CallTurns, Turns};

/// Bytes that a plugin may pass to the host at a time.
const TRANSFER: usize = 4 << 20;
/// Handles that a plugin may hold.
const HANDLES: usize = 256;
/// Host objects behind them, children included.
const RESOURCES: usize = 1024;
/// The memory of a set of header fields. A plugin can hold as many sets as handles.
const FIELDS: usize = 16 << 10;
/// Random bytes at a time.
const RANDOM: u64 = 4096;

/// More instructions than any call has the time for.
pub const FUEL: u64 = u64::MAX;

/// The state behind one call.
pub struct CallState {
    pub session: Arc<Session>,
    pub log: Arc<CallLog>,
    pub memory: MemoryLimiter,
    pub clock: Clock,
    pub turns: CallTurns,
    /// In front of the table: the bodies in there must know that the call has ended before they are dropped.
    http: HttpCall,
    http_ctx: WasiHttpCtx,
    table: ResourceTable,
    /// How many fields of Secret values it has asked for.
    fields: usize,
    wasi: WasiCtx,
}

/// How long the current phase may take.
pub struct Clock {
    pub phase: Phase,
    pub limit: Duration,
    pub deadline: Instant,
    /// The plugin was stopped while it computed.
    pub expired: bool,
}

impl Clock {
    /// Begin a phase. Returns when it ends at the latest.
    pub fn start(&mut self, phase: Phase, limit: Duration) -> Instant {
        *self = Self { phase, limit, deadline: Instant::now() + limit, expired: false };
        self.deadline
    }
}

impl CallState {
    /// A store for one call, all limits set.
    pub fn store(
        engine: &Engine,
        session: Arc<Session>,
        log: Arc<CallLog>,
        pool: Arc<MemoryPool>,
        egress: &EgressConfig,
        turns: Turns,
    ) -> Store<Self> {
        let owner = log.owner();
        // Nothing is behind WASI: no files, no environment, no arguments, no sockets, and stdin is closed. The clocks
        // and the random numbers are real, but for tests of plugins.
        let mut wasi = WasiCtx::builder();
        wasi.stdout(LineStream { log: log.clone(), stream: Stream::Stdout })
            .stderr(LineStream { log: log.clone(), stream: Stream::Stderr })
            .max_random_size(RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let mut http_ctx = WasiHttpCtx::new();
        http_ctx.set_field_size_limit(FIELDS);
        let observer = Arc::new(CallObserver { log: log.clone() });
        let now = Instant::now();
        let mut http = HttpCall::new(session.http(egress), observer, now);
        if let Some(rehearsal) = &session.rehearsal {
            rehearsal.set(&mut wasi);
            http.traffic = rehearsal.traffic.clone();
        }
        let state = Self {
            memory: MemoryLimiter::new(session.limits.memory, pool, &owner.namespace),
            clock: Clock { phase: Phase::Start, limit: Duration::ZERO, deadline: now, expired: false },
            turns: CallTurns::new(turns, session.turns.clone(), owner),
            http,
            http_ctx,
            session,
            log,
            table,
            fields: 0,
            wasi: wasi.build(),
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(TRANSFER);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        // A plugin that computes gives its thread away at each tick, so that others go on; when its time is over it
        // traps.
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            if Instant::now() < state.clock.deadline {
                return Ok(UpdateDeadline::YieldCustom(1, Box::pin(state.turns.next())));
            }
            state.clock.expired = true;
            Ok(UpdateDeadline::Interrupt)
        });
        store
    }
}

/// What a call that ends has spent.
pub fn spent(store: &Store<CallState>) -> Spent {
    Spent { instructions: store.get_fuel().ok().map(|left| FUEL - left), memory: store.data().memory.used() }
}

impl CallState {
    /// Which servers the call waits for.
    pub fn waits(&self) -> &Waits {
        &self.http.waits
    }
}

/// What each import sees of the call.
impl CallState {
    pub fn cache_view(&mut self) -> CacheView<'_> {
        CacheView { cache: &self.session.cache }
    }

    pub fn http_view(&mut self) -> HttpView<'_> {
        self.http.deadline = self.clock.deadline;
        HttpView { hooks: &mut self.http, table: &mut self.table, ctx: &mut self.http_ctx }
    }

    pub fn judge_view(&mut self) -> JudgeView<'_> {
        JudgeView { turns: &self.turns, now: self.session.now() }
    }

    pub fn keys_view(&mut self) -> KeysView<'_> {
        KeysView {
            keys: &self.session.keys,
            verified: &self.session.verified,
            turns: &self.turns,
            table: &mut self.table,
        }
    }

    pub fn log_view(&mut self) -> LogView<'_> {
        LogView { log: &self.log }
    }

    pub fn secrets_view(&mut self) -> SecretsView<'_> {
        SecretsView {
            secret: self.session.secret.as_ref(),
            placeholders: &mut self.http.placeholders,
            fields: &mut self.fields,
            log: &self.log,
            turns: &self.turns,
            table: &mut self.table,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
