use super::super::outcome;
use super::super::request::RetryPolicy;
use super::super::signer::{Failure, FailureKind};
use super::super::testing::{acted, approved, at, condition, moment, view};
use super::super::verify::{Mismatch, Verified};
use super::*;
use crate::issuance::backoff::Backoff;
use crate::issuance::condition::{Condition, FALSE, TRUE};
use crate::issuance::reason::ConditionReason;
use crate::issuance::request_issuer::IssuerView;
use crate::x509::fixtures;

const POLICY: RetryPolicy = RetryPolicy {
    max_duration: Duration::from_secs(3600),
    backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
};

fn failed(kind: FailureKind, second: i64) -> RequestPlan {
    let failure = Failure { kind, message: "quota".into(), condition: None };
    let asked = Tries { attempts: 1, ..Tries::default() };
    outcome::failure(&view(&[approved()]), &failure, &POLICY, None, asked, moment(second))
}

fn refused(refusals: u32) -> (RequestPlan, Tries) {
    let before = Tries { refusals, ..Tries::default() };
    let why = Mismatch { field: "names", message: "another name".into() };
    let asked = Tries { attempts: 1, ..before };
    (outcome::refused(&view(&[approved()]), &why, &POLICY, None, asked, moment(9)), before)
}

fn issued(certificate: String) -> RequestPlan {
    let (serial, not_before, not_after) = (String::new(), at(0), at(100));
    let verified = Verified {
        certificate,
        ca: None,
        warnings: vec![Mismatch { field: "duration", message: "shorter".into() }],
        dropped: vec![],
        serial,
        not_before,
        not_after,
        ca_not_after: None,
    };
    outcome::issued(&view(&[approved()]), verified, Tries { attempts: 2, ..Tries::default() }, at(9))
}

fn facts(asked: Option<Asked<'_>>) -> Facts<'_> {
    let (object, issuer) = (ObjectName::default(), IssuerFacts::default());
    Facts { object, created: at(2), asked, issuer, plugin: None, took: None }
}

fn asked(csr: Option<&Csr>) -> Asked<'_> {
    Asked { username: "anna", uid: "1", groups: &[], usages: &[], is_ca: false, duration: None, csr }
}

#[test]
fn what_cannot_be_taken_back_is_a_decision_and_a_try_is_none() {
    let first = Tries::default();
    let is = |plan: &RequestPlan, before| decision(plan, before);
    assert_eq!(is(&issued("leaf".into()), first), Some(Decision::Issued));
    assert_eq!(is(&failed(FailureKind::Permanent, 9), first), Some(Decision::Failed));
    assert_eq!(
        is(&outcome::invalid(&view(&[]), &"no CSR".to_owned().into(), first, at(9)), first),
        Some(Decision::Refused)
    );
    let denied = acted(&view(&[condition("Denied", TRUE, "policy", "")]), &IssuerView::Missing);
    assert_eq!(is(&denied, first), Some(Decision::Denied));
    let retry = || FailureKind::Retry { after: None };
    assert_eq!(is(&failed(retry(), 4000), first), Some(Decision::Failed), "the time is over");

    assert_eq!(is(&failed(retry(), 9), first), None);
    assert_eq!(is(&failed(FailureKind::Issuer, 9), first), None);
    let order = FailureKind::Pending { resume: Some("order-7".into()), poll_after: None };
    assert_eq!(is(&failed(order, 9), first), None);
    assert_eq!(is(&acted(&view(&[approved()]), &IssuerView::Missing), first), None);
}

#[test]
fn the_last_certificate_that_is_refused_is_a_decision() {
    let (plan, before) = refused(0);
    assert_eq!(decision(&plan, before), None, "another one is asked for");
    let (plan, before) = refused(2);
    assert_eq!(decision(&plan, before), Some(Decision::Refused));
}

