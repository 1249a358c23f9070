//! What to do when the status of a request could not be written.
//!
//! What a CA has done must not be lost by a write that fails: the write is repeated, not the signing, which would leave
//! a second certificate or order at the CA that nobody knows of.

use std::time::Duration;

use super::backoff::Backoff;
use super::condition::{self, Condition, READY, RESUME};
use super::plan::RequestStatus;
use super::request::RequestView;
use super::request_kind::RequestKind;

/// How long a status that holds what a CA has done is tried to be written before signing starts over.
const KEEP_WRITING: Duration = Duration::from_secs(600);
/// When to look again at a request whose status cannot even be kept until it is written.
pub const NO_ROOM: Duration = KEEP_WRITING;
/// The delays after a write that was refused: not more often than the API server bears.
const REFUSED: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(30) };
/// The delays after a write without an answer: soon after an outage, what a CA has done is known.
const UNANSWERED: Backoff = Backoff { min: Duration::from_millis(200), max: Duration::from_secs(5) };

/// How many writes in a row may fail before one that conflicts is not repeated at once.
const AT_ONCE: u32 = 2;

/// Why a status was not written, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// The object is not the version that was read.
    Conflict,
    /// There is no such object.
    Gone,
    /// The API server refused, for a reason that it knows.
    Refused,
    /// The API server did not answer, or has trouble of its own: the status may be written all the same.
    Unanswered,
}

/// What to do after a write that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterWrite {
    /// Nothing: the request is gone.
    Forget,
    /// Look at the request anew, after so long; the plugin may be called again.
    LookAgain(Duration),
    /// After so long, read the request, ask [`is_wanted`], and write the same status onto what was read.
    WriteAgain(Duration),
}

/// What to do after `failures` writes in a row that failed, the last one by `why`. `tried_for` is the time since the
/// first try to write this status, `jitter` a random number from 0 to 1.
pub fn after_failure(
    status: &RequestStatus,
    why: WriteFailure,
    failures: u32,
    tried_for: Duration,
    jitter: f64,
) -> AfterWrite {
    match why {
        WriteFailure::Gone => AfterWrite::Forget,
        // The watch brings the newer version, and with it the next look.
        _ if !is_costly(status) => AfterWrite::LookAgain(delay(why, failures, jitter)),
        _ if tried_for >= KEEP_WRITING => AfterWrite::LookAgain(KEEP_WRITING),
        // Onto the newer version, at once; but not all the time where that cannot be read.
        WriteFailure::Conflict if failures <= AT_ONCE => AfterWrite::WriteAgain(Duration::ZERO),
        WriteFailure::Conflict => AfterWrite::WriteAgain(UNANSWERED.delay(failures - AT_ONCE, jitter, None)),
        WriteFailure::Refused | WriteFailure::Unanswered => {
            AfterWrite::WriteAgain(delay(why, failures, jitter))
        }
    }
}

fn delay(why: WriteFailure, failures: u32, jitter: f64) -> Duration {
    let bounds = if why == WriteFailure::Refused { REFUSED } else { UNANSWERED };
    bounds.delay(failures, jitter, None)
}

/// Whether a status is to be written at once, whatever else is written for its namespace: somebody waits for the certificate,
/// and an order that nobody knows of is made again if the process ends.
pub fn hurries(status: &RequestStatus, view: &RequestView) -> bool {
    let is_new_order = condition::find(&status.conditions, RESUME).is_some()
        && condition::find(&view.conditions, RESUME).is_none();
    status.certificate.is_some() || is_new_order
}

/// Whether a plugin should not be asked again only because a write failed: it would leave a second certificate, or a
/// second order, at the CA.
pub fn is_costly(status: &RequestStatus) -> bool {
    status.certificate.is_some() || condition::find(&status.conditions, RESUME).is_some()
}

