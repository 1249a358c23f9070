//! Certification requests (PKCS#10, RFC 2986).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::ID_EXTENSION_REQ;
use der::asn1::AnyRef;
use der::{Reader, SliceReader, Tag, Tagged};

use super::extensions::Extensions;
use super::parse::{self, Envelope};
use super::pem::{self, PemError};
use super::well_formed::{self, NameError};
use super::{Extension, GeneralNames, KeyUsage, Name, PublicKey, SignatureError, Usages, usages};

/// The largest CSR that is read, PEM or DER. One with 100 names and an RSA key of 4096 bits takes 6 KiB.
pub const MAX_CSR_BYTES: usize = 64 * 1024;

/// Why a CSR is refused: always the request's own fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Over [`MAX_CSR_BYTES`].
    #[error("the CSR has {0} bytes; at most {MAX_CSR_BYTES} are accepted")]
    TooLarge(usize),
    /// Neither DER nor PEM.
    #[error("the CSR is not PEM: {0}")]
    Pem(#[from] PemError),
    /// A PEM block of another kind.
    #[error(
        "the CSR is a PEM block {0:?}; accepted are \"CERTIFICATE REQUEST\" and \"NEW CERTIFICATE REQUEST\""
    )]
    Label(String),
    /// Not a PKCS#10 request.
    #[error("the CSR is no PKCS#10 request (RFC 2986): {0}")]
    Malformed(der::Error),
    /// Its key or its signature.
    #[error("the CSR's self-signature is refused: {0}")]
    Signature(#[from] SignatureError),
    /// Names that no certificate may hold.
    #[error("the CSR's names are refused: {0}")]
    Names(#[from] NameError),
}

impl From<der::Error> for CsrError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error)
    }
}

/// A request whose self-signature holds. Cheap to clone.
#[derive(Clone)]
pub struct Csr(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    subject: Range<usize>,
    spki: Range<usize>,
    san: Option<Range<usize>>,
    common_names: Vec<String>,
    is_ca: Option<bool>,
    key_usage: Option<KeyUsage>,
    ext_key_usage: Option<BTreeSet<ObjectIdentifier>>,
}

impl Csr {
    /// Reads a request, the first PEM block or DER, verifies that its key signed it, and checks its names.
    pub fn from_pem_or_der(bytes: &[u8]) -> Result<Self, CsrError> {
        if bytes.len() > MAX_CSR_BYTES {
            return Err(CsrError::TooLarge(bytes.len()));
        }
        // A SEQUENCE, and no PEM text that anybody writes: it would start with the digit 0.
        if bytes.first() == Some(&0x30) {
            return Self::from_der(bytes.to_vec());
        }
        let (block, mut der) = pem::first_block(bytes)?;
        if !matches!(block.label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err(CsrError::Label(block.printable_label()));
        }
        Self::from_der(std::mem::take(&mut *der))
    }

    fn from_der(der: Vec<u8>) -> Result<Self, CsrError> {
        let envelope = Envelope::parse(&der)?;
        let info = Info::parse(envelope.tbs)?;
        PublicKey::from_spki(info.spki)?.verify(&envelope.algorithm, envelope.tbs, envelope.signature)?;

        let subject = Name::parse(info.subject)?;
        let within = |part: &[u8]| {
            let start = part.as_ptr().addr() - der.as_ptr().addr();
            start..start + part.len()
        };
        let Extensions { basic_constraints, key_usage, ext_key_usage, subject_alt_name, .. } =
            info.extensions;
        well_formed::check(&subject, subject_alt_name.as_ref())?;
        Ok(Self(Arc::new(Inner {
            subject: within(info.subject),
            spki: within(info.spki),
            san: subject_alt_name.map(|names| within(names.der())),
            common_names: subject.common_names().map(Into::into).collect(),
            is_ca: basic_constraints.map(|constraints| constraints.ca),
            key_usage,
            ext_key_usage,
            der,
        })))
    }

