//! What is different for CertificateSigningRequests.

use super::super::super::testing::signing_request;
use super::*;

#[test]
fn a_signing_request_is_told_by_its_own_name() {
    let request = signing_request(&[approved()]);
    let plan = issued(&request, verified(), Tries::default(), at(9));
    assert_eq!(told(&plan), ["Normal Issued Synced: Succeeded signing the CertificateSigningRequest"]);
    let plan = failed_with(&request, FailureKind::Retry { after: None }, Tries::default(), 9);
    let message = "Failed to sign CertificateSigningRequest, will retry: quota 100%full %s";
    assert_eq!(told(&plan), [format!("Warning RetryableError SyncFailed: {message}")]);
}

#[test]
fn a_signing_request_fails_by_a_condition_of_its_own_kind() {
    let request = signing_request(&[approved()]);
    let failed = |plan: &RequestPlan| {
        let conditions = &plan.status.as_ref().unwrap().conditions;
        assert_eq!(condition::find(conditions, INVALID_REQUEST), None, "that is cert-manager's");
        let failed = condition::find(conditions, FAILED).unwrap();
        format!("{} {}: {}", failed.status, failed.reason, failed.message)
    };
    let message = "CertificateSigningRequest has failed permanently: quota 100%full %s";
    let plan = failed_with(&request, FailureKind::Permanent, Tries::default(), 9);
    assert_eq!(failed(&plan), format!("True Failed: {message}"));
    assert_eq!(told(&plan), [format!("Warning PermanentError SyncFailed: {message}")]);

    let why =
        Unsignable { reason: ConditionReason::DeniedReference, message: "Requester may not".to_owned() };
    let plan = invalid(&request, &why, Tries::default(), at(9));
    assert_eq!(failed(&plan), "True DeniedReference: Requester may not");
    assert_eq!(told(&plan), ["Warning DeniedReference SyncFailed: Requester may not"]);
    assert_eq!(plan.next, Next::Settled);
}

#[test]
fn no_plugin_ends_a_request_by_a_condition() {
    let mut ends = fail(FailureKind::Retry { after: None });
    ends.condition =
        Some(FailureCondition { type_: FAILED.to_owned(), status: FALSE, reason: "Mine".to_owned() });
    for request in [signing_request(&[approved()]), view(&[approved()])] {
        let plan = failure(&request, &ends, &POLICY, Some(at(0)), Tries::default(), moment(9));
        assert_eq!(condition::find(&plan.status.unwrap().conditions, FAILED), None);
    }
}
