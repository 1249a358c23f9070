//! Every row of the semantics' tables from the signing on, word by word.

mod signing_requests;

use super::super::request_issuer::IssuerView;
use super::super::testing::{acted, approved, at, condition, moment, retries, told, view, written};
use super::*;

const POLICY: RetryPolicy = RetryPolicy {
    max_duration: Duration::from_secs(3600),
    backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
};

fn fail(kind: FailureKind) -> Failure {
    Failure { kind, message: "quota 100%full %s".into(), condition: None }
}

fn failed_with(view: &RequestView, kind: FailureKind, tries: Tries, second: i64) -> RequestPlan {
    failure(view, &fail(kind), &POLICY, Some(at(0)), tries, moment(second))
}

fn verified() -> Verified {
    Verified {
        certificate: "leaf".into(),
        ca: Some("root".into()),
        warnings: vec![],
        dropped: vec![],
        serial: "01".into(),
        not_before: at(0),
        not_after: at(100),
        ca_not_after: Some(at(1000)),
    }
}

#[test]
fn an_issued_certificate_is_one_write_and_one_event() {
    let plan = issued(&view(&[approved()]), verified(), Tries::default(), at(9));
    assert_eq!(written(&plan), "True Issued: Succeeded signing the CertificateRequest");
    assert_eq!(told(&plan), ["Normal Issued Synced: Succeeded signing the CertificateRequest"]);
    let status = plan.status.unwrap();
    assert_eq!((status.certificate.as_deref(), status.ca.as_deref()), (Some("leaf"), Some("root")));
    assert_eq!(status.failure_time, None);
    assert_eq!(plan.next, Next::Settled);
}

#[test]
fn a_permanent_failure_is_final() {
    let plan = failed_with(&view(&[approved()]), FailureKind::Permanent, Tries::default(), 9);
    let message = "Failed permanently to sign CertificateRequest: quota 100%full %s";
    assert_eq!(written(&plan), format!("False Failed: {message}"));
    assert_eq!(told(&plan), [format!("Warning PermanentError SyncFailed: {message}")]);
    assert_eq!(plan.status.unwrap().failure_time, Some(at(9)));
    assert_eq!(plan.next, Next::Settled);
}

#[test]
fn a_passing_failure_is_retried_with_growing_delays() {
    let mut tries = Tries::default();
    let message = "Failed to sign CertificateRequest, will retry: quota 100%full %s";
    for (failures, delay) in [(1, 1), (2, 2), (3, 4)] {
        let plan = failed_with(&view(&[approved()]), FailureKind::Retry { after: None }, tries, 9 + failures);
        tries = plan.remember;
        assert_eq!(retries(&plan), format!("False Pending: {message}"));
        assert_eq!(told(&plan), [format!("Warning RetryableError SyncFailed: {message}")]);
        assert_eq!(plan.next, Next::WithIssuerOrAfter(Duration::from_secs(delay)));
        assert_eq!(plan.status.unwrap().failure_time, None);
    }
    assert_eq!(tries, Tries { failures: 3, ..Tries::default() });
}

#[test]
fn a_request_says_when_it_is_tried_again_and_how_long_and_an_event_does_not() {
    let asked = |kind, attempts| {
        let tries = Tries { attempts, ..Tries::default() };
        failed_with(&view(&[approved()]), kind, tries, 9)
    };
    let message = "Failed to sign CertificateRequest, will retry: quota 100%full %s";
    for (kind, words) in [
        (FailureKind::Retry { after: None }, " (tried until 1970-01-01T01:00:00Z)"),
        (retry_after(30), " (attempt 7, the next at 1970-01-01T00:00:39Z, tried until 1970-01-01T01:00:00Z)"),
        (FailureKind::Issuer, ""),
    ] {
        let plan = asked(kind, 7);
        assert_eq!(written(&plan), format!("False Pending: {message}{words}"));
        assert_eq!(told(&plan), [format!("Warning RetryableError SyncFailed: {message}")]);
    }
    let long = Failure { message: "x".repeat(5000), ..fail(FailureKind::Issuer) };
    let often = Tries { failures: 9, ..Tries::default() };
    let plan = failure(&view(&[approved()]), &long, &POLICY, None, often, moment(9));
    let said = written(&plan);
    assert!(said.contains("x... (attempt 0, the next") && said.len() < 4130, "{}", said.len());
}

