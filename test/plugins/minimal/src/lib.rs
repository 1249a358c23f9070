//! A CA from nothing but the WIT: what a plugin in any language has to do.
//!
//! It signs with `tls.key` and `tls.crt` of the Issuer's Secret. Subject, public key and subject alternative names are
//! the CSR's own bytes; key usages are left out, and it signs no CAs.

// A native linker does not take the names that are exported.
#![cfg(any(target_family = "wasm", test))]

mod der;

use std::iter;
use std::time::SystemTime;

use bindings::exports::wasm_issuer::plugin::signer::{
    Certificate, CertificateRequest, Failure, Guest, Issuer,
};
use bindings::wasm_issuer::plugin::keys::{Algorithm, SigningKey};
use bindings::wasm_issuer::plugin::secrets::{self, Encoding, Hash, HmacKey, Secret, SecretError};
use bindings::wasm_issuer::plugin::types::FailureKind;

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "issuer-plugin" });

    export!(Minimal);
    use super::Minimal;
}

struct Minimal;

impl Guest for Minimal {
    fn check(_: Issuer) -> Result<(), Failure> {
        Ca::load().map(drop)
    }

    fn sign(_: Issuer, request: CertificateRequest) -> Result<Certificate, Failure> {
        if request.is_ca {
            return Err(failure(FailureKind::Permanent, "this issuer signs no CAs".into()));
        }
        let ca = Ca::load()?;
        let malformed = || failure(FailureKind::Permanent, "the CSR is malformed".into());
        let csr = Csr::parse(&request.csr).ok_or_else(malformed)?;
        let leaf = ca.sign(&csr, &request)?;
        // The host takes the root out of the chain where there is one.
        let chain = iter::once(&leaf).chain(&ca.chain).map(|certificate| der::pem(certificate)).collect();
        Ok(Certificate { chain, ca: None })
    }
}

struct Ca {
    secret: Secret,
    key: SigningKey,
    /// The CA's certificate, then each the issuer of the one before it.
    chain: Vec<Vec<u8>>,
    /// The subject of that first certificate, DER.
    name: Vec<u8>,
}

impl Ca {
    fn load() -> Result<Self, Failure> {
        let secret = secrets::get("tls.key")?;
        let key = secret.signing_key()?;
        let chain = secrets::get("tls.crt")?.certificates()?;
        let broken =
            || failure(FailureKind::Issuer, "tls.crt does not begin with the certificate of tls.key".into());
        let (name, public_key) = chain.first().and_then(|own| subject_and_key(own)).ok_or_else(broken)?;
        if public_key != key.public_key() {
            return Err(broken());
        }
        Ok(Self { secret, key, name: name.to_vec(), chain })
    }

    fn sign(&self, csr: &Csr<'_>, request: &CertificateRequest) -> Result<Vec<u8>, Failure> {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let until = now.saturating_add(request.duration_seconds);
        // The host's HMAC of what never comes again, keyed with what nobody knows: a serial number without a source of
        // random numbers.
        let unique = format!("{} {now}", request.uid);
        let key = HmacKey { encoding: Encoding::Raw, prefix: Vec::new(), pbm: None };
        let mut serial = self.secret.hmac(Hash::Sha256, &key, &[unique.into_bytes()])?;
        serial.truncate(16);
        serial[0] = serial[0] & 0x7f | 0x40;

        let algorithm = algorithm_identifier(self.key.algorithm());
        let tbs = der::sequence(&[
            &[0xa0, 3, 2, 1, 2],
            &der::value(0x02, &[&serial]),
            &algorithm,
            &self.name,
            &der::sequence(&[&der::time(now), &der::time(until)]),
            csr.subject,
            csr.public_key,
            &csr.extensions(),
        ]);
        let signature = self
            .key
            .sign(&tbs)
            .map_err(|e| failure(FailureKind::Retry(None), format!("no signature: {e}")))?;
        Ok(der::sequence(&[&tbs, &algorithm, &der::value(0x03, &[&[0], &signature])]))
    }
}

/// What a certificate takes over from the CSR, as it stands there.
struct Csr<'a> {
    subject: &'a [u8],
    public_key: &'a [u8],
    /// The subject alternative name extension.
    names: Option<&'a [u8]>,
}

impl<'a> Csr<'a> {
    fn parse(csr: &'a [u8]) -> Option<Self> {
        let info = der::parts(der::content(csr)?)?;
        let [_version, subject, public_key, attributes @ ..] = &*der::parts(der::content(info.first()?)?)?
        else {
            return None;
        };
        let mut names = None;
        if let Some(attributes) = attributes.first() {
            for attribute in der::parts(der::content(attributes)?)? {
                let [oid, values] = der::parts(der::content(attribute)?)?[..] else { return None };
                // pkcs-9-at-extensionRequest; the set has one value.
                if oid != [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14] {
                    continue;
                }
                let extensions = der::parts(der::content(der::content(values)?)?)?;
                names = extensions
                    .into_iter()
                    .find(|it| der::content(it).is_some_and(|it| it.starts_with(&[6, 3, 0x55, 0x1d, 17])));
            }
        }
        Some(Self { subject, public_key, names })
    }
}

impl Csr<'_> {
    /// The extensions of the certificate. Names are critical where they are all that it says (RFC 5280 section 4.2.1.6).
    fn extensions(&self) -> Vec<u8> {
        let Some(names) = self.names else { return Vec::new() };
        let parts = der::content(names).and_then(der::parts).unwrap_or_default();
        let critical = match &*parts {
            [oid, value] if self.subject == [0x30, 0] => der::sequence(&[oid, &[1, 1, 0xff], value]),
            _ => names.to_vec(),
        };
        der::value(0xa3, &[&der::sequence(&[&critical])])
    }
}

fn subject_and_key(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let certificate = der::parts(der::content(certificate)?)?;
    match der::parts(der::content(certificate.first()?)?)?[..] {
        [_version, _serial, _algorithm, _issuer, _validity, subject, public_key, ..] => {
            Some((subject, public_key))
        }
        _ => None,
    }
}

fn algorithm_identifier(algorithm: Algorithm) -> Vec<u8> {
    let ecdsa_with_sha2 = |last| der::sequence(&[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last]]);
    match algorithm {
        Algorithm::EcdsaP256Sha256 => ecdsa_with_sha2(2),
        Algorithm::EcdsaP384Sha384 => ecdsa_with_sha2(3),
        Algorithm::EcdsaP521Sha512 => ecdsa_with_sha2(4),
        Algorithm::Ed25519 => der::sequence(&[&[6, 3, 0x2b, 0x65, 0x70]]),
        Algorithm::RsaPkcs1Sha256 => {
            der::sequence(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], &[5, 0]])
        }
    }
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure { kind, message, condition: None }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NotFound(message)
            | SecretError::NotGranted(message)
            | SecretError::Invalid(message) => failure(FailureKind::Issuer, message),
            SecretError::Other(message) => failure(FailureKind::Retry(None), message),
        }
    }
}
