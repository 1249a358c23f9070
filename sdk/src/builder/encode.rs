//! The DER of a certificate that is built (RFC 5280, 4.1).

use std::time::Duration;

use der::asn1::{AnyRef, BitStringRef, Null, ObjectIdentifier, OctetString};
use der::oid::AssociatedOid;
use der::{DateTime, Decode as _, Encode, Sequence, Tag};
use spki::AlgorithmIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::time::{Time, Validity};

use super::CertificateBuilder;
use crate::parsed::{RawCertificate, RawTbs, key_id};
use crate::{Algorithm, Failure, Signer};

const EMPTY_NAME: &[u8] = &[0x30, 0x00];

impl CertificateBuilder {
    /// The certificate, signed with the issuer's key; `issuer` is the Name, DER.
    pub(super) fn encode(
        self,
        key: &impl Signer,
        issuer: &[u8],
        issuer_key_id: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, Failure> {
        let extensions = self.all_extensions(issuer_key_id)?;
        let algorithm = algorithm_identifier(key.algorithm()).map_err(unencodable)?;
        let serial = serial()?;
        let tbs = || {
            RawTbs {
                version: 2,
                serial: AnyRef::new(Tag::Integer, &serial)?,
                algorithm: AnyRef::from_der(&algorithm)?,
                issuer: AnyRef::from_der(issuer)?,
                validity: Validity::new(time(self.not_before)?, time(self.not_after)?),
                subject: AnyRef::from_der(&self.subject)?,
                public_key: AnyRef::from_der(&self.public_key)?,
                issuer_id: None,
                subject_id: None,
                extensions: Some(extensions),
            }
            .to_der()
        };
        let tbs = tbs().map_err(unencodable)?;
        let signature = key.sign(&tbs)?;
        let certificate = || {
            RawCertificate {
                tbs: AnyRef::from_der(&tbs)?,
                algorithm: AnyRef::from_der(&algorithm)?,
                signature: BitStringRef::from_bytes(&signature)?,
            }
            .to_der()
        };
        certificate().map_err(unencodable)
    }

    fn all_extensions(&self, issuer_key_id: Option<Vec<u8>>) -> Result<Vec<Extension>, Failure> {
        let key_id = key_id(&self.public_key)?;
        let build = || {
            let mut all = Vec::new();
            if !self.usages.key.is_empty() {
                all.push(extension(true, &KeyUsage(self.usages.key))?);
            }
            if !self.usages.extended.is_empty() {
                all.push(extension(false, &ExtendedKeyUsage(self.usages.extended.clone()))?);
            }
            all.push(extension(true, &self.basic_constraints)?);
            all.push(extension(false, &SubjectKeyIdentifier(OctetString::new(key_id)?))?);
            if let Some(id) = issuer_key_id {
                all.push(extension(false, &IssuerKeyId { id: OctetString::new(id)? })?);
            }
            if let Some(value) = &self.subject_alt_name {
                all.push(Extension {
                    extn_id: SubjectAltName::OID,
                    critical: self.subject == EMPTY_NAME,
                    extn_value: OctetString::new(value.as_slice())?,
                });
            }
            all.extend(self.extensions.iter().cloned());
            Ok(all)
        };
        build().map_err(unencodable)
    }
}

/// AuthorityKeyIdentifier as RFC 5280 wants it: RustCrypto's type can say more and makes a component larger by it.
#[derive(Sequence)]
struct IssuerKeyId {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    id: OctetString,
}

impl AssociatedOid for IssuerKeyId {
    const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
}

fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// As RFC 4055, 5758 and 8410 want the parameters: NULL for RSA, absent for the others.
fn algorithm_identifier(algorithm: Algorithm) -> der::Result<Vec<u8>> {
    let (oid, parameters) = match algorithm {
        Algorithm::EcdsaP256Sha256 => ("1.2.840.10045.4.3.2", None),
        Algorithm::EcdsaP384Sha384 => ("1.2.840.10045.4.3.3", None),
        Algorithm::EcdsaP521Sha512 => ("1.2.840.10045.4.3.4", None),
        Algorithm::Ed25519 => ("1.3.101.112", None),
        Algorithm::RsaPkcs1Sha256 => ("1.2.840.113549.1.1.11", Some(Null)),
    };
    AlgorithmIdentifier { oid: ObjectIdentifier::new(oid)?, parameters }.to_der()
}

/// 16 random bytes as a positive INTEGER, at least 64 of their bits unpredictable as RFC 5280's successors want.
fn serial() -> Result<[u8; 16], Failure> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|e| Failure::retry(format!("no random serial number: {e}")))?;
    // Neither negative nor with a leading zero byte, which DER forbids.
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

/// UTCTime before 2050, GeneralizedTime after (RFC 5280).
fn time(unix_seconds: u64) -> der::Result<Time> {
    Ok(DateTime::from_unix_duration(Duration::from_secs(unix_seconds))?.into())
}

fn unencodable(error: der::Error) -> Failure {
    Failure::permanent(format!("the certificate cannot be encoded: {error}"))
}
