//! Against real servers (test/cfssl): `cargo test -p cfssl -- --ignored`. Each test has its own.

use std::sync::Arc;
use std::time::Duration;

use cfssl_fixture::{Cfssl, OTHER_AUTH_KEY, Server};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use ureq::Agent;
use ureq::tls::{Certificate as Trusted, PemItem, RootCerts, TlsConfig, parse_pem};
use x509_cert::Certificate as X509;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

use super::*;

/// Speaks to a server, over TLS, with the authentication key of the test servers.
struct Network {
    agent: Agent,
    key: String,
}

impl Network {
    fn new(servers: &Cfssl) -> Self {
        let pem = servers.trusted();
        let trusted = parse_pem(pem.as_bytes()).filter_map(|item| match item.unwrap() {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        });
        let trusted: Vec<Trusted<'static>> = trusted.collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(trusted)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // So that a server that hangs fails the test.
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        Self { agent, key: servers.auth_key() }
    }
}

impl World for Network {
    fn post(&self, url: &str, body: &Value) -> Result<Response, HttpError> {
        let body = serde_json::to_vec(body).unwrap();
        let mut response =
            self.agent.post(url).content_type("application/json").send(&body).map_err(|error| {
                let kind = match error {
                    ureq::Error::Io(_) | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
                    _ => HttpErrorKind::Other,
                };
                HttpError::new(kind, format!("{url}: {error}"))
            })?;
        let body = response.body_mut().read_to_vec().unwrap();
        Ok(Response { server: String::new(), status: response.status().as_u16(), headers: Vec::new(), body })
    }

    fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(hmac_sha256(&self.key, message))
    }

    fn is_down(&self, _: &str) -> bool {
        false
    }

    fn set_down(&self, _: &str) {}
}

fn at(server: &Server, options: Value) -> Config {
    with_url(&server.url(), options)
}

fn with_url(url: &str, mut options: Value) -> Config {
    options["url"] = json!(url);
    config(options)
}

fn real<'a>(servers: &Cfssl, config: &'a Config, authenticate: bool) -> Ca<'a, Network> {
    Ca { config, authenticate, world: Network::new(servers) }
}

fn csr_params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["web.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "web.example.com");
    params
}

