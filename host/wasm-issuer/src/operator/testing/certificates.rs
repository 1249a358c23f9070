//! The certificates of scripted plugins.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use wasm_issuer_core::issuance::signer::Signed;

use super::objects::{KEY, params};

struct Ca {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

static CA: LazyLock<Ca> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Scripted CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    Ca { certificate, issuer: Issuer::new(params, key) }
});

/// A new certificate for the tests' requests.
pub fn certificate() -> Signed {
    signed(params())
}

pub fn forgery() -> Signed {
    let mut params = params();
    params.subject_alt_names.push(SanType::DnsName("evil.example.com".try_into().unwrap()));
    signed(params)
}

pub fn certificate_with_another_ca() -> Signed {
    let Signed { chain, ca } = certificate();
    Signed { chain, ca: ca.map(|ca| ANOTHER_CA.clone() + &ca) }
}

pub fn certificate_in_text() -> Signed {
    let Signed { chain, ca } = certificate();
    Signed { chain: "Text is ignored.\n".repeat(2_000) + &chain, ca }
}

/// A CA certificate, PEM, that has signed nothing.
pub static ANOTHER_CA: LazyLock<String> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Another CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.serial_number = Some(7.into());
    params.self_signed(&*KEY).unwrap().pem()
});

/// A certificate with a serial number of its own.
fn signed(mut params: CertificateParams) -> Signed {
    static SERIALS: AtomicU64 = AtomicU64::new(1);
    params.serial_number = Some(SERIALS.fetch_add(1, Ordering::Relaxed).into());
    let leaf = params.signed_by(&*KEY, &CA.issuer).unwrap().pem();
    Signed { chain: leaf, ca: Some(CA.certificate.clone()) }
}
