//! CAs that cannot work: the Issuer is told which certificate is in the way, and what would mend it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use std::slice::from_ref;

use rcgen::{BasicConstraints, GeneralSubtree, IsCa, KeyUsagePurpose};
use support::ca::{Ca, accepted, refused, serial};
use support::{ALGORITHMS, TestKey, host_judge, host_verify};
use wasm_issuer_sdk::keys::VerifyError;
use wasm_issuer_sdk::{Algorithm, Authority, Certificate, Failure, Signer};

/// Whether a message names the certificate with where it stands, and holds what is wrong and the fix.
fn names(message: &str, certificate: &[u8], place: &str, parts: &[&str]) {
    let named = format!("{}, {place},", serial(certificate));
    assert!(
        message.contains(&named) || message.contains(&format!("{} ({place})", serial(certificate))),
        "{message}"
    );
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn the_key_of_something_else() {
    let [own, other] = [TestKey::p256(), TestKey::p256()];
    let root = Ca::root("Root", &own).der();
    let message = refused(&other, &[], &[&root]);
    names(
        &message,
        &root,
        "certificate 1 of the trusted ones",
        &["none of the certificates is for", "\"CN=Root\""],
    );
    assert!(refused(&other, &[], &[]).contains("there are no certificates"));
    let many: Vec<Vec<u8>> = (0..7).map(|_| Ca::root("Root", &own).der()).collect();
    assert!(refused(&other, &many.iter().collect::<Vec<_>>(), &[]).contains(", 2 more: put"));
}

#[test]
fn a_certificate_that_is_malformed() {
    let own = TestKey::p256();
    let root = Ca::root("Root", &own).der();
    let message = refused(&own, &[&root, &vec![0x30, 0]], &[]);
    assert!(message.starts_with("certificate 2 of the chain is malformed: "), "{message}");
}

#[test]
fn certificates_that_may_not_sign() {
    let [root, own] = [TestKey::p256(), TestKey::p256()];
    type Change = (fn(Ca<'_>) -> Ca<'_>, [&'static str; 2]);
    let changes: [Change; 4] = [
        (|ca| ca.kind(IsCa::ExplicitNoCa), ["CA:TRUE", "use a CA's certificate"]),
        (|ca| ca.usage(KeyUsagePurpose::CrlSign), ["lacks cert sign", "issue it with"]),
        (|ca| ca.years(2010, 2020), ["expired at 2020-01-01T00:00:00Z", "renew it"]),
        (|ca| ca.years(2200, 2300), ["is not valid before 2200-01-01T00:00:00Z", "renew it"]),
    ];
    let first = "certificate 1 of the chain";
    for (change, parts) in changes {
        let ca = change(Ca::root("Root", &own)).der();
        names(&refused(&own, &[&ca], &[]), &ca, first, &parts);

        let second = TestKey::p256();
        let middle = change(Ca::below(("Root", &root), "Middle", &second)).der();
        let inter = Ca::below(("Middle", &second), "Inter", &own).der();
        let message = refused(&own, &[&middle, &inter], &[&Ca::root("Root", &root).der()]);
        names(&message, &middle, first, &parts);
        // It does not matter where there is another way.
        let sound = Ca::below(("Root", &root), "Middle", &second).der();
        let top = Ca::root("Root", &root).der();
        assert_eq!(accepted(&own, &[&middle, &inter, &sound, &top], &[]), [inter, sound, top]);
    }
}

#[test]
fn a_path_length_that_is_exceeded() {
    let keys: [TestKey; 3] = std::array::from_fn(|_| TestKey::p256());
    let [root, middle, own] = &keys;
    let limited = |limit| Ca::root("Root", root).kind(IsCa::Ca(BasicConstraints::Constrained(limit))).der();
    let below = Ca::below(("Root", root), "Middle", middle).der();
    let inter = Ca::below(("Middle", middle), "Inter", own).der();
    let top = limited(1);
    let parts = ["allows 1 intermediates below it (pathLenConstraint), and there are 2"];
    names(&refused(own, &[&inter, &below], &[&top]), &top, "certificate 1 of the trusted ones", &parts);
    assert_eq!(accepted(own, &[&inter, &below], &[&limited(2)]).len(), 3);
}

#[test]
fn a_root_renewed_with_another_key() {
    let [old, new, own] = [TestKey::p256(), TestKey::p256(), TestKey::p256()];
    let inter = Ca::below(("Root", &old), "Inter", &own).der();
    let (old_root, new_root) = (Ca::root("Root", &old).years(2020, 2050).der(), Ca::root("Root", &new).der());
    let message = refused(&own, &[&inter], &[&new_root]);
    names(
        &message,
        &inter,
        "certificate 1 of the chain",
        &["by another key: put the certificate of that key"],
    );
    names(&message, &new_root, "certificate 1 of the trusted ones", &[]);
    assert_eq!(accepted(&own, &[&inter, &new_root, &old_root], &[]), [inter, old_root]);
}

#[test]
fn trusted_certificates_that_the_chain_does_not_lead_to() {
    let [root, other, own] = [TestKey::p256(), TestKey::p256(), TestKey::p256()];
    let inter = Ca::below(("Root", &root), "Inter", &own).der();
    let other = Ca::root("Other", &other).der();
    let message = refused(&own, &[&inter], &[&other]);
    names(&message, &inter, "certificate 1 of the chain", &["does not lead to", "put its root there"]);
    names(&message, &other, "certificate 1 of the trusted ones", &[]);
    // Without a word about trust, clients get to trust the CA itself.
    assert_eq!(accepted(&own, &[&inter, &other], &[]), from_ref(&inter));
    assert_eq!(accepted(&own, &[&inter], &[&inter]), from_ref(&inter));
}

/// A key that signs something else.
struct BrokenKey(TestKey);

impl Signer for BrokenKey {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key()
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Failure> {
        self.0.sign(b"something else")
    }

    fn verify(
        &self,
        key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        host_verify(key, algorithm, message, signature)
    }

    fn judge(&self, certificate: &Certificate) -> Result<(), String> {
        host_judge(certificate)
    }
}

#[test]
fn a_key_whose_signatures_would_be_refused_fails_the_check() {
    for algorithm in ALGORITHMS {
        let key = TestKey::new(algorithm);
        let root = support::ca_builder(&key, "Root").self_sign(&key).unwrap();
        let failure = Authority::new(BrokenKey(key), &[&root]).unwrap().check().unwrap_err();
        assert_eq!(failure, Failure::issuer(&failure.message));
        let wanted = format!("what \"CN=Root\" {} signs would be refused: ca: ", serial(&root));
        assert!(failure.message.starts_with(&wanted), "{}", failure.message);
        assert!(failure.message.ends_with("the signature does not verify"), "{}", failure.message);
    }
}

/// What the path does not look at, the operator does.
#[test]
fn a_chain_that_the_operator_does_not_take_fails_the_check() {
    let key = TestKey::p256();
    // A serial number of no digits: the DER of an INTEGER has one at least.
    let root = support::ca_builder(&key, "Root").self_sign(&key).unwrap();
    let at = root.windows(2).position(|pair| pair == [2, 16]).unwrap();
    let mut malformed = root.clone();
    malformed[at] = 4;
    let refused = Authority::new(key, &[&malformed]).and_then(|authority| authority.check()).unwrap_err();
    let wanted = "would be refused: chain: certificate 2 is malformed";
    assert!(refused.message.contains(wanted), "{}", refused.message);
}

/// Those who ask have names of their own: the one that `check` signs for is none of theirs.
#[test]
fn a_ca_that_is_limited_to_some_names_passes_the_check() {
    let [root, own] = [TestKey::p256(), TestKey::p256()];
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "Team");
    for subtree in [GeneralSubtree::DirectoryName(name), GeneralSubtree::DnsName("example.com".into())] {
        let limited = Ca::below(("Root", &root), "Inter", &own).names(subtree).der();
        let authority = Authority::new(own.clone(), &[limited, Ca::root("Root", &root).der()]).unwrap();
        authority.check().unwrap();
    }
}
