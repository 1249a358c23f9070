//! Where requests go: the grant and the addresses together.

use std::sync::Arc;

use crate::egress::*;
use crate::testing::net::{Net, error, granted, plugin, plugin_with, raw, send};
use crate::testing::server;

#[tokio::test]
async fn a_granted_request_gets_through() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 8080, server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com:8080"]);
    let request = raw("http", "CA.example.com.:8080", "/sign?profile=server").unwrap();
    let answer = send(&mut plugin.call, request).await.unwrap();
    assert!(answer.text().starts_with("GET /sign?profile=server HTTP/1.1\n"), "{}", answer.text());
    assert!(answer.text().contains("\nhost: ca.example.com:8080\n"), "{}", answer.text());
    assert_eq!(net.dialed(), ["93.184.215.14:8080"]);
    assert_eq!(*net.resolved.lock().unwrap(), ["ca.example.com"]);
}

#[tokio::test]
async fn without_a_grant_there_is_no_network() {
    let net = Arc::new(Net::default());
    net.name("ca.example.com", &[&["93.184.215.14"]]);
    let mut plugin = plugin(&net, &[]);
    assert_eq!(plugin.error("https://ca.example.com:8443/x").await, "HttpRequestDenied");
    assert!(net.resolved.lock().unwrap().is_empty(), "not even the name is looked up");
    let expected = Denial {
        destination: "https://ca.example.com:8443".into(),
        reason: DenialReason::NotGranted,
        message: "the Issuer does not grant its plugin https://ca.example.com:8443".into(),
        fix_line: "spec.http.allowedHosts: [\"https://ca.example.com:8443\"]".into(),
        address: None,
    };
    assert_eq!(plugin.denials(), [expected]);
}

/// Every line tries to reach a server that is not granted; `http://ca.example.com` is.
#[tokio::test]
async fn tricks_with_the_authority_lead_nowhere() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.public("ca.example.com", 80, server.address);
    for address in ["169.254.169.254:80", "127.0.0.1:80", "10.0.0.1:80", "[::1]:80"] {
        net.server(address, server.address);
    }
    let mut plugin = plugin_with(
        net.config(),
        granted(&["http://ca.example.com"]),
        HttpLimits { requests: 1000, ..HttpLimits::default() },
    );
    for (authority, expected) in [
        ("user@ca.example.com", "HttpRequestUriInvalid"),
        ("ca.example.com@169.254.169.254", "HttpRequestUriInvalid"),
        ("ca.example.com:80@169.254.169.254", "HttpRequestUriInvalid"),
        ("169.254.169.254", "HttpRequestDenied"),
        ("2852039166", "HttpRequestUriInvalid"),
        ("0xa9fea9fe", "HttpRequestUriInvalid"),
        ("0xa9.0xfe.0xa9.0xfe", "HttpRequestUriInvalid"),
        ("0251.0376.0251.0376", "HttpRequestUriInvalid"),
        ("2130706433", "HttpRequestUriInvalid"),
        ("0x7f.1", "HttpRequestUriInvalid"),
        ("127.1", "HttpRequestUriInvalid"),
        ("127.0.0.1", "HttpRequestDenied"),
        ("[::1]", "HttpRequestDenied"),
        ("[::ffff:169.254.169.254]", "HttpRequestDenied"),
        ("localhost", "HttpRequestDenied"),
        ("ca.example.com.evil.net", "HttpRequestDenied"),
        ("ca.example.com:8080", "HttpRequestDenied"),
        ("x.ca.example.com", "HttpRequestDenied"),
        ("ca.example.com:65616", "HttpRequestUriInvalid"),
    ] {
        let request = raw("http", authority, "/").unwrap();
        assert_eq!(error(send(&mut plugin.call, request).await), expected, "{authority}");
    }
    assert!(net.dialed().is_empty() && net.resolved.lock().unwrap().is_empty());
    let metadata = &plugin.denials()[0];
    assert_eq!(
        metadata.fix_line,
        "none: 169.254.169.254 is a cloud's metadata service, which plugins never reach"
    );
    // Another host in the path or in the header fields goes to the granted server, as a path and as nothing.
    for path in ["//169.254.169.254/latest", "/http://169.254.169.254/"] {
        let answer = send(&mut plugin.call, raw("http", "ca.example.com", path).unwrap()).await.unwrap();
        assert!(answer.text().starts_with(&format!("GET {path} HTTP/1.1\n")), "{}", answer.text());
    }
    let mut request = raw("http", "ca.example.com", "/").unwrap();
    for (name, value) in [("host", "169.254.169.254"), ("proxy-authorization", "x"), ("connection", "host")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let text = send(&mut plugin.call, request).await.unwrap();
    assert_eq!(text.text(), "GET / HTTP/1.1\nhost: ca.example.com\n\n");
    assert!(net.dialed().iter().all(|address| address == "93.184.215.14:80"));
}

