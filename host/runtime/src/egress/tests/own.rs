//! What the host itself sends for an Issuer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::egress::*;
use crate::fair::Owner;
use crate::testing::AGES;
use crate::testing::net::Net;
use crate::testing::server::{self, Ca, drain};

fn client(net: &Arc<Net>, grant: HttpGrant, silence: Duration) -> HostClient {
    let times = HostTimes { all: AGES, silence };
    HostClient::new(net.config(), Owner::new("team-a", "ca"), grant, HttpLimits::default(), times)
}

fn get(url: &str) -> Request<Bytes> {
    Request::builder().uri(url).header("authorization", "Basic dTpw").body(Bytes::new()).unwrap()
}

async fn text(client: &mut HostClient, url: &str) -> Result<String, HostError> {
    let body: Vec<Bytes> = client.send(get(url)).await?.into_body().try_collect().await?;
    Ok(String::from_utf8(body.concat()).unwrap())
}

#[tokio::test]
async fn the_host_needs_no_grant_and_goes_by_the_same_addresses() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("r.example", 80, server.address);
    net.name("inside.example", &[&["10.0.0.7"]]);
    net.server("10.0.0.7:80", server.address);
    let mut client = client(&net, HttpGrant::default(), AGES);
    let echoed = text(&mut client, "http://r.example/v2/?x=1").await.unwrap();
    assert!(echoed.starts_with("GET /v2/?x=1 HTTP/1.1\n") && echoed.contains("authorization: Basic dTpw"));
    text(&mut client, "http://r.example/").await.unwrap();
    assert_eq!(server.accepted(), 1, "a connection serves again");
    let error = text(&mut client, "http://inside.example/").await.unwrap_err();
    assert!(error.is_prohibited && !error.message.contains("10.0.0.7"), "{error}");
    assert!(error.message.starts_with("http://inside.example is at an address that plugins may not reach"));
    for url in ["http://169.254.169.254/", "http://127.0.0.1/", "http://[::1]/", "http://u:p@r.example/"] {
        assert!(text(&mut client, url).await.is_err(), "{url}");
    }
    assert_eq!(net.dialed(), ["93.184.215.14:80"]);
    let error = text(&mut client, "http://r.example:81/").await.unwrap_err();
    assert!(!error.is_prohibited && error.message == "http://r.example:81: connection refused", "{error}");
}

#[tokio::test]
async fn the_host_trusts_whom_it_is_told() {
    let net = Arc::new(Net::default());
    let ca = Ca::new();
    net.public("r.example", 443, server::https(ca.server("r.example")).await.address);
    let mut stranger = client(&net, HttpGrant::default(), AGES);
    let error = text(&mut stranger, "https://r.example/").await.unwrap_err();
    assert!(error.message.starts_with("https://r.example: TLS: "), "{error}");
    let grant = HttpGrant { roots: Some(ca.roots()), ..HttpGrant::default() };
    assert!(text(&mut client(&net, grant, AGES), "https://r.example/").await.is_ok());
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let net = Arc::new(Net::default());
    let server = server::scripted(|mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").await?;
        drain(&mut stream).await;
        Ok(())
    });
    net.public("r.example", 80, server.await.address);
    let mut client = client(&net, HttpGrant::default(), Duration::from_millis(50));
    let mut body = client.send(get("http://r.example/")).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    let error = body.next().await.unwrap().unwrap_err();
    assert!(!error.is_prohibited && error.message.starts_with("http://r.example: "), "{error}");
}
