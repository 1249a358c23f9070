use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use zeroize::Zeroizing;

use crate::egress::Place;
use crate::testing::net::{Net, Plugin, call, empty, error, full, plugin, send};
use crate::testing::{AGES, server};

const SECRET: &[u8] = b"s3cr3t-s3cr3t";

fn token(plugin: &mut Plugin) -> String {
    plugin.call.placeholders.add(Place::Header, "token", Zeroizing::new(SECRET.to_vec()))
}

#[tokio::test]
async fn values_go_out_in_header_fields_and_nowhere_else() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    let token = token(&mut plugin);
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://ca.example.com/{token}?{token}"))
        .header("authorization", format!("Bearer {token}"))
        .header("x-twice", format!("{token},{token}"))
        .header(token.as_str(), "name")
        .body(full(token.clone()))
        .unwrap();
    let answer = send(&mut plugin.call, request).await.unwrap();
    let text = answer.text();
    assert!(text.contains("\nauthorization: Bearer s3cr3t-s3cr3t\n"), "{text}");
    assert!(text.contains("\nx-twice: s3cr3t-s3cr3t,s3cr3t-s3cr3t\n"), "{text}");
    assert_eq!(text.matches("s3cr3t-s3cr3t").count(), 3, "{text}");
    assert!(text.starts_with(&format!("POST /{token}?{token} ")), "{text}");
    assert!(text.ends_with(&format!("\n{token}")), "{text}");
}

#[tokio::test]
async fn values_go_to_granted_servers_only() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    net.public("evil.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["https://ca.example.com"]);
    let token = token(&mut plugin);
    // Another host; and the granted one without TLS, which is another grant.
    for url in ["http://evil.example.com/", "https://evil.example.com/", "http://ca.example.com/"] {
        let request = Request::builder().uri(url).header("authorization", &token).body(empty()).unwrap();
        assert_eq!(error(send(&mut plugin.call, request).await), "HttpRequestDenied", "{url}");
    }
    assert_eq!(server.accepted(), 0);
}

/// Two calls of one session, which share its Secret and its connections.
#[tokio::test]
async fn a_token_of_another_call_is_worth_nothing() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let Plugin { watcher, session, call: mut first } = plugin(&net, &["http://ca.example.com"]);
    let token = first.placeholders.add(Place::Header, "token", Zeroizing::new(SECRET.to_vec()));
    let sent = || Request::builder().uri("http://ca.example.com/").header("x", &token).body(empty()).unwrap();
    let mut second = call(&session, &watcher, AGES);
    for _ in 0..2 {
        let answer = send(&mut second, sent()).await.unwrap();
        assert!(answer.text().contains(&token) && !answer.text().contains("s3cr3t"), "{}", answer.text());
        // Also after the first has used it, over the connection that it used.
        let answer = send(&mut first, sent()).await.unwrap();
        assert!(answer.text().contains("\nx: s3cr3t-s3cr3t\n"), "{}", answer.text());
    }
    drop(first);
    let answer = send(&mut second, sent()).await.unwrap();
    assert!(!answer.text().contains("s3cr3t"), "{}", answer.text());
}

/// A few bytes of token become kilobytes of value: the limit counts what is sent.
#[tokio::test]
async fn tokens_do_not_multiply_beyond_the_limit() {
    let net = Arc::new(Net::default());
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    let token = plugin.call.placeholders.add(Place::Header, "token", Zeroizing::new(vec![b'x'; 8 << 10]));
    let request =
        Request::builder().uri("http://ca.example.com/").header("x", token.repeat(9)).body(empty()).unwrap();
    assert_eq!(error(send(&mut plugin.call, request).await), "HttpRequestHeaderSectionSize");
}

fn in_body(plugin: &mut Plugin, value: &[u8]) -> String {
    plugin.call.placeholders.add(Place::Body, "token", Zeroizing::new(value.to_vec()))
}

/// With the length that it has in the end: the plugin announced another one.
#[tokio::test]
async fn values_for_bodies_go_out_in_bodies_and_nowhere_else() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    let token = in_body(&mut plugin, SECRET);
    let of_headers = self::token(&mut plugin);
    let body = format!("id=me&secret={token}&again={token}&other={of_headers}");
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://ca.example.com/{token}"))
        .header("x", token.as_str())
        .header("content-length", body.len())
        .body(full(body))
        .unwrap();
    let answer = send(&mut plugin.call, request).await.unwrap();
    let text = answer.text();
    let sent = format!("id=me&secret=s3cr3t-s3cr3t&again=s3cr3t-s3cr3t&other={of_headers}");
    assert!(text.ends_with(&format!("\n{sent}")), "{text}");
    assert!(text.contains(&format!("\ncontent-length: {}\n", sent.len())), "{text}");
    assert!(text.contains(&format!("\nx: {token}\n")), "{text}");
    assert_eq!(text.matches("s3cr3t-s3cr3t").count(), 2, "{text}");
}

#[tokio::test]
async fn a_body_with_values_is_bounded_before_and_after() {
    const MAX: usize = 64 << 10;
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    let token = in_body(&mut plugin, &[b'x'; 8 << 10]);
    let mut post = async |body: String| {
        let request =
            Request::builder().method("POST").uri("http://ca.example.com/").body(full(body)).unwrap();
        send(&mut plugin.call, request).await
    };
    let answer = post("y".repeat(MAX)).await.unwrap();
    assert!(answer.text().ends_with(&"y".repeat(MAX)));
    assert!(post(token.repeat(8)).await.unwrap().text().ends_with(&"x".repeat(MAX)));
    assert_eq!(error(post("y".repeat(MAX + 1)).await), "HttpRequestBodySize");
    assert_eq!(error(post(token.repeat(9)).await), "HttpRequestBodySize");
    assert_eq!(server.accepted(), 1, "what is not sent takes no connection");
}

/// Else a request would hold what all bodies may have, which is much more, for each of a plugin's calls.
#[tokio::test]
async fn of_a_body_with_values_no_more_is_read_than_may_be_sent() {
    const MAX: usize = 64 << 10;
    const FRAME: usize = 4 << 10;
    let net = Arc::new(Net::default());
    let mut plugin = plugin(&net, &["http://ca.example.com"]);
    in_body(&mut plugin, SECRET);
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let endless = stream::repeat_with(move || {
        counter.fetch_add(FRAME, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from_static(&[b'y'; FRAME])))
    });
    let body = StreamBody::new(endless).boxed_unsync();
    let request = Request::builder().method("POST").uri("http://ca.example.com/").body(body).unwrap();
    assert_eq!(error(send(&mut plugin.call, request).await), "HttpRequestBodySize");
    assert_eq!(read.load(Ordering::Relaxed), MAX + FRAME, "it is known by the first frame too many");
}
