//! Every row of the semantics' tables up to the signing, word by word.

use super::super::testing::{acted, approved, at, condition, signing_request, told, view, written};
use super::*;

fn issuer(ready: Option<Condition>) -> IssuerView {
    IssuerView::Present { generation: 2, ready: ready.map(|r| r.observing(2)), serving: true }
}

fn ready_issuer() -> IssuerView {
    issuer(Some(condition(READY, TRUE, "Checked", "Succeeded checking the issuer")))
}

fn gated(view: &RequestView, issuer: &IssuerView) -> Gate {
    gate(view, issuer, Tries::default(), at(10))
}

#[test]
fn an_approved_request_of_a_ready_issuer_is_signed() {
    assert_eq!(gated(&view(&[approved()]), &ready_issuer()), Gate::Sign);
}

#[test]
fn a_request_that_nobody_approved_is_left_alone() {
    let plan = acted(&view(&[]), &ready_issuer());
    assert_eq!(plan, Plan::idle(Next::After(Duration::from_secs(50)), Tries::default()));
}

#[test]
fn after_a_minute_without_approval_the_request_says_so_and_an_event_does_once() {
    let unapproved = view(&[]);
    let Gate::Act(plan) = gate(&unapproved, &ready_issuer(), Tries::default(), at(61)) else { panic!() };
    let note = &told(&plan)[0];
    assert!(note.starts_with("Warning WaitingApproval Synced: Nobody has approved"), "{note}");
    let said = note.replace("Warning WaitingApproval Synced: ", "False Pending: ");
    assert_eq!(written(&plan), said, "the Event is gone in an hour");
    assert!(note.contains("resourceNames: [wasmissuers.wasm-issuer.dev/team-a.my-ca]"), "{note}");
    assert!(plan.events[0].once);
    let Gate::Act(again) = gate(&unapproved, &ready_issuer(), plan.remember, at(62)) else { panic!() };
    assert_eq!(again, Plan::idle(Next::Settled, plan.remember));
    let told_before = view(&plan.status.unwrap().conditions);
    let Gate::Act(restarted) = gate(&told_before, &ready_issuer(), Tries::default(), at(63)) else {
        panic!()
    };
    assert_eq!(restarted.status, None, "nothing new");
}

#[test]
fn a_request_that_no_signer_can_sign_is_told_so() {
    let issuer = IssuerName { kind: "WasmIssuers".into(), name: "my-ca".into(), signer: None };
    let none = r#"wasm-issuer.dev has no kind "WasmIssuers" with an object "my-ca"."#;
    // Whether it is approved or not: cert-manager approves nothing that cannot be.
    for conditions in [vec![], vec![approved()]] {
        let plan = acted(&RequestView { issuer: issuer.clone(), ..view(&conditions) }, &IssuerView::Missing);
        let said = format!(
            "{none} spec.issuerRef.kind is WasmIssuer or WasmClusterIssuer, spec.issuerRef.name the name of one."
        );
        assert_eq!(written(&plan), format!("False Pending: {said}"));
        assert_eq!(told(&plan), [format!("Normal ImpossibleIssuer Synced: {said}")]);
    }
    let odd = RequestView { issuer, ..signing_request(&[]) };
    let Gate::Act(plan) = gate(&odd, &IssuerView::Missing, Tries::default(), at(61)) else { panic!() };
    let note = &told(&plan)[0];
    assert!(note.ends_with(&format!("Nobody can: {none}")), "{note}");
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
        assert_eq!(acted(&done, &ready_issuer()), Plan::idle(Next::Settled, Tries::default()));
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
    assert_eq!(again, Plan::idle(Next::WithIssuer, Tries::default()));
}

