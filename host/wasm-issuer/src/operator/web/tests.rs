//! What anybody who can connect may do to the servers.

use std::sync::Arc;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;

/// A server of one word, and where it is.
async fn server(certificate: Option<ServingCertificate>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(async || "hello")).route("/long", get(async || vec![b'x'; LONG]));
    tokio::spawn(serve_on(listener, certificate, app));
    address
}

/// From another address of this machine, as another pod would.
async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn ask(mut stream: TcpStream, head: &str) -> String {
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// More than sockets hold.
const LONG: usize = 32 << 20;

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn an_address_that_holds_connections_leaves_room_for_others() {
    let server = server(None).await;
    let mut held = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        held.push(connect("127.0.0.2", server).await);
    }
    assert_eq!(ask(connect("127.0.0.2", server).await, GET).await, "", "it has its share");
    let answer = ask(connect("127.0.0.3", server).await, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_is_closed_and_so_is_one_that_does_not_end_its_request() {
    let address = server(None).await;
    for begun in ["", "GET / HTTP/1.1\r\nhost: "] {
        let started = Instant::now();
        let answer = ask(connect("127.0.0.1", address).await, begun).await;
        assert!(started.elapsed() < 2 * PATIENCE && !answer.contains("200"), "{begun}: {answer}");
    }
    let started = Instant::now();
    let address = server(Some(ServingCertificate::self_signed("test").unwrap())).await;
    assert_eq!(ask(connect("127.0.0.1", address).await, "").await, "");
    assert!(started.elapsed() < 2 * PATIENCE, "a handshake that is not begun");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_is_given_up() {
    let mut stream = connect("127.0.0.1", server(None).await).await;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(LIFE + Duration::from_secs(1)).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!((1..LONG).contains(&answer.len()), "{}", answer.len());
}

#[tokio::test]
async fn a_request_that_is_too_much_is_refused() {
    let address = server(None).await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", "a".repeat(2 * HEAD));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(FIELDS));
    for head in [long, many] {
        let answer = ask(connect("127.0.0.1", address).await, &head).await;
        assert!(!answer.contains("200") && !answer.contains("hello"), "{answer}");
    }
    let token =
        format!("GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", "a".repeat(HEAD / 4));
    assert!(ask(connect("127.0.0.1", address).await, &token).await.ends_with("hello"));
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
        certificate.der().to_vec()
    };
    assert!(ServingCertificate::in_folder(folder.path()).is_err());
    let first = write("first");
    let (certificate, renewal) = ServingCertificate::in_folder(folder.path()).unwrap();
    let address = server(Some(certificate)).await;
    assert_eq!(served(address).await, first);
    tokio::time::pause();
    tokio::spawn(renewal);
    let second = write("second");
    sleep(Duration::from_secs(25)).await;
    assert_eq!(served(address).await, second);
    std::fs::write(folder.path().join("tls.key"), "no key").unwrap();
    sleep(Duration::from_secs(25)).await;
    assert_eq!(served(address).await, second);
}

#[tokio::test]
async fn an_address_has_few_handshakes_in_a_second() {
    let address = server(Some(ServingCertificate::self_signed("test").unwrap())).await;
    let (began, mut made) = (std::time::Instant::now(), 0);
    while began.elapsed() < LEAST * 6 / 5 {
        made += usize::from(handshake(address).await.is_ok());
    }
    // However slow this machine is, there are no more.
    let rounds = began.elapsed().as_millis() / LEAST.as_millis() + 1;
    assert!((1..=rounds as usize * CONNECTIONS / 2).contains(&made), "{made} in {rounds} rounds");
}

/// The certificate that a client sees.
async fn served(address: SocketAddr) -> Vec<u8> {
    handshake(address).await.unwrap()
}

async fn handshake(address: SocketAddr) -> io::Result<Vec<u8>> {
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, TcpStream::connect(address).await?).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

/// Takes whatever is served: the test compares it itself.
#[derive(Debug)]
struct AnyServer;

mod any_server {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::AnyServer {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