#[test]
fn header_fields_that_are_the_hosts_are_forbidden() {
    use wasmtime_wasi_http::WasiHttpHooks as _;
    let net = Arc::new(Net::default());
    let mut plugin = plugin(&net, &[]);
    let mut forbidden =
        |name: &'static str| plugin.call.is_forbidden_header(&http::HeaderName::from_static(name));
    for name in ["host", "connection", "transfer-encoding", "upgrade", "proxy-connection", "proxy-anything"] {
        assert!(forbidden(name), "{name}");
    }
    for name in ["authorization", "content-length", "accept", "te"] {
        assert!(!forbidden(name), "{name}");
    }
}

#[tokio::test]
async fn a_granted_name_does_not_open_the_way_to_a_forbidden_address() {
    let server = server::http().await;
    for (ip, hint) in [
        ("169.254.169.254", "no Issuer and no policy can allow it"),
        (
            "127.0.0.1",
            "the section of the operator's policy wasmIssuers: {allowAddresses: [\"127.0.0.1/32\"]}",
        ),
        ("::1", "the section of the operator's policy wasmIssuers: {allowAddresses: [\"::1/128\"]}"),
        (
            "10.96.0.1",
            "the section of the operator's policy wasmIssuers: {allowAddresses: [\"10.96.0.1/32\"]}",
        ),
        ("::ffff:169.254.169.254", "no Issuer and no policy can allow it"),
        ("64:ff9b::a9fe:a9fe", "no Issuer and no policy can allow it"),
        ("fd00:ec2::254", "no Issuer and no policy can allow it"),
        ("0.0.0.0", "no Issuer and no policy can allow it"),
    ] {
        let net = Arc::new(Net::default());
        net.name("rebound.example.com", &[&[ip]]);
        net.server(&std::net::SocketAddr::new(ip.parse().unwrap(), 80).to_string(), server.address);
        let mut plugin = plugin(&net, &["http://rebound.example.com"]);
        assert_eq!(plugin.error("http://rebound.example.com/").await, "DestinationIpProhibited", "{ip}");
        assert!(net.dialed().is_empty(), "{ip}");
        let denials = plugin.denials();
        assert_eq!((denials.len(), denials[0].reason), (1, DenialReason::AddressProhibited));
        let address = denials[0].address.as_deref().unwrap();
        assert!(
            address.contains(" is ") && address.ends_with(&format!("; to allow it: {hint}")),
            "{address}"
        );
    }
}

/// What plugins make the operator tell tenants is the same for every address.
#[tokio::test]
async fn a_denial_shows_tenants_no_address_and_no_kind_of_address() {
    let mut texts = Vec::new();
    for ip in ["169.254.169.254", "127.0.0.1", "10.96.0.1", "fd00:ec2::254", "203.0.113.1", "224.0.0.1"] {
        let net = Arc::new(Net::default());
        net.name("probe.example.com", &[&[ip]]);
        let mut plugin = plugin(&net, &["http://probe.example.com"]);
        plugin.error("http://probe.example.com/").await;
        let Denial { destination, message, fix_line, address, .. } = plugin.denials().remove(0);
        assert!(address.is_some_and(|address| address.starts_with(ip)), "{ip}");
        texts.push((destination, message, fix_line));
    }
    texts.dedup();
    let message = "http://probe.example.com is at an address that plugins may not reach";
    assert_eq!((texts.len(), texts[0].1.as_str()), (1, message));
    assert!(texts[0].2.ends_with(" the section wasmIssuers: {privateAddresses: true}"), "{}", texts[0].2);
}

