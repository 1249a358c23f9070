//! cert-manager's names of key usages, and what they stand for (RFC 5280 sections 4.2.1.3 and 4.2.1.12).

use std::collections::BTreeSet;
use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Decode;
use der::asn1::BitStringRef;

use crate::text;

/// The bits of KeyUsage. Bit 0 of RFC 5280, `digitalSignature`, is the lowest one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// `keyCertSign`: the key verifies signatures on certificates.
    pub const CERT_SIGN: Self = Self(1 << 5);

    /// Reads `KeyUsage`, a named bit list.
    pub(super) fn from_der(der: &[u8]) -> der::Result<Self> {
        let bits = BitStringRef::from_der(der)?;
        // X.690 section 11.2.1: the bits that fill the last octet are 0, and Go insists on it.
        let fill = (1_u8 << bits.unused_bits()) - 1;
        if bits.raw_bytes().last().is_some_and(|last| last & fill != 0) {
            return Err(der::Tag::BitString.value_error().into());
        }
        Ok(Self((0..9).filter(|bit| bits.get(*bit) == Some(true)).fold(0, |set, bit| set | 1 << bit)))
    }

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// cert-manager's names of the bits that are set, in the order of the bits, one for each.
    pub fn names(self) -> impl ExactSizeIterator<Item = &'static str> {
        let mut names: Vec<_> = KEY_USAGES.iter().filter(|(_, bit)| self.0 & 1 << bit != 0).collect();
        names.dedup_by_key(|(_, bit)| *bit);
        names.into_iter().map(|(name, _)| *name)
    }

    /// Whether no bit is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Key usages and extended key usages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usages {
    /// The bits of the keyUsage extension.
    pub key_usage: KeyUsage,
    /// The purposes of the extKeyUsage extension.
    pub extended: BTreeSet<ObjectIdentifier>,
}

/// A name that cert-manager's API does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key usage {0:?}")]
pub struct UnknownUsage(String);

/// The bits of KeyUsage by cert-manager's names; where a bit has two names, messages use the first.
const KEY_USAGES: [(&str, u16); 10] = [
    ("digital signature", 0),
    ("signing", 0),
    ("content commitment", 1),
    ("key encipherment", 2),
    ("data encipherment", 3),
    ("key agreement", 4),
    ("cert sign", 5),
    ("crl sign", 6),
    ("encipher only", 7),
    ("decipher only", 8),
];

/// The purposes of ExtendedKeyUsage by cert-manager's names, likewise.
const EXTENDED: [(&str, ObjectIdentifier); 13] = [
    ("any", rfc5280::ANY_EXTENDED_KEY_USAGE),
    ("server auth", rfc5280::ID_KP_SERVER_AUTH),
    ("client auth", rfc5280::ID_KP_CLIENT_AUTH),
    ("code signing", rfc5280::ID_KP_CODE_SIGNING),
    ("email protection", rfc5280::ID_KP_EMAIL_PROTECTION),
    ("s/mime", rfc5280::ID_KP_EMAIL_PROTECTION),
    ("ipsec end system", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.5")),
    ("ipsec tunnel", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.6")),
    ("ipsec user", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.7")),
    ("timestamping", rfc5280::ID_KP_TIME_STAMPING),
    ("ocsp signing", rfc5280::ID_KP_OCSP_SIGNING),
    ("microsoft sgc", ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.3")),
    ("netscape sgc", ObjectIdentifier::new_unwrap("2.16.840.1.113730.4.1")),
];

/// The purposes that cert-manager knows and its API has no name for, so that no request can ask for them: Microsoft's
/// commercial and kernel code signing.
const NAMELESS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.22"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.61.1.1"),
];

/// Whether cert-manager compares the purpose where a CSR asks for it. It lets all others pass.
pub(super) fn is_compared(oid: &ObjectIdentifier) -> bool {
    NAMELESS.contains(oid) || name_of(oid).is_some()
}

/// cert-manager's name of an extended key usage, where it has one.
pub fn name_of(oid: &ObjectIdentifier) -> Option<&'static str> {
    EXTENDED.iter().find(|(_, known)| known == oid).map(|(name, _)| *name)
}

impl Usages {
    /// Reads a `spec.usages` as it is: defaults are somebody else's business.
    pub fn parse(names: &[String]) -> Result<Self, UnknownUsage> {
        let mut usages = Self::default();
        for name in names {
            if let Some((_, bit)) = KEY_USAGES.iter().find(|(known, _)| known == name) {
                usages.key_usage.insert(KeyUsage(1 << bit));
            } else if let Some((_, oid)) = EXTENDED.iter().find(|(known, _)| known == name) {
                usages.extended.insert(*oid);
            } else {
                return Err(UnknownUsage(text::printable(name, 40)));
            }
        }
        Ok(usages)
    }
}

/// The names, separated by commas, or `none`.
impl fmt::Display for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::list(self.names(), 256))
    }
}

/// cert-manager's name of an extended key usage, or its OID.
pub fn extended_name(oid: &ObjectIdentifier) -> String {
    name_of(oid).map_or_else(|| oid.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Usages, UnknownUsage> {
        Usages::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_name_is_known_and_synonyms_are_one() {
        for (name, bit) in KEY_USAGES {
            assert_eq!(parse(&[name]).unwrap().key_usage, KeyUsage(1 << bit), "{name}");
        }
        for (name, oid) in EXTENDED {
            assert_eq!(parse(&[name]).unwrap().extended, BTreeSet::from([oid]), "{name}");
        }
        assert_eq!(
            parse(&["signing", "s/mime"]),
            parse(&["digital signature", "email protection", "signing"])
        );
        assert_eq!(parse(&["cert sign"]).unwrap().key_usage, KeyUsage::CERT_SIGN);
        assert_eq!(parse(&[]), Ok(Usages::default()));
    }

    #[test]
    fn an_unknown_name_is_named_and_cleaned() {
        assert_eq!(
            parse(&["server auth", "tls\n"]).unwrap_err().to_string(),
            "unknown key usage \"tls\u{FFFD}\""
        );
        assert!(parse(&["Server Auth"]).is_err());
    }

    #[test]
    fn display_uses_cert_managers_names() {
        assert_eq!(
            parse(&["signing", "crl sign"]).unwrap().key_usage.to_string(),
            "digital signature, crl sign"
        );
        assert_eq!(KeyUsage::default().to_string(), "none");
        assert_eq!(extended_name(&rfc5280::ID_KP_SERVER_AUTH), "server auth");
        assert_eq!(extended_name(&ObjectIdentifier::new_unwrap("1.2.3")), "1.2.3");
    }

    #[test]
    fn named_bits_are_read_from_the_top_bit_down() {
        assert_eq!(KeyUsage::from_der(&[3, 2, 1, 0x06]).unwrap().to_string(), "cert sign, crl sign");
        assert_eq!(KeyUsage::from_der(&[3, 3, 7, 0, 0x80]).unwrap().to_string(), "decipher only");
        assert!(KeyUsage::from_der(&[3, 0]).is_err());
        assert!(KeyUsage::from_der(&[3, 2, 1, 0x07]).is_err(), "a bit in the filling");
    }
}
