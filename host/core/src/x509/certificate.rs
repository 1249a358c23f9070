//! Certificates (RFC 5280 section 4), parsed to be judged: nothing here is re-encoded.

use std::time::Duration;

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Reader, SliceReader, Tag, Tagged};

use super::extensions::Extensions;
use super::parse::{self, Envelope};
use super::{KeyUsage, PublicKey, SignatureError, name};
use crate::text;

/// The largest certificate that is read.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// How much of a serial number is shown. RFC 5280 section 4.1.2.2 allows 20 bytes.
const SERIAL_BYTES: usize = 32;

/// A certificate that borrows its DER.
pub struct Certificate<'a> {
    der: &'a [u8],
    envelope: Envelope<'a>,
    v3: bool,
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: Duration,
    not_after: Duration,
    spki: &'a [u8],
    /// The extensions that are judged, parsed.
    pub extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate. Its signature is not looked at.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(der::ErrorKind::Overlength.into());
        }
        let envelope = Envelope::parse(der)?;
        parse::sequence(envelope.tbs, |reader| {
            let version = parse::optional_field(reader, 0, true)?;
            let serial: AnyRef<'a> = reader.decode()?;
            serial.tag().assert_eq(Tag::Integer)?;
            // RFC 5280 section 4.1.1.2: the signed and the unsigned algorithm are the same.
            if reader.tlv_bytes()? != envelope.algorithm_der {
                return Err(Tag::Sequence.value_error().into());
            }
            let issuer = reader.tlv_bytes()?;
            let (not_before, not_after) =
                reader.sequence(|validity| Ok::<_, der::Error>((time(validity)?, time(validity)?)))?;
            let subject = reader.tlv_bytes()?;
            let spki = reader.tlv_bytes()?;
            let _issuer_unique_id = parse::optional_field(reader, 1, false)?;
            let _subject_unique_id = parse::optional_field(reader, 2, false)?;
            let extensions = parse::optional_field(reader, 3, true)?;
            let v3 = version == Some(&[2, 1, 2]);
            // RFC 5280 section 4.1.2.9: extensions need version 3.
            if extensions.is_some() && !v3 {
                return Err(Tag::Integer.value_error().into());
            }
            Ok(Self {
                der,
                v3,
                serial: serial.value(),
                issuer,
                subject,
                not_before,
                not_after,
                spki,
                extensions: match extensions {
                    Some(list) => Extensions::parse(list)?.all_purposes_known()?,
                    None => Extensions::default(),
                },
                envelope,
            })
        })
    }

    /// The bytes that were parsed.
    pub fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The exact bytes of the subject.
    pub fn subject_der(&self) -> &'a [u8] {
        self.subject
    }

    /// The exact bytes of the issuer's name.
    pub fn issuer_der(&self) -> &'a [u8] {
        self.issuer
    }

    /// The exact bytes of the SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &'a [u8] {
        self.spki
    }

    /// The start of the validity, since the Unix epoch.
    pub fn not_before(&self) -> Duration {
        self.not_before
    }

    /// The end of the validity, since the Unix epoch.
    pub fn not_after(&self) -> Duration {
        self.not_after
    }

    /// The serial number in hexadecimal, cut where a CA made it overlong.
    pub fn serial(&self) -> String {
        text::short_hex(self.serial, SERIAL_BYTES)
    }

    /// The serial number as it stands: the content of an INTEGER.
    pub fn serial_bytes(&self) -> &'a [u8] {
        self.serial
    }

    /// Whether it vouches for itself by its names, as a root does and a CA's new key under the old one (RFC 5280
    /// section 3.2).
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Subject and serial number, for messages.
    pub fn describe(&self) -> String {
        format!("{} (serial {})", name::quoted(self.subject), self.serial())
    }

    /// Whether BasicConstraints make it a CA certificate.
    pub fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|constraints| constraints.ca)
    }

    /// Whether it may sign certificates (RFC 5280 section 6.1.4 (k) and (n)). Roots from before version 3 may: trust
    /// in them comes from elsewhere.
    pub fn may_sign_certificates(&self) -> bool {
        let ca = self.is_ca() || (!self.v3 && self.is_self_issued());
        ca && self.extensions.key_usage.is_none_or(|usage| usage.contains(KeyUsage::CERT_SIGN))
    }

    /// Whether `issuer`'s key signed this certificate.
    pub fn verify_signed_by(&self, issuer: &Certificate<'_>) -> Result<(), SignatureError> {
        let Envelope { tbs, algorithm, signature, .. } = &self.envelope;
        PublicKey::from_spki(issuer.spki)?.verify(algorithm, tbs, signature)
    }

    /// Whether it is a root. A name that equals the issuer's is not enough: RFC 5280 section 3.2 tells self-issued
    /// from self-signed. But nothing rests on a root's own signature, and many old ones have one with SHA-1, so a
    /// signature of a kind that is not accepted elsewhere counts here.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_issued()
            && matches!(
                self.verify_signed_by(self),
                Ok(()) | Err(SignatureError::UnsupportedAlgorithm(_) | SignatureError::Parameters(_))
            )
    }
}

/// Time (RFC 5280 section 4.1.2.5). Everything from before 1970 is refused.
fn time(reader: &mut SliceReader<'_>) -> der::Result<Duration> {
    if Tag::peek(reader)? == Tag::UtcTime {
        Ok(reader.decode::<UtcTime>()?.to_unix_duration())
    } else {
        Ok(reader.decode::<GeneralizedTime>()?.to_unix_duration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::fixtures::*;

    #[test]
    fn what_cannot_be_compared_is_refused_in_a_certificate() {
        let key = key();
        let with = |extensions: &[Vec<u8>]| {
            let mut template = Template::new(cn("a"), key.public_key_der(), cn("b"));
            template.extensions = extensions.to_vec();
            Certificate::parse(&template.sign(&key)).map(|_| ())
        };
        let purpose = |oid: &[u8]| extension("2.5.29.37", &tlv(SEQUENCE, &[oid]));
        assert_eq!(with(&[purpose(&oid("1.2.3"))]), Ok(()));
        // An ObjectIdentifier does not hold it, so that it could not be told from one that was asked for.
        assert!(with(&[purpose(&tlv(6, &[&[0x2a], &[0x81, 0x01].repeat(30)]))]).is_err());
        let unknown = extension("1.2.3", b"");
        assert!(with(&[unknown.clone(), unknown]).is_err(), "Go cannot read an extension twice");
    }
}
