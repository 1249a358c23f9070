//! The runtime and the plugins that it holds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use wasmtime::Engine;
use wasmtime::component::Linker;

use super::bindings::IssuerPluginPre;
use super::budget::Budget;
use super::code::{Account, CodePool, CodeShare};
use super::compile::{Compiler, CompilerProcess};
use super::component::{ComponentBytes, Inspection};
use super::egress::EgressConfig;
use super::error::{LoadError, RuntimeError};
use super::fair::FairSlots;
use super::lock::lock;
use super::memory::MemoryPool;
use super::state::CallState;
use super::turns::Turns;
use super::{engine, link};

/// What most plugins need for a call.
const OWN_MEMORY: usize = 2 << 20;

/// Runs the plugins of a process.
pub struct Runtime {
    pub(super) engine: Engine,
    linker: Linker<CallState>,
    compiler: Compiler,
    /// Every plugin in use, by digest.
    plugins: Mutex<HashMap<String, Slot>>,
    pub(super) signs: Arc<FairSlots>,
    pub(super) checks: Arc<FairSlots>,
    pub(super) turns: Turns,
    pub(super) memory: Arc<MemoryPool>,
    pub(super) egress: EgressConfig,
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
    /// How long compiling one may take.
    pub compile_timeout: Duration,
    /// How many signs run at a time, over all Issuers.
    pub signs: usize,
    /// How many checks run at a time, over all Issuers.
    pub checks: usize,
    /// The memory of all calls together, in bytes, apart from 2 MiB that each call has for itself.
    pub memory: usize,
    /// How plugins' requests reach servers. What they may reach is the session's affair.
    pub egress: EgressConfig,
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
        }
    }
}

/// A component, compiled and linked. Shared by all Issuers that use these bytes, freed when none does.
pub struct Plugin {
    pub(super) runtime: Arc<Runtime>,
    pub(super) pre: IssuerPluginPre<CallState>,
    inspection: Inspection,
    _code: CodeShare,
}

type Loading = BoxFuture<'static, Result<Arc<Plugin>, LoadError>>;

enum Slot {
    /// Whoever asks meanwhile waits for the same one.
    Loading(WeakShared<Loading>),
    Loaded(Weak<Plugin>),
}

impl Slot {
    fn is_alive(&self) -> bool {
        match self {
            Self::Loading(loading) => loading.upgrade().is_some(),
            Self::Loaded(plugin) => plugin.strong_count() > 0,
        }
    }
}

impl Runtime {
    /// A runtime without plugins, and a thread that counts time for those to come. Fails where the machine lacks what
    /// wasmtime needs, or where others can use the cache folder.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = Engine::new(&engine::config()).map_err(failed)?;
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
            turns: Turns::new(),
            signs: FairSlots::new(config.signs),
            checks: FairSlots::new(config.checks),
            memory: MemoryPool::new(config.memory, OWN_MEMORY),
            egress: config.egress,
        }))
    }

    /// What a component's bytes say, without compiling it.
    pub fn inspect(&self, component: &ComponentBytes, budget: &Budget) -> Result<Inspection, LoadError> {
        Inspection::of(component, budget)
    }

    /// The plugin with these bytes: the one that is in use already, or checked, compiled and linked now. Whoever uses it
    /// already, the bytes must be within this account's budget.
    pub async fn load(
        self: &Arc<Self>,
        component: ComponentBytes,
        account: &Account,
    ) -> Result<Arc<Plugin>, LoadError> {
        let inspection = self.inspect(&component, &account.budget)?;
        inspection.fits()?;
        loop {
            let (loading, own) = self.slot(&inspection, &component, account);
            match loading.await {
                // What does not fit on the account of whoever began to load it may fit on this one.
                Err(LoadError::ArtifactTooLarge { .. } | LoadError::CodeLimit { .. }) if !own => {}
                result => return result,
            }
        }
    }

    /// The one that is loaded or being loaded; if there is none, it begins on this account, and the second value is true.
    fn slot(
        self: &Arc<Self>,
        inspection: &Inspection,
        component: &ComponentBytes,
        account: &Account,
    ) -> (Shared<Loading>, bool) {
        let mut plugins = lock(&self.plugins);
        plugins.retain(|_, slot| slot.is_alive());
        match plugins.get(&inspection.sha256) {
            Some(Slot::Loading(loading))
                if let Some(loading) = loading.upgrade()
                    && loading.peek().is_none_or(Result::is_ok) =>
            {
                return (loading, false);
            }
            Some(Slot::Loaded(plugin)) if let Some(plugin) = plugin.upgrade() => {
                return (std::future::ready(Ok(plugin)).boxed().shared(), false);
            }
            _ => {}
        }
        let sha256 = inspection.sha256.clone();
        let loading = self.clone().compile(inspection.clone(), component.clone(), account.clone());
        let loading = loading.boxed().shared();
        if let Some(weak) = loading.downgrade() {
            plugins.insert(sha256, Slot::Loading(weak));
        }
        (loading, true)
    }

    async fn compile(
        self: Arc<Self>,
        inspection: Inspection,
        component: ComponentBytes,
        account: Account,
    ) -> Result<Arc<Plugin>, LoadError> {
        let (component, code) = self.compiler.compile(component, &account).await?;
        let pre = link::link(&self.linker, &component)?;
        let sha256 = inspection.sha256.clone();
        let plugin = Arc::new(Plugin { runtime: self.clone(), pre, inspection, _code: code });
        lock(&self.plugins).insert(sha256, Slot::Loaded(Arc::downgrade(&plugin)));
        Ok(plugin)
    }
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
}
