//! What is left when a call or a session ends: nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wasmtime_wasi_http::WasiHttpHooks as _;

use crate::egress::*;
use crate::testing::net::{Net, Plugin, call, get, granted, plugin, plugin_with, send};
use crate::testing::server::{self, Ca};
use crate::testing::{AGES, until};

const URL: &str = "http://ca.example.com/";

#[tokio::test]
async fn calls_of_a_session_share_connections_and_sessions_do_not() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let mut first = plugin(&net, &["http://ca.example.com"]);
    assert!(first.get(URL).await.is_ok());
    first.call = call(&first.session, &first.watcher, AGES);
    assert!(first.get(URL).await.is_ok());
    assert_eq!(server.accepted(), 1);
    let mut second = plugin(&net, &["http://ca.example.com"]);
    assert!(second.get(URL).await.is_ok());
    assert_eq!(server.accepted(), 2);
    // An idle connection ends with its session, and no other does.
    server.until_open(2).await;
    drop(first);
    server.until_open(1).await;
    assert!(second.get(URL).await.is_ok());
    assert_eq!(server.accepted(), 2);
}

/// HTTP/2 connections are shared by requests at the same time, and TLS has sessions to resume: neither across sessions.
#[tokio::test]
async fn sessions_do_not_share_http2_connections_or_tls_sessions() {
    let net = Arc::new(Net::default());
    let ca = Ca::new();
    let mut config = ca.server("ca.example.com");
    let resumed = Arc::new(Mutex::new(Vec::new()));
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(32);
    let server = server::https_with(config, resumed.clone()).await;
    net.public("ca.example.com", 443, server.address);
    let grant = || HttpGrant { roots: Some(ca.roots()), ..granted(&["https://ca.example.com"]) };
    let open = || plugin_with(net.config(), grant(), HttpLimits::default());
    let (mut first, mut second) = (open(), open());
    for _ in 0..2 {
        for plugin in [&mut first, &mut second] {
            assert_eq!(plugin.get("https://ca.example.com/").await.unwrap().headers["x-version"], "2");
        }
    }
    assert_eq!(server.accepted(), 2);
    assert_eq!(*resumed.lock().unwrap(), [false, false]);
    drop((first, second));
    server.until_open(0).await;
}

#[tokio::test]
async fn a_request_in_flight_ends_with_its_call() {
    let net = Arc::new(Net::default());
    let silent = server::canned("").await;
    net.public("ca.example.com", 80, silent.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    let sent = plugin.call.send_request(get(URL), None, Box::new(async { Ok(()) }));
    let request = tokio::spawn(Box::into_pin(sent));
    silent.until_open(1).await;
    plugin.call = call(&plugin.session, &plugin.watcher, AGES);
    // Even if nobody drops the request itself.
    let result = tokio::time::timeout(AGES, request).await.unwrap().unwrap();
    assert!(result.is_err());
    silent.until_open(0).await;
}

#[tokio::test]
async fn a_response_that_is_not_read_ends_with_its_call() {
    let net = Arc::new(Net::default());
    let server = server::canned("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx").await;
    net.public("ca.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    let sent = plugin.call.send_request(get(URL), None, Box::new(async { Ok(()) }));
    let (response, _) = Box::into_pin(sent).await.unwrap_or_else(|error| panic!("{error}"));
    server.until_open(1).await;
    let Plugin { call, session, .. } = plugin;
    drop(call);
    let body = response.into_body().collect().await;
    assert!(body.is_err(), "what is left of it is no longer to be had");
    server.until_open(0).await;
    drop(session);
}

/// When a plugin is stopped in the middle of a body, its half of the body is dropped, which looks like the body's end.
/// The server must not take the half that it got for the whole.
#[tokio::test]
async fn half_a_request_never_looks_whole() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let server = server::scripted({
        let received = received.clone();
        move |mut stream: TcpStream| {
            let received = received.clone();
            async move {
                // Early, so that nothing but the body is left of the request.
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await?;
                let mut bytes = [0; 1024];
                loop {
                    let read = stream.read(&mut bytes).await?;
                    received.lock().unwrap().extend_from_slice(&bytes[..read]);
                    if read == 0 {
                        return Ok(());
                    }
                }
            }
        }
    })
    .await;
    let net = Arc::new(Net::default());
    net.public("ca.example.com", 80, server.address);
    let plugin = plugin(&net, &["http://ca.example.com"]);
    let Plugin { mut call, session: _session, .. } = plugin;
    let (mut writer, reader) = mpsc::channel::<Result<Frame<Bytes>, wasmtime_wasi_http::Error>>(1);
    let request =
        Request::builder().method("POST").uri(URL).body(StreamBody::new(reader).boxed_unsync()).unwrap();
    let sent = call.send_request(request, None, Box::new(async { Ok(()) }));
    writer.try_send(Ok(Frame::data(Bytes::from_static(b"half")))).unwrap();
    let response = Box::into_pin(sent).await.unwrap_or_else(|error| panic!("{error}"));
    let text = || String::from_utf8(received.lock().unwrap().clone()).unwrap();
    until("half of the body arrives", || text().contains("half")).await;
    // The order of things at the end of a call.
    drop(call);
    drop(writer);
    server.until_open(0).await;
    drop(response);
    let text = text();
    assert!(text.contains("half") && !text.contains("0\r\n\r\n"), "{text:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let net = Arc::new(Net::default());
    let server = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    })
    .await;
    net.public("ca.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    for _ in 0..3 {
        assert!(send(&mut plugin.call, get(URL)).await.is_ok());
        server.until_open(0).await;
        // For the client to see that, too.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.accepted(), 3);
}
