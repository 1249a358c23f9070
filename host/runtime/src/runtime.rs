//! The runtime and the plugins that it holds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::budget::Budget;
use super::code::{Account, CodePool, CodeShare};
use super::compile::{Compiler, CompilerProcess};
use super::component::{ComponentBytes, Inspection};
use super::egress::EgressConfig;
use super::engine;
use super::error::{LoadError, RuntimeError};
use super::fair::{FairSlot, FairSlots, Owner};
use super::link::{self, Linked};
use super::lock::lock;
use super::memory::MemoryPool;
use super::state::CallState;
use super::turns::Turns;

/// What most plugins need for a call.
const OWN_MEMORY: usize = 2 << 20;
/// As many bytes of a component are looked into in a few milliseconds.
const QUICKLY_INSPECTED: usize = 1 << 20;

/// Runs the plugins of a process.
pub struct Runtime {
    pub(super) engine: Engine,
    linker: Linker<CallState>,
    compiler: Compiler,
    /// Every plugin in use or being looked for, by digest.
    plugins: Mutex<HashMap<String, Arc<Place>>>,
    pub(super) signs: Arc<FairSlots>,
    pub(super) checks: Arc<FairSlots>,
    pub(super) turns: Turns,
    pub(super) memory: Arc<MemoryPool>,
    pub(super) egress: EgressConfig,
    pub(super) count_instructions: bool,
}

/// How a runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Where compiled plugins are kept across restarts. What is in it is run as native code.
    pub cache_dir: Option<PathBuf>,
    /// The process that compiles plugins. Without one they are compiled in this process, where neither time nor memory
    /// can be limited: only for plugins that are trusted.
    pub compiler: Option<CompilerProcess>,
    /// The bytes that the cache folder may hold.
    pub cache_bytes: u64,
    /// The bytes of compiled code and images that all plugins in use may have, and one owner's half as many.
    pub code_bytes: usize,
    /// How long compiling one may take, for each 16 MiB of its component.
    pub compile_timeout: Duration,
    /// How many signs run at a time, over all Issuers.
    pub signs: usize,
    /// How many checks run at a time, over all Issuers.
    pub checks: usize,
    /// The memory of all calls together, in bytes, apart from 2 MiB that each call has for itself.
    pub memory: usize,
    /// How plugins' requests reach servers. What they may reach is the session's affair.
    pub egress: EgressConfig,
    /// Whether the instructions of calls are counted, which makes them slower: for measuring plugins. The compiler's
    /// process makes code for others, so there must be none.
    pub count_instructions: bool,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            compiler: None,
            cache_bytes: 256 << 20,
            code_bytes: 256 << 20,
            compile_timeout: Duration::from_secs(60),
            signs: 128,
            checks: 32,
            memory: 384 << 20,
            egress: EgressConfig::default(),
            count_instructions: false,
        }
    }
}

/// A component, compiled and linked. Shared by all Issuers that use these bytes, freed when none does.
pub struct Plugin {
    pub(super) runtime: Arc<Runtime>,
    pub(super) linked: Linked,
    inspection: Inspection,
    code: CodeShare,
}

/// Where a plugin was found that nobody had to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It is in use already.
    Memory,
    /// Its code was kept in the cache folder.
    Folder,
}

/// Where the plugin of a digest is, if it is in use. Locked while one is put there, so that it is put there once.
type Place = AsyncMutex<Weak<Plugin>>;

/// What there is for a component without compiling it.
enum Found {
    Plugin(Arc<Plugin>, Cache),
    /// Nothing but its bytes, which are good as far as they tell.
    Bytes(Inspection),
}

