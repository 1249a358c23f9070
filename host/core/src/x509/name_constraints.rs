//! Name constraints (RFC 5280 section 4.2.1.10): which names the certificates below a CA may have.
//!
//! What cannot be judged is refused: a kind of name that is not known here, or a form that is none, lies outside of all
//! that is permitted and inside of all that is excluded.

use std::collections::BTreeMap;
use std::net::IpAddr;

use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use der::{Reader, SliceReader, Tag, TagNumber, Tagged};

use super::name::FoldedName;
use super::{Certificate, Name, parse};

const EMAIL: u32 = 1;
const DNS: u32 = 2;
const DIRECTORY: u32 = 4;
const URI: u32 = 6;
const IP: u32 = 7;

const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// The content of a nameConstraints extension.
#[derive(Debug, Default)]
pub struct NameConstraints<'a> {
    permitted: Bases<'a>,
    excluded: Bases<'a>,
}

/// What names of a kind are compared with, by the number of its tag.
type Bases<'a> = BTreeMap<u32, Vec<Form<'a>>>;

/// A name that constraints bind.
#[derive(Debug)]
pub struct BoundName<'a> {
    number: u32,
    form: Form<'a>,
    /// For messages.
    shown: String,
}

/// A name, or a base that names are compared with, read once and compared often.
#[derive(Debug)]
enum Form<'a> {
    /// In lower case.
    Domain(String),
    /// The host in lower case. A base may have no local part.
    Mailbox {
        local: Option<String>,
        host: String,
    },
    /// A URI's host in lower case.
    Host(String),
    Directory(FoldedName<'a>),
    /// An address, or a base of an address and a mask.
    Octets(&'a [u8]),
    /// Of a kind that is not known here, or a form that is none.
    Unknown,
}

impl<'a> NameConstraints<'a> {
    /// Reads the value of a nameConstraints extension. An error where Go cannot read it.
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        parse::sequence(der, |reader| {
            let mut subtrees = |number| {
                let field = parse::optional_field(reader, number, true)?;
                field.map(bases).transpose().map(Option::unwrap_or_default)
            };
            let found = Self { permitted: subtrees(0)?, excluded: subtrees(1)? };
            // One of the two is there, and holds something.
            if found.permitted.is_empty() && found.excluded.is_empty() {
                return Err(Tag::Sequence.value_error().into());
            }
            Ok(found)
        })
    }

    /// How many comparisons it takes to judge these names.
    pub fn comparisons(&self, names: &[BoundName<'_>]) -> usize {
        let of = |bases: &Bases<'_>, number| bases.get(&number).map_or(0, Vec::len);
        names.iter().map(|name| of(&self.permitted, name.number) + of(&self.excluded, name.number)).sum()
    }

    /// The first of these names that the constraints do not allow, for messages.
    pub fn refused_name<'n>(&self, names: &'n [BoundName<'_>]) -> Option<&'n str> {
        names.iter().find(|name| !self.allow(name)).map(|name| name.shown.as_str())
    }

    fn allow(&self, BoundName { number, form, .. }: &BoundName<'_>) -> bool {
        let within = |base: &Form<'_>| form.is_within(base);
        let is_permitted = self
            .permitted
            .get(number)
            .is_none_or(|bases| bases.iter().any(|base| within(base) == Some(true)));
        let is_excluded = |base: &Form<'_>| within(base) != Some(false) || form.is_wildcard_for(base);
        is_permitted && !self.excluded.get(number).is_some_and(|bases| bases.iter().any(is_excluded))
    }
}

/// `GeneralSubtrees`. The minimum and maximum that a subtree might have are not used (RFC 5280), and refused.
fn bases(der: &[u8]) -> der::Result<Bases<'_>> {
    let mut reader = SliceReader::new(der)?;
    let mut bases = Bases::new();
    while !reader.is_finished() {
        let base: AnyRef<'_> = reader.sequence(|subtree| subtree.decode())?;
        let Tag::ContextSpecific { number: TagNumber(number), .. } = base.tag() else {
            return Err(base.tag().value_error().into());
        };
        if !is_base(number, base.value()) {
            return Err(base.tag().value_error().into());
        }
        bases.entry(number).or_default().push(Form::of_base(number, base.value()));
    }
    Ok(bases)
}

/// Whether a base has the form of its kind, as far as the kind is known here.
fn is_base(number: u32, value: &[u8]) -> bool {
    match (number, std::str::from_utf8(value)) {
        (EMAIL, Ok(text)) => match text.rsplit_once('@') {
            Some((local, host)) => !local.is_empty() && is_graphic(local) && is_domain(host),
            None => is_domain_base(text),
        },
        (URI, Ok(text)) => text.parse::<IpAddr>().is_err() && is_domain_base(text),
        (DNS, Ok(text)) => is_domain_base(text),
        (EMAIL | DNS | URI, Err(_)) => false,
        (IP, _) => is_address_base(value),
        (DIRECTORY, _) => Name::parse(value).is_ok(),
        _ => true,
    }
}

/// A domain, all of them where it is empty, or with a leading full stop those below it.
fn is_domain_base(text: &str) -> bool {
    text.is_empty() || is_domain(text.strip_prefix('.').unwrap_or(text))
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| !label.is_empty() && is_graphic(label))
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An address and a mask, of which the ones come first.
fn is_address_base(value: &[u8]) -> bool {
    let (_, mask) = value.split_at(value.len() / 2);
    let ones = mask.iter().map(|byte| byte.leading_ones()).take_while(|ones| *ones == 8).count();
    let rest = mask.get(ones..).unwrap_or_default();
    let is_end =
        |(at, byte): (usize, &u8)| *byte == 0 || at == 0 && byte.leading_ones() + byte.trailing_zeros() == 8;
    matches!(value.len(), 8 | 32) && rest.iter().enumerate().all(is_end)
}

/// Every name that constraints bind: the alternative names, the subject and the email addresses in it, and a common name
/// that is a host's where no alternative name is one, because some clients still read it so.
pub fn bound_names<'a>(certificate: &Certificate<'a>) -> Vec<BoundName<'a>> {
    let alternative = certificate.extensions.subject_alt_name.iter().flat_map(|names| names.iter());
    let mut names: Vec<_> = alternative
        .map(|name| BoundName {
            number: name.number,
            form: Form::of_name(name.number, name.value),
            shown: name.to_string(),
        })
        .collect();
    let Ok(subject) = Name::parse(certificate.subject_der()) else { return names };
    if !names.iter().any(|name| name.number == DNS) {
        let hosts = subject.common_names().filter(|name| name.contains('.') && is_host_name(name));
        names.extend(hosts.map(|name| BoundName {
            number: DNS,
            form: Form::Domain(name.to_ascii_lowercase()),
            shown: format!("CN={name}"),
        }));
    }
    for attribute in subject.attributes().filter(|attribute| attribute.is(EMAIL_ADDRESS)) {
        let form = Form::mailbox(&attribute.text().unwrap_or_default());
        names.push(BoundName { number: EMAIL, form, shown: attribute.to_string() });
    }
    if !subject.is_empty() {
        let form = Form::Directory(subject.folded());
        names.push(BoundName { number: DIRECTORY, form, shown: format!("\"{subject}\"") });
    }
    names
}

