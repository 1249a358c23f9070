//! Every row of the semantics' tables, word by word.

use super::*;
use crate::issuance::signer::FailureCondition;
use crate::issuance::verify::Verified;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn moment(second: i64) -> Moment {
    Moment { now: at(second), jitter: 0.5 }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition::new(type_, status, reason, message, at(0))
}

/// A request created at 0 with these conditions, Ready owned by us where it is among them.
fn view(conditions: &[Condition]) -> RequestView {
    RequestView {
        conditions: conditions.to_vec(),
        owned: conditions.iter().filter(|c| c.type_ == READY).map(|c| c.type_.clone()).collect(),
        created: at(0),
        issuer: IssuerName { kind: "WasmIssuer".into(), name: "my-ca".into() },
    }
}

fn approved() -> Condition {
    condition(APPROVED, TRUE, "cert-manager.io", "")
}

fn issuer(ready: Option<Condition>) -> IssuerView {
    IssuerView::Present { generation: 2, ready: ready.map(|r| r.observing(2)), serving: true }
}

fn ready_issuer() -> IssuerView {
    issuer(Some(condition(READY, TRUE, "Checked", "Succeeded checking the issuer")))
}

fn gated(view: &RequestView, issuer: &IssuerView) -> Gate {
    gate(view, issuer, &mut Tries::default(), moment(10))
}

fn acted(view: &RequestView, issuer: &IssuerView) -> Plan<RequestStatus> {
    match gated(view, issuer) {
        Gate::Act(plan) => plan,
        other => panic!("{other:?}"),
    }
}

/// What a plan writes to Ready, as `status reason: message`.
fn written(plan: &Plan<RequestStatus>) -> String {
    let status = plan.status.as_ref().expect("a status");
    let ready = condition::find(&status.conditions, READY).expect("Ready");
    format!("{} {}: {}", ready.status, ready.reason, ready.message)
}

fn told(plan: &Plan<RequestStatus>) -> Vec<String> {
    let show = |n: &Notice| {
        let type_ = if n.warning { "Warning" } else { "Normal" };
        format!("{type_} {} {}: {}", n.reason, n.action, n.note)
    };
    plan.events.iter().map(show).collect()
}

const POLICY: RetryPolicy = RetryPolicy {
    max_duration: Duration::from_secs(3600),
    backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
};

fn fail(kind: FailureKind) -> Failure {
    Failure { kind, message: "quota 100%full %s".into(), condition: None }
}

fn failed_with(view: &RequestView, kind: FailureKind, tries: &mut Tries, second: i64) -> Plan<RequestStatus> {
    failure(view, &fail(kind), &POLICY, Some(at(0)), tries, moment(second))
}

#[test]
fn an_approved_request_of_a_ready_issuer_is_signed() {
    assert_eq!(gated(&view(&[approved()]), &ready_issuer()), Gate::Sign);
}

#[test]
fn a_request_that_nobody_approved_is_left_alone() {
    let plan = acted(&view(&[]), &ready_issuer());
    assert_eq!(plan, Plan { status: None, events: vec![], next: Next::After(Duration::from_secs(50)) });
}

