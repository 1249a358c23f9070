//! Name constraints (RFC 5280 section 4.2.1.10): which names the certificates below a CA may have.
//!
//! What cannot be judged is refused: a kind of name that is not known here, or a form that is none, lies outside of all
//! that is permitted and inside of all that is excluded.

use std::net::IpAddr;

use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use der::{Reader, SliceReader, Tag, TagNumber, Tagged};

use super::{Certificate, Name, parse};

const EMAIL: u32 = 1;
const DNS: u32 = 2;
const DIRECTORY: u32 = 4;
const URI: u32 = 6;
const IP: u32 = 7;

const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// How many comparisons one CA may cost, as in Go.
const MAX_COMPARISONS: usize = 250_000;

/// The content of a nameConstraints extension.
#[derive(Debug, Default)]
pub struct NameConstraints<'a> {
    permitted: Vec<Base<'a>>,
    excluded: Vec<Base<'a>>,
}

/// A name, or what names of its kind are compared with: the number of its tag says which kind.
type Base<'a> = (u32, &'a [u8]);

impl<'a> NameConstraints<'a> {
    /// Reads the value of a nameConstraints extension.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        parse::sequence(der, |reader| {
            let mut subtrees = |number| {
                let field = parse::optional_field(reader, number, true)?;
                field.map(bases).transpose().map(Option::unwrap_or_default)
            };
            Ok(Self { permitted: subtrees(0)?, excluded: subtrees(1)? })
        })
    }

    /// The first name of a certificate that the constraints do not allow, for messages.
    pub fn refused_name(&self, certificate: &Certificate<'_>) -> Option<String> {
        let names = names_of(certificate);
        if names.len().saturating_mul(self.permitted.len() + self.excluded.len()) > MAX_COMPARISONS {
            return Some("more names than are compared".to_owned());
        }
        names.into_iter().find(|(number, value, _)| !self.allow(*number, value)).map(|(_, _, shown)| shown)
    }

    fn allow(&self, number: u32, value: &[u8]) -> bool {
        let alike = |bases: &'_ [Base<'a>]| -> Vec<&'a [u8]> {
            bases.iter().filter(|(kind, _)| *kind == number).map(|(_, base)| *base).collect()
        };
        let (permitted, excluded) = (alike(&self.permitted), alike(&self.excluded));
        let within = |base: &&[u8]| is_within(number, value, base);
        let reaches = |base: &&[u8]| number == DNS && wildcard_reaches(value, base);
        let is_permitted = permitted.is_empty() || permitted.iter().any(|base| within(base) == Some(true));
        let is_excluded = excluded.iter().any(|base| within(base) != Some(false) || reaches(base));
        is_permitted && !is_excluded
    }
}

/// `GeneralSubtrees`. The minimum and maximum that a subtree might have are not used (RFC 5280), and refused.
fn bases(der: &[u8]) -> der::Result<Vec<Base<'_>>> {
    let mut reader = SliceReader::new(der)?;
    let mut bases = Vec::new();
    while !reader.is_finished() {
        bases.push(reader.sequence(|subtree| {
            let base: AnyRef<'_> = subtree.decode()?;
            match base.tag() {
                Tag::ContextSpecific { number: TagNumber(number), .. } => {
                    Ok::<_, der::Error>((number, base.value()))
                }
                tag => Err(tag.value_error().into()),
            }
        })?);
    }
    Ok(bases)
}

/// Every name that constraints bind: the alternative names, the subject and the email addresses in it, and a common name
/// that is a host's where no alternative name is one, because some clients still read it so. Each with its text.
fn names_of(certificate: &Certificate<'_>) -> Vec<(u32, Vec<u8>, String)> {
    let alternative = certificate.extensions.subject_alt_name.iter().flat_map(|names| names.iter());
    let mut names: Vec<_> = alternative
        .map(|name| {
            let (number, value) = name.key();
            (number, value.into_owned(), name.to_string())
        })
        .collect();
    let Ok(subject) = Name::parse(certificate.subject_der()) else { return names };
    if !names.iter().any(|(number, ..)| *number == DNS) {
        let hosts = subject.common_names().filter(|name| name.contains('.') && is_host_name(name));
        names.extend(hosts.map(|name| (DNS, name.to_ascii_lowercase().into(), format!("CN={name}"))));
    }
    for attribute in subject.attributes().filter(|attribute| attribute.is(EMAIL_ADDRESS)) {
        let address = attribute.text().unwrap_or_default().into_owned();
        names.push((EMAIL, address.into(), attribute.to_string()));
    }
    if !subject.is_empty() {
        names.push((DIRECTORY, subject.der().to_vec(), format!("\"{subject}\"")));
    }
    names
}

/// Whether a name is a base or below it; none where that cannot be told.
fn is_within(number: u32, name: &[u8], base: &[u8]) -> Option<bool> {
    let text = |bytes| std::str::from_utf8(bytes).ok().map(str::to_ascii_lowercase);
    match number {
        DNS => Some(is_domain_within(&text(name)?, &text(base)?)),
        EMAIL => is_mailbox_within(std::str::from_utf8(name).ok()?, std::str::from_utf8(base).ok()?),
        URI => {
            let uri = text(name)?;
            let host = host_of(&uri).filter(|host| host.parse::<IpAddr>().is_err())?;
            Some(is_host_within(host, &text(base)?))
        }
        IP => is_address_within(name, base),
        DIRECTORY => Some(Name::parse(name).ok()?.is_within(&Name::parse(base).ok()?)),
        _ => None,
    }
}

/// `example.com` is within itself; a leading full stop asks for a label more.
fn is_domain_within(domain: &str, base: &str) -> bool {
    match domain.strip_suffix(base) {
        Some(rest) => {
            base.is_empty()
                || base.starts_with('.') && !rest.is_empty()
                || rest.is_empty()
                || rest.ends_with('.')
        }
        None => false,
    }
}

/// `*.example.com` stands for `a.example.com` too, which a base may be.
fn wildcard_reaches(name: &[u8], base: &[u8]) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    let Some(parent) = name.strip_prefix(b"*") else { return false };
    let label = base.iter().position(|c| *c == b'.').unwrap_or(base.len());
    base.get(label..) == Some(parent)
}

/// A base of an email address or a URI: a host, or with a leading full stop all hosts below a domain.
fn is_host_within(host: &str, base: &str) -> bool {
    if base.starts_with('.') { host.len() > base.len() && host.ends_with(base) } else { host == base }
}

fn is_mailbox_within(address: &str, base: &str) -> Option<bool> {
    let (local, host) = address.rsplit_once('@')?;
    let host = host.to_ascii_lowercase();
    Some(match base.rsplit_once('@') {
        Some((base_local, base_host)) => local == base_local && host == base_host.to_ascii_lowercase(),
        None => is_host_within(&host, &base.to_ascii_lowercase()),
    })
}

fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    Some(host).filter(|host| is_host_name(host))
}

/// An address, and a base of an address and a mask of the same length.
fn is_address_within(address: &[u8], base: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return None;
    }
    let (network, mask) = base.split_at(base.len() / 2);
    let same = |((address, network), mask): ((&u8, &u8), &u8)| address & mask == network & mask;
    Some(address.len() == network.len() && address.iter().zip(network).zip(mask).all(same))
}

/// Whether text is a host's name in ASCII, maybe with a wildcard for its first label.
pub fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    text.len() <= 253 && text.strip_prefix("*.").unwrap_or(text).split('.').all(is_label)
}

#[cfg(test)]
mod tests;
