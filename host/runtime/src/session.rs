//! What one Issuer lends its plugin.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use wasm_issuer_core::keys::EphemeralKeys;

use super::cache::Cache;
use super::egress::{EgressConfig, HttpGrant, HttpLimits, HttpSession, Observer};
use super::fair::{FairSlots, Owner};
use super::issuer_memory::IssuerShare;
use super::redact::Redactor;
use super::rehearsal::{Meter, Rehearsal};
use super::secret::{LentSecret, Secret};
use super::turns::IssuerTurns;
use super::verified::Verified;

/// Everything that one Issuer lends its plugin, and what the plugin keeps for it between calls. Rebuilt when the
/// Issuer's spec, its Secret or its plugin changes, which empties the cache.
pub struct Session {
    pub(super) issuer: IssuerIdentity,
    pub(super) config: Arc<str>,
    /// Whether the configuration is one by what the plugin says of itself: for a session that does not change.
    pub(super) config_fits: AtomicBool,
    pub(super) secret: Option<LentSecret>,
    pub(super) keys: Arc<EphemeralKeys>,
    pub(super) verified: Verified,
    pub(super) limits: CallLimits,
    pub(super) cache: Mutex<Cache>,
    pub(super) checks: Arc<FairSlots>,
    pub(super) signs: Arc<FairSlots>,
    pub(super) turns: IssuerTurns,
    pub(super) observer: Arc<dyn Observer>,
    /// What its calls meet in place of the world, where a plugin is tested.
    pub(super) rehearsal: Option<Rehearsal>,
    grant: HttpGrant,
    http: OnceLock<Arc<HttpSession>>,
}

/// What a [`Session`] is made of.
pub struct SessionInit {
    /// The Issuer that the calls are made for.
    pub issuer: IssuerIdentity,
    /// The plugin's configuration, JSON: `spec.config`.
    pub config: Arc<str>,
    /// The values that the plugin uses through handles: the Secret that `spec.authSecretName` names.
    pub secret: Option<Arc<Secret>>,
    /// `spec.secrets.reveal`: the Secret's keys whose values the plugin may read.
    pub reveal: BTreeSet<String>,
    /// The keys that plugins make by name. They outlive the session.
    pub keys: Arc<EphemeralKeys>,
    /// What a call may take.
    pub limits: CallLimits,
    /// What the plugin may reach over HTTP, and how: `spec.http` within the operator's policy.
    pub http: HttpGrant,
    /// Told of requests that did not get through.
    pub observer: Arc<dyn Observer>,
    /// What the Issuer keeps already, and what its plugin's cache takes more of.
    pub memory: IssuerShare,
}

/// The Issuer that calls are made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IssuerIdentity {
    /// What kind of issuer it is: `WasmIssuer` or `WasmClusterIssuer`.
    pub kind: String,
    /// The namespace, which a WasmClusterIssuer has none of.
    pub namespace: Option<String>,
    /// The name within its kind and namespace.
    pub name: String,
}

/// What a call may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// From the call to its answer, both computing and waiting: `spec.limits.timeout`.
    pub timeout: Duration,
    /// All memories and tables of a call together, in bytes: `spec.limits.memory`.
    pub memory: usize,
    /// To make the instance that a call runs in.
    pub instantiate: Duration,
    /// How many checks, and how many signs of one namespace, run at a time for one Issuer; others wait for their turn. All
    /// namespaces together have up to thrice as many.
    pub concurrency: usize,
    /// What a call may take of the network.
    pub http: HttpLimits,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            memory: 64 << 20,
            instantiate: Duration::from_secs(5),
            concurrency: 32,
            http: HttpLimits::default(),
        }
    }
}

impl CallLimits {
    /// The longest time that a limit can be.
    const LONGEST: Duration = Duration::from_secs(24 * 3600);

    /// More calls at a time than any limit needs to allow.
    const MANY: usize = 1 << 20;

    /// Within what the clock and the slots can count.
    fn clamped(self) -> Self {
        Self {
            timeout: self.timeout.min(Self::LONGEST),
            instantiate: self.instantiate.min(Self::LONGEST),
            concurrency: self.concurrency.clamp(1, Self::MANY),
            ..self
        }
    }
}

impl Session {
    /// A session with an empty cache.
    pub fn new(init: SessionInit) -> Arc<Self> {
        Self::with(init, None)
    }

    /// One for the test of a plugin, with an empty cache.
    pub fn rehearsed(init: SessionInit, rehearsal: Rehearsal) -> Arc<Self> {
        Self::with(init, Some(rehearsal))
    }

    fn with(init: SessionInit, rehearsal: Option<Rehearsal>) -> Arc<Self> {
        let limits = init.limits.clamped();
        Arc::new(Self {
            issuer: init.issuer,
            config: init.config,
            config_fits: AtomicBool::new(false),
            secret: init.secret.map(|secret| LentSecret { secret, reveal: init.reveal }),
            keys: init.keys,
            verified: Verified::default(),
            cache: Mutex::new(Cache::new(init.memory)),
            turns: IssuerTurns::new(),
            // One Issuer's calls for one namespace hold at most a third of them.
            checks: FairSlots::new(3 * limits.concurrency),
            signs: FairSlots::new(3 * limits.concurrency),
            limits,
            observer: init.observer,
            rehearsal,
            grant: init.http,
            http: OnceLock::new(),
        })
    }

    /// For whom the Issuer's own work is done, as far as what is scarce is concerned.
    pub fn owner(&self) -> Owner {
        self.owner_in(self.issuer.namespace.as_deref())
    }

    /// For whom its work for a request of that namespace is done.
    pub fn owner_in(&self, namespace: Option<&str>) -> Owner {
        let IssuerIdentity { kind, name, .. } = &self.issuer;
        Owner::new(namespace.unwrap_or_default(), &format!("{kind}/{name}"))
    }

    /// Who is told what its calls spend.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.rehearsal.as_ref()?.meter.as_deref()
    }

    /// What time it is for its calls.
    pub(super) fn now(&self) -> SystemTime {
        self.rehearsal.as_ref().map_or_else(SystemTime::now, |rehearsal| rehearsal.now)
    }

    /// What keeps the Secret's values out of messages.
    pub(super) fn redactor(&self) -> &Redactor {
        self.secret.as_ref().map_or(Redactor::none(), |lent| lent.secret.redactor())
    }

    /// The connections of this session, none before the first call.
    pub(super) fn http(&self, egress: &EgressConfig) -> Arc<HttpSession> {
        let open =
            || HttpSession::new(egress.clone(), self.owner(), self.grant.clone(), self.limits.http.clone());
        self.http.get_or_init(open).clone()
    }
}
