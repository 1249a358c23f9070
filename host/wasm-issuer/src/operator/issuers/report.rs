//! Tells about what plugins do that nobody sees in a status.

use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::ObjectReference;
use wasm_issuer_core::issuance::plan::{Notice, SYNC_FAILED};
use wasm_issuer_runtime::CallError;
use wasm_issuer_runtime::egress::{Denial, HttpFailure, Observer};

use crate::api::{IssuerKey, IssuerKind};
use crate::operator::events::Events;
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::policy::CurrentPolicy;

/// Makes the observers of plugins' requests, and counts what else plugins do.
pub struct Reporter {
    events: Events,
    leadership: Leadership,
    policy: CurrentPolicy,
    pub metrics: Arc<Metrics>,
}

impl Reporter {
    /// One that publishes Events and counts.
    pub fn new(events: Events, leadership: Leadership, policy: CurrentPolicy, metrics: Arc<Metrics>) -> Self {
        Self { events, leadership, policy, metrics }
    }

    /// A plugin broke off its check, which the Issuer's status tells.
    pub fn check_ended(&self, checked: &Result<(), CallError>) {
        if let Err(CallError::Broken(breakage)) = checked {
            self.metrics.broke(breakage);
        }
    }

    /// An observer that tells about denied requests on the Issuer whose plugin made them.
    pub fn of_issuer(&self, key: &IssuerKey, issuer: &ObjectReference) -> Arc<dyn Observer> {
        Arc::new(IssuerReporter {
            name: key.to_string(),
            kind: key.kind,
            policy: self.policy.clone(),
            issuer: issuer.clone(),
            events: self.events.clone(),
            leadership: self.leadership.clone(),
            metrics: self.metrics.clone(),
        })
    }
}

struct IssuerReporter {
    name: String,
    kind: IssuerKind,
    policy: CurrentPolicy,
    issuer: ObjectReference,
    events: Events,
    leadership: Leadership,
    metrics: Arc<Metrics>,
}

impl Observer for IssuerReporter {
    fn denied(&self, denial: &Denial) {
        self.metrics.denied(denial.reason);
        let Some(fence) = self.leadership.of(&self.name) else { return };
        let note = format!("{}. To allow it: {}", denial.message, denial.fix_line);
        self.events.publish(&fence, &self.issuer, vec![Notice::warning("RequestDenied", SYNC_FAILED, &note)]);
    }

    fn failed(&self, failure: &HttpFailure) {
        tracing::info!(
            issuer = self.issuer.name,
            namespace = self.issuer.namespace,
            destination = failure.destination,
            error = failure.message,
            "a plugin's request got no response"
        );
    }

    fn policy_for(&self, network: Option<IpNet>) -> String {
        self.policy.borrow().reaching(self.kind, network).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wasm_issuer_runtime::egress::DenialReason;

    use super::*;
    use crate::operator::testing::ScriptedApi;
    use crate::policy::PolicyFile;

    #[tokio::test(start_paused = true)]
    async fn the_event_of_a_denial_names_no_resolved_address() {
        let (api, metrics) = (ScriptedApi::new(), Arc::new(Metrics::new()));
        let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
        let key = IssuerKey { kind: IssuerKind::Cluster, namespace: None, name: "ca".to_owned() };
        let reporter = Reporter::new(events, Leadership::alone(), PolicyFile::none().policy(), metrics);
        let observer = reporter.of_issuer(&key, &ObjectReference::default());
        observer.denied(&Denial {
            destination: "https://db.internal".to_owned(),
            reason: DenialReason::AddressProhibited,
            message: "https://db.internal is out of reach".to_owned(),
            fix_line: "ask".to_owned(),
            address: Some("10.96.0.7 is a private address".to_owned()),
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(api.events(), ["RequestDenied: https://db.internal is out of reach. To allow it: ask"]);
    }
}
