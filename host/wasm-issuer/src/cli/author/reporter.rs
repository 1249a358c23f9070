//! What a plugin asked for over the network and did not get, told when the command ends: each once, and not again what the
//! plugin's failure says already.

use std::sync::{Mutex, PoisonError};

use ipnet::IpNet;
use serde::Serialize;
use wasm_issuer_runtime::egress::{Denial, HttpFailure, Observer};

use super::policy::AppliedPolicy;
use crate::api::IssuerKind;

/// How many different ones are kept; a call makes 32 requests at most.
const MAX: usize = 32;

/// Takes note of the requests of one Issuer's plugin that did not get through.
pub struct Reporter {
    policy: AppliedPolicy,
    kind: IssuerKind,
    seen: Mutex<Vec<Unanswered>>,
}

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unanswered {
    /// `scheme://host[:port]`, as the plugin asked for it.
    destination: String,
    /// Whether it was denied; else it was let through and failed.
    denied: bool,
    /// Why, in full.
    message: String,
    /// What the host puts of it into the message of a failure.
    #[serde(skip)]
    hint: Option<String>,
    /// What a denial tells to nobody but whoever runs the operator, which on a laptop is the author.
    #[serde(skip)]
    address: Option<String>,
}

impl Reporter {
    /// For the plugin of an Issuer of this kind, which is bounded by the policy.
    pub fn new(policy: AppliedPolicy, kind: IssuerKind) -> Self {
        Self { policy, kind, seen: Mutex::default() }
    }

    /// What was seen so far, in the order in which it was.
    pub fn seen(&self) -> Vec<Unanswered> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, new: Unanswered) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX && !seen.contains(&new) {
            seen.push(new);
        }
    }
}

impl Observer for Reporter {
    fn denied(&self, denial: &Denial) {
        self.note(Unanswered {
            destination: denial.destination.clone(),
            denied: true,
            message: denial.in_full(),
            hint: Some(denial.in_short()),
            address: denial.address.clone(),
        });
    }

    fn failed(&self, failure: &HttpFailure) {
        self.note(Unanswered {
            destination: failure.destination.clone(),
            denied: false,
            message: failure.message.clone(),
            hint: failure.hint.clone(),
            address: None,
        });
    }

    fn policy_for(&self, network: Option<IpNet>) -> String {
        self.policy.reaching(self.kind, network)
    }
}

/// A line for each, as far as `failure`, the message of the plugin's failure, does not say it.
pub fn text(seen: &[Unanswered], failure: &str) -> String {
    let line = |one: &Unanswered| {
        let Unanswered { destination, denied, message, hint, address } = one;
        let is_said = hint.as_ref().is_some_and(|hint| failure.contains(hint.as_str()));
        match (denied, is_said) {
            (true, false) => Some(format!("denied: {message}\n")),
            (false, false) => Some(format!("no response from {destination}: {message}\n")),
            (_, true) => address.as_ref().map(|address| format!("denied: {destination}: {address}\n")),
        }
    };
    seen.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use wasm_issuer_runtime::egress::DenialReason;

    use super::*;

    fn denial(host: &str, address: Option<&str>) -> Denial {
        Denial {
            destination: format!("https://{host}"),
            reason: DenialReason::NotGranted,
            message: format!("the Issuer does not grant its plugin https://{host}"),
            fix_line: "grant it".to_owned(),
            address: address.map(str::to_owned),
        }
    }

    fn reporter() -> Reporter {
        Reporter::new(AppliedPolicy::default(), IssuerKind::Namespaced)
    }

    #[test]
    fn each_is_told_once_and_only_so_many_are_kept() {
        let reporter = reporter();
        for _ in 0..3 {
            reporter.denied(&denial("a", None));
            reporter.failed(&HttpFailure {
                destination: "https://b".to_owned(),
                message: "refused".to_owned(),
                hint: None,
            });
        }
        assert_eq!(
            text(&reporter.seen(), ""),
            "denied: the Issuer does not grant its plugin https://a; to allow it: grant it\n\
             no response from https://b: refused\n"
        );
        (0..100).for_each(|n| reporter.denied(&denial(&n.to_string(), None)));
        assert_eq!(reporter.seen().len(), MAX);
    }

    #[test]
    fn what_the_failure_says_is_not_said_again_but_for_the_address() {
        let reporter = reporter();
        reporter.denied(&denial("a", None));
        reporter.denied(&denial("b", Some("10.0.0.1 is a private address")));
        let failure = "no; the Issuer does not grant its plugin https://a; to allow it: grant it; the Issuer does not \
                       grant its plugin https://b; to allow it: grant it";
        assert_eq!(text(&reporter.seen(), failure), "denied: https://b: 10.0.0.1 is a private address\n");
    }
}