#[test]
fn quick_tries_cost_no_write_and_slow_ones_tell_of_each() {
    let retry = || FailureKind::Retry { after: None };
    let plan = failed_with(&view(&[approved()]), retry(), Tries::default(), 9);
    let told = [vec![approved()], plan.status.unwrap().conditions].concat();
    let quick = failed_with(&view(&told), retry(), plan.remember, 10);
    assert_eq!(quick.status, None);
    let slow = failed_with(&view(&told), retry(), Tries { failures: 9, attempts: 10, ..plan.remember }, 90);
    assert!(written(&slow).contains("(attempt 10, the next at "), "{}", written(&slow));
}

fn retry_after(seconds: u64) -> FailureKind {
    FailureKind::Retry { after: Some(Duration::from_secs(seconds)) }
}

fn not_before(plan: &RequestPlan) -> Option<&str> {
    let conditions = &plan.status.as_ref()?.conditions;
    condition::find(conditions, NOT_BEFORE).map(|c| c.message.as_str())
}

#[test]
fn a_retry_after_is_honoured_and_survives_a_restart() {
    let plan = failed_with(&view(&[approved()]), retry_after(30), Tries::default(), 9);
    let Next::After(delay) = plan.next else { panic!("{:?}", plan.next) };
    assert!(delay >= Duration::from_secs(30));
    assert_eq!(plan.remember.not_before, Some(at(9) + delay));
    assert_eq!(not_before(&plan), Some("1970-01-01T00:00:40Z"), "in whole seconds, never sooner");

    let mut waiting = view(&plan.status.unwrap().conditions);
    waiting.conditions.push(approved());
    waiting.owned.push(NOT_BEFORE.into());
    let without = failed_with(&waiting, FailureKind::Retry { after: None }, plan.remember, 41);
    assert_eq!((not_before(&without), without.remember.not_before), (None, None));
    let kept = acted(&waiting, &IssuerView::Missing);
    assert_eq!(not_before(&kept), Some("1970-01-01T00:00:40Z"), "an apply that leaves it out would drop it");
    for done in [
        issued(&waiting, verified(), Tries::default(), at(41)),
        failed_with(&waiting, FailureKind::Permanent, Tries::default(), 41),
    ] {
        assert_eq!(not_before(&done), None);
    }
}

#[test]
fn a_short_retry_after_is_remembered_and_costs_no_write() {
    let plan = failed_with(&view(&[approved()]), retry_after(5), Tries::default(), 9);
    assert!(plan.remember.not_before.is_some());
    assert_eq!(not_before(&plan), None);
}

#[test]
fn a_retry_after_beyond_the_window_ends_with_it() {
    for wish in [3600, u64::from(u32::MAX), u64::MAX] {
        let plan = failed_with(&view(&[approved()]), retry_after(wish), Tries::default(), 3000);
        assert_eq!(plan.next, Next::After(Duration::from_secs(601)));
        let over = failed_with(&view(&[approved()]), retry_after(wish), plan.remember, 3601);
        assert!(written(&over).starts_with("False Failed"), "{}", written(&over));
    }
}

#[test]
fn retries_end_after_the_maximum_duration() {
    let retry = FailureKind::Retry { after: None };
    let late = failed_with(&view(&[approved()]), retry, Tries::default(), 3601);
    assert_eq!(
        written(&late),
        "False Failed: Failed permanently to sign CertificateRequest: quota 100%full %s"
    );
    assert_eq!(late.status.unwrap().failure_time, Some(at(3601)));
}

#[test]
fn a_late_approval_and_an_outage_of_the_issuer_do_not_use_up_the_time() {
    let retry = || fail(FailureKind::Retry { after: None });
    let mut late = approved();
    late.last_transition = Some(at(3000));
    let plan = failure(&view(&[late]), &retry(), &POLICY, Some(at(0)), Tries::default(), moment(6000));
    assert!(written(&plan).starts_with("False Pending"));
    let recovered = Some(at(5000));
    let plan = failure(&view(&[approved()]), &retry(), &POLICY, recovered, Tries::default(), moment(8000));
    assert!(written(&plan).starts_with("False Pending"));
}

