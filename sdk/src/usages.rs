//! Key usages by cert-manager's names.

use std::fmt;

use der::asn1::ObjectIdentifier;
use der::flagset::FlagSet;
use x509_cert::ext::pkix::KeyUsages;

use crate::Failure;

/// The key usages and extended key usages of a certificate.
///
/// ```
/// use wasm_issuer_sdk::Usages;
///
/// let usages = Usages::from_names(&["server auth", "digital signature"]).unwrap();
/// assert_eq!(usages.to_string(), "[digital signature, server auth]");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Usages {
    pub(crate) key: FlagSet<KeyUsages>,
    pub(crate) extended: Vec<ObjectIdentifier>,
}

impl Usages {
    /// From the names that [`Request::usages`](crate::Request::usages) holds. An unknown one is a permanent failure:
    /// a certificate without it is not what was asked for.
    ///
    /// ```
    /// use wasm_issuer_sdk::Usages;
    ///
    /// assert!(Usages::from_names(&["client auth"]).is_ok());
    /// assert!(Usages::from_names(&["world domination"]).is_err());
    /// ```
    pub fn from_names(names: &[impl AsRef<str>]) -> Result<Self, Failure> {
        let mut usages = Self::default();
        for name in names.iter().map(AsRef::as_ref) {
            if let Some((_, flag)) = KEY.iter().find(|(known, _)| *known == name) {
                usages.key |= *flag;
            } else if let Some((_, oid)) = EXTENDED.iter().find(|(known, _)| *known == name) {
                if !usages.extended.contains(oid) {
                    usages.extended.push(*oid);
                }
            } else {
                return Err(Failure::invalid_request(format!("unknown key usage {name:?}")));
            }
        }
        Ok(usages)
    }
}

/// Whether one of cert-manager's names is that of a key usage. Every other one is that of an extended key usage.
///
/// ```
/// use wasm_issuer_sdk::is_key_usage;
///
/// assert!(is_key_usage("cert sign") && !is_key_usage("code signing"));
/// ```
pub fn is_key_usage(name: &str) -> bool {
    KEY.iter().any(|(known, _)| *known == name)
}

/// The order of the extended usages means nothing.
impl PartialEq for Usages {
    fn eq(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| a.extended.iter().all(|oid| b.extended.contains(oid));
        self.key == other.key && within(self, other) && within(other, self)
    }
}

/// A list of cert-manager's names, `[digital signature, server auth]`; an OID where there is none.
impl fmt::Display for Usages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `signing` and `s/mime` are second names.
        let key = KEY.iter().skip(1).filter(|(_, flag)| self.key.contains(*flag)).map(|(name, _)| *name);
        let extended = self.extended.iter().map(|oid| {
            EXTENDED
                .iter()
                .skip(1)
                .find(|(_, known)| known == oid)
                .map_or_else(|| oid.to_string(), |it| it.0.to_owned())
        });
        let names: Vec<String> = key.map(str::to_owned).chain(extended).collect();
        write!(f, "[{}]", names.join(", "))
    }
}

/// The purposes that cert-manager knows and its API has no name for: Microsoft's commercial and kernel code signing.
const NAMELESS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.22"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.61.1.1"),
];

/// Whether cert-manager compares the purpose where a CSR asks for it. It lets all others pass.
pub(crate) fn is_compared(oid: &ObjectIdentifier) -> bool {
    NAMELESS.contains(oid) || EXTENDED.iter().any(|(_, known)| known == oid)
}

/// `KeyUsage` of cert-manager's API.
const KEY: [(&str, KeyUsages); 10] = [
    ("signing", KeyUsages::DigitalSignature),
    ("digital signature", KeyUsages::DigitalSignature),
    ("content commitment", KeyUsages::NonRepudiation),
    ("key encipherment", KeyUsages::KeyEncipherment),
    ("key agreement", KeyUsages::KeyAgreement),
    ("data encipherment", KeyUsages::DataEncipherment),
    ("cert sign", KeyUsages::KeyCertSign),
    ("crl sign", KeyUsages::CRLSign),
    ("encipher only", KeyUsages::EncipherOnly),
    ("decipher only", KeyUsages::DecipherOnly),
];

/// `KeyUsage` of cert-manager's API, the extended ones.
const EXTENDED: [(&str, ObjectIdentifier); 13] = [
    ("s/mime", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4")),
    ("any", ObjectIdentifier::new_unwrap("2.5.29.37.0")),
    ("server auth", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1")),
    ("client auth", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2")),
    ("code signing", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3")),
    ("email protection", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4")),
    ("ipsec end system", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.5")),
    ("ipsec tunnel", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.6")),
    ("ipsec user", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.7")),
    ("timestamping", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8")),
    ("ocsp signing", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9")),
    ("microsoft sgc", ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.3")),
    ("netscape sgc", ObjectIdentifier::new_unwrap("2.16.840.1.113730.4.1")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_cert_manager_is_known() {
        let names = [
            "signing",
            "digital signature",
            "content commitment",
            "key encipherment",
            "key agreement",
            "data encipherment",
            "cert sign",
            "crl sign",
            "encipher only",
            "decipher only",
            "any",
            "server auth",
            "client auth",
            "code signing",
            "email protection",
            "s/mime",
            "ipsec end system",
            "ipsec tunnel",
            "ipsec user",
            "timestamping",
            "ocsp signing",
            "microsoft sgc",
            "netscape sgc",
        ];
        let usages = Usages::from_names(&names).unwrap();
        assert_eq!(usages.key, FlagSet::full());
        assert_eq!(usages.extended.len(), 12, "email protection and s/mime are one");
    }

    #[test]
    fn an_unknown_name_is_named() {
        let failure = Usages::from_names(&["server auth", "world domination"]).unwrap_err();
        assert_eq!(failure, Failure::invalid_request("unknown key usage \"world domination\""));
    }

    #[test]
    fn the_order_does_not_matter() {
        let of = |names: &[&str]| Usages::from_names(names).unwrap();
        assert_eq!(of(&["server auth", "client auth"]), of(&["client auth", "server auth", "client auth"]));
        assert_ne!(of(&["server auth"]), of(&["client auth", "server auth"]));
        assert_ne!(of(&["server auth"]), of(&["server auth", "signing"]));
    }
}
