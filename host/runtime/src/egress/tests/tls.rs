use std::sync::Arc;

use rcgen::date_time_ymd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::egress::*;
use crate::testing::net::{Net, Plugin, granted, plugin_with};
use crate::testing::server::{self, Ca, Server, key_name, server_config};

const URL: &str = "https://ca.example.com/";

fn to(server: &Server, edit: impl FnOnce(&mut HttpGrant)) -> Plugin {
    let net = Arc::new(Net::default());
    net.public("ca.example.com", 443, server.address);
    let mut grant = granted(&["https://ca.example.com"]);
    edit(&mut grant);
    plugin_with(net.config(), grant, HttpLimits::default())
}

fn trusting(server: &Server, ca: &Ca) -> Plugin {
    to(server, |grant| grant.roots = Some(ca.roots()))
}

fn identity((chain, key): &(String, String)) -> ClientIdentity {
    let (crt, name) = (key_name("tls.crt"), key_name("tls.key"));
    ClientIdentity::from_pem((chain.as_bytes(), &crt), (key.as_bytes(), &name)).unwrap()
}

#[tokio::test]
async fn the_issuers_ca_is_trusted_and_no_other() {
    let ca = Ca::new();
    let server = server::https(ca.server("ca.example.com")).await;
    assert!(trusting(&server, &ca).get(URL).await.is_ok());
    // Another CA of the same name; and none, which means the public ones.
    let mut other = trusting(&server, &Ca::new());
    assert_eq!(other.error(URL).await, "TlsCertificateError");
    let signature = "TLS: the server's certificate is not signed by the key of its CA; ";
    assert!(other.failures()[0].starts_with(signature), "{:?}", other.failures());
    let mut public = to(&server, |_| {});
    assert_eq!(public.error(URL).await, "TlsCertificateError");
    let unknown = "TLS: no trusted CA has signed the server's certificate; the Secret of spec.http.caBundleSecretName holds \
                   those that are trusted (ca.crt)";
    assert_eq!(public.failures(), [unknown]);
    let hint = public.watcher.failures.lock().unwrap()[0].hint.clone();
    assert_eq!(
        hint.as_deref(),
        Some(format!("https://ca.example.com: {unknown}").as_str()),
        "tenants may know"
    );
}

