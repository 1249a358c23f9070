//! The extensions that CSRs ask for and certificates have (RFC 5280 section 4.2).

use std::collections::BTreeSet;
use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::asn1::OctetStringRef;
use der::{Reader, Tag};

use super::general_name::GeneralNames;
use super::parse::{object_identifier, sequence};
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

    /// Whether it says the same as another: critical or not, they have one id and one value.
    pub fn says_the_same_as(&self, other: &Extension<'_>) -> bool {
        self.id == other.id && self.value == other.value
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

/// The extensions; those that are judged here are parsed.
#[derive(Clone, Debug, Default)]
pub struct Extensions<'a> {
    /// RFC 5280 section 4.2.1.9.
    pub basic_constraints: Option<BasicConstraints>,
    /// RFC 5280 section 4.2.1.3.
    pub key_usage: Option<KeyUsage>,
    /// RFC 5280 section 4.2.1.12: the purposes' OIDs, without those of [`Self::long_purposes`].
    pub ext_key_usage: Option<BTreeSet<ObjectIdentifier>>,
    /// Whether there are purposes whose OIDs are longer than an `ObjectIdentifier` can be. Nobody knows such a one.
    pub long_purposes: bool,
    /// RFC 5280 section 4.2.1.6.
    pub subject_alt_name: Option<GeneralNames<'a>>,
    /// All extensions, known or not, in their order.
    pub all: Vec<Extension<'a>>,
    /// Their OIDs.
    ids: BTreeSet<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    /// Reads `Extensions`, the SEQUENCE OF itself.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        let mut found = Self::default();
        found.add_all(der)?;
        Ok(found)
    }

    /// Adds those of another `Extensions`. RFC 5280 section 4.2: there is none twice.
    pub(super) fn add_all(&mut self, der: &'a [u8]) -> der::Result<()> {
        sequence(der, |list| {
            while !list.is_finished() {
                let extension = list.sequence(|extension| {
                    // An OID longer than `ObjectIdentifier` holds is none of those judged here.
                    let id = object_identifier(extension)?;
                    let critical = extension.decode::<Option<bool>>()?.unwrap_or(false);
                    let value = extension.decode::<&'a OctetStringRef>()?.as_bytes();
                    Ok::<_, der::Error>(Extension { id, critical, value })
                })?;
                self.add(extension)?;
            }
            Ok(())
        })
    }

    /// Refuses purposes that cannot be compared.
    pub(super) fn all_purposes_known(self) -> der::Result<Self> {
        if self.long_purposes { Err(Tag::ObjectIdentifier.length_error().into()) } else { Ok(self) }
    }

    fn add(&mut self, extension: Extension<'a>) -> der::Result<()> {
        let Extension { id, value, .. } = extension;
        if !self.ids.insert(id) {
            return Err(Tag::Sequence.value_error().into());
        }
        self.all.push(extension);
        let is = |oid: ObjectIdentifier| extension.is(oid);
        if is(rfc5280::ID_CE_BASIC_CONSTRAINTS) {
            self.basic_constraints = Some(basic_constraints(value)?);
        } else if is(rfc5280::ID_CE_KEY_USAGE) {
            self.key_usage = Some(KeyUsage::from_der(value)?);
        } else if is(rfc5280::ID_CE_EXT_KEY_USAGE) {
            let (purposes, long) = ext_key_usage(value)?;
            (self.ext_key_usage, self.long_purposes) = (Some(purposes), long);
        } else if is(rfc5280::ID_CE_SUBJECT_ALT_NAME) {
            self.subject_alt_name = Some(GeneralNames::parse(value)?);
        }
        Ok(())
    }
}

fn basic_constraints(der: &[u8]) -> der::Result<BasicConstraints> {
    sequence(der, |reader| {
        let ca = reader.decode::<Option<bool>>()?.unwrap_or(false);
        Ok(BasicConstraints { ca, path_len: reader.decode()? })
    })
}

/// The purposes, and whether there are some that an `ObjectIdentifier` does not hold.
fn ext_key_usage(der: &[u8]) -> der::Result<(BTreeSet<ObjectIdentifier>, bool)> {
    sequence(der, |reader| {
        let (mut usages, mut long) = (BTreeSet::new(), false);
        while !reader.is_finished() {
            match ObjectIdentifier::from_bytes(object_identifier(reader)?) {
                Ok(usage) => _ = usages.insert(usage),
                Err(_) => long = true,
            }
        }
        Ok((usages, long))
    })
}
