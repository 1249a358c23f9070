//! The extensions that CSRs ask for and certificates have (RFC 5280 section 4.2).

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::asn1::{AnyRef, OctetStringRef};
use der::{Reader, Tag, Tagged};

use super::general_name::GeneralNames;
use super::parse::sequence;
use super::usages::KeyUsage;

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
