//! Makes CSRs as cert-manager makes them: names, key usages and, for a CA, basic constraints.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use wasm_issuer_core::x509::Usages;

/// Whom a CSR is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// DNS names, in ASCII.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ip: Vec<IpAddr>,
    /// URIs, in ASCII.
    pub uri: Vec<String>,
    /// Email addresses, in ASCII.
    pub email: Vec<String>,
}

/// rcgen's key usages by cert-manager's names.
const PURPOSES: [(&str, KeyUsagePurpose); 9] = [
    ("digital signature", KeyUsagePurpose::DigitalSignature),
    ("content commitment", KeyUsagePurpose::ContentCommitment),
    ("key encipherment", KeyUsagePurpose::KeyEncipherment),
    ("data encipherment", KeyUsagePurpose::DataEncipherment),
    ("key agreement", KeyUsagePurpose::KeyAgreement),
    ("cert sign", KeyUsagePurpose::KeyCertSign),
    ("crl sign", KeyUsagePurpose::CrlSign),
    ("encipher only", KeyUsagePurpose::EncipherOnly),
    ("decipher only", KeyUsagePurpose::DecipherOnly),
];

/// A CSR, DER. Names that are not ASCII are an error.
pub fn build(names: &Names, is_ca: bool, usages: &Usages, key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut subject = DistinguishedName::new();
    if let Some(name) = &names.common_name {
        subject.push(DnType::CommonName, name);
    }
    let purpose = |name| PURPOSES.iter().find(|(known, _)| *known == name).map(|(_, purpose)| *purpose);
    let extended = usages.extended.iter().map(|oid| oid.arcs().map(u64::from).collect());
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.subject_alt_names = alternative_names(names)?;
    params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
    params.key_usages = usages.key_usage.names().filter_map(purpose).collect();
    params.extended_key_usages = extended.map(ExtendedKeyUsagePurpose::Other).collect();
    Ok(params.serialize_request(key)?.der().to_vec())
}

fn alternative_names(names: &Names) -> Result<Vec<SanType>, rcgen::Error> {
    let mut all = Vec::new();
    for name in &names.dns {
        all.push(SanType::DnsName(name.as_str().try_into()?));
    }
    all.extend(names.ip.iter().copied().map(SanType::IpAddress));
    for uri in &names.uri {
        all.push(SanType::URI(uri.as_str().try_into()?));
    }
    for email in &names.email {
        all.push(SanType::Rfc822Name(email.as_str().try_into()?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::x509::Csr;

    use super::*;

    fn usages(names: &[&str]) -> Usages {
        Usages::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn csr(names: &Names, is_ca: bool, usages: &Usages) -> Csr {
        let key = KeyPair::generate().unwrap();
        let csr = Csr::from_pem_or_der(&build(names, is_ca, usages, &key).unwrap()).unwrap();
        assert_eq!(csr.spki_der(), rcgen::PublicKeyData::subject_public_key_info(&key));
        csr
    }

    #[test]
    fn what_is_asked_for_is_in_the_csr() {
        let names = Names {
            common_name: Some("Ümläut, O=x".into()),
            dns: vec!["a.example".into(), "*.b.example".into()],
            ip: vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            uri: vec!["spiffe://td/web".into()],
            email: vec!["a@b.example".into()],
        };
        let wanted =
            usages(&["digital signature", "cert sign", "server auth", "client auth", "netscape sgc"]);
        let csr = csr(&names, true, &wanted);
        assert_eq!(csr.common_names(), ["Ümläut, O=x"]);
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
        let names = Names { dns: vec!["a.example".into()], ..Names::default() };
        let csr = csr(&names, false, &usages(&[]));
        assert_eq!((csr.is_ca(), csr.key_usage(), csr.ext_key_usage()), (None, None, None));
        assert_eq!(csr.subject_der(), [0x30, 0]);
    }

    #[test]
    fn every_key_usage_is_kept() {
        let names = Names { dns: vec!["a.example".into()], ..Names::default() };
        for (name, _) in PURPOSES {
            let wanted = usages(&[name]);
            assert_eq!(csr(&names, false, &wanted).key_usage(), Some(wanted.key_usage), "{name}");
        }
    }
}
