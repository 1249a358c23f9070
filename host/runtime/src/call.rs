//! One call of a plugin, from its turn to its answer.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::timeout_at;
use tracing::Instrument as _;
use wasm_issuer_core::issuance::signer::{SignRequest, Signed};
use wasmtime::Store;

use super::bindings::IssuerPlugin;
use super::bindings::wasm_issuer::plugin::types as wit;
use super::engine::TICK;
use super::error::{Breakage, CallError, Phase};
use super::fair::FairSlot;
use super::link::Linked;
use super::log::{CallLog, CallName};
use super::runtime::Plugin;
use super::session::Session;
use super::state::CallState;
use super::{convert, diagnosis, panic, state};

/// How long after its deadline a call that waits is dropped. One that computes is stopped at a tick before that, so the
/// message can tell the two apart.
const OVERTIME: Duration = TICK.saturating_mul(3);

type Answer<T> = wasmtime::Result<Result<T, wit::Failure>>;
/// Calls an export of an instance.
pub(super) type Export<I, T> =
    Box<dyn for<'a> FnOnce(&'a I, &'a mut Store<CallState>) -> BoxFuture<'a, Answer<T>> + Send>;

/// An instance of a plugin, by what is called of it.
pub(super) trait Instance: Send + Sync + Sized + 'static {
    /// Make one.
    fn of<'a>(linked: &'a Linked, store: &'a mut Store<CallState>) -> BoxFuture<'a, wasmtime::Result<Self>>;
}

impl Instance for IssuerPlugin {
    fn of<'a>(linked: &'a Linked, store: &'a mut Store<CallState>) -> BoxFuture<'a, wasmtime::Result<Self>> {
        linked.plugin.instantiate_async(store).boxed()
    }
}

impl Plugin {
    /// Ask whether this Issuer is able to sign, unless its configuration is none by what the plugin says of itself.
    pub async fn check(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), CallError> {
        self.fits(session).await?;
        let issuer = convert::issuer(session);
        let export: Export<IssuerPlugin, ()> = Box::new(move |instance, store| {
            async move { instance.wasm_issuer_plugin_signer().call_check(store, &issuer).await }.boxed()
        });
        self.call(session, CallName::Check, export).await
    }

    /// Sign a request. What comes back is not verified.
    pub async fn sign(
        self: &Arc<Self>,
        session: &Arc<Session>,
        request: &SignRequest,
    ) -> Result<Signed, CallError> {
        let name = CallName::Sign { namespace: request.namespace.clone(), name: request.name.clone() };
        let issuer = convert::issuer(session);
        let request = convert::request(request);
        let export: Export<IssuerPlugin, wit::Certificate> = Box::new(move |instance, store| {
            async move { instance.wasm_issuer_plugin_signer().call_sign(store, &issuer, &request).await }
                .boxed()
        });
        let certificate = self.call(session, name, export).await?;
        Ok(convert::signed(certificate)?)
    }

    pub(super) async fn call<I: Instance, T: Send + 'static>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        name: CallName,
        export: Export<I, T>,
    ) -> Result<T, CallError> {
        let turn = self.turn(session, &name).await;
        let plugin = self.clone();
        let log = CallLog::new(session.clone(), name);
        let (session, own_log) = (session.clone(), log.clone());
        // A task of its own: a panic in it is an error here, and when the caller goes away it ends with its store.
        let mut task = JoinSet::new();
        let call = panic::of_call(async move {
            let _turn = turn;
            plugin.run(session, own_log, export).await
        });
        task.spawn(call.in_current_span());
        let ended = task.join_next().await;
        if let Some(Ok(result)) = ended {
            return result;
        }
        let error =
            ended.and_then(Result::err).map_or_else(|| "the call was not started".into(), panic::said);
        log.fault(&error);
        Err(Breakage::Internal.into())
    }

    /// Wait for a turn, first among the Issuer's calls of this kind, then among everybody's: checks and signs have slots
    /// of their own, so that neither waits for the other. However long it takes: a full house is not the CA's fault.
    async fn turn(&self, session: &Session, name: &CallName) -> (FairSlot, FairSlot) {
        let owner = name.owner(session);
        let (own, all) = match name {
            CallName::Check => (&session.checks, &self.runtime.checks),
            CallName::Sign { .. } => (&session.signs, &self.runtime.signs),
        };
        (own.acquire(&owner).await, all.acquire(&owner).await)
    }

    async fn run<I: Instance, T: Send + 'static>(
        self: Arc<Self>,
        session: Arc<Session>,
        log: Arc<CallLog>,
        export: Export<I, T>,
    ) -> Result<T, CallError> {
        let runtime = &self.runtime;
        let limits = session.limits.clone();
        let (memory, turns) = (runtime.memory.clone(), runtime.turns.clone());
        let mut store =
            CallState::store(&runtime.engine, session, log.clone(), memory, &runtime.egress, turns);
        if runtime.count_instructions {
            // Without fuel nothing would run. It fails only where the engine does not count.
            let _ = store.set_fuel(state::FUEL);
        }
        let thread = store.data().turns.thread.clone();
        let call = panic::of_call(async move {
            let first = store.data().turns.first();
            first.await;
            let deadline = store.data_mut().clock.start(Phase::Start, limits.instantiate) + OVERTIME;
            let instance = timeout_at(deadline, I::of(&self.linked, &mut store)).await;
            let instance = completed(instance, store.data())?;
            let deadline = store.data_mut().clock.start(Phase::Call, limits.timeout) + OVERTIME;
            let answer = timeout_at(deadline, export(&instance, &mut store)).await;
            if let Some(meter) = store.data().session.meter() {
                meter.note(state::spent(&store));
            }
            completed(answer, store.data())
        });
        let answer = thread.run(call.in_current_span()).await;
        log.finish();
        match answer? {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(CallError::Failed(convert::failure(failure, &log)?)),
        }
    }
}

/// What a step of a call came to, unless it was broken off.
fn completed<T>(step: Result<wasmtime::Result<T>, Elapsed>, state: &CallState) -> Result<T, Breakage> {
    match step {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            state.log.finish(); // what was written last may be why
            state.log.broken_off(&error);
            Err(diagnosis::breakage(&error, state))
        }
        // One that waits for its turn to compute is computing, as far as anybody is concerned.
        Err(_elapsed) => Err(diagnosis::timed_out(state, state.turns.waits())),
    }
}