fn csr(params: &CertificateParams) -> String {
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn chain(certificate: &Certificate) -> Vec<X509> {
    X509::load_pem_chain(certificate.chain.as_bytes()).unwrap()
}

fn subject(certificate: &X509) -> String {
    certificate.tbs_certificate().subject().to_string()
}

fn issuer(certificate: &X509) -> String {
    certificate.tbs_certificate().issuer().to_string()
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn each_label_of_a_multirootca_signs_with_its_own_ca() {
    let servers = Cfssl::start();
    for label in ["primary", "secondary"] {
        let config = at(&servers.multirootca, json!({"label": label}));
        let ca = real(&servers, &config, true);
        assert_eq!(ca.check(), Ok(()));
        let certificate = ca.sign(&csr(&csr_params())).unwrap();
        let chain = chain(&certificate);
        assert_eq!((chain.len(), certificate.ca), (1, None));
        assert_eq!(issuer(&chain[0]), format!("CN=CFSSL test {label},O=wasm-issuer"));
    }
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn all_kinds_of_names_survive() {
    let servers = Cfssl::start();
    let mut params = csr_params();
    params.subject_alt_names.extend([
        SanType::DnsName("*.example.com".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
        SanType::URI("spiffe://example.com/ns/a/sa/b".try_into().unwrap()),
        SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
    ]);
    let sans = |certificate: &X509| {
        let (_, sans) = certificate.tbs_certificate().get_extension::<SubjectAltName>().unwrap().unwrap();
        let mut names: Vec<_> = sans.0.iter().map(|name| name.to_der().unwrap()).collect();
        names.sort();
        names
    };
    // What the CSR asks for, by way of a self-signed certificate of the same names.
    let expected = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let expected = sans(&X509::from_der(expected.der()).unwrap());
    assert_eq!(expected.len(), 6);

    let config = at(&servers.multirootca, json!({"label": "primary"}));
    let certificate = real(&servers, &config, true).sign(&csr(&params)).unwrap();
    assert_eq!(sans(&chain(&certificate)[0]), expected);
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn a_bundle_is_the_chain_from_the_servers_bundler_or_made_of_its_certificate() {
    let servers = Cfssl::start();
    let root = X509::load_pem_chain(servers.root().as_bytes()).unwrap().remove(0);
    let config = at(&servers.serve, json!({"bundle": true}));
    let certificate = real(&servers, &config, false).sign(&csr(&csr_params())).unwrap();
    let bundle = chain(&certificate);
    assert_eq!((bundle.len(), issuer(&bundle[0])), (2, subject(&bundle[1])));
    assert_eq!(X509::load_pem_chain(certificate.ca.unwrap().as_bytes()).unwrap(), [root]);

    let config = at(&servers.multirootca, json!({"label": "secondary", "bundle": true}));
    let certificate = real(&servers, &config, true).sign(&csr(&csr_params())).unwrap();
    let bundle = chain(&certificate);
    assert_eq!((bundle.len(), issuer(&bundle[0])), (2, subject(&bundle[1])));
    assert_eq!(certificate.ca, None, "a multirootca does not know its root");
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn check_finds_what_is_wrong_without_signing_anything() {
    let servers = Cfssl::start();
    let multirootca = |options| at(&servers.multirootca, options);
    let serve = |options| at(&servers.serve, options);
    let kind = |config: Config, authenticate, key: Option<&str>| {
        let mut ca = real(&servers, &config, authenticate);
        key.into_iter().for_each(|key| key.clone_into(&mut ca.world.key));
        let failure = ca.check().unwrap_err();
        (failure.kind, failure.message.split(": ").nth(1).unwrap().to_owned())
    };
    let faults = [
        (kind(multirootca(json!({"label": "primary"})), true, Some("00")), "invalid token"),
        (kind(multirootca(json!({"label": "nobody"})), true, None), "bad label"),
        (kind(multirootca(json!({"label": "primary", "profile": "nothing"})), true, None), "invalid profile"),
        (kind(multirootca(json!({"label": "primary", "profile": "other-key"})), true, None), "invalid token"),
        (
            kind(multirootca(json!({"label": "primary", "profile": "no-key"})), true, None),
            "authorisation required",
        ),
        (kind(multirootca(json!({"label": "primary"})), false, None), "404 page not found"),
        (kind(serve(json!({"profile": "other-key"})), false, None), "authentication required"),
        (kind(serve(json!({"profile": "other-key"})), true, None), "invalid token"),
        (kind(serve(json!({})), true, None), "no authentication provider"),
    ];
    for ((kind, message), expected) in faults {
        assert_eq!(kind, FailureKind::Issuer, "{expected}");
        assert!(message.starts_with(expected), "{message}, not {expected}");
    }

    assert!(servers.multirootca.log().contains("invalid token"));
    let config = serve(json!({"profile": "other-key"}));
    let mut ca = real(&servers, &config, true);
    OTHER_AUTH_KEY.clone_into(&mut ca.world.key);
    assert_eq!(ca.check(), Ok(()), "with the key of that profile");
    let config = serve(json!({}));
    assert_eq!(real(&servers, &config, false).check(), Ok(()), "a profile that needs no key");
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn a_name_that_the_profile_forbids_is_the_requests_fault_where_the_server_says_so() {
    let servers = Cfssl::start();
    let params = CertificateParams::new(vec!["web.example.org".to_owned()]).unwrap();
    let config = at(&servers.serve, json!({"profile": "restricted"}));
    let ca = real(&servers, &config, false);
    assert_eq!(ca.check(), Ok(()));
    let failure = ca.sign(&csr(&params)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("whitelist (HTTP 400, code 5500"), "{}", failure.message);
    ca.sign(&csr(&csr_params())).unwrap();

    // A multirootca does not tell this from a failing database.
    let config = at(&servers.multirootca, json!({"label": "primary", "profile": "restricted"}));
    let failure = real(&servers, &config, true).sign(&csr(&params)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry(None));
    assert!(failure.message.contains("bad request"), "{}", failure.message);

    let failure = {
        let config = at(&servers.multirootca, json!({"label": "nobody"}));
        real(&servers, &config, true).sign(&csr(&csr_params())).unwrap_err()
    };
    assert_eq!(failure.kind, FailureKind::Issuer, "{}", failure.message);
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn a_ca_certificate_needs_a_profile_that_gives_one() {
    let servers = Cfssl::start();
    let mut params = csr_params();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let request = csr(&params);
    let config = at(&servers.serve, json!({}));
    assert_eq!(real(&servers, &config, false).sign(&request).unwrap_err().kind, FailureKind::Permanent);

    let config = at(&servers.multirootca, json!({"label": "secondary", "profile": "ca"}));
    let certificate = real(&servers, &config, true).sign(&request).unwrap();
    let constraints = chain(&certificate)[0].tbs_certificate().get_extension::<BasicConstraints>();
    assert!(constraints.unwrap().unwrap().1.ca);
}

#[test]
#[ignore = "starts CFSSL, which is built first where it is missing; needs Go"]
fn the_next_server_takes_over_from_one_that_is_down() {
    let servers = Cfssl::start();
    let down = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("https://{}", listener.local_addr().unwrap())
    };
    let config = with_url(&format!("{down}, {}", servers.multirootca.url()), json!({"label": "primary"}));
    let ca = real(&servers, &config, true);
    assert_eq!(ca.check(), Ok(()));
    ca.sign(&csr(&csr_params())).unwrap();

    let config = with_url(&down, json!({"label": "primary"}));
    assert_eq!(real(&servers, &config, true).check().unwrap_err().kind, FailureKind::Retry(None));
}
