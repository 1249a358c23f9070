//! Metrics in the Prometheus text format. Labels are words of this code, never text from an object: their number is
//! bounded whatever anybody creates.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MismatchLabels {
    field: &'static str,
    enforced: &'static str,
}

/// All metrics of the operator.
pub struct Metrics {
    registry: Mutex<Registry>,
    signs: Family<OutcomeLabel, Counter>,
    sign_seconds: Histogram,
    breakages: Family<ReasonLabel, Counter>,
    mismatches: Family<MismatchLabels, Counter>,
    denials: Family<ReasonLabel, Counter>,
    writes: Family<OutcomeLabel, Counter>,
    /// Events that were dropped because too many waited.
    pub events_dropped: Counter,
    /// Log records that were dropped because nobody read them.
    pub log_records_dropped: Counter,
    /// How often the policy file turned out to be no policy; the one before holds on.
    pub policy_errors: Counter,
    pub issuers: Gauge,
    pub issuers_ready: Gauge,
    /// Requests that are not finished.
    pub requests: Gauge<i64>,
    /// Requests that are being handled.
    pub in_flight: Gauge<i64>,
    /// The shards whose Issuers this process works for; with one shard, whether it leads.
    pub shards_held: Gauge<i64>,
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("wasm_issuer")),
            signs: Family::default(),
            // 1 ms to about 16 s: from a CA in memory to one that makes people wait.
            sign_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            breakages: Family::default(),
            mismatches: Family::default(),
            denials: Family::default(),
            writes: Family::default(),
            events_dropped: Counter::<u64, AtomicU64>::default(),
            log_records_dropped: Counter::<u64, AtomicU64>::default(),
            policy_errors: Counter::<u64, AtomicU64>::default(),
            issuers: Gauge::default(),
            issuers_ready: Gauge::default(),
            requests: Gauge::default(),
            in_flight: Gauge::default(),
            shards_held: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let r = &mut *registry;
        r.register("signs", "Calls of a plugin's sign by what came of them", self.signs.clone());
        r.register("sign_seconds", "Duration of a plugin's sign in seconds", self.sign_seconds.clone());
        r.register("plugin_breakages", "Calls that a plugin did not survive, by how", self.breakages.clone());
        r.register(
            "certificate_mismatches",
            "Certificates that differed from their request, by field; the enforced ones were refused",
            self.mismatches.clone(),
        );
        r.register("http_denials", "Outgoing requests of plugins that were denied", self.denials.clone());
        r.register("status_writes", "Status writes by what came of them", self.writes.clone());
        r.register("events_dropped", "Events dropped because too many waited", self.events_dropped.clone());
        r.register(
            "log_records_dropped",
            "Log records dropped because nobody read stderr",
            self.log_records_dropped.clone(),
        );
        r.register(
            "policy_errors",
            "Changes of the policy file that made it no policy; the one before holds on",
            self.policy_errors.clone(),
        );
        r.register("issuers", "Issuers", self.issuers.clone());
        r.register("issuers_ready", "Issuers that can sign", self.issuers_ready.clone());
        r.register("requests_unfinished", "Requests that are not finished", self.requests.clone());
        r.register("requests_in_flight", "Requests being worked on", self.in_flight.clone());
        r.register("shards_held", "Shards whose Issuers this process works for", self.shards_held.clone());
    }

    /// A call of `sign` ended. `outcome` is `issued` or how it failed.
    pub fn signed(&self, outcome: &'static str, took: Duration) {
        self.signs.get_or_create(&OutcomeLabel { outcome }).inc();
        self.sign_seconds.observe(took.as_secs_f64());
    }

    /// A plugin broke off a call: `reason` is a breakage's label.
    pub fn broke(&self, reason: &'static str) {
        self.breakages.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A certificate differed from its request in `field`, and was refused for it if `enforced`.
    pub fn mismatch(&self, field: &'static str, enforced: bool) {
        let enforced = if enforced { "true" } else { "false" };
        self.mismatches.get_or_create(&MismatchLabels { field, enforced }).inc();
    }

    /// A plugin asked for a host or an address that it may not reach.
    pub fn denied(&self, reason: &'static str) {
        self.denials.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A status write ended. `outcome` is `written` or why it was not.
    pub fn wrote(&self, outcome: &'static str) {
        self.writes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// All of them in the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.signed("issued", Duration::from_millis(3));
        metrics.mismatch("duration", false);
        let text = metrics.text();
        assert!(text.contains(r#"wasm_issuer_signs_total{outcome="issued"} 1"#), "{text}");
        assert!(
            text.contains(r#"wasm_issuer_certificate_mismatches_total{field="duration",enforced="false"} 1"#),
            "{text}"
        );
        assert!(text.contains("wasm_issuer_sign_seconds_count 1"), "{text}");
    }
}
