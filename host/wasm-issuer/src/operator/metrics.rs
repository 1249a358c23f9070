//! What the operator measures, for Prometheus: `docs/metrics.md` lists it, generated from here.
//!
//! Labels are words of this code, never text from an object: their number is bounded whatever anybody creates. The one
//! exception are the names of Issuers, and of those only so many have series of their own ([`issuers`]).
//!
//! Counters whose labels are known begin at 0: Prometheus sees no increase in a series that was not there before.

mod exposition;
mod issuers;
mod labels;
mod reference;
mod register;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub use exposition::Format;
use issuers::IssuerSeries;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use labels::{
    EVENT, EnforcedField, FoundIn, Outcome, Reason, ResourceLabel, StateLabel, VersionLabel, WriteLabels,
};
pub use labels::{PluginLoad, RequestState, SignCall, SignOutcome, WatchedResource};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
pub use reference::reference;
use wasm_issuer_runtime::Breakage;
use wasm_issuer_runtime::egress::DenialReason;

use super::apply::{ApplyError, WRITTEN};
use crate::api::IssuerKey;

/// How many Issuers have series of their own where nobody says otherwise.
pub const ISSUERS_WITH_SERIES: usize = 500;

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    issuers: IssuerSeries,
    signs: Family<Outcome, Counter>,
    sign_seconds: Histogram,
    sign_retries: Counter,
    breakages: Family<Reason, Counter>,
    mismatches: Family<EnforcedField, Counter>,
    denials: Family<Reason, Counter>,
    writes: Family<WriteLabels, Counter>,
    audit_records: Family<Outcome, Counter>,
    watch_restarts: Family<ResourceLabel, Counter>,
    plugin_loads: Family<FoundIn, Counter>,
    load_seconds: Histogram,
    compile_seconds: Histogram,
    queue_seconds: Histogram,
    unfinished: Family<StateLabel, Gauge>,
    oldest: Family<StateLabel, Gauge>,
    issuers_count: Gauge,
    issuers_ready: Gauge,
    issuers_without_series: Gauge,
    build: Family<VersionLabel, Gauge>,
    /// Events that were dropped because too many waited.
    pub events_dropped: Counter,
    /// Log records that were dropped because nobody read them.
    pub log_records_dropped: Counter,
    /// How often the policy file turned out to be no policy; the one before holds on.
    pub policy_errors: Counter,
    /// Requests that are being handled.
    pub in_flight: Gauge,
    leader: Gauge,
    shards_held: Gauge,
}

impl Metrics {
    /// With series of their own for as many Issuers as by default.
    #[cfg(test)]
    pub fn new() -> Self {
        Self::for_issuers(ISSUERS_WITH_SERIES)
    }

