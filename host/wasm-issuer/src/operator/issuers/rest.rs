//! How long an Issuer about which nothing changes needs no check.
//!
//! A call costs half a millisecond, whatever the plugin does in it: ten thousand Issuers of the default `checkInterval`
//! would keep a tenth of a processor busy. What a plugin without a server to ask says of an Issuer depends on what the
//! Issuer names, all of which is watched (but for a tag in a registry), and on the time: a CA's certificate expires. Its requests say so at once, and
//! have it checked.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::IssuerSpec;

/// How long what a check said is good for at most.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Until when a check would say what the last one said, if nothing about the Issuer changes.
#[derive(Debug, Default)]
pub struct Rest {
    until: Option<Instant>,
}

impl Rest {
    /// After a check that passed. `jitter`, a number from 0 to 1, spreads the checks of Issuers made together.
    pub fn after_check(spec: &IssuerSpec, jitter: f64) -> Self {
        let reaches_a_server = !spec.http.allowed_hosts.is_empty() || spec.plugin.may_move();
        let until = || Instant::now() + LONGEST.mul_f64(0.5 + 0.5 * jitter);
        Self { until: (!reaches_a_server).then(until) }
    }

    /// When it is over; none where there is none.
    pub fn end(&self) -> Option<Instant> {
        self.until
    }
}