#[test]
fn after_a_minute_without_approval_an_event_says_so_once() {
    let mut tries = Tries::default();
    let unapproved = view(&[]);
    let Gate::Act(plan) = gate(&unapproved, &ready_issuer(), &mut tries, moment(61)) else { panic!() };
    assert_eq!(plan.status, None);
    let note = &told(&plan)[0];
    assert!(note.starts_with("Warning WaitingApproval Synced: Nobody has approved"), "{note}");
    assert!(note.contains(r#"named "wasmissuers.wasm-issuer.dev/*""#), "{note}");
    let Gate::Act(again) = gate(&unapproved, &ready_issuer(), &mut tries, moment(62)) else { panic!() };
    assert_eq!(again, Plan { status: None, events: vec![], next: Next::Settled });
}

#[test]
fn an_approval_that_is_not_true_is_none() {
    let plan = acted(&view(&[condition(APPROVED, FALSE, "x", "")]), &ready_issuer());
    assert_eq!(plan.status, None);
}

#[test]
fn a_denied_request_is_finished_at_once_whatever_else_is_there() {
    const DENIAL: &str = "Detected that the CertificateRequest is denied, so it will never be Ready.";
    for conditions in [vec![], vec![approved()]] {
        let mut conditions = conditions;
        conditions.push(condition(DENIED, TRUE, "policy", ""));
        for issuer in [IssuerView::Missing, ready_issuer()] {
            let plan = acted(&view(&conditions), &issuer);
            assert_eq!(written(&plan), format!("False Denied: {DENIAL}"));
            assert_eq!(plan.status.as_ref().unwrap().failure_time, Some(at(10)));
            assert_eq!(told(&plan), [format!("Warning PermanentError SyncFailed: {DENIAL}")]);
            assert_eq!(plan.next, Next::Settled);
        }
    }
}

#[test]
fn finished_requests_are_left_alone() {
    for ready in [
        condition(READY, TRUE, "Issued", ""),
        condition(READY, FALSE, "Failed", ""),
        condition(READY, FALSE, "Denied", ""),
    ] {
        let done = view(&[approved(), condition(DENIED, TRUE, "x", ""), ready]);
        assert!(done.is_finished());
        assert_eq!(acted(&done, &ready_issuer()), Plan { status: None, events: vec![], next: Next::Settled });
    }
}

#[test]
fn a_missing_issuer_is_waited_for() {
    let plan = acted(&view(&[approved()]), &IssuerView::Missing);
    let message = r#"WasmIssuer.wasm-issuer.dev "my-ca" not found. Waiting for it to be created."#;
    assert_eq!(written(&plan), format!("False Pending: {message}"));
    assert_eq!(told(&plan), [format!("Normal WaitingForIssuerExist Synced: {message}")]);
    assert_eq!(plan.next, Next::WithIssuer);
    assert_eq!(plan.status.unwrap().failure_time, None);
}

#[test]
fn an_issuer_that_is_not_ready_is_waited_for() {
    let outdated = condition(READY, TRUE, "Checked", "").observing(1);
    let cases = [
        (None, ": <none>."),
        (Some(outdated), " is outdated."),
        (
            Some(condition(READY, FALSE, "Pending", "Not ready yet: 503").observing(2)),
            r#" is "Pending": Not ready yet: 503."#,
        ),
        (
            Some(condition(READY, UNKNOWN, "Initializing", "started").observing(2)),
            r#" is "Initializing": started."#,
        ),
    ];
    for (ready, rest) in cases {
        let issuer = IssuerView::Present { generation: 2, ready, serving: true };
        let plan = acted(&view(&[approved()]), &issuer);
        let message = format!("Waiting for issuer to become ready. Current issuer ready condition{rest}");
        assert_eq!(written(&plan), format!("False Pending: {message}"));
        assert_eq!(told(&plan), [format!("Normal WaitingForIssuerReady Synced: {message}")]);
        assert_eq!(plan.next, Next::WithIssuer);
    }
}

#[test]
fn the_same_wait_is_written_and_told_once() {
    let first = acted(&view(&[approved()]), &IssuerView::Missing);
    let mut conditions = first.status.unwrap().conditions;
    conditions.push(approved());
    let again = acted(&view(&conditions), &IssuerView::Missing);
    assert_eq!(again, Plan { status: None, events: vec![], next: Next::WithIssuer });
}

#[test]
fn a_ready_issuer_whose_plugin_is_loading_is_awaited_in_silence() {
    let IssuerView::Present { generation, ready, .. } = ready_issuer() else { panic!() };
    let loading = IssuerView::Present { generation, ready, serving: false };
    assert_eq!(gated(&view(&[approved()]), &loading), Gate::AwaitPlugin);
}

#[test]
fn initializing_is_written_only_where_nothing_is() {
    let status = initializing(&view(&[approved()]), at(5)).unwrap();
    assert_eq!(
        status.conditions,
        [Condition::new(
            READY,
            UNKNOWN,
            "Initializing",
            "wasm-issuer.dev has started reconciling this CertificateRequest",
            at(5)
        )]
    );
    assert_eq!(initializing(&view(&[condition(READY, FALSE, "Pending", "")]), at(5)), None);
}

fn verified() -> Verified {
    Verified {
        certificate: "leaf".into(),
        ca: Some("root".into()),
        warnings: vec![],
        serial: "01".into(),
        not_before: at(0),
        not_after: at(100),
    }
}

#[test]
fn an_issued_certificate_is_one_write_and_one_event() {
    let plan = issued(&view(&[approved()]), verified(), at(9));
    assert_eq!(written(&plan), "True Issued: Succeeded signing the CertificateRequest");
    assert_eq!(told(&plan), ["Normal Issued Synced: Succeeded signing the CertificateRequest"]);
    let status = plan.status.unwrap();
    assert_eq!((status.certificate.as_deref(), status.ca.as_deref()), (Some("leaf"), Some("root")));
    assert_eq!(status.failure_time, None);
    assert_eq!(plan.next, Next::Settled);
}

#[test]
fn a_permanent_failure_is_final() {
    let plan = failed_with(&view(&[approved()]), FailureKind::Permanent, &mut Tries::default(), 9);
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
        let plan =
            failed_with(&view(&[approved()]), FailureKind::Retry { after: None }, &mut tries, 9 + failures);
        assert_eq!(written(&plan), format!("False Pending: {message}"));
        assert_eq!(told(&plan), [format!("Warning RetryableError SyncFailed: {message}")]);
        assert_eq!(plan.next, Next::After(Duration::from_secs(delay)));
        assert_eq!(plan.status.unwrap().failure_time, None);
    }
}

#[test]
fn a_retry_after_is_honoured() {
    let wish = FailureKind::Retry { after: Some(Duration::from_secs(30)) };
    let plan = failed_with(&view(&[approved()]), wish, &mut Tries::default(), 9);
    assert!(matches!(plan.next, Next::After(delay) if delay >= Duration::from_secs(30)));
}

#[test]
fn retries_end_after_the_maximum_duration() {
    let retry = FailureKind::Retry { after: None };
    let late = failed_with(&view(&[approved()]), retry, &mut Tries::default(), 3601);
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
    let plan = failure(&view(&[late]), &retry(), &POLICY, Some(at(0)), &mut Tries::default(), moment(6000));
    assert!(written(&plan).starts_with("False Pending"));
    let recovered = Some(at(5000));
    let plan =
        failure(&view(&[approved()]), &retry(), &POLICY, recovered, &mut Tries::default(), moment(8000));
    assert!(written(&plan).starts_with("False Pending"));
}

#[test]
fn an_issuers_fault_makes_the_request_wait_and_never_fail() {
    let plan = failed_with(&view(&[approved()]), FailureKind::Issuer, &mut Tries::default(), 999_999);
    let message = "Waiting for issuer to become ready. Current issuer ready condition is \"Pending\": Not ready \
                   yet: quota 100%full %s.";
    assert_eq!(written(&plan), format!("False Pending: {message}"));
    assert_eq!(told(&plan), [format!("Normal WaitingForIssuerReady Synced: {message}")]);
    assert_eq!(
        plan.next,
        Next::After(Duration::from_secs(1)),
        "later each time, so that the Issuer can recover"
    );
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
        let plan = failure(&view, &wanted, &POLICY, None, &mut Tries::default(), moment(9));
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
    let mut tries = Tries::default();
    let mut view = view(&[approved()]);
    let plan = failed_with(&view, pending(Some("order-7"), None), &mut tries, 9);
    let message = "Signing still in progress. Reason: quota 100%full %s";
    assert_eq!(written(&plan), format!("False Pending: {message}"));
    assert_eq!(told(&plan), [format!("Normal Pending Synced: {message}")]);
    assert_eq!(plan.next, Next::After(Duration::from_secs(1)));

    // After a restart all there is is the object.
    view.conditions.extend(plan.status.unwrap().conditions);
    view.owned = vec![READY.into(), RESUME.into()];
    assert_eq!(view.resume(), Some("order-7"));
    let again = failed_with(&view, pending(None, None), &mut tries, 10);
    assert_eq!(again, Plan { status: None, events: vec![], next: Next::After(Duration::from_secs(2)) });
    let wish = failed_with(&view, pending(None, Some(Duration::ZERO)), &mut tries, 11);
    assert_eq!(wish.next, Next::After(Duration::from_secs(1)), "a plugin cannot ask for a hot loop");

    let waiting = acted(&view, &IssuerView::Missing);
    let kept = waiting.status.unwrap();
    assert!(condition::find(&kept.conditions, RESUME).is_some(), "an apply that leaves it out would drop it");
    let done = issued(&view, verified(), at(12)).status.unwrap();
    assert!(condition::find(&done.conditions, RESUME).is_none());
}

#[test]
fn a_plugins_condition_is_set_and_kept() {
    let wanted = |type_: &str| Failure {
        condition: Some(FailureCondition { type_: type_.into(), status: TRUE, reason: "BadCsr".into() }),
        ..fail(FailureKind::Permanent)
    };
    let plan = failure(
        &view(&[approved()]),
        &wanted(INVALID_REQUEST),
        &POLICY,
        None,
        &mut Tries::default(),
        moment(9),
    );
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
        let plan = failure(&view(&[]), &forged, &POLICY, None, &mut Tries::default(), moment(9));
        assert_eq!(plan.status.unwrap().conditions.len(), 1, "{type_}");
    }
}

#[test]
fn an_invalid_request_is_marked_for_cert_manager() {
    let plan = invalid(&view(&[approved()]), "spec.request is not base64", at(9));
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
        issued(&view(&[approved(), foreign.clone()]), verified(), at(1)),
        failed_with(&view(&[approved(), foreign]), FailureKind::Permanent, &mut Tries::default(), 1),
    ] {
        let types: Vec<_> = plan.status.unwrap().conditions.into_iter().map(|c| c.type_).collect();
        assert_eq!(types, [READY]);
    }
}