/// Whether a status whose write was not answered is what has become of the request, as its conditions say: every time that
/// this operator writes it gives another status, or another time. A certificate is not among them.
pub fn has_landed(status: &RequestStatus, found: &RequestView) -> bool {
    let has_place = |c: &&Condition| found.kind == RequestKind::CertificateRequest || c.type_ != READY;
    let is_there = |condition: &Condition| found.conditions.contains(condition);
    let is_meant = |type_: &String| type_ == READY || condition::find(&status.conditions, type_).is_some();
    status.conditions.iter().filter(has_place).all(is_there) && found.owned.iter().all(is_meant)
}

/// What reading a request anew has found.
#[derive(Clone, Copy, Debug)]
pub enum Found<T> {
    /// The API server does not say.
    Unknown,
    /// The request is gone, or something else has its name: another uid or spec.
    Gone,
    /// The same request, at whatever version it has by now.
    There(T),
}

impl<T> Found<T> {
    /// The same with the part that decisions see.
    pub fn view<'a>(&'a self, of: impl FnOnce(&'a T) -> &'a RequestView) -> Found<&'a RequestView> {
        match self {
            Self::Unknown => Found::Unknown,
            Self::Gone => Found::Gone,
            Self::There(found) => Found::There(of(found)),
        }
    }
}

/// Whether a status that was not written is still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Yes: onto what was found, or, where nothing is known, onto the version before. It lands there or nowhere.
    Yes,
    /// Not this one: the request is not approved any more, so look at it anew.
    Otherwise,
    /// No: the request is gone or finished.
    No,
}

