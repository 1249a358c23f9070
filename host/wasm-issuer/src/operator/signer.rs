//! What the operator needs of a plugin runtime: load a component, lend it what an Issuer has, call it.
//!
//! The runtime crate is the one implementation of these traits outside tests.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use wasm_issuer_core::issuance::signer::{SignRequest, Signed};
use wasm_issuer_runtime::{
    Account, Cache, CallError, ComponentBytes, FairSlot, LoadError, Owner, Plugin, Runtime, Session,
    SessionInit,
};

/// A plugin that need not be compiled and where it was found, if there is one.
pub type Found = Result<Option<(Arc<dyn Loaded>, Cache)>, LoadError>;

/// A plugin that is in use already, if there is one.
pub type InUse = Result<Option<Arc<dyn Loaded>>, LoadError>;

/// Turns the bytes of components into plugins, on somebody's account. The bytes come from anybody.
pub trait Loader: Send + Sync {
    /// The plugin with this SHA-256 (64 hexadecimal digits), if somebody uses it now.
    fn in_use(self: Arc<Self>, sha256: String, account: Account) -> BoxFuture<'static, InUse>;

    /// The plugin with these bytes, if nothing has to be compiled for it, and where it was found.
    fn find(self: Arc<Self>, component: ComponentBytes, account: Account) -> BoxFuture<'static, Found>;

    /// Wait for the turn to compile. It is shared fairly, and others may need minutes for theirs.
    fn turn(self: Arc<Self>, owner: Owner) -> BoxFuture<'static, FairSlot>;

    /// Compile a component in its turn, unless it can be found by now.
    fn compile(
        self: Arc<Self>,
        component: ComponentBytes,
        account: Account,
        turn: FairSlot,
    ) -> BoxFuture<'static, Result<Arc<dyn Loaded>, LoadError>>;
}

/// A plugin that lacks nothing but an Issuer.
pub trait Loaded: Send + Sync {
    /// The SHA-256 of the component's bytes, 64 hexadecimal digits.
    fn sha256(&self) -> &str;

    /// Lend it what an Issuer has.
    fn open(self: Arc<Self>, session: SessionInit) -> Arc<dyn Signer>;
}

/// A plugin with what one Issuer lends it.
pub trait Signer: Send + Sync {
    /// Ask whether the Issuer is able to sign.
    fn check(&self) -> BoxFuture<'_, Result<(), CallError>>;

    /// Sign a request. What comes back is not verified.
    fn sign<'a>(&'a self, request: &'a SignRequest) -> BoxFuture<'a, Result<Signed, CallError>>;
}

struct PluginSession {
    plugin: Arc<Plugin>,
    session: Arc<Session>,
}

impl Loader for Runtime {
    fn in_use(self: Arc<Self>, sha256: String, account: Account) -> BoxFuture<'static, InUse> {
        async move {
            let plugin = Runtime::in_use(&self, &sha256, &account).await?;
            Ok(plugin.map(|plugin| plugin as Arc<dyn Loaded>))
        }
        .boxed()
    }

    fn find(self: Arc<Self>, component: ComponentBytes, account: Account) -> BoxFuture<'static, Found> {
        async move {
            let found = Runtime::find(&self, &component, &account).await?;
            Ok(found.map(|(plugin, cache)| (plugin as Arc<dyn Loaded>, cache)))
        }
        .boxed()
    }

    fn turn(self: Arc<Self>, owner: Owner) -> BoxFuture<'static, FairSlot> {
        async move { Runtime::turn(&self, &owner).await }.boxed()
    }

    fn compile(
        self: Arc<Self>,
        component: ComponentBytes,
        account: Account,
        turn: FairSlot,
    ) -> BoxFuture<'static, Result<Arc<dyn Loaded>, LoadError>> {
        async move { Ok(Runtime::compile(&self, component, &account, turn).await? as Arc<dyn Loaded>) }
            .boxed()
    }
}

impl Loaded for Plugin {
    fn sha256(&self) -> &str {
        Plugin::sha256(self)
    }

    fn open(self: Arc<Self>, session: SessionInit) -> Arc<dyn Signer> {
        Arc::new(PluginSession { plugin: self, session: Session::new(session) })
    }
}

impl Signer for PluginSession {
    fn check(&self) -> BoxFuture<'_, Result<(), CallError>> {
        self.plugin.check(&self.session).boxed()
    }

    fn sign<'a>(&'a self, request: &'a SignRequest) -> BoxFuture<'a, Result<Signed, CallError>> {
        self.plugin.sign(&self.session, request).boxed()
    }
}
