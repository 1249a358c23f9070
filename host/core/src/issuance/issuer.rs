//! The decisions about one Issuer: what a check means for its status, and when to check again.

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Backoff;
use super::condition::{self, Condition, FALSE, PLUGIN_CURRENT, READY, TRUE, UNKNOWN};
use super::plan::{Moment, Next, Notice, Plan, SYNC_FAILED, SYNCED};
use super::signer::{Failure, FailureKind};
use crate::text::{self, MAX_MESSAGE};

/// The delays between checks of an Issuer that is not ready. What it waits for is watched where it can be.
const RECHECK: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(300) };
/// The delays before an Issuer that passed its check but failed to sign is believed again.
const RELAPSE: Backoff = Backoff { min: Duration::from_secs(2), max: Duration::from_secs(600) };

/// The delays after a write that failed.
const WRITE: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(30) };
/// How long after a relapse a certificate may come of a call that was under way at the relapse.
const RELAPSE_MEMORY: Duration = Duration::from_secs(60);

/// What is observed of an Issuer.
#[derive(Clone, Debug)]
pub struct IssuerState {
    /// `metadata.generation`.
    pub generation: i64,
    /// Its conditions, all of which are this operator's.
    pub conditions: Vec<Condition>,
    /// What `status.plugin` says.
    pub plugin: Option<PluginFacts>,
}

/// Which plugin an Issuer uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFacts {
    /// SHA-256 of the wasm bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Where it came from: `ConfigMap team-a/cfssl-plugin`.
    pub source: String,
    /// When it was taken into use.
    pub loaded_at: Timestamp,
}

/// What an attempt to make an Issuer ready came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Fine where the plugin is loaded and its check passed: the Issuer can sign.
    pub result: Result<(), CheckFailure>,
    /// The plugin in use.
    pub plugin: Option<PluginFacts>,
    /// Why the plugin that the source holds now is not the one in use.
    pub refused_plugin: Option<String>,
}

/// Why an Issuer is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFailure {
    /// What the Ready condition says of it, for people.
    pub message: String,
    /// Whether only a change of the Issuer, its Secret or its plugin can help.
    pub permanent: bool,
    /// The CA's own wish for when to ask again.
    pub after: Option<Duration>,
}

impl CheckFailure {
    /// A failure that may pass by itself.
    pub fn passing(error: impl ToString) -> Self {
        Self { message: error.to_string(), permanent: false, after: None }
    }

    /// A failure that only a change of the Issuer mends.
    pub fn permanent(error: impl ToString) -> Self {
        Self { message: error.to_string(), permanent: true, after: None }
    }
}

impl From<Failure> for CheckFailure {
    /// A check that is pending has not passed, and one that blames the Issuer says no more than that it failed.
    fn from(Failure { kind, message, .. }: Failure) -> Self {
        let (permanent, after) = match kind {
            FailureKind::Permanent => (true, None),
            FailureKind::Retry { after } | FailureKind::Pending { poll_after: after, .. } => (false, after),
            FailureKind::Issuer => (false, None),
        };
        Self { message, permanent, after }
    }
}

/// What to do about an Issuer.
pub type IssuerPlan = Plan<NewIssuerStatus, History>;

/// What happened before; in memory only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Failed checks in a row.
    pub failures: u32,
    /// How often in a row signing failed by the Issuer's fault although its check had passed.
    pub relapses: u32,
    /// Writes of its status that failed in a row.
    pub write_failures: u32,
}

impl History {
    /// What to remember of a plan whose status is written.
    pub fn written(planned: Self) -> Self {
        Self { write_failures: 0, ..planned }
    }

    /// What to remember of a plan whose status could not be written, and how long to wait before the next attempt. The
    /// check was made and the signing has failed all the same, so they count. `jitter` is a number from 0 to 1.
    pub fn unwritten(planned: Self, jitter: f64) -> (Self, Duration) {
        let write_failures = planned.write_failures.saturating_add(1);
        (Self { write_failures, ..planned }, WRITE.delay(write_failures, jitter, None))
    }

    /// What to remember when a request was signed. Relapses are forgotten once a certificate comes so long after the last
    /// one that its call cannot have been under way then.
    pub fn signed(self, since_relapse: Option<Duration>) -> Self {
        match since_relapse {
            Some(since) if since <= RELAPSE_MEMORY => self,
            _ => Self { relapses: 0, ..self },
        }
    }
}

/// The status that an Issuer is to have, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIssuerStatus {
    /// Ready and PluginCurrent; what is not here is dropped from the object.
    pub conditions: Vec<Condition>,
    /// The plugin in use.
    pub plugin: Option<PluginFacts>,
    /// The generation that this is about.
    pub observed_generation: i64,
}

/// The status that says that work has begun, for an Issuer that has none.
pub fn initializing(state: &IssuerState, now: Timestamp) -> Option<NewIssuerStatus> {
    if condition::find(&state.conditions, READY).is_some() {
        return None;
    }
    let message = format!("{} has started reconciling this Issuer", super::FIELD_MANAGER);
    Some(status(state, UNKNOWN, "Initializing", &message, now))
}

