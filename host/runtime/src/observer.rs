//! Requests of a call that did not get through.

use std::sync::Arc;

use ipnet::IpNet;
use tracing::Level;

use super::egress::{Denial, HttpFailure, Observer};
use super::log::CallLog;

/// The `source` of log records about requests that did not get through: whoever tells of these otherwise can leave them out.
pub const NETWORK_RECORDS: &str = "network";
/// Longer texts about a request say nothing more.
const MAX_TEXT: usize = 1024;

/// Notes what did not get through among the records of the call, and tells the session's observer. The plugin chose
/// where to: what it put of a secret into a host name is not repeated.
pub struct CallObserver {
    pub log: Arc<CallLog>,
}

impl CallObserver {
    fn shown(&self, text: &str) -> String {
        self.log.presentable(text, MAX_TEXT)
    }

    fn note(&self, text: &str) {
        self.log.record(Level::WARN, NETWORK_RECORDS, text);
    }
}

impl Observer for CallObserver {
    fn denied(&self, denial: &Denial) {
        let denial = Denial {
            destination: self.shown(&denial.destination),
            message: self.shown(&denial.message),
            fix_line: self.shown(&denial.fix_line),
            address: denial.address.clone(),
            reason: denial.reason,
        };
        self.note(&format!("denied: {}", denial.in_full()));
        self.log.hint(denial.in_short());
        self.log.session().observer.denied(&denial);
    }

    fn failed(&self, failure: &HttpFailure) {
        let failure = HttpFailure {
            destination: self.shown(&failure.destination),
            message: self.shown(&failure.message),
            hint: failure.hint.as_ref().map(|hint| self.shown(hint)),
        };
        self.note(&format!("no response from {}: {}", failure.destination, failure.message));
        if let Some(hint) = &failure.hint {
            self.log.hint(hint.clone());
        }
        self.log.session().observer.failed(&failure);
    }

    fn policy_for(&self, network: Option<IpNet>) -> String {
        self.log.session().observer.policy_for(network)
    }
}
