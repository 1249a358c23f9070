//! Which names may stand in a certificate: those that Go, OpenSSL and Java can read. One that is malformed makes the whole
//! certificate unreadable for them, so it is refused while it is still in a CSR.

use std::net::Ipv6Addr;

use der::asn1::AnyRef;
use der::{Reader, SliceReader, Tag, TagNumber, Tagged};

use super::general_name::{self as kind, GeneralName, GeneralNames};
use super::name::{Attribute, Name};
use super::parse;

/// Which name is malformed, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing that the certificate would be for.
    #[error("there is neither a subject nor a subject alternative name")]
    None,
    /// RFC 5280 section 4.2.1.6: there is at least one.
    #[error("the list of subject alternative names is empty")]
    EmptyList,
    /// A subject alternative name.
    #[error("subject alternative name {0}: {1}")]
    Alternative(String, &'static str),
    /// A relative name without an attribute.
    #[error("the subject holds an empty relative name")]
    EmptyRelative,
    /// An attribute of the subject.
    #[error("subject attribute {0}: {1}")]
    Attribute(String, &'static str),
}

/// Checks the names of one certificate: its subject, and the subject alternative names where it has any.
pub fn check(subject: &Name<'_>, alternative: Option<&GeneralNames<'_>>) -> Result<(), NameError> {
    if subject.relative_names().any(<[Attribute<'_>]>::is_empty) {
        return Err(NameError::EmptyRelative);
    }
    check_text(subject)?;
    let Some(alternative) = alternative else {
        return if subject.is_empty() { Err(NameError::None) } else { Ok(()) };
    };
    if alternative.iter().len() == 0 {
        return Err(NameError::EmptyList);
    }
    check_each(alternative)
}

/// Checks alternative names, none being fine.
pub fn check_each(names: &GeneralNames<'_>) -> Result<(), NameError> {
    names
        .iter()
        .try_for_each(|name| general(&name).map_err(|wrong| NameError::Alternative(name.to_string(), wrong)))
}

/// Checks the strings of a name.
pub fn check_text(name: &Name<'_>) -> Result<(), NameError> {
    name.attributes().try_for_each(|attribute| {
        text(&attribute).map_err(|wrong| NameError::Attribute(attribute.to_string(), wrong))
    })
}

/// The string types that Go reads in a certificate, each with what it may hold.
fn text(attribute: &Attribute<'_>) -> Result<(), &'static str> {
    let value = attribute.value.value();
    let (valid, wrong) = match attribute.value.tag() {
        Tag::Utf8String => (std::str::from_utf8(value).is_ok(), "it is not UTF-8"),
        // `*` and `&` are not in X.680's set, but in many certificates.
        Tag::PrintableString => (
            value.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte)),
            "a character that a PrintableString cannot hold",
        ),
        Tag::Ia5String => (value.is_ascii(), "an IA5String holds ASCII"),
        Tag::NumericString => {
            (value.iter().all(|byte| byte.is_ascii_digit() || *byte == b' '), "a NumericString holds digits")
        }
        Tag::TeletexString => (true, ""),
        Tag::BmpString => (bmp(value), "it is not UCS-2, which a BMPString holds"),
        _ => (false, "it is of a string type that is not read everywhere; a UTF8String is"),
    };
    if valid { Ok(()) } else { Err(wrong) }
}

/// Whether these are characters of the basic plane, two bytes each.
fn bmp(value: &[u8]) -> bool {
    let (units, rest) = value.as_chunks::<2>();
    let character = |unit: u16| !matches!(unit, 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe | 0xffff);
    rest.is_empty() && units.iter().all(|unit| character(u16::from_be_bytes(*unit)))
}

fn general(name: &GeneralName<'_>) -> Result<(), &'static str> {
    let value = name.value;
    let (valid, wrong) = match name.number {
        kind::EMAIL | kind::DNS | kind::URI if value.is_empty() => (false, "it is empty"),
        // What is not shown as it is can pass for another name.
        kind::EMAIL | kind::DNS | kind::URI if value.iter().any(u8::is_ascii_control) => {
            (false, "it holds a control character")
        }
        kind::DNS => (value.is_ascii(), "a dNSName is ASCII: an international name has its xn-- form"),
        kind::EMAIL => (value.is_ascii(), "an rfc822Name is ASCII"),
        kind::URI => (
            std::str::from_utf8(value).is_ok_and(uri),
            "it is no URI with a scheme (RFC 3986), or its host is malformed",
        ),
        kind::IP => (matches!(value.len(), 4 | 16), "an iPAddress has 4 or 16 octets"),
        kind::DIRECTORY => (Name::parse(value).is_ok(), "a directoryName is a Name"),
        kind::OTHER => (other_name(value).is_ok(), "an otherName is an OID and one value"),
        kind::REGISTERED_ID => (registered_id(value).is_ok(), "a registeredID is an OID"),
        _ => (true, ""),
    };
    if valid { Ok(()) } else { Err(wrong) }
}

/// The content of an otherName: an OID, and any one value in an explicit tag.
fn other_name(value: &[u8]) -> der::Result<()> {
    let mut reader = SliceReader::new(value)?;
    parse::object_identifier(&mut reader)?;
    let tagged: AnyRef<'_> = reader.decode()?;
    tagged.tag().assert_eq(Tag::ContextSpecific { number: TagNumber(0), constructed: true })?;
    reader.finish()?;
    let mut inner = SliceReader::new(tagged.value())?;
    let _value: AnyRef<'_> = inner.decode()?;
    inner.finish()
}

fn registered_id(value: &[u8]) -> der::Result<()> {
    let length = u8::try_from(value.len()).map_err(|_error| Tag::ObjectIdentifier.length_error())?;
    if length > 0x7f {
        return Err(Tag::ObjectIdentifier.length_error().into());
    }
    let der = [&[6, length], value].concat();
    parse::object_identifier(&mut SliceReader::new(&der)?).map(|_oid| ())
}

/// Whether it is an absolute URI that Go's `net/url` parses, with a host that `crypto/x509` takes.
fn uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let schematic = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(schematic) {
        return false;
    }
    let Some(hierarchical) = rest.strip_prefix("//") else { return escaped(rest) };
    let (authority, path) =
        hierarchical.split_at(hierarchical.find(['/', '?', '#']).unwrap_or(hierarchical.len()));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    escaped(user) && !user.contains(['[', ']', '@']) && self::host(host) && escaped(path)
}

/// RFC 3986 section 2: only characters of URIs, and `%` only with two hexadecimal digits.
fn escaped(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let mut parts = text.split('%');
    let _before = parts.next();
    let hex = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    text.bytes().all(allowed) && parts.all(hex)
}

/// A name or an IPv6 address in brackets, with or without a port.
fn host(text: &str) -> bool {
    let name_end = text.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match text.get(name_end..).and_then(|rest| rest.find(':')) {
        Some(at) => (text.get(..name_end + at), text.get(name_end + at + 1..)),
        None => (Some(text), Some("")),
    };
    let (Some(name), Some(port)) = (name, port) else { return false };
    let valid = match name.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
            text.is_empty() || (name.bytes().all(allowed) && name.split('.').all(|label| !label.is_empty()))
        }
    };
    valid && port.bytes().all(|digit| digit.is_ascii_digit())
}