#[test]
fn an_issuers_fault_is_tried_again_later_each_time_and_never_final() {
    let plan = failed_with(&view(&[approved()]), FailureKind::Issuer, Tries::default(), 999_999);
    let message = "Failed to sign CertificateRequest, will retry: quota 100%full %s";
    assert_eq!(retries(&plan), format!("False Pending: {message}"));
    assert_eq!(told(&plan), [format!("Warning RetryableError SyncFailed: {message}")]);
    assert_eq!(plan.next, Next::WithIssuerOrAfter(Duration::from_secs(1)));
    let again = failed_with(&view(&[approved()]), FailureKind::Issuer, plan.remember, 999_999);
    assert_eq!(again.next, Next::WithIssuerOrAfter(Duration::from_secs(2)));
}

#[test]
fn a_plugin_adds_few_conditions() {
    let mut view = view(&[approved()]);
    for n in 0..10 {
        let type_ = format!("Mine{n}");
        let wanted = Failure {
            condition: Some(FailureCondition { type_, status: TRUE, reason: "Odd".into() }),
            ..fail(FailureKind::Retry { after: None })
        };
        let plan = failure(&view, &wanted, &POLICY, None, Tries::default(), moment(9));
        let Some(status) = plan.status else { continue };
        view.owned = status.conditions.iter().map(|c| c.type_.clone()).collect();
        view.conditions = [vec![approved()], status.conditions].concat();
    }
    assert_eq!(view.conditions.len(), 2 + MAX_CONDITIONS);
}

#[test]
fn a_pending_request_keeps_its_token_and_is_polled() {
    let pending = |resume: Option<&str>, poll_after| FailureKind::Pending {
        resume: resume.map(str::to_owned),
        poll_after,
    };
    let mut view = view(&[approved()]);
    let failing = Tries { failures: 5, ..Tries::default() };
    let plan = failed_with(&view, pending(Some("order-7"), None), failing, 9);
    assert_eq!(plan.remember, Tries { polls: 1, ..Tries::default() }, "an order is no failure");
    let message = "Signing still in progress. Reason: quota 100%full %s";
    assert_eq!(written(&plan), format!("False Pending: {message}"));
    assert_eq!(told(&plan), [format!("Normal Pending Synced: {message}")]);
    assert_eq!(plan.next, Next::After(Duration::from_secs(1)));

    // After a restart all there is is the object.
    view.conditions.extend(plan.status.unwrap().conditions);
    view.owned = vec![READY.into(), RESUME.into()];
    assert_eq!(view.resume(), Some("order-7"));
    let again = failed_with(&view, pending(None, None), plan.remember, 10);
    let polls = Tries { polls: 2, ..Tries::default() };
    assert_eq!(again, Plan::idle(Next::After(Duration::from_secs(2)), polls));
    let wish = failed_with(&view, pending(None, Some(Duration::ZERO)), polls, 11);
    assert_eq!(wish.next, Next::After(Duration::from_secs(1)), "a plugin cannot ask for a hot loop");

    let waiting = acted(&view, &IssuerView::Missing);
    let kept = waiting.status.unwrap();
    assert!(condition::find(&kept.conditions, RESUME).is_some(), "an apply that leaves it out would drop it");
    let done = issued(&view, verified(), Tries::default(), at(12)).status.unwrap();
    assert!(condition::find(&done.conditions, RESUME).is_none());
}

#[test]
fn a_plugins_condition_is_set_and_kept() {
    let wanted = |type_: &str| Failure {
        condition: Some(FailureCondition { type_: type_.into(), status: TRUE, reason: "BadCsr".into() }),
        ..fail(FailureKind::Permanent)
    };
    let plan =
        failure(&view(&[approved()]), &wanted(INVALID_REQUEST), &POLICY, None, Tries::default(), moment(9));
    let status = plan.status.unwrap();
    let set = condition::find(&status.conditions, INVALID_REQUEST).unwrap();
    assert_eq!(
        (set.status.as_str(), set.reason.as_str(), set.message.as_str()),
        (TRUE, "BadCsr", "quota 100%full %s")
    );

    let mut owning = view(&[approved(), set.clone()]);
    owning.owned.push(INVALID_REQUEST.into());
    let next = acted(&owning, &IssuerView::Missing).status.unwrap();
    assert!(condition::find(&next.conditions, INVALID_REQUEST).is_some());
}

