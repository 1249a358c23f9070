//! Distinguished names (RFC 5280 section 4.1.2.4): exact bytes to compare and copy, attributes to read.

use std::borrow::Cow;
use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::asn1::AnyRef;
use der::{Reader, Tag, Tagged};

use super::parse;
use crate::text;

/// How much of one attribute's value a message shows.
const VALUE_CHARS: usize = 64;
/// How many attributes of a name a message shows.
const SHOWN: usize = 8;

/// A name: its exact DER, and its relative distinguished names in their order, each with its attributes.
#[derive(Clone, Debug)]
pub struct Name<'a> {
    der: &'a [u8],
    rdns: Vec<Vec<Attribute<'a>>>,
}

/// One attribute of a relative distinguished name.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// What the value is: the content of an OID, such as that of `2.5.4.3` for a common name.
    oid: &'a [u8],
    pub(super) value: AnyRef<'a>,
}

impl<'a> Name<'a> {
    /// Reads a `Name`, as in a subject or an issuer.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        let rdns = parse::sequence(der, |reader| {
            let mut rdns = Vec::new();
            while !reader.is_finished() {
                rdns.push(relative_name(reader.decode()?)?);
            }
            Ok(rdns)
        })?;
        Ok(Self { der, rdns })
    }

    /// The bytes that were parsed.
    pub fn der(&self) -> &'a [u8] {
        self.der
    }

    /// Whether it has no attribute at all.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The common names that are text, in their order.
    pub fn common_names(&self) -> impl Iterator<Item = Cow<'a, str>> {
        self.attributes()
            .filter(|attribute| attribute.oid == rfc4519::COMMON_NAME.as_bytes())
            .filter_map(|cn| cn.text())
    }

    /// All attributes, whatever relative name they are in.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> {
        self.rdns.iter().flatten().copied()
    }

    /// The relative names in their order.
    pub(super) fn relative_names(&self) -> impl Iterator<Item = &[Attribute<'a>]> {
        self.rdns.iter().map(Vec::as_slice)
    }

    /// Whether both are the same name as RFC 5280 section 7.1 has it, short of folding case: the same attributes in
    /// the same order, whichever string type holds them (Go writes PrintableString where OpenSSL writes UTF8String).
    pub fn matches(&self, other: &Name<'_>) -> bool {
        self.der == other.der
            || (self.rdns.len() == other.rdns.len()
                && self.rdns.iter().zip(&other.rdns).all(|(left, right)| keys(left) == keys(right)))
    }

    /// The name as name constraints compare it.
    pub fn folded(&self) -> FoldedName<'a> {
        FoldedName(self.rdns.iter().map(|rdn| folded_keys(rdn)).collect())
    }

    /// The attributes that `other` does not have.
    pub fn beyond(&self, other: &Name<'_>) -> Vec<Attribute<'a>> {
        let other: std::collections::BTreeSet<_> = other.attributes().map(|a| a.key()).collect();
        self.attributes().filter(|attribute| !other.contains(&attribute.key())).collect()
    }
}

/// A name without the case of ASCII letters, and whatever the string types (RFC 5280 section 7.1).
#[derive(Debug)]
pub struct FoldedName<'a>(Vec<Vec<FoldedKey<'a>>>);

/// The type of an attribute, and its value.
type FoldedKey<'a> = (&'a [u8], Vec<u8>);

impl FoldedName<'_> {
    /// Whether it is `base` or below it.
    pub fn is_within(&self, base: &FoldedName<'_>) -> bool {
        base.0.len() <= self.0.len() && base.0.iter().zip(&self.0).all(|(base, own)| base == own)
    }
}

/// The type of an attribute, the type of its value where that counts, and the value.
type Key<'a> = (&'a [u8], Option<Tag>, &'a [u8]);

/// RFC 5280 section 7.1 compares attributes of a multi-valued relative name as a set.
fn keys<'a>(rdn: &[Attribute<'a>]) -> Vec<Key<'a>> {
    let mut keys: Vec<_> = rdn.iter().map(Attribute::key).collect();
    keys.sort_unstable();
    keys
}

fn folded_keys<'a>(rdn: &[Attribute<'a>]) -> Vec<FoldedKey<'a>> {
    let mut keys: Vec<_> = rdn.iter().map(Attribute::folded_key).collect();
    keys.sort_unstable();
    keys
}

