//! Keys, requests and CAs for the tests. DER is written by hand here, so that the tests do not agree with the code under
//! test by using the same library.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod ca;

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{KeyPair, RsaKeySize, SigningKey as _};
use wasm_issuer_core::issuance::signer::Signed;
use wasm_issuer_core::issuance::verify;
use wasm_issuer_core::keys;
use wasm_issuer_sdk::keys::VerifyError;
use wasm_issuer_sdk::{
    Algorithm, Authority, Certificate, CertificateBuilder, Failure, Request, Requester, Signer, Usages,
};

pub const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EcdsaP521Sha512,
    Algorithm::Ed25519,
    Algorithm::RsaPkcs1Sha256,
];

/// A key outside any host. Clones are the same one.
#[derive(Clone)]
pub struct TestKey {
    pub pair: Rc<KeyPair>,
    algorithm: Algorithm,
    public_key: Vec<u8>,
}

impl TestKey {
    pub fn new(algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::EcdsaP256Sha256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::EcdsaP384Sha384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Algorithm::EcdsaP521Sha512 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            Algorithm::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Algorithm::RsaPkcs1Sha256 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)
            }
        };
        let pair = Rc::new(pair.unwrap());
        let public_key = rcgen::PublicKeyData::subject_public_key_info(&*pair);
        Self { pair, algorithm, public_key }
    }

    pub fn p256() -> Self {
        Self::new(Algorithm::EcdsaP256Sha256)
    }
}

impl Signer for TestKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(self.pair.sign(message).unwrap())
    }

    fn verify(
        &self,
        public_key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        host_verify(public_key, algorithm, message, signature)
    }

    fn judge(&self, certificate: &Certificate) -> Result<(), String> {
        host_judge(certificate)
    }
}

/// What the operator answers a plugin.
pub fn host_verify(
    public_key: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    keys::verify(public_key, algorithm, message, signature).map_err(|error| match error {
        keys::VerifyError::Key(why) => VerifyError::Key(why),
        keys::VerifyError::Algorithm(why) => VerifyError::Algorithm(why),
        keys::VerifyError::OtherKey => VerifyError::OtherKey,
    })
}

pub fn host_judge(certificate: &Certificate) -> Result<(), String> {
    let signed = Signed { chain: certificate.chain.clone(), ca: certificate.ca.clone() };
    verify::judge(&signed, SystemTime::now()).map_err(|mismatch| mismatch.to_string())
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// One DER value.
pub fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        n @ 0..128 => out.push(n as u8),
        n @ 128..256 => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend(content);
    out
}

pub const OU: &[u8] = &[0x55, 0x04, 0x0b];
pub const CN: &[u8] = &[0x55, 0x04, 0x03];
pub const UTF8: u8 = 0x0c;
pub const PRINTABLE: u8 = 0x13;

pub fn attribute(oid: &[u8], tag: u8, value: &str) -> Vec<u8> {
    der(0x30, &[&der(0x06, &[oid]), &der(tag, &[value.as_bytes()])])
}

/// A Name of one common name.
pub fn name(common_name: &str) -> Vec<u8> {
    der(0x30, &[&der(0x31, &[&attribute(CN, UTF8, common_name)])])
}

/// An Extension with this `id-ce` number.
pub fn extension(id_ce: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    der(0x30, &[&der(0x06, &[&[0x55, 0x1d, id_ce]]), critical, &der(0x04, &[value])])
}

pub fn dns_san(names: &[&str]) -> Vec<u8> {
    let names: Vec<Vec<u8>> = names.iter().map(|name| der(0x82, &[name.as_bytes()])).collect();
    der(0x30, &[&names.concat()])
}

/// A CSR whose signature nobody looks at: the operator has verified it.
pub fn csr(subject: &[u8], public_key: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let attributes = if extensions.is_empty() {
        der(0xa0, &[])
    } else {
        let oid = der(0x06, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e]]);
        der(0xa0, &[&der(0x30, &[&oid, &der(0x31, &[&der(0x30, &[&extensions.concat()])])])])
    };
    let info = der(0x30, &[&[0x02, 0x01, 0x00], subject, public_key, &attributes]);
    der(0x30, &[&info, &der(0x30, &[&der(0x06, &[&[0x2b, 0x65, 0x70]])]), &der(0x03, &[&[0, 1, 2, 3]])])
}

pub fn request(csr: Vec<u8>) -> Request {
    Request {
        namespace: Some("team-a".into()),
        name: "web-1".into(),
        uid: "7f7d5c2e".into(),
        csr,
        duration_seconds: 3600,
        is_ca: false,
        usages: vec!["digital signature".into(), "key encipherment".into(), "server auth".into()],
        annotations: Vec::new(),
        requester: Requester {
            username: String::new(),
            uid: String::new(),
            groups: Vec::new(),
            extra: Vec::new(),
        },
        resume: None,
    }
}

/// A request for `web.example`.
pub fn web_request() -> Request {
    request(csr(
        &name("web"),
        TestKey::p256().public_key(),
        &[extension(17, false, &dns_san(&["web.example"]))],
    ))
}

pub fn ca_builder(key: &TestKey, common_name: &str) -> CertificateBuilder {
    CertificateBuilder::new(name(common_name), key.public_key())
        .ca(true)
        .usages(Usages::from_names(&["cert sign"]).unwrap())
        .valid_for(10 * 365 * 24 * 3600)
}

/// A CA of one root.
pub fn root(algorithm: Algorithm) -> Authority<TestKey> {
    let key = TestKey::new(algorithm);
    let certificate = ca_builder(&key, "Root").self_sign(&key).unwrap();
    Authority::new(key, &[certificate]).unwrap()
}