/// Whether a status is still to be written, by what has become of its request.
pub fn is_wanted(found: Found<&RequestView>) -> Wanted {
    match found {
        Found::Unknown => Wanted::Yes,
        Found::Gone => Wanted::No,
        Found::There(view) if view.is_finished() => Wanted::No,
        Found::There(view) if view.is_approved() => Wanted::Yes,
        Found::There(_) => Wanted::Otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::super::condition::{APPROVED, Condition, DENIED, FALSE, NOT_BEFORE, READY, TRUE};
    use super::super::testing::{condition, signing_request, view};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn certificate() -> RequestStatus {
        RequestStatus { certificate: Some("leaf".into()), ..RequestStatus::default() }
    }

    fn order() -> RequestStatus {
        let conditions = vec![condition(RESUME, TRUE, "Pending", "order-7")];
        RequestStatus { conditions, ..RequestStatus::default() }
    }

    fn waiting() -> RequestStatus {
        let conditions = vec![condition(READY, FALSE, "Pending", "")];
        RequestStatus { conditions, ..RequestStatus::default() }
    }

    fn after(status: &RequestStatus, why: WriteFailure, tried_for: Duration) -> AfterWrite {
        after_failure(status, why, 1, tried_for, 0.5)
    }

    #[test]
    fn what_a_ca_has_done_is_written_again_for_ten_minutes() {
        for status in [certificate(), order()] {
            let conflict = after(&status, WriteFailure::Conflict, SECOND);
            assert_eq!(conflict, AfterWrite::WriteAgain(Duration::ZERO), "onto the newer version, at once");
            for (why, ms) in [(WriteFailure::Refused, 1000), (WriteFailure::Unanswered, 200)] {
                assert_eq!(after(&status, why, SECOND), AfterWrite::WriteAgain(Duration::from_millis(ms)));
            }
            for why in [WriteFailure::Conflict, WriteFailure::Refused, WriteFailure::Unanswered] {
                let at_last = after(&status, why, Duration::from_secs(600));
                assert_eq!(at_last, AfterWrite::LookAgain(Duration::from_secs(600)));
            }
        }
    }

    #[test]
    fn conflicts_without_end_are_not_met_all_the_time() {
        let after = |failures| after_failure(&order(), WriteFailure::Conflict, failures, SECOND, 0.5);
        let delays = [1, 2, 3, 4, 100].map(after);
        let wanted = [0, 0, 200, 400, 5000].map(|ms| AfterWrite::WriteAgain(Duration::from_millis(ms)));
        assert_eq!(delays, wanted);
    }

    #[test]
    fn what_has_landed_is_told_by_what_the_object_can_say() {
        let wish = || condition(NOT_BEFORE, TRUE, "Pending", "2026-01-01T00:00:00Z");
        let order = condition(RESUME, TRUE, "Pending", "order-7");
        let ready = condition(READY, FALSE, "Pending", "");
        let conditions = vec![ready.clone(), order.clone()];
        let status = RequestStatus { conditions, ..RequestStatus::default() };
        let owning = |view: RequestView| {
            let owned = view.conditions.iter().map(|c| c.type_.clone()).collect();
            RequestView { owned, ..view }
        };
        let found = |conditions: &[Condition]| owning(view(conditions));
        assert!(has_landed(&status, &found(&[ready.clone(), order.clone()])));
        assert!(!has_landed(&status, &found(std::slice::from_ref(&order))));
        assert!(!has_landed(&status, &found(&[ready.clone(), order.clone(), wish()])), "it is not over");
        // One that has no Ready.
        let found = |conditions: &[Condition]| owning(signing_request(conditions));
        assert!(has_landed(&status, &found(std::slice::from_ref(&order))));
        assert!(!has_landed(&status, &found(&[])));
        assert!(!has_landed(&status, &found(&[order, wish()])), "it is not over");
    }

    #[test]
    fn what_costs_nothing_is_decided_anew() {
        for (why, ms) in
            [(WriteFailure::Conflict, 200), (WriteFailure::Refused, 1000), (WriteFailure::Unanswered, 200)]
        {
            let after = after(&waiting(), why, SECOND);
            assert_eq!(after, AfterWrite::LookAgain(Duration::from_millis(ms)));
        }
        let tenth = |why| after_failure(&waiting(), why, 10, SECOND, 0.5);
        assert_eq!(tenth(WriteFailure::Refused), AfterWrite::LookAgain(Duration::from_secs(30)));
        assert_eq!(
            tenth(WriteFailure::Unanswered),
            AfterWrite::LookAgain(Duration::from_secs(5)),
            "soon after the end of an outage"
        );
    }

    #[test]
    fn certificates_and_new_orders_are_written_at_once() {
        let (new, ordered) = (view(&[]), view(&order().conditions));
        assert!(hurries(&certificate(), &new));
        assert!(hurries(&order(), &new));
        assert!(!hurries(&order(), &ordered), "that it is still there, or has another token");
        assert!(!hurries(&waiting(), &new));
    }

    #[test]
    fn what_landed_is_told_from_what_did_not() {
        let approved = condition(APPROVED, TRUE, "cert-manager.io", "");
        let status = order();
        let landed = [approved.clone(), status.conditions[0].clone()];
        assert!(has_landed(&status, &view(&landed)));
        assert!(!has_landed(&status, &view(std::slice::from_ref(&approved))));
        let other = condition(RESUME, TRUE, "Pending", "order-8");
        assert!(!has_landed(&status, &view(&[approved, other])));
    }

    #[test]
    fn nothing_is_left_to_do_for_what_is_gone() {
        for status in [certificate(), order(), waiting()] {
            assert_eq!(after(&status, WriteFailure::Gone, SECOND), AfterWrite::Forget);
        }
    }

    #[test]
    fn a_status_is_wanted_while_its_request_is_approved_and_unfinished() {
        let approved = condition(APPROVED, TRUE, "cert-manager.io", "");
        let denied = condition(DENIED, TRUE, "policy", "");
        let issued = condition(READY, TRUE, "Issued", "");
        let found = |conditions: &[Condition]| is_wanted(Found::There(&view(conditions)));
        assert_eq!(found(std::slice::from_ref(&approved)), Wanted::Yes);
        assert_eq!(found(&[]), Wanted::Otherwise);
        assert_eq!(found(&[approved.clone(), denied]), Wanted::Otherwise);
        assert_eq!(found(&[approved, issued]), Wanted::No);
        assert_eq!(is_wanted(Found::Gone), Wanted::No);
        assert_eq!(
            is_wanted(Found::Unknown),
            Wanted::Yes,
            "it lands on the version that was read or nowhere"
        );
    }
}
