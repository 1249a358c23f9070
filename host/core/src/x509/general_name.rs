//! General names (RFC 5280 section 4.2.1.6), compared as the bytes they are, so that an `otherName` of any kind counts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use der::asn1::AnyRef;
use der::{Reader, Tag, TagNumber, Tagged};

use super::{name, parse};
use crate::text;

/// How much of one name a message shows.
const VALUE_CHARS: usize = 128;

/// The content of a subjectAltName extension.
#[derive(Clone, Debug, Default)]
pub struct GeneralNames<'a> {
    der: &'a [u8],
    names: Vec<GeneralName<'a>>,
}

impl<'a> GeneralNames<'a> {
    /// Reads the value of a subjectAltName extension, `GeneralNames`.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        let names = parse::sequence(der, |reader| {
            let mut names = Vec::new();
            while !reader.is_finished() {
                names.push(GeneralName::parse(reader.decode()?)?);
            }
            Ok(names)
        })?;
        Ok(Self { der, names })
    }

    /// The exact bytes of the extension's value.
    pub fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The names in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = GeneralName<'a>> {
        self.names.iter().copied()
    }

    /// The names as a set to compare.
    pub fn keys(&self) -> BTreeSet<Key<'a>> {
        self.names.iter().map(GeneralName::key).collect()
    }
}

/// One name: its tag number says which kind.
#[derive(Clone, Copy, Debug)]
pub struct GeneralName<'a> {
    pub(super) number: u32,
    pub(super) value: &'a [u8],
}

/// What two names are compared by: the tag number and the content.
pub type Key<'a> = (u32, Cow<'a, [u8]>);

pub(super) const OTHER: u32 = 0;
pub(super) const EMAIL: u32 = 1;
pub(super) const DNS: u32 = 2;
pub(super) const DIRECTORY: u32 = 4;
pub(super) const URI: u32 = 6;
pub(super) const IP: u32 = 7;
pub(super) const REGISTERED_ID: u32 = 8;

impl<'a> GeneralName<'a> {
    fn parse(any: AnyRef<'a>) -> der::Result<Self> {
        // otherName, x400Address, directoryName and ediPartyName are the constructed ones, so that a number and a
        // content are one encoding.
        match any.tag() {
            Tag::ContextSpecific { number: TagNumber(number @ (0 | 3 | 4 | 5)), constructed: true }
            | Tag::ContextSpecific { number: TagNumber(number @ (1 | 2 | 6 | 7 | 8)), constructed: false } => {
                Ok(Self { number, value: any.value() })
            }
            tag => Err(tag.value_error().into()),
        }
    }

    /// What two names are compared by: the exact bytes, DNS names in lower case (RFC 5280 section 7.2).
    pub fn key(&self) -> Key<'a> {
        if self.number == DNS && self.value.iter().any(u8::is_ascii_uppercase) {
            (DNS, Cow::Owned(self.value.to_ascii_lowercase()))
        } else {
            (self.number, Cow::Borrowed(self.value))
        }
    }

    /// As OpenSSL prints it, with at most `max` characters of its value.
    pub fn describe(&self, max: usize) -> String {
        let printable = || text::printable_bytes(self.value, max);
        match (self.number, self.ip()) {
            (EMAIL, _) => format!("email:{}", printable()),
            (DNS, _) => format!("DNS:{}", printable()),
            (URI, _) => format!("URI:{}", printable()),
            (IP, Some(ip)) => format!("IP:{ip}"),
            (DIRECTORY, _) => format!("DirName:{}", name::quoted(self.value)),
            (OTHER, _) => format!("otherName:{}", text::short_hex(self.value, max / 2)),
            (number, _) => format!("[{number}]:{}", text::short_hex(self.value, max / 2)),
        }
    }

    fn ip(&self) -> Option<IpAddr> {
        let v4 = <[u8; 4]>::try_from(self.value).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(self.value).map(IpAddr::from)).ok()
    }
}

/// For people, as OpenSSL prints them.
impl fmt::Display for GeneralName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(VALUE_CHARS))
    }
}

/// The names that say the same as this common name: a DNS name, an email address, an IP address where it is one.
pub fn repeating(common_name: &str) -> impl Iterator<Item = Key<'_>> {
    let ip = common_name.parse().ok().map(|ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    [
        Some((DNS, Cow::Owned(common_name.to_ascii_lowercase().into_bytes()))),
        Some((EMAIL, Cow::Borrowed(common_name.as_bytes()))),
        ip.map(|octets| (IP, Cow::Owned(octets))),
    ]
    .into_iter()
    .flatten()
}
