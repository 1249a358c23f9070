//! What makes a CA, and what does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use support::{TestKey, ca_builder, name, now, root, web_request};
use wasm_issuer_sdk::{Algorithm, Authority, CertificateBuilder, Failure, Request, Signer, Usages, pem};

/// A new intermediate and its certificate.
fn below(authority: &Authority<TestKey>, common_name: &str) -> (TestKey, Vec<u8>) {
    let key = TestKey::p256();
    let certificate = ca_builder(&key, common_name).sign(authority).unwrap();
    (key, certificate)
}

fn failure(key: TestKey, certificates: &[Vec<u8>]) -> String {
    let failure = Authority::new(key, certificates).map(drop).unwrap_err();
    assert_eq!(failure, Failure::issuer(&failure.message), "a bad CA is the Issuer's fault");
    failure.message
}

#[test]
fn the_certificates_come_in_any_order_and_repeated() {
    let root = root(Algorithm::EcdsaP256Sha256);
    let (first_key, first) = below(&root, "First");
    let root = root.chain()[0].der().to_vec();
    let first_ca = Authority::new(first_key, &[first.clone(), root.clone()]).unwrap();
    let (key, second) = below(&first_ca, "Second");
    let authority =
        Authority::new(key, &[root.clone(), first.clone(), second.clone(), first.clone()]).unwrap();
    let chain: Vec<&[u8]> = authority.chain().iter().map(|certificate| certificate.der()).collect();
    assert_eq!(chain, [&second, &first, &root]);

    let certificate = authority.issue(&web_request()).unwrap();
    assert_eq!(pem::decode_certificates(&certificate.chain).unwrap()[1..], [second, first]);
    assert_eq!(certificate.ca, Some(pem::encode_certificates([root])));
}

#[test]
fn without_its_root_the_topmost_certificate_is_the_ca() {
    let root = root(Algorithm::EcdsaP256Sha256);
    let (key, intermediate) = below(&root, "Intermediate");
    let certificate = Authority::new(key, &[&intermediate]).unwrap().issue(&web_request()).unwrap();
    assert_eq!(pem::decode_certificates(&certificate.chain).unwrap()[1..], [intermediate.as_slice()]);
    assert_eq!(certificate.ca, Some(pem::encode_certificates([intermediate])));
}

#[test]
fn a_key_of_something_else_is_no_ca() {
    let root = root(Algorithm::EcdsaP256Sha256).chain()[0].der().to_vec();
    assert_eq!(failure(TestKey::p256(), &[root]), "none of the certificates is for the private key");
    assert_eq!(failure(TestKey::p256(), &[]), "none of the certificates is for the private key");
}

#[test]
fn a_leaf_is_no_ca() {
    let key = TestKey::p256();
    let leaf = CertificateBuilder::new(name("web"), key.public_key()).self_sign(&key).unwrap();
    assert!(failure(key, &[leaf]).contains("CA:TRUE"));

    let key = TestKey::p256();
    let usages = Usages::from_names(&["crl sign"]).unwrap();
    let crl_signer = ca_builder(&key, "Root").usages(usages).self_sign(&key).unwrap();
    assert!(failure(key, &[crl_signer]).contains("cert sign"));
}

#[test]
fn a_certificate_of_another_chain_is_refused() {
    let other = root(Algorithm::Ed25519).chain()[0].der().to_vec();
    let key = TestKey::p256();
    let own = ca_builder(&key, "Own").self_sign(&key).unwrap();
    assert_eq!(failure(key, &[own, other]), "1 of the certificates are not in the CA's chain");
    assert!(failure(TestKey::p256(), &[vec![0x30, 0x00]]).starts_with("certificate 1 is malformed: "));
}

#[test]
fn a_ca_signs_only_while_it_is_valid() {
    let day = 24 * 3600;
    for (from, to, message) in
        [(now() - 2 * day, now() - day, "expired at"), (now() + day, now() + 2 * day, "not valid before")]
    {
        let key = TestKey::p256();
        let root = ca_builder(&key, "Root").validity(from, to).self_sign(&key).unwrap();
        let authority = Authority::new(key, &[root]).unwrap();
        let failure = authority.check().unwrap_err();
        assert!(failure.message.contains(message), "{}", failure.message);
        assert_eq!(authority.issue(&web_request()).unwrap_err(), failure);
    }
}

#[test]
fn a_path_length_is_kept() {
    let team = Request { is_ca: true, usages: vec!["cert sign".into()], ..web_request() };
    let root = root(Algorithm::EcdsaP256Sha256);
    assert!(root.issue(&team).is_ok());

    // pathLenConstraint 0, from a request's CSR.
    let key = TestKey::p256();
    let constraints = support::extension(19, true, &[0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00]);
    let csr = support::csr(&name("Last"), key.public_key(), &[constraints]);
    let last =
        CertificateBuilder::for_request(&Request { csr, ..team.clone() }).unwrap().sign(&root).unwrap();
    let last = Authority::new(key, &[last]).unwrap();
    assert!(last.issue(&web_request()).is_ok());
    assert_eq!(
        last.issue(&team).unwrap_err(),
        Failure::permanent("the path length of this CA does not allow CAs below it")
    );
}
