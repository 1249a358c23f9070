//! What the calls of a CA say of those who asked: each request is asked for once, unless something came in between, and by
//! nobody but who leads.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::counter::Call;
use crate::leases::Term;

/// How long a leader works that cannot renew its Lease: the operator's default.
const RENEW_DEADLINE: SignedDuration = SignedDuration::from_secs(10);
/// The times in an object's status are in whole seconds.
const STATUS_TIMES: Duration = Duration::from_secs(1);

/// Whom something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// This process of the operator.
    Replica(u32),
    /// The API server, or what it needs.
    Server,
    /// Nobody who could have been in the middle of something: no reason for anything.
    Nobody,
}

/// Something that came in between.
#[derive(Clone, Debug)]
pub struct Interruption {
    /// Whom it happened to.
    pub victim: Victim,
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
}

impl Interruption {
    /// Whether it happened to who asked, at that time.
    fn holds_up(&self, call: &Call) -> bool {
        let is_of_its_own = call.pid.is_some_and(|pid| self.victim == Victim::Replica(pid));
        is_of_its_own && self.began <= call.asked && call.asked <= self.ended
    }
}

/// A request that was asked for once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The call before.
    pub before: Call,
    /// The call that repeats it.
    pub again: Call,
    /// Which interruption is why; none if there is no reason for it.
    pub because: Option<usize>,
}

/// What is to be said of all calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// How many requests were asked for.
    pub requests: usize,
    /// Those that were asked for more than once.
    pub repeats: Vec<Repeat>,
    /// Calls of processes that did not lead when they asked, or of which nobody knows who asked.
    pub strangers: Vec<Call>,
    /// Calls of a process that was stopped while they were on their way to the socket, and that went out when it went on: it
    /// did not wait for the answers. No look at a clock helps against that.
    pub on_their_way: Vec<Call>,
    /// Calls for a request while another process's call for it was under way.
    pub at_once: Vec<Call>,
    /// Calls for a request whose certificate was there already.
    pub needless: Vec<Call>,
}

impl Judgement {
    /// Judge these calls, in the order in which they were asked. `issued` says since when the requests have their
    /// certificates, by their uids, in whole seconds.
    pub fn of(
        calls: &[Call],
        terms: &[Term],
        interruptions: &[Interruption],
        issued: &HashMap<String, Timestamp>,
    ) -> Self {
        let mut judgement = Self::default();
        let mut by_request: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
        for call in calls {
            let leader = terms.iter().rfind(|term| term.began <= call.asked).and_then(|term| term.pid);
            if call.pid.is_none() || call.pid != leader {
                let was_stopped = call.answered.is_none() && interruptions.iter().any(|it| it.holds_up(call));
                let calls = if was_stopped { &mut judgement.on_their_way } else { &mut judgement.strangers };
                calls.push(call.clone());
            }
            if let Some(request) = &call.request {
                by_request.entry(request).or_default().push(call);
            }
        }
        judgement.requests = by_request.len();
        for (request, calls) in by_request {
            let since = issued.get(request).map(|at| *at + STATUS_TIMES);
            for pair in calls.windows(2) {
                let [before, again] = [pair[0], pair[1]];
                let because = because(before, again, interruptions);
                judgement.repeats.push(Repeat { before: before.clone(), again: again.clone(), because });
                if before.pid != again.pid && before.answered.is_some_and(|at| at > again.asked) {
                    judgement.at_once.push(again.clone());
                }
                if since.is_some_and(|since| since < again.asked) {
                    judgement.needless.push(again.clone());
                }
            }
        }
        judgement
    }

    /// Whether all is as it should be.
    pub fn is_good(&self) -> bool {
        self.repeats.iter().all(|repeat| repeat.because.is_some())
            && self.strangers.is_empty()
            && self.at_once.is_empty()
            && self.needless.is_empty()
    }
}

