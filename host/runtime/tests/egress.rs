//! Outgoing HTTP against a real component that misuses it, from `wasi:http` to servers on loopback.
//!
//! Names and connections go through the same test network as in the module's own tests: an address that it does not know
//! is refused there, so nothing leaves this machine even where a rule is broken.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{component, init, patient, request, secret};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wasm_issuer_runtime::egress::{AddressPolicy, Grant, HttpGrant};
use wasm_issuer_runtime::testing::net::{Net, Watcher, granted};
use wasm_issuer_runtime::testing::server::{self, Ca, Server, drain};
use wasm_issuer_runtime::{
    Account, Breakage, CallError, CallLimits, Plugin, Runtime, RuntimeConfig, Session, SessionInit,
};

const URL: &str = "http://ca.example.com/";
const SECRET: &str = "s3cr3t-s3cr3t";

/// The hostile plugin in a network of its own.
struct Hostile {
    net: Arc<Net>,
    plugin: Arc<Plugin>,
    watcher: Arc<Watcher>,
    limits: CallLimits,
    grant: HttpGrant,
}

impl Hostile {
    async fn new() -> Self {
        let net = Arc::new(Net::default());
        let runtime =
            Runtime::new(RuntimeConfig { egress: net.config(), ..RuntimeConfig::default() }).unwrap();
        let plugin =
            runtime.load(component("hostile_http_plugin"), &Account::tenant("team-a")).await.unwrap();
        let grant = granted(&["http://ca.example.com", "https://tls.example.com"]);
        Self { net, plugin, watcher: Arc::default(), limits: patient(), grant }
    }

    /// With this server as what is granted.
    async fn at(server: &Server) -> Self {
        let hostile = Self::new().await;
        hostile.net.public("ca.example.com", 80, server.address);
        hostile
    }

    fn session(&self, behaviour: &str, url: &str) -> Arc<Session> {
        Session::new(SessionInit {
            secret: Some(secret(&[("token", SECRET.as_bytes())])),
            limits: self.limits.clone(),
            http: self.grant.clone(),
            observer: self.watcher.clone(),
            ..init(serde_json::json!({ "behaviour": behaviour, "url": url }))
        })
    }

    async fn call(&self, session: &Arc<Session>) -> Result<String, Breakage> {
        match self.plugin.sign(session, &request()).await {
            Err(CallError::Failed(failure)) => Ok(own(&failure.message).to_owned()),
            Err(CallError::Broken(breakage)) => Err(breakage),
            Ok(_) => panic!("it signs nothing"),
        }
    }

    /// What the plugin made of the response, or of the error.
    async fn got(&self, behaviour: &str) -> String {
        self.call(&self.session(behaviour, URL)).await.unwrap()
    }

    fn denied(&self) -> Vec<String> {
        self.watcher.denials.lock().unwrap().iter().map(|denial| denial.destination.clone()).collect()
    }
}

/// What the plugin said, without what the host adds about requests that did not get through.
fn own(message: &str) -> &str {
    let added = ["; the Issuer does not grant", "; http://", "; https://"];
    let end = added.iter().filter_map(|start| message.find(start)).min();
    end.and_then(|end| message.get(..end)).unwrap_or(message)
}

#[tokio::test]
async fn a_granted_server_is_reached() {
    let server = server::http().await;
    let hostile = Hostile::at(&server).await;
    assert_eq!(hostile.got("get").await, "200 GET / HTTP/1.1 host: ca.example.com");
    let ca = Ca::new();
    let tls = server::https(ca.server("tls.example.com")).await;
    hostile.net.public("tls.example.com", 443, tls.address);
    let hostile =
        Hostile { grant: HttpGrant { roots: Some(ca.roots()), ..hostile.grant.clone() }, ..hostile };
    let session = hostile.session("get", "https://tls.example.com/x");
    assert_eq!(hostile.call(&session).await.unwrap(), "200 GET https://tls.example.com/x HTTP/2.0");
    // The public CAs did not sign that certificate, and the message does not stay with the plugin.
    let public = Hostile { grant: HttpGrant { roots: None, ..hostile.grant.clone() }, ..hostile };
    let session = public.session("get", "https://tls.example.com/");
    assert_eq!(public.call(&session).await.unwrap(), "TlsCertificateError");
    let failures = public.watcher.failures.lock().unwrap();
    assert!(failures[0].message.contains("no trusted CA has signed"), "{failures:?}");
}

#[tokio::test]
async fn without_a_grant_there_is_no_network() {
    let server = server::http().await;
    let hostile = Hostile { grant: HttpGrant::default(), ..Hostile::at(&server).await };
    assert_eq!(hostile.got("get").await, "HttpRequestDenied");
    assert_eq!(server.accepted(), 0);
    assert!(hostile.net.resolved.lock().unwrap().is_empty());
    let denials = hostile.watcher.denials.lock().unwrap();
    assert_eq!(denials[0].fix_line, "spec.http.allowedHosts: [\"http://ca.example.com\"]");
}

