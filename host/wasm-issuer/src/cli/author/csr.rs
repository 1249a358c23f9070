//! Makes CSRs as cert-manager makes them: names, key usages and, for a CA, basic constraints.

use std::net::IpAddr;

use const_oid::db::rfc4519::COMMON_NAME;
use const_oid::db::rfc8410::ID_ED_25519;
use const_oid::db::{rfc5280, rfc5912};
use der::asn1::{BitString, Ia5String, Null, ObjectIdentifier, OctetString, SetOfVec};
use der::flagset::FlagSet;
use der::{Any, Decode as _, Encode as _, Tag};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use wasm_issuer_core::keys::{Algorithm, PrivateKey};
use wasm_issuer_core::x509::{KeyUsage, Usages};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsages};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

/// Whom a CSR is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ip: Vec<IpAddr>,
    /// URIs.
    pub uri: Vec<String>,
    /// Email addresses.
    pub email: Vec<String>,
}

/// Bits of the keyUsage extension in their order, by cert-manager's names.
const KEY_USAGES: [(&str, KeyUsages); 9] = [
    ("digital signature", KeyUsages::DigitalSignature),
    ("content commitment", KeyUsages::NonRepudiation),
    ("key encipherment", KeyUsages::KeyEncipherment),
    ("data encipherment", KeyUsages::DataEncipherment),
    ("key agreement", KeyUsages::KeyAgreement),
    ("cert sign", KeyUsages::KeyCertSign),
    ("crl sign", KeyUsages::CRLSign),
    ("encipher only", KeyUsages::EncipherOnly),
    ("decipher only", KeyUsages::DecipherOnly),
];

/// The bits of a keyUsage extension, with their names.
pub fn bits(usage: KeyUsage) -> impl Iterator<Item = (&'static str, KeyUsages)> {
    let is_set = move |name: &str| {
        Usages::parse(&[name.to_owned()]).is_ok_and(|usages| usage.contains(usages.key_usage))
    };
    KEY_USAGES.into_iter().filter(move |(name, _)| is_set(name))
}

/// A CSR, DER.
pub fn build(names: &Names, is_ca: bool, usages: &Usages, key: &PrivateKey) -> anyhow::Result<Vec<u8>> {
    let request = ExtensionReq(extensions(names, is_ca, usages)?);
    let info = CertReqInfo {
        version: Version::V1,
        subject: subject(names.common_name.as_deref())?,
        public_key: SubjectPublicKeyInfoOwned::from_der(key.public_key_der())?,
        attributes: SetOfVec::try_from(vec![request.try_into()?])?,
    };
    let signature = key.sign(&info.to_der()?)?;
    let request = CertReq {
        info,
        algorithm: signature_algorithm(key.algorithm()),
        signature: BitString::from_bytes(&signature)?,
    };
    Ok(request.to_der()?)
}

fn extensions(names: &Names, is_ca: bool, usages: &Usages) -> anyhow::Result<Vec<Extension>> {
    let extension = |extn_id: ObjectIdentifier, critical, der: Vec<u8>| {
        Ok::<_, der::Error>(Extension { extn_id, critical, extn_value: OctetString::new(der)? })
    };
    let mut extensions = Vec::new();
    let general_names = general_names(names)?;
    if !general_names.is_empty() {
        // RFC 5280 section 4.2.1.6: critical where the subject is empty.
        let critical = names.common_name.is_none();
        extensions.push(extension(rfc5280::ID_CE_SUBJECT_ALT_NAME, critical, general_names.to_der()?)?);
    }
    if !usages.key_usage.is_empty() {
        let bits = bits(usages.key_usage).fold(FlagSet::<KeyUsages>::default(), |all, (_, bit)| all | bit);
        extensions.push(extension(rfc5280::ID_CE_KEY_USAGE, true, bits.to_der()?)?);
    }
    if !usages.extended.is_empty() {
        let purposes: Vec<_> = usages.extended.iter().copied().collect();
        extensions.push(extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, purposes.to_der()?)?);
    }
    if is_ca {
        let constraints = BasicConstraints { ca: true, path_len_constraint: None };
        extensions.push(extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, constraints.to_der()?)?);
    }
    Ok(extensions)
}