/// What an attempt means.
pub fn checked(
    state: &IssuerState,
    attempt: &Attempt,
    history: History,
    interval: Duration,
    moment: Moment,
) -> IssuerPlan {
    let now = moment.now;
    let failures = match &attempt.result {
        Ok(()) => 0,
        Err(_) => history.failures.saturating_add(1),
    };
    let (mut new, event, next) = match &attempt.result {
        Ok(()) => {
            const MESSAGE: &str = "Succeeded checking the issuer";
            let event = Notice::normal("Checked", SYNCED, MESSAGE);
            // Spread, so that Issuers made together are not checked together for ever.
            let next = Next::After(interval.mul_f64(0.9 + 0.2 * moment.jitter));
            (status(state, TRUE, "Checked", MESSAGE, now), event, next)
        }
        Err(failure) if failure.permanent => {
            let message = format!("Failed permanently: {}", failure.message);
            let event = Notice::warning("PermanentError", SYNC_FAILED, &message);
            (status(state, FALSE, "Failed", &message, now), event, Next::Settled)
        }
        Err(failure) => {
            let message = format!("Not ready yet: {}", failure.message);
            let event = Notice::warning("RetryableError", SYNC_FAILED, &message);
            let next = Next::After(RECHECK.delay(failures, moment.jitter, failure.after));
            (status(state, FALSE, "Pending", &message, now), event, next)
        }
    };
    new.plugin = attempt.plugin.as_ref().map(|plugin| {
        // Loading it again after a restart is no news.
        let known = state.plugin.as_ref().filter(|p| p.sha256 == plugin.sha256 && p.source == plugin.source);
        known.unwrap_or(plugin).clone()
    });
    let mut events = plugin_current(&mut new, attempt, state.generation, now);
    let ready_changed = changed(&state.conditions, &new.conditions, READY);
    if ready_changed {
        events.insert(0, event);
    }
    let same = state.conditions == new.conditions && state.plugin == new.plugin;
    Plan { status: (!same).then_some(new), events, next, remember: History { failures, ..history } }
}

/// What a failure of `sign` that is the Issuer's fault means: it is not ready, and the more often its check and
/// its signing disagreed the longer it takes until the next check is believed.
pub fn relapsed(state: &IssuerState, error: &str, history: History, moment: Moment) -> IssuerPlan {
    let relapses = history.relapses.saturating_add(1);
    let message = format!("Not ready yet: {error}");
    let new = status(state, FALSE, "Pending", &message, moment.now);
    let events = if changed(&state.conditions, &new.conditions, READY) {
        vec![Notice::warning("RetryableError", SYNC_FAILED, &message)]
    } else {
        vec![]
    };
    let next = Next::After(RELAPSE.delay(relapses, moment.jitter, None));
    let status = (state.conditions != new.conditions).then_some(new);
    Plan { status, events, next, remember: History { relapses, ..history } }
}

/// Set the condition that says whether the plugin that the source holds is in use; what to tell about it.
fn plugin_current(
    status: &mut NewIssuerStatus,
    attempt: &Attempt,
    generation: i64,
    now: Timestamp,
) -> Vec<Notice> {
    let before = condition::find(&status.conditions, PLUGIN_CURRENT).map(|c| c.status.clone());
    let new = match (&attempt.refused_plugin, &status.plugin) {
        (Some(why), Some(old)) => {
            let short: String = old.sha256.chars().take(12).collect();
            let message = format!("The new plugin was not taken into use, {short} goes on serving: {why}");
            Condition::new(PLUGIN_CURRENT, FALSE, "Refused", text::clean(&message, MAX_MESSAGE), now)
        }
        // Nothing is in use: Ready says why, and a second condition would only repeat it.
        _ if attempt.plugin.is_none() => {
            status.conditions.retain(|c| c.type_ != PLUGIN_CURRENT);
            return vec![];
        }
        _ => Condition::new(PLUGIN_CURRENT, TRUE, "Loaded", "The plugin of the spec is in use", now),
    };
    let refused = new.status == FALSE;
    let note = new.message.clone();
    condition::set(&mut status.conditions, new.observing(generation));
    match (refused, before.as_deref()) {
        (true, Some(FALSE)) => vec![],
        (true, _) => vec![Notice::warning("PluginRefused", SYNC_FAILED, &note)],
        (false, Some(FALSE)) => vec![Notice::normal("PluginLoaded", SYNCED, &note)],
        (false, _) => vec![],
    }
}

fn status(state: &IssuerState, status: &str, reason: &str, message: &str, now: Timestamp) -> NewIssuerStatus {
    let mut conditions = state.conditions.clone();
    let message = text::clean(message, MAX_MESSAGE);
    condition::set(
        &mut conditions,
        Condition::new(READY, status, reason, message, now).observing(state.generation),
    );
    NewIssuerStatus { conditions, plugin: state.plugin.clone(), observed_generation: state.generation }
}

/// Whether a condition says something else than before; a new generation alone counts too.
fn changed(before: &[Condition], after: &[Condition], type_: &str) -> bool {
    condition::find(before, type_) != condition::find(after, type_)
}

#[cfg(test)]
mod tests;
