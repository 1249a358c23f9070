//! TLS to the servers: whom to trust, and who the client is.
//!
//! Public CAs come compiled in (Mozilla's list, `webpki-roots`): the operator's image holds nothing but the operator, so
//! there is no bundle of a system to read, and what is trusted depends on the release alone. Everything else is said by
//! the Issuer, with a CA bundle of its own *in place of* the public CAs.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use wasm_issuer_core::x509::pem::{self, Block};
use zeroize::Zeroizing;

/// A public bundle of all CAs has around 150.
const MAX_ROOTS: usize = 512;
const MAX_CHAIN: usize = 16;

/// Where a value was read from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueLocation {
    /// The namespace of what messages call the Secret.
    pub namespace: String,
    /// The name of what messages call the Secret.
    pub secret: String,
    /// The key that the value is found by.
    pub key: String,
}

impl fmt::Display for ValueLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of the Secret {}/{}", self.key, self.namespace, self.secret)
    }
}

/// Why a Secret's value is not what TLS needs. Says where the value is, and never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {problem}")]
pub struct TlsInputError {
    /// Where the value was read from.
    pub location: ValueLocation,
    problem: String,
}

impl TlsInputError {
    fn new(location: &ValueLocation, problem: impl fmt::Display) -> Self {
        Self { location: location.clone(), problem: problem.to_string() }
    }
}

/// The CAs that servers' certificates must chain to.
#[derive(Clone)]
pub struct Roots(Arc<RootCertStore>);

impl Roots {
    /// The certificates of a PEM text, and no others.
    pub fn from_pem(pem: &[u8], location: &ValueLocation) -> Result<Self, TlsInputError> {
        let mut store = RootCertStore::empty();
        for (index, certificate) in certificates(pem, MAX_ROOTS, location)?.into_iter().enumerate() {
            store.add(certificate).map_err(|error| {
                TlsInputError::new(location, format_args!("certificate {} is of no use: {error}", index + 1))
            })?;
        }
        Ok(Self(Arc::new(store)))
    }

    /// The CAs that browsers trust.
    pub fn public() -> Self {
        static PUBLIC: LazyLock<Roots> = LazyLock::new(|| {
            Roots(Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }))
        });
        PUBLIC.clone()
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

/// A client certificate with its key.
#[derive(Clone)]
pub struct ClientIdentity(Arc<CertifiedKey>);

impl ClientIdentity {
    /// A chain, leaf first, and the leaf's private key: PEM (PKCS#8, SEC 1 or PKCS#1).
    pub fn from_pem(
        chain: (&[u8], &ValueLocation),
        private_key: (&[u8], &ValueLocation),
    ) -> Result<Self, TlsInputError> {
        let certificates = certificates(chain.0, MAX_CHAIN, chain.1)?;
        let (pem, location) = private_key;
        let key =
            aws_lc_rs::default_provider().key_provider.load_private_key(parse_key(pem, location)?).map_err(
                |_| TlsInputError::new(location, "the private key is of a kind that TLS does not use"),
            )?;
        let identity = CertifiedKey::new(certificates, key);
        identity.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsInputError::new(
                location,
                format_args!("it is not the key of the certificate in {}", chain.1),
            ),
            error => TlsInputError::new(chain.1, format_args!("the first certificate is of no use: {error}")),
        })?;
        Ok(Self(Arc::new(identity)))
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

fn certificates(
    pem: &[u8],
    max: usize,
    location: &ValueLocation,
) -> Result<Vec<CertificateDer<'static>>, TlsInputError> {
    let wrong = |error: pem::PemError| TlsInputError::new(location, error);
    let (blocks, _) = pem::blocks(pem, max).map_err(wrong)?;
    let der = |block: &Block<'_>| match block.label {
        "CERTIFICATE" => Ok(CertificateDer::from(block.decode().map_err(wrong)?.to_vec())),
        _ => Err(TlsInputError::new(
            location,
            format_args!(
                "it holds a PEM block `{}`, but only certificates belong here",
                block.printable_label()
            ),
        )),
    };
    blocks.iter().map(der).collect()
}

fn parse_key(pem: &[u8], location: &ValueLocation) -> Result<PrivateKeyDer<'static>, TlsInputError> {
    let wrong = |error: pem::PemError| TlsInputError::new(location, error);
    let (blocks, _) = pem::blocks(pem, 2).map_err(wrong)?;
    // OpenSSL puts the curve in front of the key.
    let Some(block) = blocks.iter().find(|block| block.label != "EC PARAMETERS") else {
        return Err(TlsInputError::new(location, "it holds no private key"));
    };
    if block.label == "ENCRYPTED PRIVATE KEY" || block.has_headers() {
        return Err(TlsInputError::new(
            location,
            "the private key is encrypted: store it without a password",
        ));
    }
    let der: Zeroizing<Vec<u8>> = block.decode().map_err(wrong)?;
    match block.label {
        "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(der.to_vec().into())),
        "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(der.to_vec().into())),
        "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(der.to_vec().into())),
        _ => Err(TlsInputError::new(
            location,
            format_args!("it holds a PEM block `{}`, not a private key", block.printable_label()),
        )),
    }
}

/// A configuration that resumes no sessions: a server's tickets and certificates would stay in memory, up to 128 KiB each, and
/// connections are kept for a while anyway.
pub fn config(
    roots: Option<&Roots>,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, rustls::Error> {
    let Roots(roots) = roots.cloned().unwrap_or_else(Roots::public);
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(ClientIdentity(identity)) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.clone())))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