fn general_names(names: &Names) -> der::Result<Vec<GeneralName>> {
    let mut all = Vec::new();
    for name in &names.dns {
        all.push(GeneralName::DnsName(Ia5String::new(name)?));
    }
    all.extend(names.ip.iter().copied().map(GeneralName::from));
    for uri in &names.uri {
        all.push(GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?));
    }
    for email in &names.email {
        all.push(GeneralName::Rfc822Name(Ia5String::new(email)?));
    }
    Ok(all)
}

fn subject(common_name: Option<&str>) -> der::Result<Name> {
    let mut rdns = RdnSequence::default();
    if let Some(value) = common_name {
        let value = Any::new(Tag::Utf8String, value.as_bytes())?;
        let attribute = AttributeTypeAndValue { oid: COMMON_NAME, value };
        rdns.push(RelativeDistinguishedName::try_from(vec![attribute])?);
    }
    Name::from_der(&rdns.to_der()?)
}

fn signature_algorithm(algorithm: Algorithm) -> AlgorithmIdentifierOwned {
    let (oid, parameters) = match algorithm {
        Algorithm::EcdsaP256Sha256 => (rfc5912::ECDSA_WITH_SHA_256, None),
        Algorithm::EcdsaP384Sha384 => (rfc5912::ECDSA_WITH_SHA_384, None),
        Algorithm::EcdsaP521Sha512 => (rfc5912::ECDSA_WITH_SHA_512, None),
        Algorithm::Ed25519 => (ID_ED_25519, None),
        Algorithm::RsaPkcs1Sha256 => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(Any::from(Null))),
    };
    AlgorithmIdentifierOwned { oid, parameters }
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::x509::Csr;

    use super::*;
    use crate::cli::author::key::{KeyAlgorithm, NewKey};

    fn usages(names: &[&str]) -> Usages {
        Usages::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_in_the_csr() {
        let key = NewKey::generate(KeyAlgorithm::EcdsaP256).unwrap().key;
        let names = Names {
            common_name: Some("Ümläut, O=x".into()),
            dns: vec!["a.example".into(), "*.b.example".into()],
            ip: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            uri: vec!["spiffe://td/web".into()],
            email: vec!["a@b.example".into()],
        };
        let wanted = usages(&["digital signature", "cert sign", "server auth", "client auth"]);
        let csr = Csr::from_pem_or_der(&build(&names, true, &wanted, &key).unwrap()).unwrap();
        assert_eq!(csr.common_names(), ["Ümläut, O=x"]);
        assert_eq!(csr.spki_der(), key.public_key_der());
        let found: Vec<_> = csr.names().iter().map(|name| name.to_string()).collect();
        let wanted_names = [
            "DNS:a.example",
            "DNS:*.b.example",
            "IP:10.0.0.1",
            "IP:::1",
            "URI:spiffe://td/web",
            "email:a@b.example",
        ];
        assert_eq!(found, wanted_names);
        assert_eq!((csr.is_ca(), csr.contradiction(true, &wanted)), (Some(true), None));
        assert_eq!(csr.ext_key_usage(), Some(&wanted.extended));
    }

    #[test]
    fn a_csr_may_ask_for_nothing_but_a_name() {
        let key = NewKey::generate(KeyAlgorithm::Ed25519).unwrap().key;
        let names = Names { dns: vec!["a.example".into()], ..Names::default() };
        let csr = Csr::from_pem_or_der(&build(&names, false, &usages(&[]), &key).unwrap()).unwrap();
        assert_eq!((csr.is_ca(), csr.key_usage(), csr.ext_key_usage()), (None, None, None));
        assert_eq!(csr.subject_der(), [0x30, 0]);
    }

    #[test]
    fn every_bit_of_key_usage_is_kept() {
        let key = NewKey::generate(KeyAlgorithm::EcdsaP256).unwrap().key;
        for (name, _) in KEY_USAGES {
            let wanted = usages(&[name]);
            assert_eq!(bits(wanted.key_usage).map(|(name, _)| name).collect::<Vec<_>>(), [name]);
            let csr = build(&Names::default(), false, &wanted, &key).unwrap();
            let csr = Csr::from_pem_or_der(&csr).unwrap();
            assert_eq!(csr.key_usage(), Some(wanted.key_usage), "{name}");
        }
    }
}