#[test]
fn a_ready_issuer_whose_plugin_is_loading_is_awaited_in_silence() {
    let IssuerView::Present { generation, ready, .. } = ready_issuer() else { panic!() };
    let loading = IssuerView::Present { generation, ready, serving: false };
    let plan = acted(&view(&[approved()]), &loading);
    let waiting = Tries { told_waiting: true, ..Tries::default() };
    assert_eq!(plan, Plan::idle(Next::After(Duration::from_millis(250)), waiting));

    // It takes longer.
    let Gate::Act(plan) = gate(&view(&[approved()]), &loading, waiting, at(11)) else { panic!() };
    let began = "wasm-issuer.dev has started reconciling this CertificateRequest";
    assert_eq!(written(&plan), format!("Unknown Initializing: {began}"));
    assert!(plan.events.is_empty());
    assert_eq!((plan.next, plan.remember), (Next::WithIssuer, waiting));
}

#[test]
fn the_ca_is_left_alone_for_as_long_as_it_wants() {
    let rest = |seconds| Gate::Act(Plan::idle(Next::After(Duration::from_secs(seconds)), Tries::default()));
    let told = condition(NOT_BEFORE, TRUE, "RetryAfter", "1970-01-01T00:05:00Z");
    let after_a_restart = view(&[approved(), told]);
    assert_eq!(gated(&after_a_restart, &ready_issuer()), rest(290));
    let over = gate(&after_a_restart, &ready_issuer(), Tries::default(), at(300));
    assert_eq!(over, Gate::Sign);
    let hurried = Tries { hurried: true, ..Tries::default() };
    assert_eq!(gate(&after_a_restart, &ready_issuer(), hurried, at(10)), Gate::Sign);

    // Where it could not be written.
    let remembered = Tries { not_before: Some(at(40)), ..Tries::default() };
    let Gate::Act(plan) = gate(&view(&[approved()]), &ready_issuer(), remembered, at(10)) else { panic!() };
    assert_eq!(plan.next, Next::After(Duration::from_secs(30)));
    let garbage = view(&[approved(), condition(NOT_BEFORE, TRUE, "RetryAfter", "tomorrow")]);
    assert_eq!(gated(&garbage, &ready_issuer()), Gate::Sign);
}

#[test]
fn what_was_not_written_was_not_told_but_the_calls_were_made() {
    let before = Tries { failures: 1, ..Tries::default() };
    let planned = Tries {
        failures: 2,
        polls: 3,
        told_unapproved: true,
        told_waiting: true,
        not_before: Some(at(9)),
        ..Tries::default()
    };
    let failed = Tries { told_unapproved: false, told_waiting: false, write_failures: 4, ..planned };
    assert_eq!(before.write_failed(planned, 4), failed);
    let after = Tries { write_failures: 4, ..planned };
    assert_eq!(Tries::written(after), planned);
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

#[test]
fn a_wait_for_the_turn_is_told_where_nothing_else_is() {
    let status = waiting_for_its_turn(&view(&[approved()]), at(5)).unwrap();
    let ready = condition::find(&status.conditions, READY).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str(), ready.message.as_str()),
        (UNKNOWN, "Initializing", "wasm-issuer.dev is busy: this CertificateRequest waits for its turn")
    );
    assert_eq!(waiting_for_its_turn(&view(&[]), at(5)), None, "nobody has approved it");
    let pending = condition(READY, FALSE, "Pending", "");
    assert_eq!(waiting_for_its_turn(&view(&[approved(), pending]), at(5)), None);
}

#[test]
fn a_signing_request_has_no_place_for_what_it_waits_for() {
    let request = signing_request(&[approved()]);
    assert_eq!((initializing(&request, at(5)), waiting_for_its_turn(&request, at(5))), (None, None));
}

#[test]
fn who_may_approve_a_signing_request_is_told_after_a_minute() {
    let unapproved = signing_request(&[]);
    let Gate::Act(plan) = gate(&unapproved, &ready_issuer(), Tries::default(), at(61)) else { panic!() };
    let note = &told(&plan)[0];
    let signers = r#"signers.certificates.k8s.io named "wasmissuers.wasm-issuer.dev/*""#;
    assert!(note.contains("this CertificateSigningRequest for 60 s") && note.contains(signers), "{note}");
}
