//! A certificate is exactly what the request asks for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use rustls_pki_types::{CertificateDer, UnixTime};
use support::ca::Ca;
use support::{
    ALGORITHMS, CN, OU, PRINTABLE, TestKey, UTF8, attribute, ca_builder, csr, der, dns_san, extension, name,
    now, request, root, web_request,
};
use wasm_issuer_sdk::der::Decode as _;
use wasm_issuer_sdk::x509_cert::ext::Extension;
use wasm_issuer_sdk::x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use wasm_issuer_sdk::x509_cert::time::Time;
use wasm_issuer_sdk::{
    Algorithm, Authority, CertificateBuilder, Failure, ParsedCertificate, Request, Signer, Usages, pem,
};

fn issue(authority: &Authority<TestKey>, request: &Request) -> ParsedCertificate {
    let leaf = CertificateBuilder::for_request(request).unwrap().sign(authority).unwrap();
    ParsedCertificate::from_der(&leaf).unwrap()
}

/// The extension with this `id-ce` number.
fn find(certificate: &ParsedCertificate, id_ce: u8) -> Option<&Extension> {
    certificate.extensions().iter().find(|extension| extension.extn_id.as_bytes() == [0x55, 0x1d, id_ce])
}

#[test]
fn a_chain_of_every_key_type_verifies() {
    for algorithm in ALGORITHMS {
        let root = root(algorithm);
        let key = TestKey::p256();
        let intermediate = ca_builder(&key, "Intermediate").sign(&root).unwrap();
        let authority = Authority::new(key, &[intermediate, root.chain()[0].der().to_vec()]).unwrap();
        let certificate = authority.issue(&web_request()).unwrap();

        let chain: Vec<CertificateDer<'_>> =
            pem::decode_certificates(&certificate.chain).unwrap().into_iter().map(Into::into).collect();
        assert_eq!(chain.len(), 2, "the root is not part of it");
        let ca = pem::decode_certificates(&certificate.ca.unwrap()).unwrap();
        assert_eq!(ca, [root.chain()[0].der()]);
        let ca = CertificateDer::from(ca[0].as_slice());
        let anchor = webpki::anchor_from_trusted_cert(&ca).unwrap();
        let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &chain[1..],
            UnixTime::now(),
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .unwrap_or_else(|e| panic!("{algorithm:?}: {e}"));
        leaf.verify_is_valid_for_subject_name(&"web.example".try_into().unwrap()).unwrap();
    }
}

/// Several OUs, a multi-valued RDN in an order that DER would not have, two string types; DNS name, otherName, IP.
#[test]
fn subject_names_and_key_are_the_requests_own_bytes() {
    let subject = der(
        0x30,
        &[
            &der(0x31, &[&attribute(OU, UTF8, "Payments")]),
            &der(0x31, &[&attribute(OU, PRINTABLE, "Payments")]),
            &der(0x31, &[&attribute(OU, UTF8, "z"), &attribute(CN, PRINTABLE, "a")]),
        ],
    );
    let upn = der(0x06, &[&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03]]);
    let other_name = der(0xa0, &[&upn, &der(0xa0, &[&der(0x0c, &[b"joe@corp.example"])])]);
    let san = der(0x30, &[&der(0x82, &[b"web.example"]), &other_name, &der(0x87, &[&[10, 0, 0, 1]])]);
    for algorithm in ALGORITHMS {
        let key = TestKey::new(algorithm);
        let request = request(csr(&subject, key.public_key(), &[extension(17, true, &san)]));
        let leaf = issue(&root(Algorithm::EcdsaP256Sha256), &request);
        assert_eq!(leaf.subject(), subject);
        assert_eq!(leaf.public_key(), key.public_key());
        let extension = find(&leaf, 17).unwrap();
        assert_eq!((extension.extn_value.as_bytes(), extension.critical), (san.as_slice(), false));
    }
}

#[test]
fn names_are_critical_where_there_is_no_subject() {
    let san = dns_san(&["web.example"]);
    let request = request(csr(&der(0x30, &[]), TestKey::p256().public_key(), &[extension(17, false, &san)]));
    assert!(find(&issue(&root(Algorithm::Ed25519), &request), 17).unwrap().critical);
}

#[test]
fn the_issuer_is_the_ca_byte_for_byte() {
    let key = TestKey::p256();
    let subject = der(0x30, &[&der(0x31, &[&attribute(OU, UTF8, "z"), &attribute(CN, PRINTABLE, "a")])]);
    let certificate = ca_builder(&key, "x").subject(subject.clone()).self_sign(&key).unwrap();
    let authority = Authority::new(key, &[certificate]).unwrap();
    let leaf = issue(&authority, &web_request());
    assert_eq!(leaf.issuer(), subject);

    let subject_key_id = find(&authority.chain()[0], 14).unwrap().extn_value.as_bytes();
    let authority_key_id = find(&leaf, 35).unwrap().extn_value.as_bytes();
    assert_eq!(authority_key_id, der(0x30, &[&der(0x80, &[&subject_key_id[2..]])]));
}

