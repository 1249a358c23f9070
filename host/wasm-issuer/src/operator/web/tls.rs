//! The certificate of the metrics' own port: from a folder that is read again and again, because certificates are renewed
//! while the operator runs, or one that the operator makes for itself, as controller-runtime does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};

/// How often the files are read.
const INTERVAL: Duration = Duration::from_secs(10);
const MAX_FILE: u64 = 1 << 20;
/// What a kubelet mounts of a Secret of type kubernetes.io/tls.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Why there is no certificate to serve with.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// A file holds something else.
    #[error("{0} is not PEM: {1}")]
    Pem(PathBuf, rustls::pki_types::pem::Error),
    /// The two do not belong together, for instance.
    #[error("cannot serve with that certificate and key: {0}")]
    Unusable(#[from] rustls::Error),
    /// The operator could not make its own.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// The certificate that is served now. Clones are the same one.
#[derive(Clone)]
pub struct ServingCertificate(watch::Receiver<Arc<ServerConfig>>);

impl ServingCertificate {
    /// One that this process makes for itself. Clients have nothing to compare it with: it keeps who only listens from
    /// reading along, and nobody else.
    pub fn self_signed(name: &str) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned(), "localhost".to_owned()])?;
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let day = |date: jiff::civil::Date| {
            rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        params.not_before = day(today.saturating_sub(1.day()));
        params.not_after = day(today.saturating_add(10.years()));
        let certificate = params.self_signed(&key)?;
        let key =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| rustls::Error::General(e.to_owned()))?;
        let config = config(vec![certificate.der().clone()], key)?;
        Ok(Self(watch::channel(config).1))
    }

    /// The one in a folder, and a future that goes on reading it. Fails if there is none.
    pub fn in_folder(folder: &Path) -> Result<(Self, impl Future<Output = ()> + Send + use<>), TlsError> {
        let mut last = read(folder)?;
        let (sender, receiver) = watch::channel(parse(folder, &last)?);
        let folder = folder.to_owned();
        let follow = async move {
            loop {
                sleep(INTERVAL).await;
                let (path, before) = (folder.clone(), last.clone());
                let looked = tokio::task::spawn_blocking(move || {
                    let found = read(&path)?;
                    let changed = if found == before { None } else { Some(parse(&path, &found)?) };
                    Ok::<_, TlsError>((found, changed))
                });
                match looked.await {
                    Ok(Ok((found, Some(config)))) => {
                        info!(folder = %folder.display(), "the metrics are served with another certificate now");
                        last = found;
                        sender.send_replace(config);
                    }
                    // The two files change one after the other: the next look sees both.
                    Ok(Err(error)) => {
                        error!(folder = %folder.display(), %error, "the certificate before is still served");
                    }
                    _ => {}
                }
            }
        };
        Ok((Self(receiver), follow))
    }

    /// The server's part of a handshake.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.0.borrow().clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// The contents of both files.
type Files = (Vec<u8>, zeroize::Zeroizing<Vec<u8>>);

fn read(folder: &Path) -> Result<Files, TlsError> {
    let read = |name: &str| {
        let path = folder.join(name);
        let mut content = Vec::new();
        std::fs::File::open(&path)
            .and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE), &mut content))
            .map_err(|error| TlsError::Read(path, error))?;
        Ok::<_, TlsError>(content)
    };
    Ok((read(CERTIFICATE)?, read(KEY)?.into()))
}

fn parse(folder: &Path, (certificate, key): &Files) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| TlsError::Pem(folder.join(CERTIFICATE), error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Pem(folder.join(KEY), error))?;
    config(chain, key)
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
