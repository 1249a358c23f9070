//! Reading and writing certificates (RFC 5280). Names and keys stay the bytes that they are: RustCrypto's own types
//! would sort what another encoder did not.

use der::asn1::{AnyRef, BitStringRef};
use der::oid::AssociatedOid;
use der::{Decode, DecodeOwned, Encode as _, Sequence, Tag};
use sha2::{Digest as _, Sha256};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::time::Validity;

use crate::keys::VerifyError;
use crate::name::readable;
use crate::{Failure, Signer};

/// How much of a serial number a message shows.
const SERIAL_BYTES: usize = 32;

/// An X.509 certificate. It is kept whole, and what a CA needs of it in parts.
///
/// ```no_run
/// use wasm_issuer_sdk::{Failure, ParsedCertificate, pem};
///
/// /// The name of the CA that an answer comes from.
/// fn issuer(chain: &str) -> Result<Vec<u8>, Failure> {
///     let certificates = pem::decode_certificates(chain)?;
///     let leaf = certificates.first().ok_or_else(|| Failure::retry("the CA sends an empty chain"))?;
///     let leaf = ParsedCertificate::from_der(leaf).map_err(Failure::retry)?;
///     Ok(leaf.issuer().to_vec())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ParsedCertificate {
    der: Vec<u8>,
    version: u8,
    serial: Vec<u8>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    public_key: Vec<u8>,
    validity: Validity,
    extensions: Vec<Extension>,
}

/// Its signature covers the DER of the TBSCertificate.
#[derive(Sequence)]
pub(crate) struct RawCertificate<'a> {
    pub tbs: AnyRef<'a>,
    pub algorithm: AnyRef<'a>,
    pub signature: BitStringRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct RawTbs<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: u8,
    /// An INTEGER; older CAs have odd ones.
    pub serial: AnyRef<'a>,
    pub algorithm: AnyRef<'a>,
    pub issuer: AnyRef<'a>,
    pub validity: Validity,
    pub subject: AnyRef<'a>,
    pub public_key: AnyRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub issuer_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", optional = "true")]
    pub subject_id: Option<BitStringRef<'a>>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Vec<Extension>>,
}

impl ParsedCertificate {
    /// Whose fault a malformed certificate is depends on where it comes from, so the caller says.
    ///
    /// ```
    /// use wasm_issuer_sdk::ParsedCertificate;
    ///
    /// assert!(ParsedCertificate::from_der(b"no certificate").is_err());
    /// ```
    pub fn from_der(der: &[u8]) -> Result<Self, der::Error> {
        let certificate = RawCertificate::from_der(der)?;
        let tbs: RawTbs<'_> = certificate.tbs.decode_as()?;
        // RFC 5280, 4.1.1.2.
        if tbs.algorithm != certificate.algorithm {
            return Err(Tag::Sequence.value_error().into());
        }
        Ok(Self {
            der: der.to_vec(),
            version: tbs.version,
            serial: tbs.serial.value().to_vec(),
            subject: tbs.subject.to_der()?,
            issuer: tbs.issuer.to_der()?,
            public_key: tbs.public_key.to_der()?,
            validity: tbs.validity,
            extensions: tbs.extensions.unwrap_or_default(),
        })
    }