#[test]
fn usages_and_constraints_are_the_requests() {
    let leaf = issue(&root(Algorithm::EcdsaP256Sha256), &web_request());
    let usage = find(&leaf, 15).unwrap();
    assert_eq!((usage.extn_value.as_bytes(), usage.critical), (&[0x03, 0x02, 0x05, 0xa0][..], true));
    let extended = find(&leaf, 37).unwrap();
    assert!(!extended.critical);
    let extended = ExtendedKeyUsage::from_der(extended.extn_value.as_bytes()).unwrap().0;
    assert_eq!(extended.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.3.6.1.5.5.7.3.1"]);
    let constraints = find(&leaf, 19).unwrap();
    assert_eq!((constraints.extn_value.as_bytes(), constraints.critical), (&[0x30, 0x00][..], true));

    let without = Request { usages: Vec::new(), ..web_request() };
    let leaf = issue(&root(Algorithm::EcdsaP256Sha256), &without);
    assert!(find(&leaf, 15).is_none() && find(&leaf, 37).is_none());
}

#[test]
fn a_ca_gets_its_path_length_and_name_constraints() {
    let permitted = der(0x30, &[&der(0xa0, &[&der(0x30, &[&der(0x82, &[b"example"])])])]);
    let path_length = der(0x30, &[&[0x01, 0x01, 0xff], &[0x02, 0x01, 0x02]]);
    let asked = [extension(19, true, &path_length), extension(30, true, &permitted)];
    let request = request(csr(&name("Team"), TestKey::p256().public_key(), &asked));
    let request = Request { is_ca: true, usages: vec!["cert sign".into()], ..request };
    let ca = issue(&root(Algorithm::EcdsaP256Sha256), &request);
    let constraints = find(&ca, 19).unwrap();
    assert_eq!((constraints.extn_value.as_bytes(), constraints.critical), (path_length.as_slice(), true));
    let constraints = find(&ca, 30).unwrap();
    assert_eq!((constraints.extn_value.as_bytes(), constraints.critical), (permitted.as_slice(), true));
    assert!(KeyUsage::from_der(find(&ca, 15).unwrap().extn_value.as_bytes()).unwrap().key_cert_sign());
}

#[test]
fn a_leaf_gets_no_name_constraints() {
    let permitted = der(0x30, &[&der(0xa0, &[&der(0x30, &[&der(0x82, &[b"example"])])])]);
    let asked = [extension(30, true, &permitted)];
    let leaf = issue(
        &root(Algorithm::EcdsaP256Sha256),
        &request(csr(&name("web"), TestKey::p256().public_key(), &asked)),
    );
    assert!(find(&leaf, 30).is_none());
    assert!(!BasicConstraints::from_der(find(&leaf, 19).unwrap().extn_value.as_bytes()).unwrap().ca);
}

#[test]
fn a_csr_that_contradicts_its_request_is_refused() {
    let ca = der(0x30, &[&[0x01, 0x01, 0xff]]);
    let cases = [
        (extension(19, true, &ca), "the CSR asks for CA:true, the request for CA:false"),
        (
            extension(15, true, &[0x03, 0x02, 0x07, 0x80]),
            "the CSR asks for the usages [digital signature], the request for [digital signature, key encipherment, \
             server auth]",
        ),
    ];
    for (asked, message) in cases {
        let request = request(csr(&name("web"), TestKey::p256().public_key(), &[asked]));
        assert_eq!(CertificateBuilder::for_request(&request).unwrap_err(), Failure::invalid_request(message));
    }
    let usages = [
        extension(15, true, &[0x03, 0x02, 0x05, 0xa0]),
        extension(37, false, &der(0x30, &[&der(0x06, &[&[0x2b, 6, 1, 5, 5, 7, 3, 1]])])),
    ];
    let request = request(csr(&name("web"), TestKey::p256().public_key(), &usages));
    assert!(CertificateBuilder::for_request(&request).is_ok(), "one that agrees is fine");
}

#[test]
fn an_extension_that_is_asked_for_twice_is_refused() {
    let san = extension(17, false, &dns_san(&["web.example"]));
    let failure =
        request(csr(&name("web"), TestKey::p256().public_key(), &[san.clone(), san])).csr().unwrap_err();
    assert_eq!(failure, Failure::invalid_request("the CSR asks for extension 2.5.29.17 twice"));
}

#[test]
fn the_duration_is_exact() {
    let before = now();
    let leaf = issue(&root(Algorithm::EcdsaP256Sha256), &web_request());
    let (from, to) = (leaf.validity().not_before, leaf.validity().not_after);
    assert!((before..=now()).contains(&from.to_unix_duration().as_secs()));
    assert_eq!((to.to_unix_duration() - from.to_unix_duration()).as_secs(), 3600);
}

#[test]
fn a_certificate_ends_with_its_ca_at_the_latest() {
    let authority = root(Algorithm::EcdsaP256Sha256);
    for duration_seconds in [100 * 365 * 24 * 3600, u64::MAX] {
        let leaf = issue(&authority, &Request { duration_seconds, ..web_request() });
        assert_eq!(leaf.validity().not_after, authority.chain()[0].validity().not_after);
    }
}

/// Also where it is the root above that ends first: a certificate that outlives it is good for nothing by then.
#[test]
fn a_certificate_ends_with_the_first_of_its_path() {
    let [root, own] = [TestKey::p256(), TestKey::p256()];
    let request = Request { duration_seconds: u64::MAX, ..web_request() };
    for (of_root, of_intermediate, at) in [(2050, 2060, 1), (2060, 2050, 0)] {
        let intermediate = Ca::below(("Root", &root), "Inter", &own).years(2020, of_intermediate).der();
        let root = Ca::root("Root", &root).years(2020, of_root).der();
        let authority = Authority::new(own.clone(), &[intermediate, root]).unwrap();
        let leaf = ParsedCertificate::from_der(
            &CertificateBuilder::for_request(&request).unwrap().sign(&authority).unwrap(),
        );
        assert_eq!(leaf.unwrap().validity().not_after, authority.chain()[at].validity().not_after);
    }
}

#[test]
fn dates_are_utc_time_until_2049_and_generalized_time_after() {
    const NEW_YEAR_2050: u64 = 2_524_608_000;
    let key = TestKey::p256();
    let root = ca_builder(&key, "Root").validity(now(), NEW_YEAR_2050 + 1000).self_sign(&key).unwrap();
    let authority = Authority::new(key, &[root]).unwrap();
    for (not_after, utc) in [(NEW_YEAR_2050 - 1, true), (NEW_YEAR_2050, false)] {
        let builder = CertificateBuilder::for_request(&web_request()).unwrap().validity(now(), not_after);
        let leaf = ParsedCertificate::from_der(&builder.sign(&authority).unwrap()).unwrap();
        let written = leaf.validity().not_after;
        assert_eq!(written.to_unix_duration().as_secs(), not_after);
        assert_eq!(matches!(written, Time::UtcTime(_)), utc);
    }
}

#[test]
fn serial_numbers_are_16_bytes_positive_and_never_the_same() {
    let authority = root(Algorithm::Ed25519);
    let request = web_request();
    let serials: std::collections::HashSet<Vec<u8>> = (0..200)
        .map(|_| {
            let leaf = issue(&authority, &request);
            let parsed = wasm_issuer_sdk::x509_cert::Certificate::from_der(leaf.der()).unwrap();
            parsed.tbs_certificate().serial_number().as_bytes().to_vec()
        })
        .collect();
    assert_eq!(serials.len(), 200);
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] < 0x80));
}

