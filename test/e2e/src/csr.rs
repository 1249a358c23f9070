//! PKCS#10 requests, encoded by hand so that a test decides over every byte.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::{Key, der};

/// A request, and the key that signs it.
#[derive(Clone)]
pub struct Csr {
    /// The subject, DER.
    pub subject: Vec<u8>,
    /// The value of the subjectAltName extension, DER.
    pub san: Option<Vec<u8>>,
    /// The SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    extensions: Vec<Vec<u8>>,
    key: Key,
}

impl Csr {
    /// Without a subject and without names.
    pub fn new(key: &Key) -> Self {
        let (key, spki) = (key.clone(), key.spki());
        Self { subject: der::sequence(&[]), san: None, spki, extensions: vec![], key }
    }

    /// For one DNS name, with a new P-256 key.
    pub fn for_host(name: &str) -> Self {
        Self::new(&Key::p256()).names(&[der::dns(name)])
    }

    /// With this subject, DER.
    pub fn subject(self, subject: Vec<u8>) -> Self {
        Self { subject, ..self }
    }

    /// With these GeneralNames, DER.
    pub fn names(self, names: &[Vec<u8>]) -> Self {
        Self { san: Some(der::tlv(0x30, &names.concat())), ..self }
    }

    /// With one more extension: its type and its value.
    pub fn extension(mut self, type_: &str, value: &[u8]) -> Self {
        self.extensions.push(der::sequence(&[&der::oid(type_), &der::tlv(0x04, value)]));
        self
    }

    /// Signed, DER.
    pub fn der(&self) -> Vec<u8> {
        self.with_signature_of(&self.key)
    }

    /// Signed by another key than the one that it is for.
    pub fn with_signature_of(&self, key: &Key) -> Vec<u8> {
        let san = self.san.as_ref().map(|san| der::sequence(&[&der::oid("2.5.29.17"), &der::tlv(0x04, san)]));
        let extensions: Vec<Vec<u8>> = self.extensions.iter().cloned().chain(san).collect();
        let attributes = match extensions.as_slice() {
            [] => vec![],
            all => {
                let list = der::tlv(0x30, &all.concat());
                der::sequence(&[&der::oid("1.2.840.113549.1.9.14"), &der::set(&[&list])])
            }
        };
        let info =
            der::sequence(&[&der::tlv(0x02, &[0]), &self.subject, &self.spki, &der::tlv(0xa0, &attributes)]);
        let signature = der::bit_string(&key.sign(&info));
        der::sequence(&[&info, &key.signature_algorithm(), &signature])
    }

    /// What belongs in `spec.request`.
    pub fn base64(&self) -> String {
        base64_pem(&self.der())
    }
}

/// The base64 of the PEM of a request's DER.
pub fn base64_pem(csr: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(csr);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let pem = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        lines.join("\n")
    );
    BASE64_STANDARD.encode(pem)
}
