//! The decisions about one Issuer: what a check means for its status, and when to check again.

mod failure;
mod state;

use std::time::Duration;

pub use failure::{CheckFailure, CheckFailureKind};
use jiff::Timestamp;
pub use state::{IssuerState, PluginFacts};

use super::backoff::Backoff;
use super::condition::{self, Condition, FALSE, PLUGIN_CURRENT, READY, TRUE, UNKNOWN};
use super::plan::{Moment, Next, Notice, Plan, SYNC_FAILED, SYNCED};
use crate::text::{self, MAX_MESSAGE};

/// The delays between checks of an Issuer whose check failed; not longer than its checkInterval, so that it is back soon
/// after its CA. What it waits for is watched where it can be.
const RECHECK: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(300) };
/// How many checks in a row fail before an Issuer that was ready is not: one lost packet is no outage.
const FAILURES_OF_AN_OUTAGE: u32 = 3;
/// The reason of Ready where all is well.
const CHECKED: &str = "Checked";
/// The reason of Ready, and of an Event, where an older plugin serves than the source holds.
const PLUGIN_REFUSED: &str = "PluginRefused";
/// The same where the check passes and every call to sign is broken off.
const PLUGIN_BREAKS: &str = "PluginBreaks";

/// The longest time that a CA is not checked because it asked for it.
const MAX_REST: Duration = Duration::from_secs(3600);
/// The delays before an Issuer that passed its check but failed to sign is believed again.
const RELAPSE: Backoff = Backoff { min: Duration::from_secs(2), max: Duration::from_secs(600) };

/// The delays after a write that failed.
const WRITE: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(5) };
/// How long after a relapse a certificate may come of a call that was under way at the relapse.
const RELAPSE_MEMORY: Duration = Duration::from_secs(60);

/// What an attempt to make an Issuer ready came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Fine where the plugin is loaded and its check passed: the Issuer can sign.
    pub result: Result<(), CheckFailure>,
    /// Why to believe a failure.
    pub credence: Credence,
    /// The plugin in use.
    pub plugin: Option<PluginFacts>,
    /// Why the plugin that the source holds now is not the one in use.
    pub refused_plugin: Option<String>,
    /// How the plugin in use breaks off signing, if it does so at every call.
    pub breaks: Option<String>,
}

/// How far one failed check is believed of an Issuer that was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credence {
    /// It stands alone: nothing has changed, and nobody else complains.
    Alone,
    /// What was checked is new, or a request has just failed by the Issuer's fault.
    Likely,
}

/// What to do about an Issuer.
pub type IssuerPlan = Plan<NewIssuerStatus, History>;

