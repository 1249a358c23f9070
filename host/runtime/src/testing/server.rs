//! Servers on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::until;
use crate::egress::{Roots, ValueLocation};

/// A server and how many connections were made to it, and are open.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Server {
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until so many connections are open.
    pub async fn until_open(&self, count: usize) {
        until(&format!("{count} open connections"), || self.open() == count).await;
    }

    async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), accepted: Arc::default(), open: Arc::default() };
        let counts = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                counts.open.fetch_add(1, Ordering::SeqCst);
                let open = counts.open.clone();
                let serving = serve(stream);
                tokio::spawn(async move {
                    serving.await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }
}

/// Answers each request with what it was: the request line, each header, the body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut text = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    let is_h2 = request.version() == Version::HTTP_2;
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    text.push_str(&format!("\n{}", String::from_utf8_lossy(&body)));
    let response = Response::builder().header("x-version", if is_h2 { "2" } else { "1" });
    Ok(response.body(Full::from(text)).unwrap())
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().max_buf_size(1 << 20);
    let _ = server.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
}

/// An HTTP server that echoes.
pub async fn http() -> Server {
    Server::listen(serve_http).await
}

/// An HTTPS server that echoes.
pub async fn https(config: ServerConfig) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve_http(stream).await;
            }
        }
    })
    .await
}

/// An HTTPS server that echoes, and notes of each connection whether its TLS session was resumed.
pub async fn https_with(config: ServerConfig, resumed: Arc<Mutex<Vec<bool>>>) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::listen(move |stream| {
        let (acceptor, resumed) = (acceptor.clone(), resumed.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let kind = stream.get_ref().1.handshake_kind();
                resumed.lock().unwrap().push(kind == Some(rustls::HandshakeKind::Resumed));
                serve_http(stream).await;
            }
        }
    })
    .await
}

/// An HTTP/2 server that gives this answer.
pub async fn https_answering<B>(
    config: ServerConfig,
    answer: impl Fn() -> Response<B> + Clone + Send + Sync + 'static,
) -> Server
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::listen(move |stream| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |_| std::future::ready(Ok::<_, Infallible>(answer())));
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

/// A server that does what it is told with a connection.
pub async fn raw<F>(script: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> Server
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    Server::listen(move |stream| {
        let serving = script(stream);
        async move {
            let _ = serving.await;
        }
    })
    .await
}

/// A server that reads the head of a request and then does what it is told with the connection.
pub async fn scripted<F>(script: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> Server
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    Server::listen(move |mut stream| {
        let script = script.clone();
        async move {
            read_head(&mut stream).await;
            let _ = script(stream).await;
        }
    })
    .await
}

/// A server that answers with these bytes and then waits for the client to go.
pub async fn canned(answer: impl Into<Bytes>) -> Server {
    let answer = answer.into();
    scripted(move |mut stream| {
        let answer = answer.clone();
        async move {
            stream.write_all(&answer).await?;
            drain(&mut stream).await;
            Ok(())
        }
    })
    .await
}

/// Read to the end of a request's header fields.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Read until the client closes.
pub async fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    rest
}

/// A CA and what it signs.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key, PEM both.
    pub fn issue(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub fn roots(&self) -> Roots {
        Roots::from_pem(self.pem.as_bytes(), &key_name("ca.crt")).unwrap()
    }

    /// A server for a name.
    pub fn server(&self, name: &str) -> ServerConfig {
        server_config(&self.issue(&[name], |_| {}), None)
    }
}

pub fn key_name(key: &str) -> ValueLocation {
    ValueLocation { namespace: "team-a".into(), secret: "pki".into(), key: key.into() }
}

/// A server with a certificate, which asks for client certificates of a CA if one is given.
pub fn server_config((chain, key): &(String, String), clients: Option<&Ca>) -> ServerConfig {
    use rustls::pki_types::pem::PemObject as _;
    let chain = rustls::pki_types::CertificateDer::pem_slice_iter(chain.as_bytes());
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            let ca = rustls::pki_types::CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap();
            roots.add(ca).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