#[test]
fn no_csr_makes_it_panic() {
    let good = web_request();
    for i in 0..good.csr.len() {
        let _ = CertificateBuilder::for_request(&Request { csr: good.csr[..i].to_vec(), ..good.clone() });
        for flip in [0x01, 0x80, 0xff] {
            let mut csr = good.csr.clone();
            csr[i] ^= flip;
            let _ = CertificateBuilder::for_request(&Request { csr, ..good.clone() });
        }
    }
}

#[test]
fn an_unknown_usage_is_refused_by_name() {
    let request = Request { usages: vec!["telepathy".into()], ..web_request() };
    let failure = CertificateBuilder::for_request(&request).unwrap_err();
    assert_eq!(failure, Failure::invalid_request("unknown key usage \"telepathy\""));
}

#[test]
fn what_the_builder_is_told_goes_in() {
    let authority = root(Algorithm::EcdsaP256Sha256);
    let other = TestKey::p256();
    let san = dns_san(&["other.example"]);
    let certificate = CertificateBuilder::for_request(&web_request())
        .unwrap()
        .subject(name("other"))
        .public_key(other.public_key())
        .subject_alt_name(Some(&san))
        .usages(Usages::from_names(&["client auth"]).unwrap())
        .sign(&authority)
        .unwrap();
    let certificate = ParsedCertificate::from_der(&certificate).unwrap();
    assert_eq!(certificate.subject(), name("other"));
    assert_eq!(certificate.public_key(), other.public_key());
    assert_eq!(find(&certificate, 17).unwrap().extn_value.as_bytes(), san);
    assert!(find(&certificate, 15).is_none());
}
