//! Runs a case: one call of the plugin, and what the operator would make of its answer.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use wasm_issuer_core::issuance::signer::{SignRequest, Signed};
use wasm_issuer_core::issuance::verify;
use wasm_issuer_runtime::egress::{HttpGrant, Traffic};
use wasm_issuer_runtime::{CallError, Meter, Plugin, Rehearsal, Runtime, Session};

use super::super::host::{self, PluginFile};
use super::super::policy::AppliedPolicy;
use super::super::problem::Problem;
use super::super::secret::SecretValues;
use super::case::{Asked, Case};
use super::difference::Difference;
use super::outcome::Outcome;
use super::recording::{Recording, Seed};
use super::replay::Replayer;
use crate::api::IssuerKey;
use crate::operator::account;

/// The component that is tested.
pub struct Subject {
    runtime: Arc<Runtime>,
    file: Arc<PluginFile>,
    /// So that it is compiled once: what nobody uses is forgotten.
    held: OnceLock<Arc<Plugin>>,
}

/// What came of a case without network, and where its requests were not those of the recording.
pub struct Replayed {
    pub outcome: Outcome,
    pub differences: Vec<Difference>,
}

impl Subject {
    /// The component in a file, for a runtime.
    pub fn new(runtime: Arc<Runtime>, file: Arc<PluginFile>) -> Self {
        Self { runtime, file, held: OnceLock::new() }
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The component, compiled and linked for the Issuer of a case, and how long that took. The error says why it cannot
    /// be.
    pub async fn load(&self, case: &Case) -> Result<(Arc<Plugin>, Duration), Box<Problem>> {
        let wasm = self.file.wasm.as_ref().map_err(Clone::clone)?.clone();
        let IssuerKey { kind, namespace, .. } = &case.issuer;
        let largest = AppliedPolicy::default().max_component(*kind);
        let account = account(*kind, namespace.as_deref().unwrap_or_default(), largest);
        let (plugin, took) = host::load(&self.runtime, &self.file.path, wasm, &account).await;
        let plugin = plugin?;
        self.held.get_or_init(|| plugin.clone());
        Ok((plugin, took))
    }
}

/// Run a case without network.
pub async fn replay(
    plugin: &Arc<Plugin>,
    case: &Case,
    recording: Option<&Recording>,
) -> anyhow::Result<Replayed> {
    let replayer = replayer(recording);
    let rehearsal = rehearsal(case, recording, Traffic::Replayed(replayer.clone()));
    let outcome = run(plugin, case, case.secret.as_ref(), grant(case), rehearsal).await?;
    Ok(Replayed { outcome, differences: replayer.differences() })
}

/// What answers in place of servers.
pub fn replayer(recording: Option<&Recording>) -> Arc<Replayer> {
    Arc::new(Replayer::new(recording.map(|recording| recording.exchanges.clone()).unwrap_or_default()))
}

/// A session for a call without network, which tells a meter what it spends.
pub fn metered(case: &Case, replayer: Arc<Replayer>, meter: Option<Arc<Meter>>) -> Arc<Session> {
    let recording = case.recording.as_ref();
    let rehearsal = Rehearsal { meter, ..rehearsal(case, recording, Traffic::Replayed(replayer)) };
    Session::rehearsed(case.lent(case.secret.as_ref(), grant(case)), rehearsal)
}

/// Nothing but which servers there are: none is looked up or connected to.
fn grant(case: &Case) -> HttpGrant {
    HttpGrant { allowed: case.allowed.clone(), ..HttpGrant::default() }
}

/// The clock and the random numbers of the recording, or else the case's.
fn rehearsal(case: &Case, recording: Option<&Recording>, traffic: Traffic) -> Rehearsal {
    let at = recording.and_then(|recording| recording.at).or(case.at);
    let Seed(seed) = recording.map(|recording| recording.seed).unwrap_or_default();
    Rehearsal { traffic, now: at.unwrap_or_else(Timestamp::now).into(), seed, meter: None }
}

/// Call the plugin, and verify what it returns as at the time of the rehearsal.
pub async fn run(
    plugin: &Arc<Plugin>,
    case: &Case,
    secret: Option<&SecretValues>,
    http: HttpGrant,
    rehearsal: Rehearsal,
) -> anyhow::Result<Outcome> {
    let now = Timestamp::try_from(rehearsal.now)?;
    let session = Session::rehearsed(case.lent(secret, http), rehearsal);
    match ask(plugin, case, &session).await {
        Ok(None) => Ok(Outcome::passed()),
        Ok(Some((request, signed))) => verified(case, secret, request, &signed, now),
        Err(error) => Ok(Outcome::failed(*Problem::of(case.call(), error))),
    }
}

/// Call the plugin: what it has signed, and for which request; nothing for a check.
pub async fn ask<'a>(
    plugin: &Arc<Plugin>,
    case: &'a Case,
    session: &Arc<Session>,
) -> Result<Option<(&'a SignRequest, Signed)>, CallError> {
    match &case.asked {
        Asked::Check => plugin.check(session).await.map(|()| None),
        Asked::Sign { request, .. } => {
            let request: &SignRequest = request;
            Ok(Some((request, plugin.sign(session, request).await?)))
        }
    }
}

fn verified(
    case: &Case,
    secret: Option<&SecretValues>,
    request: &SignRequest,
    signed: &Signed,
    now: Timestamp,
) -> anyhow::Result<Outcome> {
    let verification = AppliedPolicy::default().verification(case.issuer.kind, &case.spec);
    match verify::verify(request, signed, &case.trusted(secret), now, &verification) {
        Ok(verified) => Outcome::issued(&verified),
        Err(mismatch) => Ok(Outcome::refused(&mismatch)),
    }
}