    /// The exact bytes of the request.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The exact bytes of the SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        self.part(&self.0.spki)
    }

    /// The exact bytes of the subject.
    pub fn subject_der(&self) -> &[u8] {
        self.part(&self.0.subject)
    }

    /// The subject's common names that are text, in their order.
    pub fn common_names(&self) -> &[String] {
        &self.0.common_names
    }

    /// The exact value of the requested subjectAltName extension.
    pub fn san_extension_der(&self) -> Option<&[u8]> {
        self.0.san.as_ref().map(|san| self.part(san))
    }

    /// The requested subject alternative names.
    pub fn names(&self) -> GeneralNames<'_> {
        // These bytes parsed once already.
        self.san_extension_der().and_then(|der| GeneralNames::parse(der).ok()).unwrap_or_default()
    }

    /// What the requested BasicConstraints say, if there are any.
    pub fn is_ca(&self) -> Option<bool> {
        self.0.is_ca
    }

    /// The requested keyUsage extension, if there is one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.key_usage
    }

    /// The requested extKeyUsage extension, if there is one, without OIDs that an `ObjectIdentifier` cannot hold.
    pub fn ext_key_usage(&self) -> Option<&BTreeSet<ObjectIdentifier>> {
        self.0.ext_key_usage.as_ref()
    }

    /// Whether this very extension is among the requested ones.
    pub fn asks_for(&self, extension: &Extension<'_>) -> bool {
        // These bytes parsed once already.
        let info = Envelope::parse(self.der()).and_then(|envelope| Info::parse(envelope.tbs));
        info.is_ok_and(|info| info.extensions.all.iter().any(|it| it.says_the_same_as(extension)))
    }

    /// What the CSR's own extensions ask for that the request around it contradicts, as cert-manager has it. Where the
    /// CSR has key usages or extended key usages, both count, and purposes that cert-manager does not know are skipped.
    pub fn contradiction(&self, is_ca: bool, usages: &Usages) -> Option<&'static str> {
        if self.is_ca().is_some_and(|own| own != is_ca) {
            return Some("the CSR's BasicConstraints differ from the request's isCA");
        }
        if self.key_usage().is_none() && self.ext_key_usage().is_none() {
            return None;
        }
        let purposes = self.ext_key_usage().into_iter().flatten().filter(|oid| usages::is_compared(oid));
        if self.key_usage().unwrap_or_default() != usages.key_usage {
            Some("the CSR's key usages differ from the request's")
        } else if !purposes.eq(&usages.extended) {
            Some("the CSR's extended key usages differ from the request's")
        } else {
            None
        }
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.0.der.get(range.clone()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Csr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csr")
            .field("subject", &super::name::quoted(self.subject_der()))
            .field("names", &crate::text::list(self.names().iter(), 256))
            .finish_non_exhaustive()
    }
}

/// CertificationRequestInfo (RFC 2986 section 4.1).
struct Info<'a> {
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Extensions<'a>,
}

impl<'a> Info<'a> {
    fn parse(der: &'a [u8]) -> der::Result<Self> {
        parse::sequence(der, |reader| {
            // Some write 1 or 2, where v1 is 0: there is only one version, and Go reads every number.
            let _version: u8 = reader.decode()?;
            let subject = reader.tlv_bytes()?;
            let spki = reader.tlv_bytes()?;
            // Required by RFC 2986, left out by some when empty.
            let attributes = parse::optional_field(reader, 0, true)?.unwrap_or_default();
            Ok(Self { subject, spki, extensions: requested_extensions(attributes)? })
        })
    }
}

/// What all extensionRequest attributes (RFC 2985 section 5.4.2) ask for together, as Go reads them. Others are skipped,
/// also those that are no attributes: some write their challengePassword without a set.
fn requested_extensions(attributes: &[u8]) -> der::Result<Extensions<'_>> {
    let mut reader = SliceReader::new(attributes)?;
    let mut found = Extensions::default();
    while !reader.is_finished() {
        let attribute: AnyRef<'_> = reader.decode()?;
        let mut parts = SliceReader::new(attribute.value())?;
        let is_request = attribute.tag() == Tag::Sequence
            && parse::object_identifier(&mut parts).is_ok_and(|id| id == ID_EXTENSION_REQ.as_bytes());
        if !is_request {
            continue;
        }
        let values: AnyRef<'_> = parts.decode()?;
        values.tag().assert_eq(Tag::Set)?;
        parts.finish()?;
        // SINGLE VALUE TRUE: which of two lists counts would be for every reader to guess.
        if !values.value().is_empty() {
            found.add_all(values.value())?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
