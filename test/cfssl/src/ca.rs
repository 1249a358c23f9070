//! The CAs: those that the servers sign with, and the one of their own certificates.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};

/// The kind of a CA's key.
#[derive(Clone, Copy)]
pub enum Kind {
    P256,
    Rsa2048,
}

pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// A self-signed CA with a new P-256 key and no limit on what is below it.
    pub fn root(common_name: &str) -> Self {
        let params = params(common_name, BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key(Kind::P256)).expect("a root"))
    }

    /// A CA that this one has signed, with room for one more below it.
    pub fn below(&self, common_name: &str, kind: Kind) -> Self {
        let mut params = params(common_name, BasicConstraints::Constrained(1));
        params.use_authority_key_identifier_extension = true;
        Self(CertifiedIssuer::signed_by(params, key(kind), &self.0).expect("an intermediate"))
    }

    /// A certificate for a server on this machine, and its key, both PEM.
    pub fn server_certificate(&self) -> (String, String) {
        let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("host names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = key(Kind::P256);
        let certificate = params.signed_by(&key, &self.0).expect("a server certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Its own certificate, without those above it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// The private key, PKCS#8.
    pub fn key_pem(&self) -> String {
        self.0.key().serialize_pem()
    }
}

fn key(kind: Kind) -> KeyPair {
    match kind {
        Kind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        Kind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
    .expect("a new key")
}

fn params(common_name: &str, constraints: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    // The default has a common name, whose place a new one would take.
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "wasm-issuer");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