/// What a check means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What to do.
    pub plan: IssuerPlan,
    /// Whether what was checked may sign.
    pub serves: bool,
}

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
    pub fn write_failed(planned: Self, jitter: f64) -> (Self, Duration) {
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

/// How long the short form of a message is, in bytes: a line of a terminal, with the other columns beside it.
const MAX_SUMMARY: usize = 120;

/// The short form of what a Ready condition says, beside its status and its reason.
pub fn summary(ready: &Condition) -> String {
    let message = [NOT_READY, FAILED, BUT].iter().find_map(|start| ready.message.strip_prefix(start));
    text::clean(message.unwrap_or(&ready.message), MAX_SUMMARY)
}

/// What Ready says of an Issuer whose check passed.
const SUCCEEDED: &str = "Succeeded checking the issuer";
/// The same in front of what is wrong all the same.
const BUT: &str = "Succeeded checking the issuer. ";
/// What Ready says first where a check failed that may pass later.
const NOT_READY: &str = "Not ready yet: ";
/// What it says first where only a change helps.
const FAILED: &str = "Failed permanently: ";

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

/// What an attempt means. `interval` is the time between the checks of an Issuer that is ready, `serves` whether what was
/// checked has been signing.
pub fn checked(
    state: &IssuerState,
    attempt: &Attempt,
    serves: bool,
    history: History,
    interval: Duration,
    moment: Moment,
) -> Checked {
    let failures = match &attempt.result {
        Ok(()) => 0,
        Err(_) => history.failures.saturating_add(1),
    };
    let remember = History { failures, ..history };
    let recheck = Backoff { max: interval.clamp(RECHECK.min, RECHECK.max), ..RECHECK };
    let delay = |after: Option<Duration>| {
        Next::After(recheck.delay(failures, moment.jitter, after.map(|after| after.min(MAX_REST))))
    };
    let pending = |message: &str, after| {
        let message = format!("{NOT_READY}{message}");
        let event = Notice::warning("RetryableError", SYNC_FAILED, &message);
        ((FALSE, "Pending", message), event, delay(after))
    };
    let (ready, event, next) = match &attempt.result {
        Ok(()) => {
            let (reason, message) = serving(attempt);
            let event = match reason {
                CHECKED => Notice::normal(CHECKED, SYNCED, &message),
                _ => Notice::warning(reason, SYNC_FAILED, &message),
            };
            // Spread, so that Issuers made together are not checked together for ever.
            let next = Next::After(interval.mul_f64(0.9 + 0.2 * moment.jitter));
            ((TRUE, reason, message), event, next)
        }
        Err(CheckFailure { message, kind }) => match kind {
            CheckFailureKind::Permanent => {
                let message = format!("{FAILED}{message}");
                let event = Notice::warning("PermanentError", SYNC_FAILED, &message);
                ((FALSE, "Failed", message), event, Next::Settled)
            }
            CheckFailureKind::Unknown => {
                return Checked { plan: Plan::idle(delay(None), remember), serves };
            }
            // What serves goes on. What does not is told: it may be its own namespace that keeps too much.
            CheckFailureKind::NoRoom if serves || is_doubted(state, Credence::Alone, failures) => {
                return Checked { plan: Plan::idle(delay(None), remember), serves };
            }
            CheckFailureKind::NoRoom => pending(message, None),
            CheckFailureKind::Passing { after } if is_doubted(state, attempt.credence, failures) => {
                return Checked { plan: Plan::idle(delay(*after), remember), serves };
            }
            CheckFailureKind::Passing { after } => pending(message, *after),
        },
    };
    let serves = attempt.result.is_ok();
    let (status, events) = told(state, attempt, ready, event, moment.now);
    Checked { plan: Plan { status, events, next, remember }, serves }
}

/// What Ready says of an Issuer whose check passed: reason and message.
fn serving(attempt: &Attempt) -> (&'static str, String) {
    let breaks = attempt.breaks.as_ref().map(|last| {
        (PLUGIN_BREAKS, format!("Its plugin breaks off at every call to sign, the last time so: {last}"))
    });
    let refused = refusal(attempt).map(|why| (PLUGIN_REFUSED, why));
    let wrong: Vec<_> = refused.into_iter().chain(breaks).collect();
    let reason = wrong.first().map_or(CHECKED, |(reason, _)| reason);
    (reason, wrong.iter().fold(SUCCEEDED.to_owned(), |said, (_, more)| format!("{said}. {more}")))
}

/// Why the plugin in use is not the newest one, if it is not.
fn refusal(attempt: &Attempt) -> Option<String> {
    let (why, old) = attempt.refused_plugin.as_ref().zip(attempt.plugin.as_ref())?;
    let short: String = old.sha256.chars().take(12).collect();
    Some(format!("The new plugin was not taken into use, {short} goes on serving: {why}"))
}

/// Whether so many failed checks in a row of an Issuer that is ready, for the spec that it has now, are not believed yet.
fn is_doubted(state: &IssuerState, credence: Credence, failures: u32) -> bool {
    state.is_ready() && credence == Credence::Alone && failures < FAILURES_OF_AN_OUTAGE
}

/// The status after an attempt, if it differs, and what to tell about it.
fn told(
    state: &IssuerState,
    attempt: &Attempt,
    (ready, reason, message): (&str, &str, String),
    event: Notice,
    now: Timestamp,
) -> (Option<NewIssuerStatus>, Vec<Notice>) {
    let mut new = status(state, ready, reason, &message, now);
    new.plugin = attempt.plugin.as_ref().map(|plugin| {
        // Loading it again after a restart is no news.
        let known = state.plugin.as_ref().filter(|p| p.sha256 == plugin.sha256 && p.source == plugin.source);
        known.unwrap_or(plugin).clone()
    });
    let mut events = plugin_current(&mut new, attempt, state.generation, now);
    // That a plugin is refused, or is not any more, is told once: by the other condition.
    let before = condition::find(&state.conditions, READY);
    let is_told = reason == PLUGIN_REFUSED
        || (reason == CHECKED && before.is_some_and(|ready| ready.reason == PLUGIN_REFUSED));
    if !is_told && changed(&state.conditions, &new.conditions, READY) {
        events.insert(0, event);
    }
    let same = state.conditions == new.conditions && state.plugin == new.plugin && !state.is_old;
    ((!same).then_some(new), events)
}

/// What it means that signing fails by the Issuer's fault although its check passes ([`super::blame`]): it is not ready,
/// and the more often check and signing disagreed the longer it takes until the next check is believed.
pub fn relapsed(state: &IssuerState, error: &str, history: History, moment: Moment) -> IssuerPlan {
    let relapses = history.relapses.saturating_add(1);
    let message = format!("{NOT_READY}{error}");
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
    let before = condition::find(&status.conditions, PLUGIN_CURRENT).cloned();
    let new = match refusal(attempt) {
        Some(why) => Condition::new(PLUGIN_CURRENT, FALSE, "Refused", text::clean(&why, MAX_MESSAGE), now),
        // Nothing is in use: Ready says why, and a second condition would only repeat it.
        None if attempt.plugin.is_none() => {
            status.conditions.retain(|c| c.type_ != PLUGIN_CURRENT);
            return vec![];
        }
        None => Condition::new(PLUGIN_CURRENT, TRUE, "Loaded", "The plugin of the spec is in use", now),
    };
    let was_refused = before.filter(|before| before.status == FALSE);
    let notice = match (new.status == FALSE, was_refused) {
        (true, Some(before)) if before.message == new.message => None,
        (true, _) => Some(Notice::warning(PLUGIN_REFUSED, SYNC_FAILED, &new.message)),
        (false, Some(_)) => Some(Notice::normal("PluginLoaded", SYNCED, &new.message)),
        (false, None) => None,
    };
    condition::set(&mut status.conditions, new.observing(generation));
    notice.into_iter().collect()
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
