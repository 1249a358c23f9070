//! What is noted of requests, and what stands for servers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::egress::*;
use crate::testing::net::{Net, Plugin, error, full, granted, plugin, plugin_with, send};
use crate::testing::server;

const URL: &str = "http://ca.example.com/x?y=1";

fn recording(net: &Arc<Net>) -> (Plugin, Arc<Recorder>) {
    let mut plugin = plugin(net, &["http://ca.example.com"]);
    let recorder = Arc::new(Recorder::default());
    plugin.call.traffic = Traffic::Recorded(recorder.clone());
    (plugin, recorder)
}

#[tokio::test]
async fn what_is_noted_is_what_the_plugin_wrote_and_what_it_read() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let (mut plugin, recorder) = recording(&net);
    let mut token = |place, name: &str, value: &[u8]| {
        plugin.call.placeholders.add(place, name, Zeroizing::new(value.to_vec()))
    };
    let in_header = token(Place::Header, "token", b"s3cr3t-s3cr3t");
    let in_body = token(Place::Body, "token form-urlencoded", b"p%40ss");
    let request = Request::post(URL)
        .header("authorization", format!("Bearer {in_header}"))
        .header("proxy-authorization", "none of the plugin's")
        .body(full(format!("a=1&token={in_body}")))
        .unwrap();
    let answer = send(&mut plugin.call, request).await.unwrap();
    assert!(answer.text().contains("authorization: Bearer s3cr3t-s3cr3t\n"), "{}", answer.text());
    assert!(answer.text().ends_with("\na=1&token=p%40ss"), "{}", answer.text());
    let recorded = recorder.recorded();
    let [Recorded { request, answer: Some(Ok(response)) }] = &recorded[..] else { panic!("{recorded:?}") };
    assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", URL));
    assert_eq!(request.headers()["authorization"], "Bearer {secret:token}");
    assert_eq!(request.headers().len(), 1);
    assert_eq!(request.body(), "a=1&token={secret:token form-urlencoded}");
    assert_eq!((response.status(), response.body()), (answer.status, &answer.body));
    assert_eq!(response.headers()["x-version"], "1");
}

#[tokio::test]
async fn what_got_no_answer_is_noted_and_what_broke_off_is_not() {
    let net = Arc::new(Net::default());
    let server = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await
    })
    .await;
    net.public("ca.example.com", 80, server.address);
    net.name("down.example.com", &[&["93.184.215.15"]]);
    let mut plugin = plugin(&net, &["http://*.example.com"]);
    let recorder = Arc::new(Recorder::default());
    plugin.call.traffic = Traffic::Recorded(recorder.clone());
    let request = Request::post("http://down.example.com/").body(full("whole")).unwrap();
    assert_eq!(error(send(&mut plugin.call, request).await), "ConnectionRefused");
    assert_eq!(plugin.error("http://ca.example.com/").await, "HttpResponseIncomplete");
    assert_eq!(plugin.error("http://other.example.org/").await, "HttpRequestDenied");
    let recorded = recorder.recorded();
    let [refused, cut] = &recorded[..] else { panic!("{recorded:?}") };
    assert_eq!(refused.answer.as_ref().unwrap().as_ref().unwrap_err().code(), "connection-refused");
    assert_eq!(refused.request.body(), "whole", "though no connection took it");
    assert!(cut.answer.is_none());
}

/// Answers each request with its body, or says why not.
#[derive(Default)]
struct Echo {
    failure: Option<NoResponse>,
    seen: Mutex<Vec<Request<Bytes>>>,
}

impl Replay for Echo {
    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, NoResponse> {
        self.seen.lock().unwrap().push(request.clone());
        let echoed =
            Response::builder().status(202).header("x-long", "y".repeat(100)).body(request.body().clone());
        self.failure.clone().map_or_else(|| Ok(echoed.unwrap()), Err)
    }
}

#[tokio::test]
async fn a_replay_asks_nobody_and_its_answers_are_judged_like_others() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    let replayed = |limits: HttpLimits, failure: Option<NoResponse>| {
        let mut plugin = plugin_with(net.config(), granted(&["http://ca.example.com"]), limits);
        let echo = Arc::new(Echo { failure, ..Echo::default() });
        plugin.call.traffic = Traffic::Replayed(echo.clone());
        (plugin, echo)
    };
    let post = |body: &str| Request::post(URL).body(full(body.to_owned())).unwrap();
    let (mut plugin, echo) = replayed(HttpLimits::default(), None);
    let token =
        plugin.call.placeholders.add(Place::Header, "token", Zeroizing::new(b"s3cr3t-s3cr3t".to_vec()));
    let request = Request::post(URL).header("x", &token).body(full("hello")).unwrap();
    let answer = send(&mut plugin.call, request).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text()), (202, "hello"));
    assert_eq!(echo.seen.lock().unwrap()[0].headers()["x"], "{secret:token}");
    assert_eq!(plugin.error("http://other.example.com/").await, "HttpRequestDenied");
    assert_eq!(echo.seen.lock().unwrap().len(), 1);

    let few = || HttpLimits { response_body: 4, request_body: 6, ..HttpLimits::default() };
    assert_eq!(error(send(&mut replayed(few(), None).0.call, post("hello")).await), "HttpResponseBodySize");
    assert_eq!(
        error(send(&mut replayed(few(), None).0.call, post("hello all")).await),
        "HttpRequestBodySize"
    );
    let few = HttpLimits { header_bytes: 64, ..HttpLimits::default() };
    assert_eq!(error(send(&mut replayed(few, None).0.call, post("")).await), "HttpResponseHeaderSectionSize");

    let failure = NoResponse::named("tls-certificate-error").unwrap().with_hint(Some("mend it".into()));
    let (mut plugin, _) = replayed(HttpLimits::default(), Some(failure));
    assert_eq!(plugin.error(URL).await, "TlsCertificateError");
    let failures = plugin.watcher.failures.lock().unwrap();
    assert_eq!(failures[0].hint.as_deref(), Some("mend it"));
    assert_eq!((net.dialed().len(), net.resolved.lock().unwrap().len(), server.accepted()), (0, 0, 0));
}
