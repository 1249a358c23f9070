//! The extensions that CSRs ask for and certificates have (RFC 5280 section 4.2).

use std::collections::BTreeSet;
use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::asn1::{AnyRef, OctetStringRef};
use der::{Reader, Tag, Tagged};

use super::general_name::GeneralNames;
use super::parse::sequence;
use super::usages::KeyUsage;
use crate::text;

/// BasicConstraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether this is a CA certificate.
    pub ca: bool,
    /// How many intermediate CA certificates may follow.
    pub path_len: Option<u32>,
}

/// An extension as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    /// The content of its OID, which may be longer than `ObjectIdentifier` holds.
    id: &'a [u8],
    /// Whether whoever does not know it is to refuse the certificate.
    pub critical: bool,
    /// Its value, DER.
    pub value: &'a [u8],
}

impl Extension<'_> {
    /// Whether it has this id.
    pub fn is(&self, id: ObjectIdentifier) -> bool {
        self.id == id.as_bytes()
    }
}

/// The id, for messages.
impl fmt::Display for Extension<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ObjectIdentifier::from_bytes(self.id) {
            Ok(id) => id.fmt(f),
            Err(_too_long) => f.write_str(&text::short_hex(self.id, 40)),
        }
    }
}

/// Reads `Extensions`, the SEQUENCE OF itself, without a look at the values.
pub(super) fn list(der: &[u8]) -> der::Result<Vec<Extension<'_>>> {
    sequence(der, |list| {
        let mut extensions = Vec::new();
        while !list.is_finished() {
            extensions.push(list.sequence(|extension| {
                let id = extension.decode::<AnyRef<'_>>()?;
                id.tag().assert_eq(Tag::ObjectIdentifier)?;
                let critical = extension.decode::<Option<bool>>()?.unwrap_or(false);
                let value = extension.decode::<&OctetStringRef>()?.as_bytes();
                Ok::<_, der::Error>(Extension { id: id.value(), critical, value })
            })?);
        }
        Ok(extensions)
    })
}

/// Refuses a list with an extension that is there twice (RFC 5280 section 4.2).
pub(super) fn refuse_repeated(list: &[Extension<'_>]) -> der::Result<()> {
    let mut seen = BTreeSet::new();
    match list.iter().all(|extension| seen.insert(extension.id)) {
        true => Ok(()),
        false => Err(Tag::Sequence.value_error().into()),
    }
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
        list(der)?.iter().try_for_each(|extension| found.add(extension.id, extension.value))?;
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
