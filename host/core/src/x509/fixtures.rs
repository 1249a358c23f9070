//! Hand-made CSRs and certificates for tests: every byte is the test's to choose, valid or not.

#![expect(missing_docs, reason = "only tests use it")]

use std::str::FromStr;

use const_oid::ObjectIdentifier;
use der::{Encode, Reader};
use jiff::Timestamp;

use crate::keys::{Algorithm, PrivateKey};

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const UTF8: u8 = 0x0c;
pub const PRINTABLE: u8 = 0x13;
pub const CN: &str = "2.5.4.3";
pub const O: &str = "2.5.4.10";
pub const OU: &str = "2.5.4.11";

pub fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256Sha256).unwrap()
}

pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut der = vec![tag];
    match u16::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => der.push(length as u8),
        Ok(length) if length < 0x100 => der.extend([0x81, length as u8]),
        Ok(length) => der.extend([0x82, (length >> 8) as u8, length as u8]),
        Err(_) => der.extend([&[0x84], &u32::try_from(content.len()).unwrap().to_be_bytes()[..]].concat()),
    }
    der.extend(content);
    der
}

/// The fields of a SEQUENCE, each with its tag and length.
pub fn fields(sequence: &[u8]) -> Vec<&[u8]> {
    super::parse::sequence(sequence, |reader| {
        let mut fields = Vec::new();
        while !reader.is_finished() {
            fields.push(reader.tlv_bytes()?);
        }
        Ok(fields)
    })
    .unwrap()
}

fn joined(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(tag, &[&parts.concat()])
}

pub fn oid(dotted: &str) -> Vec<u8> {
    ObjectIdentifier::from_str(dotted).unwrap().to_der().unwrap()
}

/// A name of relative names, each of (type, string type, value).
pub fn name(rdns: &[&[(&str, u8, &str)]]) -> Vec<u8> {
    let attribute =
        |(id, tag, value): &(&str, u8, &str)| tlv(SEQUENCE, &[&oid(id), &tlv(*tag, &[value.as_bytes()])]);
    let rdns: Vec<_> =
        rdns.iter().map(|rdn| joined(SET, &rdn.iter().map(attribute).collect::<Vec<_>>())).collect();
    joined(SEQUENCE, &rdns)
}

pub fn cn(value: &str) -> Vec<u8> {
    name(&[&[(CN, UTF8, value)]])
}

pub fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, &[name.as_bytes()])
}

pub fn extension(id: &str, value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(id), &tlv(4, &[value])])
}

pub fn critical(id: &str, value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(id), &[1, 1, 0xff], &tlv(4, &[value])])
}

pub fn critical_san(names: &[Vec<u8>]) -> Vec<u8> {
    critical("2.5.29.17", &joined(SEQUENCE, names))
}

pub fn san(names: &[Vec<u8>]) -> Vec<u8> {
    extension("2.5.29.17", &joined(SEQUENCE, names))
}

pub fn ca_flag() -> Vec<u8> {
    extension("2.5.29.19", &[SEQUENCE, 3, 1, 1, 0xff])
}

/// keyCertSign and cRLSign.
pub fn ca_usage() -> Vec<u8> {
    extension("2.5.29.15", &[3, 2, 1, 0x06])
}

fn signature_algorithm(key: &PrivateKey) -> Vec<u8> {
    match key.algorithm() {
        Algorithm::EcdsaP256Sha256 => tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2")]),
        Algorithm::EcdsaP384Sha384 => tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.3")]),
        Algorithm::EcdsaP521Sha512 => tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.4")]),
        Algorithm::Ed25519 => tlv(SEQUENCE, &[&oid("1.3.101.112")]),
        Algorithm::RsaPkcs1Sha256 => tlv(SEQUENCE, &[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
    }
}

/// The envelope around anything.
pub fn signed(tbs: &[u8], key: &PrivateKey) -> Vec<u8> {
    signed_as(tbs, &signature_algorithm(key), key)
}

pub fn signed_as(tbs: &[u8], algorithm: &[u8], key: &PrivateKey) -> Vec<u8> {
    let signature = key.sign(tbs).unwrap();
    tlv(SEQUENCE, &[tbs, algorithm, &tlv(3, &[&[0], &signature])])
}

/// An extensionRequest attribute.
pub fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid("1.2.840.113549.1.9.14"), &tlv(SET, &[&joined(SEQUENCE, extensions)])])
}

pub fn csr_with_attributes(key: &PrivateKey, subject: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    signed(&tlv(SEQUENCE, &[&[2, 1, 0], subject, key.public_key_der(), &joined(0xa0, attributes)]), key)
}

pub fn csr(key: &PrivateKey, subject: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    csr_with_attributes(key, subject, &[extension_request(extensions)])
}

/// A certificate to be signed. Everything is DER.
#[derive(Clone)]
pub struct Template {
    pub version: Vec<u8>,
    pub serial: Vec<u8>,
    pub issuer: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub subject: Vec<u8>,
    pub spki: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
}

impl Template {
    /// Version 3, valid for 90 days from [`now`].
    pub fn new(subject: Vec<u8>, spki: &[u8], issuer: Vec<u8>) -> Self {
        Self {
            version: vec![0xa0, 3, 2, 1, 2],
            serial: vec![2, 1, 42],
            issuer,
            not_before: now(),
            not_after: now() + jiff::SignedDuration::from_hours(90 * 24),
            subject,
            spki: spki.to_vec(),
            extensions: Vec::new(),
        }
    }

    /// A self-signed or other CA certificate.
    pub fn ca(subject: &str, key: &PrivateKey, issuer: &str) -> Self {
        let mut template = Self::new(cn(subject), key.public_key_der(), cn(issuer));
        template.extensions = vec![ca_flag(), ca_usage()];
        template
    }

    pub fn sign(&self, issuer: &PrivateKey) -> Vec<u8> {
        self.sign_as(&signature_algorithm(issuer), issuer)
    }

    /// Signs, and calls the signature's algorithm that.
    pub fn sign_as(&self, algorithm: &[u8], issuer: &PrivateKey) -> Vec<u8> {
        let time = |time: Timestamp| {
            let text = time.strftime("%Y%m%d%H%M%SZ").to_string();
            // RFC 5280 section 4.1.2.5: UTCTime until 2049.
            if text.as_str() < "2050" {
                tlv(0x17, &[&text.as_bytes()[2..]])
            } else {
                tlv(0x18, &[text.as_bytes()])
            }
        };
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            extensions => tlv(0xa3, &[&joined(SEQUENCE, extensions)]),
        };
        let tbs = tlv(
            SEQUENCE,
            &[
                &self.version,
                &self.serial,
                algorithm,
                &self.issuer,
                &tlv(SEQUENCE, &[&time(self.not_before), &time(self.not_after)]),
                &self.subject,
                &self.spki,
                &extensions,
            ],
        );
        signed_as(&tbs, algorithm, issuer)
    }
}

/// The moment at which all tests happen.
pub fn now() -> Timestamp {
    "2030-01-02T03:04:05Z".parse().unwrap()
}