#[tokio::test]
async fn nothing_but_the_grant_is_reached() {
    let server = server::http().await;
    let hostile = Hostile::at(&server).await;
    for address in ["169.254.169.254:80", "127.0.0.1:80", "[::1]:80", "[fd00:ec2::254]:80"] {
        hostile.net.server(address, server.address);
    }
    let denied = ["HttpRequestDenied"; 20];
    let uri = "HttpRequestUriInvalid";
    assert_eq!(hostile.got("ungranted").await, denied[..2].join(", "));
    assert_eq!(hostile.got("metadata").await, [&denied[..3], &[uri; 4], &denied[..6]].concat().join(", "));
    assert_eq!(hostile.got("userinfo").await, [uri; 3].join(", "));
    assert_eq!(server.accepted(), 0);
    assert_eq!(hostile.denied()[..2], ["https://ungranted.example.net", "http://ungranted.example.net"]);
    assert_eq!(hostile.denied().len(), 11);

    let only_own = "taken: , 200 GET / HTTP/1.1 host: ca.example.com";
    assert_eq!(hostile.got("host-header").await, only_own);
    let trailers = hostile.got("trailers").await;
    assert!(trailers.starts_with("taken: , finished: true, 200 POST / HTTP/1.1"), "{trailers}");
    let refused = ["path refused"; 6].join(", ");
    assert_eq!(
        hostile.got("path-tricks").await,
        format!(
            "{refused}, 200 GET //169.254.169.254/ HTTP/1.1 host: ca.example.com , \
             200 GET /../../x?http://169.254.169.254/ HTTP/1.1 host: ca.example.com"
        )
    );
    let method = "HttpRequestMethodInvalid";
    assert_eq!(hostile.got("methods").await, format!("{method}, {method}, method refused"));
    assert!(hostile.net.dialed().iter().all(|address| address == "93.184.215.14:80"));
}

#[tokio::test]
async fn granted_names_of_forbidden_addresses_are_not_reached() {
    let server = server::http().await;
    for address in ["169.254.169.254", "127.0.0.1", "10.0.0.1", "::ffff:169.254.169.254", "fe80::1"] {
        let hostile = Hostile::new().await;
        hostile.net.name("ca.example.com", &[&[address]]);
        let socket = std::net::SocketAddr::new(address.parse().unwrap(), 80);
        hostile.net.server(&socket.to_string(), server.address);
        assert_eq!(hostile.got("get").await, "DestinationIpProhibited", "{address}");
    }
    assert_eq!(server.accepted(), 0);
    // As far as the operator's policy lets it.
    let mut hostile = Hostile::new().await;
    hostile.net.name("ca.example.com", &[&["10.0.0.1"]]);
    hostile.net.server("10.0.0.1:80", server.address);
    hostile.grant.addresses = AddressPolicy { private: true, ..AddressPolicy::default() };
    assert!(hostile.got("get").await.starts_with("200 "));
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let server = server::canned(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let mut hostile = Hostile::at(&server).await;
    hostile.net.server("169.254.169.254:80", server.address);
    assert_eq!(hostile.got("redirect").await, "302, HttpRequestDenied");
    hostile.grant.allowed = Grant::parse(["http://ca.example.com", "http://169.254.169.254"]).unwrap();
    assert_eq!(hostile.got("redirect").await, "302, DestinationIpProhibited");
    assert!(hostile.net.dialed().iter().all(|address| address == "93.184.215.14:80"));
}

#[tokio::test]
async fn responses_are_bounded() {
    let endless_body = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 4096]).await?;
        }
    });
    let got = Hostile::at(&endless_body.await).await.got("read").await;
    let (bytes, end) = got.split_once(" bytes, then ").unwrap();
    assert!(bytes.parse::<usize>().unwrap() <= 4 << 20 && end == "HttpResponseBodySize", "{got}");

    let bomb: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    let headers = server::canned(format!("HTTP/1.1 200 OK\r\n{bomb}\r\n")).await;
    assert_eq!(Hostile::at(&headers).await.got("read").await, "HttpResponseHeaderSectionSize");

    let cut = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await
    });
    assert_eq!(Hostile::at(&cut.await).await.got("read").await, "4 bytes, then HttpResponseIncomplete");
}

#[tokio::test]
async fn slow_servers_get_no_more_time_than_the_call_has() {
    let drip = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let drip = drip.await;
    let silent = server::canned("").await;
    for server in [&drip, &silent] {
        for behaviour in ["read", "timeouts-huge"] {
            let mut hostile = Hostile::at(server).await;
            hostile.limits.timeout = Duration::from_millis(500);
            // The plugin may still say what it got, if it is quick; it has no time for more.
            match hostile.call(&hostile.session(behaviour, URL)).await {
                Err(breakage) => assert_eq!(breakage.label(), "timed_out"),
                Ok(message) => assert!(message.ends_with("Timeout"), "{message}"),
            }
        }
        server.until_open(0).await;
    }
    let hostile = Hostile::at(&silent).await;
    assert!(hostile.got("timeouts-zero").await.ends_with("Timeout"));
}

