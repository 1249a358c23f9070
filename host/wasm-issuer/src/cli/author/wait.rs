//! `plugin sign --wait`: asks again as the operator would, by the decisions that the operator makes, while there is time.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::{Condition, RESUME, TRUE};
use wasm_issuer_core::issuance::outcome;
use wasm_issuer_core::issuance::plan::Moment;
use wasm_issuer_core::issuance::reason::ConditionReason;
use wasm_issuer_core::issuance::request::{IssuerName, RequestView, RetryPolicy, Tries};
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_runtime::CallError;

use super::output::{self, span};
use super::progress::Progress;
use crate::api::IssuerKey;
use crate::operator::moment;

/// How often it is told how long the wait still is.
const TICK: Duration = Duration::from_secs(1);

/// A request between two calls of its plugin.
pub struct Wait {
    /// What the operator would see of it.
    view: RequestView,
    tries: Tries,
    retry: RetryPolicy,
    /// When nobody waits any longer.
    end: Instant,
    interrupts: Option<Signal>,
    /// The last reason that was told.
    told: String,
}

impl Wait {
    /// For a request to that Issuer which may wait for so long in all; `resume` is the token that it begins with.
    pub fn new(
        issuer: &IssuerKey,
        retry: RetryPolicy,
        limit: Duration,
        resume: Option<&str>,
    ) -> anyhow::Result<Self> {
        let now = moment().now;
        let resume = resume.map(|token| Condition::new(RESUME, TRUE, ConditionReason::Pending, token, now));
        let interrupts = (!limit.is_zero()).then(|| signal(SignalKind::interrupt())).transpose()?;
        Ok(Self {
            view: RequestView {
                kind: RequestKind::CertificateRequest,
                owned: resume.iter().map(|resume| resume.type_.clone()).collect(),
                conditions: resume.into_iter().collect(),
                created: now,
                issuer: IssuerName { kind: issuer.kind.to_string(), name: issuer.name.clone(), signer: None },
            },
            tries: Tries::default(),
            retry,
            end: Instant::now() + limit,
            interrupts,
            told: String::new(),
        })
    }

    /// The token that the next call is to have.
    pub fn resume(&self) -> Option<&str> {
        self.view.resume()
    }

    /// When to ask again after a call that failed. None where the operator would not, where a broken plugin or the Issuer is to
    /// be mended first, or where the time would be over.
    pub fn next(&mut self, error: &CallError, moment: Moment) -> Option<Duration> {
        let CallError::Failed(failure) = error else { return None };
        let plan = outcome::failure(&self.view, failure, &self.retry, None, self.tries, moment);
        self.tries = plan.remember;
        if let Some(status) = plan.status {
            self.view.owned = status.conditions.iter().map(|condition| condition.type_.clone()).collect();
            self.view.conditions = status.conditions;
        }
        let delay = plan.next.delay().filter(|_| failure.kind != FailureKind::Issuer)?;
        (Instant::now() + delay <= self.end).then_some(delay)
    }

    /// Let that time pass, and tell why. False if the user has interrupted it.
    pub async fn rest(&mut self, delay: Duration, why: &str) -> bool {
        if self.told != why {
            let _ = output::stderr(&format!("waiting: {why}\n"));
            self.told = why.to_owned();
        }
        let again = Instant::now() + delay;
        let mut progress = Progress::new("asking again".to_owned());
        while let Some(left) = again.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            let most = self.end.saturating_duration_since(Instant::now());
            progress.show(&format!(" in {}, until {} have passed", seconds(left), seconds(most)));
            tokio::select! {
                () = sleep(left.min(TICK)) => {}
                () = interrupted(&mut self.interrupts) => return false,
            }
        }
        true
    }
}

async fn interrupted(interrupts: &mut Option<Signal>) {
    match interrupts {
        Some(interrupts) => drop(interrupts.recv().await),
        None => std::future::pending().await,
    }
}

/// A time in whole seconds, rounded up.
fn seconds(time: Duration) -> String {
    span(Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::issuance::signer::Failure;
    use wasm_issuer_runtime::Breakage;

    use super::*;
    use crate::api::IssuerKind;
    use crate::operator::RETRY;

    const MIDDLE: f64 = 0.5;

    fn wait(limit: u64, resume: Option<&str>) -> Wait {
        let key = IssuerKey { kind: IssuerKind::Cluster, namespace: None, name: "ca".to_owned() };
        Wait::new(&key, RETRY, Duration::from_secs(limit), resume).unwrap()
    }

    fn failed(kind: FailureKind) -> CallError {
        CallError::Failed(Failure { kind, message: "later".to_owned(), condition: None })
    }

    fn pending(resume: Option<&str>, poll_after: Option<u64>) -> CallError {
        failed(FailureKind::Pending {
            resume: resume.map(str::to_owned),
            poll_after: poll_after.map(Duration::from_secs),
        })
    }

    fn next(wait: &mut Wait, error: &CallError) -> Option<u64> {
        let moment = Moment { jitter: MIDDLE, ..moment() };
        wait.next(error, moment).map(|delay| delay.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_comes_when_the_operator_would_make_it() {
        let mut wait = wait(7200, None);
        assert_eq!(next(&mut wait, &pending(None, Some(30))), Some(30));
        assert_eq!(next(&mut wait, &pending(None, Some(0))), Some(1), "no sooner than after a second");
        assert_eq!(next(&mut wait, &pending(None, Some(86_400))), Some(3600), "no later than after an hour");
        let mut wait = self::wait(7200, None);
        let delays: Vec<_> = (0..8).filter_map(|_| next(&mut wait, &pending(None, None))).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_token_is_handed_back() {
        let mut wait = wait(7200, Some("order-1"));
        assert_eq!(wait.resume(), Some("order-1"));
        next(&mut wait, &pending(None, None));
        assert_eq!(wait.resume(), Some("order-1"), "none keeps the last one");
        next(&mut wait, &pending(Some("order-2"), None));
        next(&mut wait, &failed(FailureKind::Retry { after: None }));
        assert_eq!(wait.resume(), Some("order-2"), "the order is there, whatever the network does");
        next(&mut wait, &failed(FailureKind::Permanent));
        assert_eq!(wait.resume(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_after_is_kept_and_nobody_waits_beyond_the_time() {
        let mut wait = wait(60, None);
        let after = |seconds| failed(FailureKind::Retry { after: Some(Duration::from_secs(seconds)) });
        assert_eq!(next(&mut wait, &after(30)), Some(30));
        assert_eq!(next(&mut wait, &after(61)), None);
        assert!(wait.rest(Duration::from_secs(40), "later").await);
        assert_eq!(next(&mut wait, &after(30)), None);
        assert_eq!(next(&mut self::wait(0, None), &pending(None, None)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_time_does_not_mend_is_not_waited_for() {
        for error in [
            failed(FailureKind::Permanent),
            failed(FailureKind::Issuer),
            CallError::Broken(Breakage::StackOverflow),
        ] {
            assert_eq!(next(&mut wait(60, None), &error), None, "{error:?}");
        }
    }
}
