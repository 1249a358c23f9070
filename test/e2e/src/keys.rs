//! Keys of requests and of CAs, and CA certificates.

use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    RsaKeySize, SigningKey,
};

use crate::der;

/// The keys that requests and CAs may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeyKind {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    Ed25519,
}

/// The key pair of a request or a CA.
#[derive(Clone)]
pub struct Key {
    kind: KeyKind,
    pair: Arc<KeyPair>,
}

static RSA_2048: LazyLock<Key> = LazyLock::new(|| Key::generate(KeyKind::Rsa2048));
static RSA_3072: LazyLock<Key> = LazyLock::new(|| Key::generate(KeyKind::Rsa3072));
static RSA_4096: LazyLock<Key> = LazyLock::new(|| Key::generate(KeyKind::Rsa4096));

impl Key {
    /// A new key; RSA ones are made once for all tests, because that takes long.
    pub fn new(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa2048 => RSA_2048.clone(),
            KeyKind::Rsa3072 => RSA_3072.clone(),
            KeyKind::Rsa4096 => RSA_4096.clone(),
            _ => Self::generate(kind),
        }
    }

    /// A new key of the most usual kind.
    pub fn p256() -> Self {
        Self::new(KeyKind::P256)
    }

    fn generate(kind: KeyKind) -> Self {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match kind {
            KeyKind::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyKind::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyKind::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        Self { kind, pair: Arc::new(pair.expect("a new key")) }
    }

    /// The private key: PKCS#8, PEM.
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// A signature over a message, as X.509 has it.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).expect("a signature")
    }

    /// The AlgorithmIdentifier of [`Key::sign`], DER.
    pub fn signature_algorithm(&self) -> Vec<u8> {
        match self.kind {
            KeyKind::P256 => der::sequence(&[&der::oid("1.2.840.10045.4.3.2")]),
            KeyKind::P384 => der::sequence(&[&der::oid("1.2.840.10045.4.3.3")]),
            KeyKind::P521 => der::sequence(&[&der::oid("1.2.840.10045.4.3.4")]),
            KeyKind::Ed25519 => der::sequence(&[&der::oid("1.3.101.112")]),
            _ => der::sequence(&[&der::oid("1.2.840.113549.1.1.11"), &der::tlv(0x05, &[])]),
        }
    }
}

/// A CA of a test's own.
pub struct Ca {
    /// Its certificate, PEM.
    pub certificate: String,
    /// The key that it signs with.
    pub key: Key,
    params: CertificateParams,
}

impl Ca {
    /// A self-signed CA with a new key and no limit on what is below it.
    pub fn root(name: &str, kind: KeyKind) -> Self {
        let (params, key) = (params(name), Key::new(kind));
        let certificate = params.self_signed(&*key.pair).expect("a root").pem();
        Self { certificate, key, params }
    }

    /// An intermediate below this one.
    pub fn below(&self, name: &str, kind: KeyKind) -> Self {
        let (params, key) = (params(name), Key::new(kind));
        let issuer = Issuer::from_params(&self.params, &*self.key.pair);
        let certificate = params.signed_by(&*key.pair, &issuer).expect("an intermediate").pem();
        Self { certificate, key, params }
    }

    /// A server's certificate and its key (PKCS#8), DER. `host` is a DNS name or an address.
    pub fn server(&self, host: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().expect("a new key");
        let issuer = Issuer::from_params(&self.params, &*self.key.pair);
        let leaf = CertificateParams::new([host.to_owned()]).expect("a host name");
        let certificate = leaf.signed_by(&key, &issuer).expect("a certificate").der().to_vec();
        (certificate, key.serialize_der())
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A certificate (DER) for a host, signed with a CA's key; `name` is the CA's common name, a UTF8String.
pub fn leaf_below(name: &str, ca_key: &Key, host: &str) -> Vec<u8> {
    let ca = params(name);
    let issuer = Issuer::from_params(&ca, &*ca_key.pair);
    let leaf = CertificateParams::new([host.to_owned()]).expect("a host name");
    leaf.signed_by(&KeyPair::generate().expect("a new key"), &issuer).expect("a leaf").der().to_vec()
}