#[tokio::test]
async fn requests_are_counted() {
    let server = server::http().await;
    let hostile = Hostile::at(&server).await;
    assert_eq!(hostile.got("many-requests").await, "32 responses, then ConnectionLimitReached");
    assert_eq!(hostile.got("many-at-once").await, "8 responses, and ConnectionLimitReached");
    let echo = hostile.got("big-body").await;
    assert!(echo.ends_with("HttpRequestBodySize"), "{echo}");
    let short = hostile.got("short-body").await;
    assert!(short.starts_with("finish refused, ") && !short.contains("200"), "{short}");
}

/// What the host keeps of requests that are not sent is not in the plugin's memory.
#[tokio::test]
async fn requests_that_are_not_sent_are_small() {
    let hostile = Hostile::new().await;
    assert_eq!(hostile.got("long-parts").await, "method refused, path refused, authority refused");
    let broken = hostile.call(&hostile.session("long-fields", URL)).await.unwrap_err();
    assert_eq!(broken.label(), "trapped", "{broken}");
}

/// What the server got after the head, of a call that does not end by itself.
async fn after_the_head(behaviour: &str) -> (Result<String, Breakage>, Vec<u8>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let rest = received.clone();
    let server = server::scripted(move |mut stream: TcpStream| {
        let rest = rest.clone();
        async move {
            // The head of a response without its body.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await?;
            let bytes = drain(&mut stream).await;
            rest.lock().unwrap().extend(bytes);
            Ok(())
        }
    })
    .await;
    let mut hostile = Hostile::at(&server).await;
    hostile.limits.timeout = Duration::from_secs(3);
    let result = hostile.call(&hostile.session(behaviour, URL)).await;
    assert_eq!(server.accepted(), 1);
    server.until_open(0).await;
    let bytes = received.lock().unwrap().clone();
    (result, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_call_is_left_open() {
    let (result, _) = after_the_head("hold-response").await;
    assert_eq!(result.unwrap_err().label(), "timed_out");
    for (behaviour, label) in [("hold-connection", "timed_out"), ("trap-in-body", "trapped")] {
        let (result, bytes) = after_the_head(behaviour).await;
        assert_eq!(result.unwrap_err().label(), label);
        let text = String::from_utf8(bytes).unwrap();
        // Half a request that looked whole could be one that means something else.
        assert!(text.contains("half") && !text.contains("0\r\n\r\n"), "{behaviour}: {text:?}");
    }
}

#[tokio::test]
async fn sessions_share_no_connection_and_calls_of_one_do() {
    let server = server::http().await;
    let hostile = Hostile::at(&server).await;
    let (first, second) = (hostile.session("get", URL), hostile.session("get", URL));
    for session in [&first, &second, &first, &second] {
        assert!(hostile.call(session).await.unwrap().starts_with("200 "));
    }
    assert_eq!((server.accepted(), server.open()), (2, 2));
    drop(first);
    server.until_open(1).await;
    drop(second);
    server.until_open(0).await;
}

#[tokio::test]
async fn a_secret_is_sent_without_being_seen() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = heads.clone();
    let server = server::raw(move |mut stream: TcpStream| {
        let noted = noted.clone();
        async move {
            let head = server::read_head(&mut stream).await;
            noted.lock().unwrap().push(head);
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await?;
            let rest = drain(&mut stream).await;
            noted.lock().unwrap().push(String::from_utf8_lossy(&rest).into_owned());
            Ok(())
        }
    })
    .await;
    let hostile = Hostile::at(&server).await;
    let head = || heads.lock().unwrap().concat();
    assert_eq!(hostile.got("placeholder").await, "200 ok");
    assert!(head().contains("authorization: Bearer s3cr3t-s3cr3t\r\n"), "{}", head());
    heads.lock().unwrap().clear();
    hostile.got("placeholder-elsewhere").await;
    server.until_open(0).await;
    assert!(head().contains("placeholder-") && !head().contains(SECRET), "{}", head());
    let accepted = server.accepted();
    let hostile = Hostile { grant: granted(&["https://ca.example.com"]), ..hostile };
    let session = hostile.session("placeholder-ungranted", "https://ca.example.com/");
    assert_eq!(hostile.call(&session).await.unwrap(), "HttpRequestDenied, HttpRequestDenied");
    assert_eq!(server.accepted(), accepted);
}

/// A server that sends the header field back shows it to the plugin. Nobody else gets to see it.
#[tokio::test]
async fn a_secret_that_comes_back_is_not_shown_to_people() {
    let server = server::http().await;
    let hostile = Hostile::at(&server).await;
    let message = hostile.got("placeholder").await;
    assert!(message.contains("authorization: Bearer [redacted]"), "{message}");
}
