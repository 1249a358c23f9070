//! What a server may send before the body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::caps::{URL, answers, at};
use crate::egress::*;
use crate::testing::net::{Net, error, granted, plugin_with};
use crate::testing::server;

const TOO_MUCH: &str = "HttpResponseHeaderSectionSize";

/// Under limits unlike those that the HTTP library has by itself (100 fields, 400 KiB), and below the least that it can
/// be told (8 KiB): each wall has bombs that the other one lets pass.
#[tokio::test]
async fn header_bombs_are_refused() {
    for (headers, header_bytes, largest) in [
        (10, 64 << 10, (9, 1)),
        (200, 64 << 10, (199, 1)),
        (100, 1 << 10, (1, 990)),
        (100, 512 << 10, (1, 500_000)),
    ] {
        let limits = HttpLimits { headers, header_bytes, ..HttpLimits::default() };
        let answered = async |(count, length): (usize, usize)| {
            let fields: String =
                (0..count).map(|i| format!("x-{i:03}: {}\r\n", "y".repeat(length))).collect();
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n");
            at(&server::canned(answer).await, limits.clone()).await.get(URL).await
        };
        let (count, length) = largest;
        answered(largest).await.unwrap_or_else(|error| panic!("{largest:?}: {error}"));
        let larger = if count > 1 { (count + 1, length) } else { (count, length + length / 10) };
        assert_eq!(error(answered(larger).await), TOO_MUCH, "{larger:?}");
    }
}

/// At the other end of a pipe that holds next to nothing, so that what it has sent was read: a header field without end.
#[derive(Default)]
struct EndlessField {
    sent: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Connector for EndlessField {
    async fn connect(&self, _: std::net::SocketAddr) -> std::io::Result<Box<dyn Stream>> {
        let (near, mut far) = tokio::io::duplex(1024);
        let sent = self.sent.clone();
        tokio::spawn(async move {
            far.read_u8().await?;
            far.write_all(b"HTTP/1.1 200 OK\r\nx: ").await?;
            loop {
                far.write_all(&[b'y'; 1024]).await?;
                sent.fetch_add(1024, Ordering::Relaxed);
            }
            #[expect(unreachable_code, reason = "tells the type of the errors")]
            Ok::<_, std::io::Error>(())
        });
        Ok(Box::new(near))
    }
}

#[tokio::test]
async fn an_endless_header_field_is_read_no_further_than_the_limit() {
    let net = Arc::new(Net::default());
    net.name("ca.example.com", &[&["93.184.215.14"]]);
    let server = Arc::new(EndlessField::default());
    let config = EgressConfig { connector: server.clone(), ..net.config() };
    let mut plugin = plugin_with(config, granted(&["http://ca.example.com"]), HttpLimits::default());
    assert_eq!(plugin.error(URL).await, TOO_MUCH);
    let read = server.sent.load(Ordering::Relaxed);
    assert!((60 << 10..=68 << 10).contains(&read), "{read} bytes");
}

#[tokio::test]
async fn what_is_no_response_is_an_error() {
    for nonsense in ["\0\0\0\0\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n", "HTTP/9.9 200 OK\r\n\r\n", ""] {
        let server = server::scripted(move |mut stream: TcpStream| async move {
            stream.write_all(nonsense.as_bytes()).await
        });
        let code = at(&server.await, HttpLimits::default()).await.error(URL).await;
        assert!(
            ["HttpProtocolError", "ConnectionTerminated"].contains(&code.as_str()),
            "{nonsense:?}: {code}"
        );
    }
}

#[tokio::test]
async fn trailers_are_bounded_too() {
    let fields: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    let bomb = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n1\r\nx\r\n0\r\n{fields}\r\n"
    );
    assert!(answers(bomb).await.get(URL).await.is_err());
}