    /// With series of their own for at most so many Issuers.
    pub fn for_issuers(max: usize) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("wasm_issuer"),
            issuers: IssuerSeries::new(max),
            signs: Family::default(),
            // 1 ms to about 16 s: from a CA in memory to one that makes people wait.
            sign_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            sign_retries: Counter::default(),
            breakages: Family::default(),
            mismatches: Family::default(),
            denials: Family::default(),
            writes: Family::default(),
            audit_records: Family::default(),
            watch_restarts: Family::default(),
            plugin_loads: Family::default(),
            load_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 9)),
            // Half a second to a minute, which is how long it may take.
            compile_seconds: Histogram::new(exponential_buckets(0.5, 2.0, 8)),
            // 1 ms to about 4 minutes.
            queue_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 10)),
            unfinished: Family::default(),
            oldest: Family::default(),
            issuers_count: Gauge::default(),
            issuers_ready: Gauge::default(),
            issuers_without_series: Gauge::default(),
            build: Family::default(),
            events_dropped: Counter::<u64, AtomicU64>::default(),
            log_records_dropped: Counter::<u64, AtomicU64>::default(),
            policy_errors: Counter::<u64, AtomicU64>::default(),
            in_flight: Gauge::default(),
            leader: Gauge::default(),
            shards_held: Gauge::default(),
        };
        metrics.begin();
        metrics.register_issuing();
        metrics.register_plugins();
        metrics.register_process();
        metrics
    }

    /// A call of `sign` ended.
    pub fn signed(&self, call: &SignCall<'_>, outcome: SignOutcome) {
        self.signs.get_or_create(&Outcome::of(outcome)).inc();
        self.sign_seconds.observe(call.took.as_secs_f64());
        self.sign_retries.inc_by(u64::from(call.is_retry));
        if let Some(issuer) = call.issuer {
            self.issuers.signed(issuer, call, outcome);
        }
    }

    /// An Issuer issued a certificate just now. The first CA certificate that it publishes with it expires then.
    pub fn issued(&self, issuer: Option<&IssuerKey>, now: Timestamp, ca_not_after: Option<Timestamp>) {
        if let Some(issuer) = issuer {
            self.issuers.issued(issuer, now, ca_not_after);
        }
    }

    /// A plugin broke off a call.
    pub fn broke(&self, breakage: &Breakage) {
        self.breakages.get_or_create(&Reason { reason: breakage.label() }).inc();
    }

    /// A certificate differed from its request in `field`, and was refused for it if `enforced`.
    pub fn mismatch(&self, field: &'static str, enforced: bool) {
        let enforced = if enforced { "true" } else { "false" };
        self.mismatches.get_or_create(&EnforcedField { field, enforced }).inc();
    }

    /// A plugin asked for a host or an address that it may not reach.
    pub fn denied(&self, reason: DenialReason) {
        self.denials.get_or_create(&Reason { reason: reason.label() }).inc();
    }

    /// A write of the status of an object of that kind ended.
    pub fn wrote_status<T>(&self, object: &ObjectReference, written: &Result<T, ApplyError>) {
        let outcome = written.as_ref().err().map_or(WRITTEN, ApplyError::label);
        self.writes.get_or_create(&WriteLabels::new(object.kind.as_deref(), outcome)).inc();
    }

    /// A write of an Event ended.
    pub fn wrote_event(&self, outcome: &'static str) {
        self.writes.get_or_create(&WriteLabels::new(Some(EVENT), outcome)).inc();
    }

    /// A record of the audit was `written` or `dropped`.
    pub fn audited(&self, outcome: &'static str) {
        self.audit_records.get_or_create(&Outcome { outcome }).inc();
    }

    /// A watch broke, and is begun anew.
    pub fn watch_broke(&self, resource: WatchedResource) {
        self.watch_restarts.get_or_create(&ResourceLabel::of(resource)).inc();
    }

    /// A plugin was looked for without compiling it, which took so long.
    pub fn looked_for_plugin(&self, took: Duration) {
        self.load_seconds.observe(took.as_secs_f64());
    }

    /// A plugin was compiled, or was not, which took so long.
    pub fn compiled_plugin(&self, took: Duration) {
        self.compile_seconds.observe(took.as_secs_f64());
    }

    /// A plugin is there, or is not.
    pub fn loaded_plugin(&self, load: PluginLoad) {
        self.plugin_loads.get_or_create(&FoundIn::of(load)).inc();
    }

    /// A request's turn came after so long.
    pub fn waited_for_turn(&self, waited: Duration) {
        self.queue_seconds.observe(waited.as_secs_f64());
    }

    /// The requests that are not finished: in which state each is, and when it was created.
    pub fn set_unfinished(&self, requests: &[(RequestState, Timestamp)], now: Timestamp) {
        for state in RequestState::ALL {
            let of_state = || requests.iter().filter(|(it, _)| *it == state).map(|(_, created)| *created);
            self.unfinished.get_or_create(&StateLabel::of(state)).set(of_state().count() as i64);
            let age = of_state().min().map_or(0, |created| now.duration_since(created).as_secs().max(0));
            self.oldest.get_or_create(&StateLabel::of(state)).set(age);
        }
    }

    /// The Issuers that there are, and whether each can sign. Of others nothing is remembered any more.
    pub fn set_issuers(&self, issuers: &[(IssuerKey, bool)]) {
        self.issuers_count.set(issuers.len() as i64);
        self.issuers_ready.set(issuers.iter().filter(|(_, ready)| *ready).count() as i64);
        self.issuers_without_series.set(self.issuers.set(issuers) as i64);
    }

    /// For the Issuers of so many shards this process works; without an election there is one, and it works for that.
    pub fn set_shards_held(&self, shards: usize) {
        self.leader.set(i64::from(shards > 0));
        self.shards_held.set(shards as i64);
    }

    /// All of them as text.
    pub fn text(&self, format: Format) -> String {
        format.text_of(&self.registry)
    }
}

#[cfg(test)]
mod tests;
