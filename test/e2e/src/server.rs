//! HTTPS servers on loopback that stand for a CA which is slow, or refuses.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::KeyKind;
use crate::keys::Ca;

/// What a server says to every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, for as long as the client waits.
    Nothing,
    /// This status with this body.
    Status(u16, &'static str),
}

/// A server. It ends when it is dropped.
pub struct Server {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// The certificate of the CA that it has its own from, PEM. Nobody trusts it unless told to.
    pub ca: String,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens with a new certificate of a new CA.
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let ca = Ca::root("a private CA", KeyKind::P256);
        let (certificate, key) = ca.server("127.0.0.1");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("a version of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], PrivatePkcs8KeyDer::from(key).into())
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), connection, answer));
            }
        });
        Self { url, ca: ca.certificate, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. What breaks it is the client's, which a test looks at.
async fn serve(acceptor: TlsAcceptor, connection: TcpStream, answer: Answer) {
    let Ok(mut connection) = acceptor.accept(connection).await else { return };
    let mut request = [0; 16 << 10];
    if let Answer::Status(status, body) = answer
        && connection.read(&mut request).await.is_ok()
    {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let _ = connection.write_all(answer.as_bytes()).await;
    }
    // To the end: a connection that is closed with something unread is reset, and the answer lost.
    while connection.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {}
}
