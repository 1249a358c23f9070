//! What a server, or a plugin, may take.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wasmtime_wasi_http::{RequestOptions, WasiHttpHooks as _};

use crate::egress::*;
use crate::testing::AGES;
use crate::testing::net::{
    Net, Plugin, call, empty, error, full, get, granted, plugin, plugin_with, send, send_with,
};
use crate::testing::server::{self, Server};

pub const URL: &str = "http://ca.example.com/";

pub async fn at(server: &Server, limits: HttpLimits) -> Plugin {
    let net = Arc::new(Net::default());
    net.public("ca.example.com", 80, server.address);
    plugin_with(net.config(), granted(&["http://ca.example.com"]), limits)
}

pub async fn answers(answer: impl Into<bytes::Bytes>) -> Plugin {
    at(&server::canned(answer).await, HttpLimits::default()).await
}

#[tokio::test]
async fn response_bodies_are_bounded() {
    let mib = 1 << 20;
    let with_length = |length: usize| {
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + length, b'x');
        answer
    };
    assert_eq!(answers(with_length(4 * mib)).await.get(URL).await.unwrap().body.len(), 4 * mib);
    assert_eq!(answers(with_length(4 * mib + 1)).await.error(URL).await, "HttpResponseBodySize");
    // Announced only: refused before a byte of it is read.
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n";
    assert_eq!(answers(huge).await.error(URL).await, "HttpResponseBodySize");
    let mut head = Request::builder().method(Method::HEAD).uri(URL).body(empty()).unwrap();
    *head.version_mut() = http::Version::HTTP_11;
    assert!(send(&mut answers(huge).await.call, head).await.is_ok(), "a response to HEAD has no body");
}

#[tokio::test]
async fn endless_bodies_end() {
    let server = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        loop {
            stream.write_all(b"1000\r\n").await?;
            stream.write_all(&[b'x'; 4096]).await?;
            stream.write_all(b"\r\n").await?;
        }
    });
    let server = server.await;
    let mut plugin = at(&server, HttpLimits::default()).await;
    assert_eq!(plugin.error(URL).await, "HttpResponseBodySize");
    server.until_open(0).await;
}

/// How a request ends whose plugin wants these times.
async fn timed(plugin: &mut Plugin, options: RequestOptions) -> String {
    error(send_with(&mut plugin.call, get(URL), Some(options)).await)
}

#[tokio::test]
async fn slow_servers_get_no_more_time_than_the_call_has() {
    let drip_head = server::scripted(|mut stream: TcpStream| async move {
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain(std::iter::repeat(&b'y')) {
            stream.write_all(&[*byte]).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    });
    let drip_body = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await?;
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let silent = server::canned("").await;
    let stuck_body = server::canned("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx").await;
    for server in [drip_head.await, drip_body.await, silent, stuck_body] {
        let mut plugin = at(&server, HttpLimits::default()).await;
        plugin.call = call(&plugin.session, &plugin.watcher, Duration::from_millis(300));
        // However much time the plugin wants.
        let forever = Some(Duration::from_nanos(u64::MAX));
        let options = RequestOptions {
            connect_timeout: forever,
            first_byte_timeout: forever,
            between_bytes_timeout: forever,
        };
        let ended = tokio::time::timeout(AGES, timed(&mut plugin, options)).await;
        assert!(ended.as_ref().is_ok_and(|code| code.ends_with("Timeout")), "{ended:?}");
        server.until_open(0).await;
    }
}

/// The end of the call would be another error, `HttpResponseTimeout`.
#[tokio::test]
async fn a_plugin_may_want_less_time() {
    let ms = |ms| Some(Duration::from_millis(ms));
    let silent = server::canned("").await;
    let mut plugin = at(&silent, HttpLimits::default()).await;
    let options = RequestOptions { first_byte_timeout: ms(100), ..RequestOptions::default() };
    assert_eq!(timed(&mut plugin, options).await, "ConnectionReadTimeout");
    // A time of zero is no time, not a panic and not for ever.
    let zero = Some(Duration::ZERO);
    let options =
        RequestOptions { connect_timeout: zero, first_byte_timeout: zero, between_bytes_timeout: zero };
    let code = timed(&mut plugin, options).await;
    assert!(["ConnectionTimeout", "ConnectionReadTimeout"].contains(&code.as_str()), "{code}");
    let stuck = server::canned("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx").await;
    let mut plugin = at(&stuck, HttpLimits::default()).await;
    let options = RequestOptions { between_bytes_timeout: ms(100), ..RequestOptions::default() };
    assert_eq!(timed(&mut plugin, options).await, "ConnectionReadTimeout");
}

/// Here, too, the end of the call would be another error.
#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    struct Hanging;
    #[async_trait::async_trait]
    impl Connector for Hanging {
        async fn connect(&self, _: std::net::SocketAddr) -> std::io::Result<Box<dyn Stream>> {
            std::future::pending().await
        }
    }
    let net = Arc::new(Net::default());
    net.name("ca.example.com", &[&["93.184.215.14"]]);
    let config = EgressConfig { connector: Arc::new(Hanging), ..net.config() };
    let limits = HttpLimits { connect_timeout: Duration::from_millis(200), ..HttpLimits::default() };
    let mut plugin = plugin_with(config, granted(&["http://ca.example.com"]), limits.clone());
    assert_eq!(plugin.error(URL).await, "ConnectionTimeout");
    // A server that accepts and never shakes hands.
    let silent = server::canned("").await;
    net.public("ca.example.com", 443, silent.address);
    let mut plugin = plugin_with(net.config(), granted(&["https://ca.example.com"]), limits);
    assert_eq!(plugin.error("https://ca.example.com/").await, "ConnectionTimeout");
    silent.until_open(0).await;
}