#[test]
fn a_plugin_cannot_set_the_conditions_of_others() {
    for type_ in [READY, APPROVED, DENIED, RESUME] {
        let forged = Failure {
            condition: Some(FailureCondition { type_: type_.into(), status: TRUE, reason: "Issued".into() }),
            ..fail(FailureKind::Retry { after: None })
        };
        let plan = failure(&view(&[]), &forged, &POLICY, None, Tries::default(), moment(9));
        assert_eq!(plan.status.unwrap().conditions.len(), 1, "{type_}");
    }
}

#[test]
fn an_invalid_request_is_marked_for_cert_manager() {
    let plan = invalid(
        &view(&[approved()]),
        &"spec.request is not base64".to_owned().into(),
        Tries::default(),
        at(9),
    );
    assert_eq!(
        written(&plan),
        "False Failed: Failed permanently to sign CertificateRequest: spec.request is not base64"
    );
    let status = plan.status.unwrap();
    assert_eq!(condition::find(&status.conditions, INVALID_REQUEST).unwrap().status, TRUE);
    assert_eq!(status.failure_time, Some(at(9)));
}

#[test]
fn conditions_of_others_are_never_written() {
    let foreign = condition("Foreign", TRUE, "x", "");
    for plan in [
        acted(&view(&[approved(), foreign.clone()]), &IssuerView::Missing),
        issued(&view(&[approved(), foreign.clone()]), verified(), Tries::default(), at(1)),
        failed_with(&view(&[approved(), foreign]), FailureKind::Permanent, Tries::default(), 1),
    ] {
        let types: Vec<_> = plan.status.unwrap().conditions.into_iter().map(|c| c.type_).collect();
        assert_eq!(types, [READY]);
    }
}

#[test]
fn a_refused_certificate_is_asked_for_twice_more() {
    let why = Mismatch { field: "publicKey", message: "the request has a; the certificate has b".into() };
    let view = view(&[approved()]);
    let refused_with = |tries, second| refused(&view, &why, &POLICY, Some(at(0)), tries, moment(second));
    let said = "the certificate that the plugin returned was refused: publicKey: the request has a; the certificate has b";
    let mut tries = Tries::default();
    for second in [1, 2] {
        let plan = refused_with(tries, second);
        let told = format!("False Pending: Failed to sign CertificateRequest, will retry: {said}");
        assert_eq!(retries(&plan), told);
        assert!(matches!(plan.next, Next::WithIssuerOrAfter(_)), "{:?}", plan.next);
        // What comes between does not count as another answer.
        tries = failed_with(&view, FailureKind::Issuer, plan.remember, second).remember;
    }
    let plan = refused_with(tries, 3);
    assert_eq!(
        written(&plan),
        format!("False Failed: Failed permanently to sign CertificateRequest: {said}")
    );
    assert_eq!(plan.next, Next::Settled);
    // Nor is it asked for beyond the time that any passing failure has.
    let late = refused_with(Tries::default(), 3601);
    assert!(written(&late).starts_with("False Failed: "), "{}", written(&late));
}

#[test]
fn ca_certificates_that_are_dropped_are_told() {
    let dropped = vec!["\"CN=Evil\" (serial 2a)".to_owned()];
    let plan = issued(&view(&[approved()]), Verified { dropped, ..verified() }, Tries::default(), at(9));
    let events = told(&plan);
    assert_eq!(events.len(), 2);
    assert!(
        events[1].starts_with("Warning CaCertificatesDropped Synced: ")
            && events[1].ends_with(
                "Secrets (spec.authSecretName, spec.verification.caSecretName): \"CN=Evil\" (serial 2a)"
            ),
        "{}",
        events[1]
    );
}