#[tokio::test]
async fn a_granted_address_needs_the_policy_as_well() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.server("10.0.0.5:80", server.address);
    let mut first = plugin(&net, &["http://10.0.0.5"]);
    assert_eq!(first.error("http://10.0.0.5/").await, "DestinationIpProhibited");
    assert!(net.dialed().is_empty());
    let fix = "the section of the operator's policy wasmIssuers: {allowAddresses: [\"10.0.0.5/32\"]}";
    assert_eq!(first.denials()[0].fix_line, fix, "what the spec names is no secret");
    let mut grant = granted(&["http://10.0.0.5"]);
    grant.addresses.private = true;
    let mut second = plugin_with(net.config(), grant, HttpLimits::default());
    assert!(second.get("http://10.0.0.5/").await.is_ok());
    assert!(net.resolved.lock().unwrap().is_empty(), "an address is not looked up");
}

#[tokio::test]
async fn the_api_server_is_not_reached_by_a_name_of_its_own() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.name("kubernetes.default.svc", &[&["10.96.0.1"]]);
    net.server("10.96.0.1:80", server.address);
    let config = net.config();
    config.api_servers.set(vec![ApiServer("10.96.0.1:443".parse().unwrap())]);
    let mut grant = granted(&["http://kubernetes.default.svc"]);
    grant.addresses =
        AddressPolicy { private: true, allow: vec!["0.0.0.0/0".parse().unwrap()], deny: vec![] };
    let mut plugin = plugin_with(config, grant, HttpLimits::default());
    assert_eq!(plugin.error("http://kubernetes.default.svc/").await, "DestinationIpProhibited");
    assert!(net.dialed().is_empty());
}

/// The name changes its address between the check and the connection, and between connections.
#[tokio::test]
async fn dns_rebinding_gains_nothing() {
    let net = Arc::new(Net::default());
    // A server that closes each connection, so that each request needs a new one.
    let server = server::canned("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    net.name("rebound.example.com", &[&["93.184.215.14"], &["169.254.169.254"]]);
    net.server("93.184.215.14:80", server.address);
    net.server("169.254.169.254:80", server.address);
    let mut plugin = plugin(&net, &["http://rebound.example.com"]);
    assert!(plugin.get("http://rebound.example.com/").await.is_ok());
    assert_eq!(net.resolved.lock().unwrap().len(), 1, "the name is looked up once for a connection");
    assert_eq!(net.dialed(), ["93.184.215.14:80"]);
    assert_eq!(plugin.error("http://rebound.example.com/").await, "DestinationIpProhibited");
    assert_eq!(net.dialed(), ["93.184.215.14:80"]);
}

#[tokio::test]
async fn forbidden_addresses_among_others_are_left_out() {
    let net = Arc::new(Net::default());
    let server = server::http().await;
    net.name(
        "mixed.example.com",
        &[&["169.254.169.254", "10.0.0.1", "93.184.215.15", "::1", "::ffff:93.184.215.14"]],
    );
    net.server("93.184.215.14:80", server.address);
    let mut plugin = plugin(&net, &["http://mixed.example.com"]);
    assert!(plugin.get("http://mixed.example.com/").await.is_ok());
    assert_eq!(net.dialed(), ["93.184.215.15:80", "93.184.215.14:80"], "the first one refuses");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let net = Arc::new(Net::default());
    let server = server::canned(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    net.public("ca.example.com", 80, server.address);
    net.server("169.254.169.254:80", server.address);
    let mut plugin = plugin(&net, &["http://ca.example.com", "http://169.254.169.254"]);
    let answer = plugin.get("http://ca.example.com/").await.unwrap();
    assert_eq!((answer.status.as_u16(), net.dialed().len()), (302, 1));
    // Not even the plugin itself may follow, whatever the Issuer grants.
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(plugin.error(&location).await, "DestinationIpProhibited");
    assert_eq!(net.dialed(), ["93.184.215.14:80"]);
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_told() {
    let net = Arc::new(Net::default());
    net.name("refused.example.com", &[&["93.184.215.14"]]);
    net.name("empty.example.com", &[&[]]);
    let mut plugin = plugin(&net, &["http://*.example.com"]);
    for (host, expected, words) in [
        ("refused", "ConnectionRefused", "no connection to 93.184.215.14:80: connection refused"),
        ("gone", "DnsError", "the name could not be resolved: entity not found"),
        ("empty", "DnsError", "the name has no address"),
    ] {
        assert_eq!(plugin.error(&format!("http://{host}.example.com/")).await, expected, "{host}");
        assert_eq!(plugin.failures().last().unwrap(), words);
    }
    assert!(plugin.denials().is_empty());
}
