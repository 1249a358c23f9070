//! Who leads: what a process does about one Lease, and about which ones. Pure; the clock is an argument.
//!
//! A point in time is how long the process's own clock has run since some point that stays the same: a clock that never
//! goes back. Nothing here looks at a wall clock: not at one's own, and not at another process's by the times that are
//! written in a Lease. That a Lease runs out is seen as client-go sees it, by how long one has watched it not change.
//!
//! Why at most one process holds a Lease: who holds it counts on it from the beginning of the last write of its own that
//! landed, and only for [`Terms::deadline`]. Who waits saw that write later, so waits until later, and for longer:
//! [`Terms::lease`]. And what it then writes lands only on the version that it has watched.

mod shards;

use std::time::Duration;

pub use shards::{Census, Wishes, shard_of};
use thiserror::Error;

/// By which times a Lease is held and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    lease: Duration,
    deadline: Duration,
    retry: Duration,
}

/// Times by which no Lease can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TermsError {
    /// `spec.leaseDurationSeconds` is a whole number of seconds, 1 or more.
    #[error("--lease-duration {0:?} is not a whole number of seconds from 1 to 3600")]
    NoWholeSeconds(Duration),
    /// Who holds the Lease must give up before others may take it.
    #[error("--renew-deadline {deadline:?} must be shorter than --lease-duration {lease:?}")]
    DeadlineTooLong {
        /// As given.
        deadline: Duration,
        /// As given.
        lease: Duration,
    },
    /// One failed try must not cost the Lease.
    #[error("--retry-period {retry:?} must be longer than 0 and shorter than --renew-deadline {deadline:?}")]
    RetryTooLong {
        /// As given.
        retry: Duration,
        /// As given.
        deadline: Duration,
    },
}

impl Default for Terms {
    /// As client-go and with it every Kubernetes component has them: 15 s, 10 s, 2 s.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { lease: seconds(15), deadline: seconds(10), retry: seconds(2) }
    }
}

impl Terms {
    /// The longest Lease, in seconds.
    pub const LONGEST: u64 = 3600;

    /// `lease`: how long others wait for a Lease that does not change. `deadline`: how long it is counted on after the last
    /// write that landed. `retry`: how often it is written.
    pub fn new(lease: Duration, deadline: Duration, retry: Duration) -> Result<Self, TermsError> {
        if lease.subsec_nanos() != 0 || !(1..=Self::LONGEST).contains(&lease.as_secs()) {
            return Err(TermsError::NoWholeSeconds(lease));
        }
        if deadline >= lease {
            return Err(TermsError::DeadlineTooLong { deadline, lease });
        }
        if retry.is_zero() || retry >= deadline {
            return Err(TermsError::RetryTooLong { retry, deadline });
        }
        Ok(Self { lease, deadline, retry })
    }

    /// How long others wait.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// How long a write that landed is counted on, from its beginning.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The time between two writes, and between two tries.
    pub fn retry(&self) -> Duration {
        self.retry
    }

    /// How long one request to the API server may take: so that one that hangs leaves time for another.
    pub fn request(&self) -> Duration {
        self.deadline / 2
    }
}

/// A Lease as it was observed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who holds it; none where it was released.
    pub holder: Option<String>,
    /// For how long, as the holder says.
    pub duration: Duration,
    /// When this process saw it change last.
    pub changed: Duration,
}

/// What to do about a Lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is free, or has run out: try to take it.
    Acquire,
    /// It is held, and it is time to say so.
    Renew,
    /// Nothing before then, unless it changes.
    Wait(Duration),
    /// This process does not hold it any more, or is not sure to.
    StepDown,
}

