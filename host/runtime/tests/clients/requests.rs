//! Requests: every kind of key, of name and of usage, and CSRs as tools and people make them.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, KeyPair, RsaKeySize, SanType};
use wasm_issuer_core::issuance::signer::{Requester, SignRequest};
use wasm_issuer_core::x509::Csr;

pub struct Asked {
    pub name: String,
    pub request: SignRequest,
    /// A server's, which every CA is asked for.
    pub is_plain: bool,
}

const SERVER: [&str; 3] = ["digital signature", "key encipherment", "server auth"];

fn asked(name: impl Into<String>, csr: &[u8]) -> Asked {
    let name = name.into();
    let csr = Csr::from_pem_or_der(csr).unwrap_or_else(|error| panic!("{name}: {error}"));
    let request = SignRequest {
        namespace: Some("team-a".into()),
        name: "web".into(),
        uid: "1".into(),
        csr,
        duration: Duration::from_secs(90 * 24 * 3600),
        is_ca: false,
        usages: SERVER.map(str::to_owned).to_vec(),
        annotations: vec![],
        requester: Requester::default(),
        resume: None,
    };
    Asked { name, request, is_plain: false }
}

impl Asked {
    fn plain(self) -> Self {
        Self { is_plain: true, ..self }
    }

    fn usages(mut self, usages: &[&str]) -> Self {
        self.request.usages = usages.iter().map(|usage| (*usage).to_owned()).collect();
        self
    }
}

pub fn all() -> Vec<Asked> {
    let mut all = keys();
    all.extend(names());
    all.extend(subjects());
    all.extend(usages());
    all.extend(cas());
    all.extend(odd_ones());
    all
}

/// One for a server.
pub fn server() -> Asked {
    asked("server", &csr(&params("a.example", vec![dns("a.example")])))
}

fn csr(params: &CertificateParams) -> Vec<u8> {
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// For these names and this common name.
fn params(common_name: &str, names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    params.subject_alt_names = names;
    params
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn ip(address: &str) -> SanType {
    SanType::IpAddress(address.parse::<IpAddr>().unwrap())
}

fn keys() -> Vec<Asked> {
    let generate = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let params = params("a.example", vec![dns("a.example")]);
    [
        ("P-256", generate(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("P-384", generate(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("P-521", generate(&rcgen::PKCS_ECDSA_P521_SHA512)),
        ("Ed25519", generate(&rcgen::PKCS_ED25519)),
        ("RSA 2048", KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()),
    ]
    .map(|(kind, key)| {
        let asked = asked(format!("key {kind}"), params.serialize_request(&key).unwrap().der());
        if kind == "P-256" { asked.plain() } else { asked }
    })
    .into()
}

fn names() -> Vec<Asked> {
    let many = (0..100).map(|n| dns(&format!("{n}.example"))).collect();
    let upn = SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "user@example.com".into()));
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let email = SanType::Rfc822Name("a@b.example".try_into().unwrap());
    // A directoryName `CN=a`, and a registeredID.
    let directory =
        [0x30, 0x10, 0xa4, 0x0e, 0x30, 0x0c, 0x31, 0x0a, 0x30, 8, 6, 3, 0x55, 4, 3, 0x0c, 1, b'a'];
    let registered = [0x30, 4, 0x88, 2, 0x2a, 3];
    let raw = |value: &[u8]| {
        let mut params = params("a", vec![]);
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], value.to_vec())];
        params
    };
    [
        ("two names", params("a.example", vec![dns("a.example"), dns("b.example")])),
        ("wildcard", params("", vec![dns("*.a.example")])),
        ("a hundred names", params("0.example", many)),
        ("addresses", params("", vec![ip("192.0.2.1"), ip("2001:db8::1")])),
        ("email address", params("", vec![email])),
        ("SPIFFE", params("", vec![uri("spiffe://cluster.local/ns/a/sa/b")])),
        ("URL", params("", vec![uri("https://user@a.example:8443/path?query#x")])),
        ("urn", params("", vec![uri("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6")])),
        ("principal name", params("user", vec![upn.clone()])),
        ("principal name without a subject", params("", vec![upn])),
        ("directory name", raw(&directory)),
        ("registered ID", raw(&registered)),
        ("underscore", params("", vec![dns("under_score.example")])),
        ("punycode", params("xn--bcher-kva.example", vec![dns("xn--bcher-kva.example")])),
        ("no alternative name", params("a.example", vec![])),
        ("no subject", params("", vec![dns("a.example")])),
    ]
    .map(|(name, params)| asked(name, &csr(&params)))
    .into()
}

fn subjects() -> Vec<Asked> {
    let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
    let subject = |values: &[(DnType, DnValue)]| {
        let mut params = params("", vec![dns("a.example")]);
        values.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), value.clone()));
        params
    };
    let attribute = |oid: &[u64]| DnType::CustomDnType(oid.to_vec());
    let ia5 = |text: &str| DnValue::Ia5String(text.try_into().unwrap());
    [
        (
            "organisation",
            subject(&[(DnType::OrganizationName, utf8("Corp")), (DnType::CommonName, utf8("a.example"))]),
        ),
        ("unicode", subject(&[(DnType::CommonName, utf8("B\u{fc}cher \u{1f4da}"))])),
        ("BMPString", subject(&[(DnType::CommonName, DnValue::BmpString("a".try_into().unwrap()))])),
        ("TeletexString", subject(&[(DnType::CommonName, DnValue::TeletexString("a".try_into().unwrap()))])),
        ("email address in it", subject(&[(attribute(&[1, 2, 840, 113549, 1, 9, 1]), ia5("a@b.example"))])),
        ("domain components", subject(&[(attribute(&[0, 9, 2342, 19200300, 100, 1, 25]), ia5("example"))])),
        ("an unknown attribute", subject(&[(attribute(&[1, 2, 3, 4]), utf8("a"))])),
        ("64 characters", subject(&[(DnType::CommonName, utf8(&"a".repeat(64)))])),
        ("65 characters", subject(&[(DnType::CommonName, utf8(&"a".repeat(65)))])),
    ]
    .map(|(name, params)| asked(format!("subject: {name}"), &csr(&params)))
    .into()
}