    /// The certificate, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let fits = certificate.der().len() < 64 * 1024;
    /// # }
    /// ```
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 of the certificate: 64 hexadecimal digits, in lower case.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, ParsedCertificate};
    /// fn pinned(root: &ParsedCertificate, sha256: &str) -> Result<(), Failure> {
    ///     if root.sha256() == sha256 { Ok(()) } else { Err(Failure::issuer("the CA has another root")) }
    /// }
    /// ```
    pub fn sha256(&self) -> String {
        Sha256::digest(self.der()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The subject's Name, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let is_root = certificate.subject() == certificate.issuer();
    /// # }
    /// ```
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The serial number: the bytes of an INTEGER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let hex: String = certificate.serial().iter().map(|byte| format!("{byte:02x}")).collect();
    /// # }
    /// ```
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The issuer's Name, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let name = certificate.issuer();
    /// # }
    /// ```
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The SubjectPublicKeyInfo, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let spki = certificate.public_key();
    /// # }
    /// ```
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// When the certificate becomes and ceases to be valid.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let ends = certificate.validity().not_after.to_unix_duration().as_secs();
    /// # }
    /// ```
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// When it ceases to be valid, in seconds since 1970.
    pub(crate) fn until(&self) -> u64 {
        self.validity.not_after.to_unix_duration().as_secs()
    }

    /// The extensions in their order.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let critical = certificate.extensions().iter().filter(|it| it.critical).count();
    /// # }
    /// ```
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The value of one extension, DER.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// use wasm_issuer_sdk::der::asn1::ObjectIdentifier;
    ///
    /// # fn f(certificate: &ParsedCertificate) {
    /// let names = certificate.extension(ObjectIdentifier::new_unwrap("2.5.29.17"));
    /// # }
    /// ```
    pub fn extension(&self, oid: der::asn1::ObjectIdentifier) -> Option<&[u8]> {
        self.extensions.iter().find(|extension| extension.extn_id == oid).map(|e| e.extn_value.as_bytes())
    }

    /// Whether subject and issuer are one, as in a root.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let has_an_issuer = !certificate.is_self_issued();
    /// # }
    /// ```
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Subject and serial number, for messages.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::ParsedCertificate;
    /// # fn f(certificate: &ParsedCertificate) {
    /// let message = format!("{} has ended", certificate.describe());
    /// # }
    /// ```
    pub fn describe(&self) -> String {
        let shown = self.serial.get(..SERIAL_BYTES).unwrap_or(&self.serial);
        let serial: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{}\" (serial {serial})", readable(&self.subject))
    }

    pub(crate) fn is_version_1(&self) -> bool {
        self.version == 0
    }

    /// Whether the issuer's key made this certificate's signature, as the host of the `key` judges it. Neither names
    /// nor extensions are looked at.
    pub(crate) fn verify_signed_by(&self, issuer: &Self, key: &impl Signer) -> Result<(), VerifyError> {
        let malformed = |e: der::Error| VerifyError::Algorithm(format!("the certificate is malformed: {e}"));
        let raw = RawCertificate::from_der(&self.der).map_err(malformed)?;
        let algorithm = raw.algorithm.to_der().map_err(malformed)?;
        let tbs = raw.tbs.to_der().map_err(malformed)?;
        key.verify(&issuer.public_key, &algorithm, &tbs, raw.signature.raw_bytes())
    }

    /// An extension of a known type, none where it is absent.
    pub(crate) fn decode<T>(&self) -> Result<Option<T>, der::Error>
    where
        T: AssociatedOid + DecodeOwned<Error = der::Error>,
    {
        self.extension(T::OID).map(T::from_der).transpose()
    }

    /// How certificates that this one's key signs name the key.
    pub(crate) fn key_id(&self) -> Result<Vec<u8>, Failure> {
        match self.decode::<SubjectKeyIdentifier>() {
            Ok(Some(id)) => Ok(id.0.into_bytes().into_vec()),
            _ => key_id(&self.public_key),
        }
    }
}

/// A key identifier: the leftmost 160 bits of the SHA-256 of the key (RFC 7093).
pub(crate) fn key_id(public_key: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(Sha256::digest(public_key_bits(public_key)?)[..20].to_vec())
}

/// What the BIT STRING of a SubjectPublicKeyInfo holds.
pub(crate) fn public_key_bits(public_key: &[u8]) -> Result<Vec<u8>, Failure> {
    SubjectPublicKeyInfoRef::from_der(public_key)
        .map(|info| info.subject_public_key.raw_bytes().to_vec())
        .map_err(|e| Failure::permanent(format!("the public key is malformed: {e}")))
}
