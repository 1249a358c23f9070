use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use crate::egress::*;
use crate::testing::net::{Net, Plugin, granted, plugin_with};
use crate::testing::server::{self, Ca, Server, drain, read_head};

/// A proxy that leads every tunnel to the one server, and keeps what it was asked for.
async fn proxy(to: &Server) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (requests, to) = (asked.clone(), to.address);
    let server = server::raw(move |mut stream: TcpStream| {
        let requests = requests.clone();
        async move {
            let head = read_head(&mut stream).await;
            requests.lock().unwrap().push(head);
            let mut server = TcpStream::connect(to).await?;
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n").await?;
            copy_bidirectional(&mut stream, &mut server).await?;
            Ok(())
        }
    });
    (server.await, asked)
}

fn through(net: &Arc<Net>, matcher: Matcher, ca: &Ca) -> Plugin {
    let config = EgressConfig { proxy: Some(Arc::new(matcher)), ..net.config() };
    let grant = HttpGrant {
        roots: Some(ca.roots()),
        ..granted(&["https://ca.example.com", "https://inside.example.com", "https://meta.example.com"])
    };
    plugin_with(config, grant, HttpLimits::default())
}

#[tokio::test]
async fn the_proxy_carries_tls_to_a_vetted_address() {
    let ca = Ca::new();
    let server = server::https(ca.server("ca.example.com")).await;
    let (proxy, asked) = proxy(&server).await;
    let net = Arc::new(Net::default());
    net.name("ca.example.com", &[&["169.254.169.254", "93.184.215.14"]]);
    net.name("meta.example.com", &[&["169.254.169.254"]]);
    // The proxy is the operator's choice, and may be where plugins may not go.
    net.name("proxy.infra", &[&["10.0.0.9"]]);
    net.server("10.0.0.9:3128", proxy.address);
    let matcher = Matcher::builder().https("http://user:pass@proxy.infra:3128").build();
    let mut plugin = through(&net, matcher, &ca);
    let answer = plugin.get("https://ca.example.com/x").await.unwrap();
    assert!(answer.text().contains("https://ca.example.com/x"), "{}", answer.text());
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "CONNECT 93.184.215.14:443 HTTP/1.1\r\nHost: 93.184.215.14:443\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
        ]
    );
    assert_eq!(net.dialed(), ["10.0.0.9:3128"]);
    // The proxy is no way around the rules.
    assert_eq!(plugin.error("https://meta.example.com/").await, "DestinationIpProhibited");
    assert_eq!(plugin.error("https://other.example.com/").await, "HttpRequestDenied");
    assert_eq!(plugin.error("http://proxy.infra:3128/").await, "HttpRequestDenied");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_man_in_the_middle_is_noticed() {
    let (ca, theirs) = (Ca::new(), Ca::new());
    let server = server::https(theirs.server("ca.example.com")).await;
    let (proxy, _) = proxy(&server).await;
    let net = Arc::new(Net::default());
    net.name("ca.example.com", &[&["93.184.215.14"]]);
    net.server("10.0.0.9:3128", proxy.address);
    let mut plugin = through(&net, Matcher::builder().https("http://10.0.0.9:3128").build(), &ca);
    assert_eq!(plugin.error("https://ca.example.com/").await, "TlsCertificateError");
}

#[tokio::test]
async fn no_proxy_is_heeded() {
    let ca = Ca::new();
    let server = server::https(ca.server("inside.example.com")).await;
    let net = Arc::new(Net::default());
    net.public("inside.example.com", 443, server.address);
    let matcher = Matcher::builder().https("http://10.0.0.9:3128").no("inside.example.com").build();
    let mut plugin = through(&net, matcher, &ca);
    assert!(plugin.get("https://inside.example.com/").await.is_ok());
    assert_eq!(net.dialed(), ["93.184.215.14:443"]);
}

#[tokio::test]
async fn a_proxy_that_does_not_do_it_is_told() {
    let net = Arc::new(Net::default());
    net.name("ca.example.com", &[&["93.184.215.14"]]);
    let ca = Ca::new();
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(9000));
    for (answer, expected) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "it answered CONNECT 93.184.215.14:443 with 407",
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "with 403"),
        ("SSH-2.0-x\r\n\r\n", "is not HTTP/1"),
        (long.as_str(), "too long"),
    ] {
        let answer = answer.to_owned();
        let server = server::raw(move |mut stream: TcpStream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                stream.write_all(answer.as_bytes()).await?;
                drain(&mut stream).await;
                Ok(())
            }
        });
        net.server("10.0.0.9:3128", server.await.address);
        let mut plugin = through(&net, Matcher::builder().https("http://10.0.0.9:3128").build(), &ca);
        assert_eq!(plugin.error("https://ca.example.com/").await, "DestinationUnavailable");
        assert!(plugin.failures()[0].contains(expected), "{:?}", plugin.failures());
    }
    for proxy in ["https://10.0.0.9:3128", "socks5://10.0.0.9:1080"] {
        let mut plugin = through(&net, Matcher::builder().https(proxy).build(), &ca);
        assert_eq!(plugin.error("https://ca.example.com/").await, "DestinationUnavailable", "{proxy}");
    }
}