impl<'a> Form<'a> {
    fn of_name(number: u32, value: &'a [u8]) -> Self {
        let text = std::str::from_utf8(value).ok();
        match (number, text) {
            (EMAIL, Some(text)) => Self::mailbox(text),
            (URI, Some(text)) => {
                let host = host_of(text).filter(|host| host.parse::<IpAddr>().is_err());
                host.map_or(Self::Unknown, |host| Self::Host(host.to_ascii_lowercase()))
            }
            _ => Self::of_base(number, value),
        }
    }

    fn of_base(number: u32, value: &'a [u8]) -> Self {
        let text = std::str::from_utf8(value).ok();
        match (number, text) {
            (DNS, Some(text)) => Self::Domain(text.to_ascii_lowercase()),
            (EMAIL, Some(text)) if text.contains('@') => Self::mailbox(text),
            (EMAIL, Some(text)) => Self::Mailbox { local: None, host: text.to_ascii_lowercase() },
            (URI, Some(text)) => Self::Host(text.to_ascii_lowercase()),
            (DIRECTORY, _) => Name::parse(value).map_or(Self::Unknown, |name| Self::Directory(name.folded())),
            (IP, _) => Self::Octets(value),
            _ => Self::Unknown,
        }
    }

    fn mailbox(address: &str) -> Self {
        let Some((local, host)) = address.rsplit_once('@') else { return Self::Unknown };
        Self::Mailbox { local: Some(local.to_owned()), host: host.to_ascii_lowercase() }
    }

    /// Whether a name is a base or below it; none where that cannot be told.
    fn is_within(&self, base: &Form<'_>) -> Option<bool> {
        Some(match (self, base) {
            (Self::Domain(name), Form::Domain(base)) => is_domain_within(name, base),
            (Self::Mailbox { local, host }, Form::Mailbox { local: Some(base_local), host: base_host }) => {
                local.as_ref() == Some(base_local) && host == base_host
            }
            (Self::Mailbox { host, .. }, Form::Mailbox { local: None, host: base }) => {
                is_host_within(host, base)
            }
            (Self::Host(host), Form::Host(base)) => is_host_within(host, base),
            (Self::Directory(name), Form::Directory(base)) => name.is_within(base),
            (Self::Octets(address), Form::Octets(base)) => return is_address_within(address, base),
            _ => return None,
        })
    }

    /// `*.example.com` stands for `a.example.com` too, which a base may be.
    fn is_wildcard_for(&self, base: &Form<'_>) -> bool {
        let (Self::Domain(name), Form::Domain(base)) = (self, base) else { return false };
        let Some(parent) = name.strip_prefix('*') else { return false };
        base.find('.').map_or("", |label| base.get(label..).unwrap_or_default()) == parent
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

/// A base of an email address or a URI: a host, or with a leading full stop all hosts below a domain.
fn is_host_within(host: &str, base: &str) -> bool {
    if base.starts_with('.') { host.len() > base.len() && host.ends_with(base) } else { host == base }
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
