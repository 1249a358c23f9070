//! What CSRs and certificates share: the signed envelope and the extensions (RFC 5280 sections 4.1.1 and 4.2).

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Reader, SliceReader, Tag, TagNumber, Tagged};
use spki::AlgorithmIdentifierRef;

use super::{GeneralNames, KeyUsage};

/// Reads a value that is one SEQUENCE and nothing after it.
pub fn sequence<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    let mut reader = SliceReader::new(der)?;
    let value = reader.sequence(read)?;
    reader.finish()?;
    Ok(value)
}

/// The content of the optional field with this context-specific tag, if that is what comes next.
pub fn optional_field<'a>(
    reader: &mut SliceReader<'a>,
    number: u32,
    constructed: bool,
) -> der::Result<Option<&'a [u8]>> {
    let wanted = Tag::ContextSpecific { number: TagNumber(number), constructed };
    if reader.is_finished() || Tag::peek(reader)? != wanted {
        return Ok(None);
    }
    Ok(Some(reader.decode::<AnyRef<'a>>()?.value()))
}

/// The envelope that certificates and CSRs share: something to be signed, the algorithm, the signature.
pub struct Envelope<'a> {
    /// The exact bytes that the signature covers.
    pub tbs: &'a [u8],
    /// The exact bytes of the AlgorithmIdentifier.
    pub algorithm_der: &'a [u8],
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        sequence(der, |reader| {
            let tbs = reader.tlv_bytes()?;
            let algorithm_der = reader.tlv_bytes()?;
            Ok(Self {
                tbs,
                algorithm_der,
                algorithm: der::Decode::from_der(algorithm_der)?,
                signature: whole_bytes(reader.decode()?)?,
            })
        })
    }
}

/// The bytes of a BIT STRING, which signatures and keys use as an octet string.
pub fn whole_bytes(bits: BitStringRef<'_>) -> der::Result<&[u8]> {
    bits.as_bytes().ok_or_else(|| Tag::BitString.value_error().into())
}

/// BasicConstraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether this is a CA certificate.
    pub ca: bool,
    /// How many intermediate CA certificates may follow.
    pub path_len: Option<u32>,
}

/// The extensions that are judged; all others are skipped.
#[derive(Clone, Debug, Default)]
pub struct Extensions<'a> {
    /// RFC 5280 section 4.2.1.9.
    pub basic_constraints: Option<BasicConstraints>,
    /// RFC 5280 section 4.2.1.3.
    pub key_usage: Option<KeyUsage>,
    /// RFC 5280 section 4.2.1.12: the purposes' OIDs.
    pub ext_key_usage: Option<BTreeSet<ObjectIdentifier>>,
    /// RFC 5280 section 4.2.1.6.
    pub subject_alt_name: Option<GeneralNames<'a>>,
}

impl<'a> Extensions<'a> {
    /// Reads `Extensions`, the SEQUENCE OF itself.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        let mut found = Self::default();
        sequence(der, |list| {
            while !list.is_finished() {
                list.sequence(|extension| {
                    // An OID longer than `ObjectIdentifier` holds is none of those judged here.
                    let id = extension.decode::<AnyRef<'a>>()?;
                    id.tag().assert_eq(Tag::ObjectIdentifier)?;
                    let _critical = extension.decode::<Option<bool>>()?;
                    let value = extension.decode::<&'a OctetStringRef>()?.as_bytes();
                    found.add(id.value(), value)
                })?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// RFC 5280 section 4.2: a certificate has no extension twice.
    fn add(&mut self, id: &[u8], value: &'a [u8]) -> der::Result<()> {
        let is = |oid: ObjectIdentifier| id == oid.as_bytes();
        if is(rfc5280::ID_CE_BASIC_CONSTRAINTS) {
            set_once(&mut self.basic_constraints, basic_constraints(value)?)
        } else if is(rfc5280::ID_CE_KEY_USAGE) {
            set_once(&mut self.key_usage, KeyUsage::from_der(value)?)
        } else if is(rfc5280::ID_CE_EXT_KEY_USAGE) {
            set_once(&mut self.ext_key_usage, ext_key_usage(value)?)
        } else if is(rfc5280::ID_CE_SUBJECT_ALT_NAME) {
            set_once(&mut self.subject_alt_name, GeneralNames::parse(value)?)
        } else {
            Ok(())
        }
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> der::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Tag::Sequence.value_error().into()),
    }
}

fn basic_constraints(der: &[u8]) -> der::Result<BasicConstraints> {
    sequence(der, |reader| {
        let ca = reader.decode::<Option<bool>>()?.unwrap_or(false);
        Ok(BasicConstraints { ca, path_len: reader.decode()? })
    })
}

fn ext_key_usage(der: &[u8]) -> der::Result<BTreeSet<ObjectIdentifier>> {
    sequence(der, |reader| {
        let mut usages = BTreeSet::new();
        while !reader.is_finished() {
            usages.insert(reader.decode()?);
        }
        Ok(usages)
    })
}