#[tokio::test]
async fn a_certificate_must_be_for_the_name_and_for_now() {
    let ca = Ca::new();
    let other = server::https(ca.server("other.example.com")).await;
    let mut plugin = trusting(&other, &ca);
    assert_eq!(plugin.error(URL).await, "TlsCertificateError");
    let other_name = "TLS: the server's certificate is for other.example.com, not for ca.example.com";
    assert_eq!(plugin.failures(), [other_name]);
    let expired = ca.issue(&["ca.example.com"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let expired = server::https(server_config(&expired, None)).await;
    let mut plugin = trusting(&expired, &ca);
    assert_eq!(plugin.error(URL).await, "TlsCertificateError");
    let expired = "TLS: the server's certificate expired on 2021-01-01: the server needs a new one";
    assert_eq!(plugin.failures(), [expired]);
}

#[tokio::test]
async fn a_certificate_may_be_for_an_address() {
    let ca = Ca::new();
    let net = Arc::new(Net::default());
    for (host, ip) in [("93.184.215.14", "93.184.215.14"), ("[2606:4700::1111]", "2606:4700::1111")] {
        let server = server::https(ca.server(ip)).await;
        net.server(&format!("{host}:8443"), server.address);
        let url = format!("https://{host}:8443");
        let grant = HttpGrant { roots: Some(ca.roots()), ..granted(&[&url]) };
        let mut plugin = plugin_with(net.config(), grant, HttpLimits::default());
        let answer = plugin.get(&format!("{url}/x")).await.unwrap();
        assert!(answer.text().starts_with(&format!("GET {url}/x HTTP/2.0")), "{}", answer.text());
    }
    assert!(net.resolved.lock().unwrap().is_empty());
}

#[tokio::test]
async fn http2_and_http1_are_negotiated() {
    let ca = Ca::new();
    let version = async |alpn: &[&str]| {
        let mut config = ca.server("ca.example.com");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let server = server::https(config).await;
        let answer = trusting(&server, &ca).get(URL).await.unwrap();
        let host = if answer.text().contains("HTTP/2.0") {
            "https://ca.example.com/ HTTP/2.0"
        } else {
            "host: ca.example.com\n"
        };
        assert!(answer.text().contains(host), "{}", answer.text());
        answer.headers["x-version"].to_str().unwrap().to_owned()
    };
    assert_eq!(version(&["h2", "http/1.1"]).await, "2");
    assert_eq!(version(&["http/1.1"]).await, "1");
    assert_eq!(version(&[]).await, "1");
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let server = server::raw(|mut stream| async move {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        server::drain(&mut stream).await;
        Ok(())
    });
    assert_eq!(to(&server.await, |_| {}).error(URL).await, "TlsProtocolError");
}

#[tokio::test]
async fn mutual_tls() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let certificate = ca.issue(&["ca.example.com"], |_| {});
    for h2 in [true, false] {
        let mut config = server_config(&certificate, Some(&clients));
        if !h2 {
            config.alpn_protocols.clear();
        }
        let server = server::https(config).await;
        let good = identity(&clients.issue(&["plugin"], |_| {}));
        let mut plugin = to(&server, |grant| {
            (grant.roots, grant.client_identity) = (Some(ca.roots()), Some(good));
        });
        assert!(plugin.get(URL).await.is_ok());
        let mut without = trusting(&server, &ca);
        assert_eq!(without.error(URL).await, "TlsAlertReceived", "{:?}", without.failures());
        let required = "TLS: the server refused: certificate required; a client certificate is what \
                        spec.http.clientCertSecretName names";
        assert_eq!(without.failures(), [required]);
        let wrong = identity(&Ca::new().issue(&["plugin"], |_| {}));
        let mut wrong = to(&server, |grant| {
            (grant.roots, grant.client_identity) = (Some(ca.roots()), Some(wrong));
        });
        assert_eq!(wrong.error(URL).await, "TlsAlertReceived", "{:?}", wrong.failures());
    }
}

#[test]
fn a_bad_ca_bundle_is_named_with_its_key() {
    let ca = Ca::new();
    let (_, key) = ca.issue(&["plugin"], |_| {});
    let crt = key_name("ca.crt");
    for (pem, expected) in [
        ("", "`ca.crt` of the Secret team-a/pki: it holds no PEM block"),
        ("hunter2", "`ca.crt` of the Secret team-a/pki: it holds no PEM block"),
        (
            key.as_str(),
            "`ca.crt` of the Secret team-a/pki: it holds a PEM block `PRIVATE KEY`, but only certificates belong here",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "`ca.crt` of the Secret team-a/pki: certificate 1 is of no use: ",
        ),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "PEM block 1 has no matching END line"),
    ] {
        let error = Roots::from_pem(pem.as_bytes(), &crt).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    let two = format!("{}\n{}", ca.pem, Ca::new().pem);
    assert_eq!(format!("{:?}", Roots::from_pem(two.as_bytes(), &crt).unwrap()), "Roots(2)");
}

#[test]
fn a_bad_client_certificate_is_named_with_its_key() {
    let ca = Ca::new();
    let (chain, key) = ca.issue(&["plugin"], |_| {});
    let (_, other_key) = ca.issue(&["plugin"], |_| {});
    let (crt, name) = (key_name("tls.crt"), key_name("tls.key"));
    let identity =
        |chain: &str, key: &str| ClientIdentity::from_pem((chain.as_bytes(), &crt), (key.as_bytes(), &name));
    assert!(identity(&chain, &key).is_ok());
    for (chain, key, expected) in [
        (
            chain.as_str(),
            other_key.as_str(),
            "`tls.key` of the Secret team-a/pki: it is not the key of the certificate in `tls.crt` of the Secret team-a/pki",
        ),
        (
            &chain,
            &chain,
            "`tls.key` of the Secret team-a/pki: it holds a PEM block `CERTIFICATE`, not a private key",
        ),
        (&chain, "", "`tls.key` of the Secret team-a/pki: it holds no PEM block"),
        (&key, &key, "`tls.crt` of the Secret team-a/pki: it holds a PEM block `PRIVATE KEY`"),
        (
            &chain,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "the private key is encrypted: store it without a password",
        ),
        (
            &chain,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "the private key is of a kind that TLS does not use",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key,
            "`tls.crt` of the Secret team-a/pki: the first certificate is of no use",
        ),
    ] {
        let error = identity(chain, key).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A server's tickets and certificates would stay in memory as long as the Issuer.
#[tokio::test]
async fn nothing_of_a_tls_connection_is_kept_for_the_next() {
    let ca = Ca::new();
    let mut config = ca.server("ca.example.com");
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(32);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connector = TlsConnector::from(Arc::new(tls::config(Some(&ca.roots()), None).unwrap()));
    for _ in 0..2 {
        let (client, server) = tokio::io::duplex(64 << 10);
        let served = async {
            let mut stream = acceptor.accept(server).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            stream.flush().await.unwrap();
            stream.get_ref().1.handshake_kind()
        };
        let called = async {
            let name = "ca.example.com".try_into().unwrap();
            // With what the server sends come its tickets.
            connector.connect(name, client).await.unwrap().read_u8().await.unwrap();
        };
        assert_eq!(futures::join!(served, called).0, Some(rustls::HandshakeKind::Full));
    }
}