/// Why it was asked again: the process that had asked died or was stopped in the middle, or a server of the cluster was away
/// until it led no more, and what was under way was dropped.
fn because(before: &Call, again: &Call, interruptions: &[Interruption]) -> Option<usize> {
    let is_other = before.pid != again.pid;
    let explains = |it: &Interruption| {
        let is_between = it.began <= again.asked && it.ended >= before.asked;
        is_between
            && match it.victim {
                Victim::Replica(pid) => is_other && before.pid == Some(pid),
                Victim::Server => is_other || it.ended.duration_since(it.began) >= RENEW_DEADLINE,
                Victim::Nobody => false,
            }
    };
    let all = || interruptions.iter().enumerate().filter(|(_, it)| explains(it));
    // A death of its own comes before what happened to others.
    let of_its_own = all().find(|(_, it)| it.victim != Victim::Server);
    of_its_own.or_else(|| all().next()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn call(pid: u32, asked: i64) -> Call {
        let answered = Some(at(asked + 2));
        Call { request: Some("web".to_owned()), pid: Some(pid), asked: at(asked), answered }
    }

    fn term(pid: u32, began: i64) -> Term {
        Term { pid: Some(pid), began: at(began) }
    }

    fn died(pid: u32, when: i64) -> Interruption {
        Interruption { victim: Victim::Replica(pid), began: at(when), ended: at(when) }
    }

    fn away(began: i64, ended: i64) -> Interruption {
        Interruption { victim: Victim::Server, began: at(began), ended: at(ended) }
    }

    fn judge(calls: &[Call], interruptions: &[Interruption]) -> Judgement {
        Judgement::of(calls, &[term(1, 0), term(2, 20)], interruptions, &HashMap::new())
    }

    #[test]
    fn a_request_that_is_asked_for_once_by_who_leads_is_good() {
        let judgement = judge(&[call(1, 5), Call { request: None, ..call(2, 25) }], &[]);
        assert!(judgement.is_good() && judgement.requests == 1 && judgement.repeats.is_empty());
    }

    #[test]
    fn a_repeat_is_the_death_of_who_asked_before_and_of_nobody_else() {
        let because = |interruptions: &[Interruption]| {
            let judgement = judge(&[call(1, 5), call(2, 25)], interruptions);
            assert_eq!(judgement.is_good(), judgement.repeats[0].because.is_some());
            judgement.repeats[0].because
        };
        assert_eq!(because(&[]), None);
        assert_eq!(because(&[died(1, 6)]), Some(0));
        assert_eq!(because(&[died(2, 6)]), None, "another process died");
        assert_eq!(because(&[died(1, 4)]), None, "before it asked");
        assert_eq!(because(&[died(1, 26)]), None, "after it was asked again");
        assert_eq!(because(&[away(4, 9), died(1, 6)]), Some(1));
        assert_eq!(because(&[away(4, 9)]), Some(0));
        assert_eq!(because(&[Interruption { victim: Victim::Nobody, ..away(4, 30) }]), None);
    }

    #[test]
    fn who_goes_on_to_lead_asks_once_unless_the_servers_were_away_for_long() {
        let because = |ended| judge(&[call(1, 5), call(1, 19)], &[away(6, ended)]).repeats[0].because;
        assert_eq!((because(8), because(16)), (None, Some(0)));
    }

    #[test]
    fn who_does_not_lead_and_who_is_unknown_is_a_stranger() {
        let unknown = Call { pid: None, ..call(1, 5) };
        for stranger in [call(2, 5), call(1, 21), unknown, Call { request: None, ..call(2, 19) }] {
            assert_eq!(judge(std::slice::from_ref(&stranger), &[]).strangers, [stranger]);
        }
    }

    #[test]
    fn what_was_on_its_way_when_who_asked_was_stopped_is_told_from_what_is_asked_afterwards() {
        let stopped = Interruption { victim: Victim::Replica(1), began: at(4), ended: at(23) };
        let gone = Call { answered: None, ..call(1, 22) };
        let told = |call: &Call| {
            let judgement = judge(std::slice::from_ref(call), std::slice::from_ref(&stopped));
            (judgement.on_their_way.len(), judgement.strangers.len())
        };
        assert_eq!(told(&gone), (1, 0));
        assert_eq!(told(&call(1, 22)), (0, 1), "it waits for the answer");
        assert_eq!(told(&Call { asked: at(24), ..gone }), (0, 1), "later");
        assert_eq!(told(&Call { pid: Some(3), answered: None, ..call(1, 22) }), (0, 1), "another process");
    }

    #[test]
    fn two_that_ask_for_one_request_at_once_are_told() {
        let calls = [call(1, 19), call(2, 20)];
        let judgement = judge(&calls, &[died(1, 19)]);
        assert_eq!((judgement.at_once.len(), judgement.is_good()), (1, false));
    }

    #[test]
    fn asking_for_what_is_there_is_needless() {
        let needless = |issued: i64| {
            let (calls, deaths) = ([call(1, 5), call(2, 25)], [died(1, 6)]);
            let issued = HashMap::from([("web".to_owned(), at(issued))]);
            Judgement::of(&calls, &[term(1, 0), term(2, 20)], &deaths, &issued).needless.len()
        };
        assert_eq!((needless(7), needless(24), needless(27)), (1, 0, 0));
    }
}
