//! Building a certificate that is exactly what was asked for.

use std::time::{Duration, SystemTime};

use der::asn1::{AnyRef, BitStringRef, Null, ObjectIdentifier, OctetString};
use der::oid::AssociatedOid;
use der::{DateTime, Decode as _, Encode, Sequence, Tag};
use spki::AlgorithmIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::time::{Time, Validity};

use crate::parsed::{RawCertificate, RawTbs, key_id};
use crate::{Algorithm, Authority, Csr, Failure, Request, Signer, Usages, log};

/// The lifetime unless [`CertificateBuilder::valid_for`] says otherwise: cert-manager's default.
const NINETY_DAYS: u64 = 90 * 24 * 3600;
const EMPTY_NAME: &[u8] = &[0x30, 0x00];

/// What a certificate is going to say. [`CertificateBuilder::sign`] or [`CertificateBuilder::self_sign`] makes it.
///
/// The subject and the subject alternative names are the request's own bytes, so several OUs, multi-valued RDNs and
/// otherNames survive. The methods change what [`CertificateBuilder::for_request`] found.
#[derive(Clone, Debug)]
pub struct CertificateBuilder {
    subject: Vec<u8>,
    public_key: Vec<u8>,
    subject_alt_name: Option<Vec<u8>>,
    basic_constraints: BasicConstraints,
    usages: Usages,
    not_before: u64,
    not_after: u64,
    /// What else goes in, as it is.
    extensions: Vec<Extension>,
}

impl CertificateBuilder {
    /// A certificate for a Name and a SubjectPublicKeyInfo, both DER: no CA, no usages, valid for 90 days from now.
    pub fn new(subject: impl Into<Vec<u8>>, public_key: impl Into<Vec<u8>>) -> Self {
        let now = now();
        Self {
            subject: subject.into(),
            public_key: public_key.into(),
            subject_alt_name: None,
            basic_constraints: BasicConstraints { ca: false, path_len_constraint: None },
            usages: Usages::default(),
            not_before: now,
            not_after: now.saturating_add(NINETY_DAYS),
            extensions: Vec::new(),
        }
    }

    /// The certificate that a request asks for. A CSR that contradicts its request is a permanent failure, as it is
    /// with cert-manager's own issuers.
    pub fn for_request(request: &Request) -> Result<Self, Failure> {
        let csr = request.csr()?;
        let usages = Usages::from_names(&request.usages)?;
        let basic_constraints = csr.basic_constraints()?;
        agree(request.is_ca, &usages, basic_constraints.as_ref(), &csr)?;

        let mut builder = Self::new(csr.subject(), csr.public_key())
            .subject_alt_name(csr.subject_alt_name())
            .usages(usages)
            .valid_for(request.duration_seconds)
            .ca(request.is_ca);
        if request.is_ca {
            builder.basic_constraints.path_len_constraint =
                basic_constraints.and_then(|it| it.path_len_constraint);
            builder
                .extensions
                .extend(csr.extensions().iter().find(|it| it.extn_id == NameConstraints::OID).cloned());
        }
        Ok(builder)
    }

    /// The subject's Name, DER.
    pub fn subject(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.subject = name.into();
        self
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn public_key(mut self, public_key: impl Into<Vec<u8>>) -> Self {
        self.public_key = public_key.into();
        self
    }

    /// The value of the subject alternative name extension, DER. Critical only where the subject is empty.
    pub fn subject_alt_name(mut self, value: Option<&[u8]>) -> Self {
        self.subject_alt_name = value.map(<[u8]>::to_vec);
        self
    }

    /// Whether it is a CA's certificate, without a limit to its path length.
    pub fn ca(mut self, is_ca: bool) -> Self {
        self.basic_constraints = BasicConstraints { ca: is_ca, path_len_constraint: None };
        self
    }

    /// Key usages and extended key usages.
    pub fn usages(mut self, usages: Usages) -> Self {
        self.usages = usages;
        self
    }

    /// Valid from now for so many seconds.
    pub fn valid_for(self, seconds: u64) -> Self {
        let now = now();
        self.validity(now, now.saturating_add(seconds))
    }

    /// NotBefore and NotAfter in seconds since 1970.
    pub fn validity(mut self, not_before: u64, not_after: u64) -> Self {
        (self.not_before, self.not_after) = (not_before, not_after);
        self
    }

    /// One more extension, as it is.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Signs with a CA and returns the certificate, DER. A certificate of the CA's chain that ends sooner ends this one
    /// too: beyond that nobody accepts it.
    pub fn sign<K: Signer>(mut self, authority: &Authority<K>) -> Result<Vec<u8>, Failure> {
        if self.basic_constraints.ca && !authority.may_sign_ca() {
            return Err(Failure::permanent("the path length of this CA does not allow CAs below it"));
        }
        let (ca, first) = (authority.own()?, authority.first_to_end()?);
        if self.not_after > first.until() {
            let end = first.validity().not_after;
            log::warn(format!("the certificate ends with {}, above it, on {end}", first.describe()));
            self.not_after = first.until();
        }
        self.encode(authority.key(), ca.subject(), Some(ca.key_id()?))
    }

    /// Signs with the certificate's own key, which makes it a root, and returns it, DER.
    pub fn self_sign(self, key: &impl Signer) -> Result<Vec<u8>, Failure> {
        let builder = self.public_key(key.public_key());
        let issuer = builder.subject.clone();
        builder.encode(key, &issuer, None)
    }

    fn encode(
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

/// cert-manager puts usages and the CA flag into the CSRs that it makes; they must be the request's.
fn agree(is_ca: bool, usages: &Usages, asked: Option<&BasicConstraints>, csr: &Csr) -> Result<(), Failure> {
    if asked.is_some_and(|asked| asked.ca != is_ca) {
        return Err(Failure::invalid_request(format!(
            "the CSR asks for CA:{}, the request for CA:{}",
            asked.is_some_and(|asked| asked.ca),
            is_ca
        )));
    }
    match csr.usages()? {
        Some(asked) if asked != *usages => Err(Failure::invalid_request(format!(
            "the CSR asks for the usages {asked}, the request for {usages}"
        ))),
        _ => Ok(()),
    }
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

pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

fn unencodable(error: der::Error) -> Failure {
    Failure::permanent(format!("the certificate cannot be encoded: {error}"))
}