/// cert-manager's usages, each alone, and as people combine them.
fn usages() -> Vec<Asked> {
    let alone = [
        "signing",
        "content commitment",
        "key encipherment",
        "data encipherment",
        "key agreement",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    ];
    let mut sets: Vec<Vec<&str>> = alone.map(|usage| vec![usage]).into();
    sets.push(vec![]);
    sets.push([&SERVER[..], &["client auth"]].concat());
    sets.push(vec!["digital signature", "key agreement", "client auth", "email protection"]);
    let csr = csr(&params("a.example", vec![dns("a.example")]));
    sets.iter().map(|usages| asked(format!("usages {usages:?}"), &csr).usages(usages)).collect()
}

fn cas() -> Vec<Asked> {
    let constraints = |value: &[u8]| {
        let mut params = params("CA", vec![]);
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 30], value.to_vec())];
        params
    };
    let with_path_len = |value: &[u8]| {
        let mut params = params("CA", vec![]);
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 19], value.to_vec())];
        params
    };
    // Permitted: `example`.
    let permitted = [0x30, 0x0d, 0xa0, 0x0b, 0x30, 9, 0x82, 7, b'e', b'x', b'a', b'm', b'p', b'l', b'e'];
    [
        ("a CA", params("CA", vec![])),
        ("a CA without CAs below it", with_path_len(&[0x30, 6, 1, 1, 0xff, 2, 1, 0])),
        ("a CA for some names", constraints(&permitted)),
    ]
    .map(|(name, params)| {
        let mut asked = asked(name, &csr(&params)).usages(&["digital signature", "cert sign", "crl sign"]);
        asked.request.is_ca = true;
        asked
    })
    .into()
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../core/src/x509/testdata/", $name, ".pem")).as_slice())),*]
    };
}

/// CSRs as tools and people make them, which are accepted.
fn odd_ones() -> Vec<Asked> {
    let mut all: Vec<_> = files![
        "pss-sha384",
        "cases/ecdsa-null-params",
        "cases/eku-unknown",
        "cases/ossl-eku-ike",
        "cases/pem-headers",
        "cases/pem-latin1-before",
        "cases/pem-nul-after",
        "cases/pem-text-after",
        "cases/pem-two",
        "cases/rsa8192",
    ]
    .map(|(name, pem)| asked(name, pem))
    .into();
    let csr = csr(&params("a.example", vec![dns("a.example")]));
    for (name, duration) in
        [("an hour", 3600), ("a hundred years", 100 * 365 * 24 * 3600), ("without an end", u64::MAX / 4)]
    {
        let mut asked = asked(name, &csr);
        asked.request.duration = Duration::from_secs(duration);
        all.push(asked);
    }
    all
}