/// What `me` does about a Lease. `seen`: none where there is no such Lease. `renewed`: when the last write of its own that
/// landed began, if it holds the Lease.
pub fn step(me: &str, seen: Option<&Seen>, renewed: Option<Duration>, terms: &Terms, now: Duration) -> Step {
    let holder = seen.and_then(|seen| seen.holder.as_deref());
    let Some(renewed) = renewed else {
        return match seen.filter(|_| holder.is_some_and(|holder| holder != me)) {
            Some(others) if now < others.changed + others.duration => {
                Step::Wait(others.changed + others.duration)
            }
            // Nobody is called as this process is: where it is the holder, a write of its own landed without an answer.
            _ => Step::Acquire,
        };
    };
    if holder != Some(me) || now >= renewed + terms.deadline {
        Step::StepDown
    } else if now >= renewed + terms.retry {
        Step::Renew
    } else {
        Step::Wait(renewed + terms.retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(holder: &str, changed: u64) -> Seen {
        let holder = (!holder.is_empty()).then(|| holder.to_owned());
        Seen { holder, duration: at(15), changed: at(changed) }
    }

    fn decide(seen: Option<&Seen>, renewed: Option<u64>, now: u64) -> Step {
        step("me", seen, renewed.map(at), &Terms::default(), at(now))
    }

    #[test]
    fn what_nobody_holds_is_taken_at_once() {
        assert_eq!(decide(None, None, 100), Step::Acquire, "there is none");
        assert_eq!(decide(Some(&seen("", 100)), None, 100), Step::Acquire, "released");
        assert_eq!(decide(Some(&seen("me", 100)), None, 100), Step::Acquire, "a write whose answer was lost");
    }

    #[test]
    fn what_another_holds_is_taken_when_it_has_not_changed_for_its_duration() {
        let others = seen("other", 100);
        assert_eq!(decide(Some(&others), None, 100), Step::Wait(at(115)));
        assert_eq!(decide(Some(&others), None, 114), Step::Wait(at(115)));
        assert_eq!(decide(Some(&others), None, 115), Step::Acquire);
        let longer = Seen { duration: at(60), ..others };
        assert_eq!(decide(Some(&longer), None, 115), Step::Wait(at(160)), "as its holder has it");
    }

    #[test]
    fn what_is_held_is_renewed_until_the_deadline() {
        let mine = seen("me", 100);
        assert_eq!(decide(Some(&mine), Some(100), 101), Step::Wait(at(102)));
        assert_eq!(decide(Some(&mine), Some(100), 102), Step::Renew);
        assert_eq!(decide(Some(&mine), Some(100), 109), Step::Renew);
        assert_eq!(decide(Some(&mine), Some(100), 110), Step::StepDown);
        assert_eq!(decide(Some(&mine), Some(100), 4000), Step::StepDown, "the process stood still");
    }

    #[test]
    fn what_another_has_taken_is_not_held() {
        assert_eq!(decide(Some(&seen("other", 101)), Some(100), 101), Step::StepDown);
        assert_eq!(decide(Some(&seen("", 101)), Some(100), 101), Step::StepDown, "released by force");
        assert_eq!(decide(None, Some(100), 101), Step::StepDown, "deleted");
    }

    #[test]
    fn who_holds_gives_up_before_another_takes() {
        // The other saw the write when it began, which is the earliest.
        let (mine, others) = (seen("me", 100), seen("me", 100));
        for now in 100..200 {
            let holds = decide(Some(&mine), Some(100), now) != Step::StepDown;
            let taken = step("other", Some(&others), None, &Terms::default(), at(now)) == Step::Acquire;
            assert!(!(holds && taken), "at {now}");
        }
    }

    #[test]
    fn times_that_cannot_be_are_told_with_their_flags() {
        let terms = |lease, deadline, retry| {
            Terms::new(at(lease), at(deadline), at(retry)).map_err(|error| error.to_string())
        };
        assert_eq!(terms(15, 10, 2), Ok(Terms::default()));
        let short = "--renew-deadline 15s must be shorter than --lease-duration 15s";
        assert_eq!(terms(15, 15, 2).unwrap_err(), short);
        let slow = "--retry-period 10s must be longer than 0 and shorter than --renew-deadline 10s";
        assert_eq!(terms(15, 10, 10).unwrap_err(), slow);
        assert!(terms(15, 10, 0).is_err());
        let none = "--lease-duration 0ns is not a whole number of seconds from 1 to 3600";
        assert_eq!(terms(0, 0, 0).unwrap_err(), none);
        assert!(Terms::new(Duration::from_millis(1500), at(1), Duration::from_millis(100)).is_err());
    }
}