#[tokio::test]
async fn requests_are_counted() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    for number in 0..32 {
        // Denied ones count, so that a plugin cannot flood the log with denials.
        let url = if number % 2 == 0 { URL } else { "http://other.example.com/" };
        assert_eq!(plugin.get(url).await.is_ok(), number % 2 == 0);
    }
    assert_eq!(plugin.error(URL).await, "ConnectionLimitReached");
    assert_eq!(plugin.denials().len(), 16);
    plugin.call = call(&plugin.session, &plugin.watcher, AGES);
    assert!(plugin.get(URL).await.is_ok(), "the next call begins anew");
}

#[tokio::test]
async fn requests_at_a_time_are_counted_until_their_response_has_ended() {
    let server = server::canned("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx").await;
    let mut plugin = at(&server, HttpLimits::default()).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let sent = plugin.call.send_request(get(URL), None, Box::new(async { Ok(()) }));
        held.push(Box::into_pin(sent).await.unwrap_or_else(|error| panic!("{error}")));
    }
    assert_eq!(plugin.error(URL).await, "ConnectionLimitReached");
    held.pop();
    let sent = plugin.call.send_request(get(URL), None, Box::new(async { Ok(()) }));
    assert!(Box::into_pin(sent).await.is_ok());
}

#[tokio::test]
async fn connections_of_a_session_are_bounded() {
    let server = server::http().await;
    let net = Arc::new(Net::default());
    let limits = HttpLimits { connections: 3, ..HttpLimits::default() };
    let mut plugin = plugin_with(net.config(), granted(&["http://*.example.com"]), limits);
    for (number, host) in ["a", "b", "c", "d"].iter().enumerate() {
        net.public(&format!("{host}.example.com"), 80, server.address);
        let result = plugin.get(&format!("http://{host}.example.com/")).await;
        assert_eq!(result.is_ok(), number < 3, "{host}");
    }
    assert!(plugin.get("http://a.example.com/").await.is_ok(), "an open one is used again");
}

#[tokio::test]
async fn request_bodies_are_bounded() {
    let server = server::http().await;
    let mut plugin = at(&server, HttpLimits::default()).await;
    let post = |bytes: usize| {
        Request::builder().method(Method::POST).uri(URL).body(full(vec![b'x'; bytes])).unwrap()
    };
    assert!(send(&mut plugin.call, post(1 << 20)).await.is_ok());
    assert_eq!(error(send(&mut plugin.call, post((1 << 20) + 1)).await), "HttpRequestBodySize");
    let mut announced = post(10);
    announced.headers_mut().insert("content-length", "1048577".parse().unwrap());
    assert_eq!(error(send(&mut plugin.call, announced).await), "HttpRequestBodySize");
}

#[tokio::test]
async fn methods_that_are_not_requests_to_a_server_are_refused() {
    let server = server::http().await;
    let mut plugin = at(&server, HttpLimits::default()).await;
    let mut status = async |method: &str| {
        let request = Request::builder().method(method).uri(URL).body(empty()).unwrap();
        send(&mut plugin.call, request).await
    };
    for method in ["CONNECT", "TRACE", &"A".repeat(33)] {
        assert_eq!(error(status(method).await), "HttpRequestMethodInvalid", "{method}");
    }
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "SIGN"] {
        assert!(status(method).await.is_ok(), "{method}");
    }
    assert_eq!(plugin.error(&format!("{URL}{}", "a".repeat(9000))).await, "HttpRequestUriTooLong");
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, &vec![0; 64 << 20]).unwrap();
    let bomb = gzip.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len());
    let answer = answers([head.as_bytes(), &bomb].concat()).await.get(URL).await.unwrap();
    assert_eq!(answer.body, bomb);
}

/// HTTP/2 has header fields and frames of its own: the same limits hold, and frames without data, which cost a server
/// next to nothing, do not go on for ever (the h2 crate sees to that).
#[tokio::test]
async fn http2_has_the_same_limits() {
    use futures::StreamExt as _;
    use http_body::Frame;
    let endless = |size: usize| {
        let frame = move || Ok(Frame::data(bytes::Bytes::from(vec![b'x'; size])));
        futures::stream::repeat_with(frame).then(async |frame| {
            tokio::task::yield_now().await;
            frame
        })
    };
    let fields = |count: usize, length: usize| {
        let mut response = http::Response::builder();
        for number in 0..count {
            response = response.header(format!("x-{number}"), "y".repeat(length));
        }
        response
    };
    for (response, body, expected) in [
        (fields(99, 1), 0, "HttpProtocolError"),
        (fields(101, 1), 0, "HttpResponseHeaderSectionSize"),
        (fields(10, 7000), 0, "HttpProtocolError"),
        (fields(1, 1), 5000, "HttpResponseBodySize"),
    ] {
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let ca = server::Ca::new();
        let server = server::https_answering(ca.server("ca.example.com"), move || {
            http::Response::from_parts(parts.clone(), http_body_util::StreamBody::new(endless(body).boxed()))
        })
        .await;
        let net = Arc::new(Net::default());
        net.public("ca.example.com", 443, server.address);
        let grant = HttpGrant { roots: Some(ca.roots()), ..granted(&["https://ca.example.com"]) };
        let mut plugin = plugin_with(net.config(), grant, HttpLimits::default());
        assert_eq!(plugin.error("https://ca.example.com/").await, expected, "{:?}", plugin.failures());
    }
}