impl Runtime {
    /// A runtime without plugins, and a thread that counts time for those to come. Fails where the machine lacks what
    /// wasmtime needs, or where others can use the cache folder.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let counted = if config.count_instructions { engine::counting() } else { engine::config() };
        let engine = Engine::new(&counted).map_err(failed)?;
        let linker = link::linker(&engine).map_err(failed)?;
        let compiler = Compiler::new(
            engine.clone(),
            config.compiler,
            config.cache_dir.as_deref().map(|dir| (dir, config.cache_bytes)),
            config.compile_timeout,
            CodePool::new(config.code_bytes),
        )?;
        engine::start_clock(&engine)?;
        Ok(Arc::new(Self {
            compiler,
            engine,
            linker,
            plugins: Mutex::default(),
            turns: Turns::new()?,
            signs: FairSlots::new(config.signs),
            checks: FairSlots::new(config.checks),
            memory: MemoryPool::new(config.memory, OWN_MEMORY),
            egress: config.egress,
            count_instructions: config.count_instructions,
        }))
    }

    /// The turns of its plugins' calls, for what else takes long to compute for their owners.
    pub fn turns(&self) -> Turns {
        self.turns.clone()
    }

    /// What a component's bytes say, without compiling it.
    pub fn inspect(&self, component: &ComponentBytes, budget: &Budget) -> Result<Inspection, LoadError> {
        Inspection::of(component, budget)
    }

    async fn inspect_for(
        &self,
        component: &ComponentBytes,
        account: &Account,
    ) -> Result<Inspection, LoadError> {
        if component.as_slice().len() <= QUICKLY_INSPECTED {
            return self.inspect(component, &account.budget);
        }
        let (bytes, budget) = (component.clone(), account.budget);
        let inspect = move || Inspection::of(&bytes, &budget);
        self.turns.compute(&Owner::new(&account.owner, ""), inspect).await
    }

    /// The plugin with this digest, if somebody uses it now. Whoever asks knows its bytes, or has shown that they may:
    /// a digest alone proves nothing.
    pub async fn in_use(&self, sha256: &str, account: &Account) -> Result<Option<Arc<Plugin>>, LoadError> {
        let place = self.place(sha256);
        let place = place.lock().await;
        in_use(&place, account)
    }

    /// The plugin with these bytes, if nothing has to be compiled for it, and where it was found.
    /// Whoever uses it already, the bytes must be within this account's budget.
    pub async fn find(
        self: &Arc<Self>,
        component: &ComponentBytes,
        account: &Account,
    ) -> Result<Option<(Arc<Plugin>, Cache)>, LoadError> {
        match self.look(component, account).await? {
            Found::Plugin(plugin, cache) => Ok(Some((plugin, cache))),
            Found::Bytes(_) => Ok(None),
        }
    }

    /// Wait for the turn to compile, for [`Runtime::compile`]. It may take long: whoever waits should hold no component.
    pub async fn turn(&self, owner: &Owner) -> FairSlot {
        self.compiler.turn(owner).await
    }

    /// The plugin with these bytes, checked, compiled and linked in this turn, unless it can be found by now.
    pub async fn compile(
        self: &Arc<Self>,
        component: ComponentBytes,
        account: &Account,
        turn: FairSlot,
    ) -> Result<Arc<Plugin>, LoadError> {
        let inspection = match self.look(&component, account).await? {
            Found::Plugin(plugin, _) => return Ok(plugin),
            Found::Bytes(inspection) => inspection,
        };
        let turn = Arc::new(turn);
        let artifact = self.compiler.compile(component, account, &turn).await?;
        let place = self.place(&inspection.sha256);
        let mut place = place.lock().await;
        let compiled = self.compiler.adopt(&inspection.sha256, artifact, account).await?;
        self.link(compiled, inspection, &mut place)
    }

    /// [`Runtime::find`], or else [`Runtime::compile`] when its turn comes.
    pub async fn load(
        self: &Arc<Self>,
        component: ComponentBytes,
        account: &Account,
    ) -> Result<Arc<Plugin>, LoadError> {
        if let Some((plugin, _)) = self.find(&component, account).await? {
            return Ok(plugin);
        }
        let turn = self.turn(&Owner::new(&account.owner, "")).await;
        self.compile(component, account, turn).await
    }

    async fn look(
        self: &Arc<Self>,
        component: &ComponentBytes,
        account: &Account,
    ) -> Result<Found, LoadError> {
        let place = self.place(component.sha256());
        let mut place = place.lock().await;
        if let Some(plugin) = in_use(&place, account)? {
            return Ok(Found::Plugin(plugin, Cache::Memory));
        }
        let inspection = self.inspect_for(component, account).await?;
        inspection.fits()?;
        match self.compiler.kept(&inspection.sha256, account).await? {
            Some(kept) => Ok(Found::Plugin(self.link(kept, inspection, &mut place)?, Cache::Folder)),
            None => Ok(Found::Bytes(inspection)),
        }
    }

    fn place(&self, sha256: &str) -> Arc<Place> {
        let mut plugins = lock(&self.plugins);
        let is_alive = |place: &Place| place.try_lock().is_ok_and(|plugin| plugin.strong_count() > 0);
        plugins.retain(|_, place| Arc::strong_count(place) > 1 || is_alive(place));
        plugins.entry(sha256.to_owned()).or_default().clone()
    }

    fn link(
        self: &Arc<Self>,
        (component, code): (Component, CodeShare),
        inspection: Inspection,
        place: &mut Weak<Plugin>,
    ) -> Result<Arc<Plugin>, LoadError> {
        let linked = link::link(&self.linker, &component)?;
        let plugin = Arc::new(Plugin { runtime: self.clone(), linked, inspection, code });
        *place = Arc::downgrade(&plugin);
        Ok(plugin)
    }
}

/// The plugin in a place, if it is within this account's budget.
fn in_use(place: &Weak<Plugin>, account: &Account) -> Result<Option<Arc<Plugin>>, LoadError> {
    let plugin = place.upgrade();
    plugin.as_ref().map_or(Ok(()), |plugin| plugin.inspection.within(&account.budget))?;
    Ok(plugin)
}

impl Plugin {
    /// The SHA-256 of the component's bytes: 64 hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.inspection.sha256
    }

    /// What the component's bytes say.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// The bytes of machine code and images that it was compiled to.
    pub fn code_bytes(&self) -> usize {
        self.code.bytes()
    }
}
