//! What a CA issues.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use support::{TestKey, ca_builder, name, root, web_request};
use wasm_issuer_sdk::{Algorithm, Authority, CertificateBuilder, Failure, Request, Signer as _, pem};

/// A new intermediate and its certificate.
fn below(authority: &Authority<TestKey>, common_name: &str) -> (TestKey, Vec<u8>) {
    let key = TestKey::p256();
    let certificate = ca_builder(&key, common_name).sign(authority).unwrap();
    (key, certificate)
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