fn relative_name(set: AnyRef<'_>) -> der::Result<Vec<Attribute<'_>>> {
    set.tag().assert_eq(Tag::Set)?;
    let mut reader = der::SliceReader::new(set.value())?;
    let mut attributes = Vec::new();
    while !reader.is_finished() {
        attributes.push(reader.sequence(|pair| {
            Ok::<_, der::Error>(Attribute { oid: parse::object_identifier(pair)?, value: pair.decode()? })
        })?);
    }
    Ok(attributes)
}

impl<'a> Attribute<'a> {
    /// The value where it is text.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self.value.tag() {
            tag if is_byte_string(tag) => Some(String::from_utf8_lossy(self.value.value())),
            Tag::BmpString => {
                let units = self.value.value().chunks_exact(2).map(|pair| match pair {
                    [high, low] => u16::from_be_bytes([*high, *low]),
                    _ => 0xFFFD,
                });
                Some(char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')).collect::<String>().into())
            }
            _ => None,
        }
    }

    /// Whether it is of this type.
    pub fn is(&self, id: ObjectIdentifier) -> bool {
        self.oid == id.as_bytes()
    }

    /// As in RFC 4514, such as `CN=web`, with at most `max` characters of its value.
    pub fn describe(&self, max: usize) -> String {
        let mut shown = match ObjectIdentifier::from_bytes(self.oid) {
            Ok(oid) => format!("{}=", short_name(&oid).map_or_else(|| oid.to_string(), str::to_owned)),
            Err(_) => format!("OID {}=", text::short_hex(self.oid, max / 2)),
        };
        match self.text() {
            Some(value) => {
                // RFC 4514 section 2.4: a value cannot look like another attribute.
                for c in text::printable(&value, max).chars() {
                    if matches!(c, ',' | '+' | '=' | '\\' | '"' | ';' | '<' | '>') {
                        shown.push('\\');
                    }
                    shown.push(c);
                }
            }
            None => shown.push_str(&format!("#{}", text::short_hex(self.value.value(), max / 2))),
        }
        shown
    }

    fn folded_key(&self) -> FoldedKey<'a> {
        let value = self.value.value();
        let text = self.text().map(|text| text.trim().to_ascii_lowercase().into_bytes());
        (self.oid, text.unwrap_or_else(|| value.to_vec()))
    }

    /// What decides whether two attributes are the same.
    fn key(&self) -> Key<'a> {
        let tag = self.value.tag();
        (self.oid, (!is_byte_string(tag)).then_some(tag), self.value.value())
    }
}

/// String types that hold ASCII as it is.
fn is_byte_string(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString | Tag::NumericString
    )
}

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(VALUE_CHARS))
    }
}

/// For people: `C=GB, O=Example, OU=a+OU=b, CN=example`, in the order of the encoding, cut where it is long.
impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rdns.is_empty() {
            return f.write_str("an empty name");
        }
        let mut shown = 0;
        for (at, rdn) in self.rdns.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            for (at, attribute) in rdn.iter().enumerate() {
                if shown == SHOWN {
                    return f.write_str("…");
                }
                shown += 1;
                if at > 0 {
                    f.write_str("+")?;
                }
                write!(f, "{attribute}")?;
            }
        }
        Ok(())
    }
}

/// The short names of RFC 4514 section 3 and the ones that everybody uses besides.
fn short_name(oid: &ObjectIdentifier) -> Option<&'static str> {
    Some(match *oid {
        rfc4519::COMMON_NAME => "CN",
        rfc4519::LOCALITY_NAME => "L",
        rfc4519::ST => "ST",
        rfc4519::ORGANIZATION_NAME => "O",
        rfc4519::ORGANIZATIONAL_UNIT_NAME => "OU",
        rfc4519::COUNTRY_NAME => "C",
        rfc4519::STREET => "STREET",
        rfc4519::DOMAIN_COMPONENT => "DC",
        rfc4519::UID => "UID",
        rfc4519::SERIAL_NUMBER => "SERIALNUMBER",
        rfc4519::POSTAL_CODE => "POSTALCODE",
        _ => return None,
    })
}

/// [`Name`] in quotes for messages, where the bytes may not parse.
pub fn quoted(der: &[u8]) -> String {
    Name::parse(der).map_or_else(|_error| "a malformed name".to_owned(), |name| format!("\"{name}\""))
}