#[test]
fn a_certificate_is_told_by_fingerprint_serial_number_and_ca() {
    let key = fixtures::key();
    let mut leaf = fixtures::Template::new(fixtures::cn("web"), key.public_key_der(), fixtures::cn("CA"));
    for (serial, shown) in
        [(&[0x00, 0xab, 0xcd][..], "abcd"), (&[0x01, 0x00][..], "0100"), (&[0x00][..], "00")]
    {
        leaf.serial = fixtures::tlv(2, &[serial]);
        let der = leaf.sign(&key);
        let plan = issued(pem::encode("CERTIFICATE", &der) + &pem::encode("CERTIFICATE", b"the CA"));
        let record = record(&plan, Tries::default(), facts(None), at(9)).unwrap();
        let parsed = Certificate::parse(&der).unwrap();
        let certificate = record.certificate.clone().unwrap();
        assert_eq!((certificate.serial.as_str(), certificate.sha256), (shown, sha256(&der)));
        assert_eq!(certificate.issuer, "CN=CA");
        assert_eq!(certificate.not_after, timestamp(parsed.not_after()).to_string());
        assert_eq!((record.attempts, record.age_seconds, record.written), (2, 7, Written::Yes));
        assert_eq!((record.reason.as_str(), record.warnings.len()), ("Issued", 1));
        assert!(record.warnings[0].contains("shorter"), "{:?}", record.warnings);
    }
}

#[test]
fn all_names_are_told_and_what_is_over_the_bound_is_counted() {
    let key = fixtures::key();
    let names: Vec<_> =
        (0..100).map(|n| fixtures::dns(&format!("{n:0>3}{}.example", ".abcd".repeat(48)))).collect();
    let csr = |names: &[Vec<u8>]| {
        let der = fixtures::csr(&key, &fixtures::cn("web"), &[fixtures::san(names)]);
        Csr::from_pem_or_der(&der).unwrap()
    };
    let told = |csr: &Csr| {
        record(&issued(String::new()), Tries::default(), facts(Some(asked(Some(csr)))), at(9))
            .unwrap()
            .asked
            .unwrap()
    };
    let hundred = csr(&names);
    let all = told(&hundred);
    assert_eq!((all.names.len(), all.names_left_out, all.subject), (100, 0, vec!["CN=web".to_owned()]));
    assert!(
        all.names[99].starts_with("DNS:099.abcd") && all.names[99].ends_with(".example"),
        "{:?}",
        all.names
    );
    assert_eq!(all.csr_sha256, Some(sha256(hundred.der())));
    let many: Vec<_> = names.iter().cycle().take(200).cloned().collect();
    let some = told(&csr(&many));
    assert_eq!(some.names.len() + some.names_left_out, 200);
    assert!((100..200).contains(&some.names.len()), "{}", some.names.len());
}

#[test]
fn whoever_writes_what_is_in_a_record_its_texts_are_bounded_and_on_one_line() {
    let hostile = "a\n{\"decision\":\"denied\"}\r\u{1b}[31m\u{2028}\u{202e}".repeat(2000);
    let many = vec![hostile.clone(); 2000];
    let who = Asked { username: &hostile, uid: &hostile, groups: &many, usages: &many, ..asked(None) };
    let name = || hostile.clone();
    let object = ObjectName { kind: name(), namespace: Some(name()), name: name(), uid: name() };
    let issuer = IssuerFacts {
        kind: name(),
        namespace: Some(name()),
        name: name(),
        uid: Some(name()),
        generation: Some(1),
    };
    let plugin = PluginName { sha256: name(), source: name() };
    let facts = Facts { object, issuer, plugin: Some(&plugin), ..facts(Some(who)) };
    let mut plan = failed(FailureKind::Permanent, 9);
    let conditions = &mut plan.status.as_mut().unwrap().conditions;
    condition::set(conditions, Condition::new(READY, FALSE, ConditionReason::Failed, name(), at(9)));
    let record = record(&plan, Tries::default(), facts, at(9)).unwrap().unwritten(Written::Unknown, &hostile);
    let who = record.requester.as_ref().unwrap();
    assert_eq!(who.groups.len() + who.groups_left_out, 2000);
    assert!(record.size() < 64 << 10, "{}", record.size());
    let text = format!("{record:?}");
    assert!(text.len() < 64 << 10, "{}", text.len());
    // The debug format escapes what it does not print.
    for sign in ["\\n", "\\r", "\\u{1b}", "\\u{2028}", "\\u{202e}"] {
        assert!(!text.contains(sign), "{sign} in {text}");
    }
}
