//! CA certificates of every sort, made by rcgen, and what comes of a Secret that holds them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, Issuer, KeyUsagePurpose,
    NameConstraints, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use wasm_issuer_sdk::{Authority, Failure, pem};

use super::{TestKey, web_request};

/// A certificate to be made: a CA without limits, valid from 2020 to 2100.
pub struct Ca<'a> {
    params: CertificateParams,
    key: &'a TestKey,
    issuer: (&'a str, &'a TestKey),
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1));
    params
}

impl<'a> Ca<'a> {
    pub fn root(name: &'a str, key: &'a TestKey) -> Self {
        Self::below((name, key), name, key)
    }

    pub fn below(issuer: (&'a str, &'a TestKey), name: &str, key: &'a TestKey) -> Self {
        Self { params: params(name), key, issuer }
    }

    pub fn years(mut self, from: i32, to: i32) -> Self {
        (self.params.not_before, self.params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        self
    }

    pub fn usage(mut self, usage: KeyUsagePurpose) -> Self {
        self.params.key_usages = vec![usage];
        self
    }

    pub fn kind(mut self, kind: IsCa) -> Self {
        self.params.is_ca = kind;
        self
    }

    /// Only names within this one are permitted below it.
    pub fn names(mut self, permitted: GeneralSubtree) -> Self {
        self.params.name_constraints =
            Some(NameConstraints { permitted_subtrees: vec![permitted], excluded_subtrees: vec![] });
        self
    }

    pub fn der(self) -> Vec<u8> {
        let (name, key) = self.issuer;
        let issuer = Issuer::new(params(name), &*key.pair);
        self.params.signed_by(&*self.key.pair, &issuer).unwrap().der().to_vec()
    }
}

/// The certificates of a CA, its own first, after it has passed `check` and its answer has been verified by a library that
/// trusts only what it publishes.
pub fn accepted(key: &TestKey, chain: &[&Vec<u8>], trusted: &[&Vec<u8>]) -> Vec<Vec<u8>> {
    let authority = Authority::with_trusted(key.clone(), chain, trusted).unwrap();
    authority.check().unwrap();
    let answer = authority.issue(&web_request()).unwrap();
    let published: Vec<CertificateDer<'_>> =
        pem::decode_certificates(&answer.chain).unwrap().into_iter().map(Into::into).collect();
    let ca = pem::decode_certificates(&answer.ca.unwrap()).unwrap();
    assert_eq!(ca.len(), 1);
    let ca = CertificateDer::from(ca[0].as_slice());
    let intermediates: Vec<_> = published[1..].iter().filter(|it| **it != ca).cloned().collect();
    // The library's own limit.
    if intermediates.len() < 6 {
        let leaf = webpki::EndEntityCert::try_from(&published[0]).unwrap();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[webpki::anchor_from_trusted_cert(&ca).unwrap()],
            &intermediates,
            UnixTime::now(),
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .unwrap();
    }
    let all: Vec<Vec<u8>> = authority.chain().iter().map(|it| it.der().to_vec()).collect();
    assert_eq!(ca.as_ref(), all.last().unwrap(), "the CA is the chain's end");
    all
}

/// What is said of a CA that is refused, which is its Issuer's fault.
pub fn refused(key: &TestKey, chain: &[&Vec<u8>], trusted: &[&Vec<u8>]) -> String {
    let failure = Authority::with_trusted(key.clone(), chain, trusted).map(drop).unwrap_err();
    assert_eq!(failure, Failure::issuer(&failure.message), "a bad CA is the Issuer's fault");
    failure.message
}

/// The serial number as messages show it.
pub fn serial(certificate: &[u8]) -> String {
    let parsed = wasm_issuer_sdk::ParsedCertificate::from_der(certificate).unwrap();
    let hex: String = parsed.serial().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("(serial {hex})")
}
