use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use aws_lc_rs::hmac;
use wasm_issuer_sdk::FailureKind;
use wasm_issuer_sdk::http::HttpErrorKind;

use super::*;
use crate::config::AuthMode;

mod real;

/// The key of CFSSL's own tests (auth/auth_test.go).
const KEY: &str = "0123456789ABCDEF0123456789ABCDEF";

fn config(config: Value) -> Config {
    serde_json::from_value(config).unwrap()
}

fn hmac_sha256(key: &str, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &hex::decode(key).unwrap());
    hmac::sign(&key, message).as_ref().to_vec()
}

/// A world that answers what a test tells it to, and keeps what it was asked.
#[derive(Default)]
struct Script {
    answers: RefCell<VecDeque<Result<Response, HttpError>>>,
    asked: RefCell<Vec<(String, Value)>>,
    down: RefCell<BTreeSet<String>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Result<Response, HttpError>>) -> Self {
        Self { answers: RefCell::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn asked(&self) -> Vec<(String, Value)> {
        assert!(self.answers.borrow().is_empty(), "not all answers were asked for");
        self.asked.take()
    }

    fn urls(&self) -> Vec<String> {
        self.asked().into_iter().map(|(url, _)| url).collect()
    }
}

impl World for &Script {
    fn post(&self, url: &str, body: &Value) -> Result<Response, HttpError> {
        self.asked.borrow_mut().push((url.to_owned(), body.clone()));
        self.answers.borrow_mut().pop_front().expect("an answer")
    }

    fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(hmac_sha256(KEY, message))
    }

    fn is_down(&self, url: &str) -> bool {
        self.down.borrow().contains(url)
    }

    fn set_down(&self, url: &str) {
        self.down.borrow_mut().insert(url.to_owned());
    }
}

fn answer(status: u16, body: impl ToString) -> Result<Response, HttpError> {
    Ok(Response { server: String::new(), status, headers: Vec::new(), body: body.to_string().into() })
}

fn success(result: Value) -> Result<Response, HttpError> {
    answer(200, json!({"success": true, "result": result, "errors": [], "messages": []}))
}

fn refusal(status: u16, code: i64, message: &str) -> Result<Response, HttpError> {
    let errors = json!([{"code": code, "message": message}]);
    answer(status, json!({"success": false, "result": null, "errors": errors, "messages": []}))
}

fn info() -> Result<Response, HttpError> {
    success(json!({"certificate": "CA", "usages": ["server auth"], "expiry": "2160h"}))
}

fn refused(url: &str) -> Result<Response, HttpError> {
    Err(HttpError::new(HttpErrorKind::Connect, format!("{url}: the connection was refused")))
}

fn ca<'a>(config: &'a Config, authenticate: bool, world: &'a Script) -> Ca<'a, &'a Script> {
    Ca { config, authenticate, world }
}

#[test]
fn urls_are_one_or_a_list_or_separated_by_commas() {
    let urls = |url: Value| config(json!({"url": url})).url.join(" ");
    assert_eq!(urls(json!("https://a:1/")), "https://a:1");
    assert_eq!(urls(json!("https://a:1, http://b/x")), "https://a:1 http://b/x");
    assert_eq!(urls(json!(["https://a:1", "http://b"])), "https://a:1 http://b");
}

#[test]
fn a_config_that_is_wrong_says_how() {
    let error = |config: Value| serde_json::from_value::<Config>(config).unwrap_err().to_string();
    assert_eq!(error(json!({"url": "ca:8888"})), r#""ca:8888" does not begin with https:// or http://"#);
    assert_eq!(error(json!({"url": "https://a,"})), r#""" does not begin with https:// or http://"#);
    assert_eq!(error(json!({"url": []})), r#""" does not begin with https:// or http://"#);
    assert_eq!(error(json!({"url": 5})), "expected a URL or a list of URLs");
    assert!(error(json!({"url": "https://a", "lable": "x"})).starts_with("unknown field `lable`"));
    assert!(error(json!({"url": "https://a", "authMode": "none"})).starts_with("unknown variant `none`"));
    assert!(error(json!({"url": "https://a", "timeoutSeconds": 0})).contains("nonzero"));
}

#[test]
fn defaults_are_those_of_cfssl_issuer() {
    let config = config(json!({"url": "https://a"}));
    assert_eq!((config.auth_key.as_str(), config.auth_mode, config.bundle), ("key", AuthMode::Auto, false));
}

/// auth/testdata/authrequest.json of CFSSL: a token that its own tests verify.
#[test]
fn the_token_is_the_one_that_cfssl_verifies() {
    let known: Value = serde_json::from_str(include_str!("../../testdata/authrequest.json")).unwrap();
    let request = Base64::decode_vec(known["request"].as_str().unwrap()).unwrap();
    assert_eq!(authenticated(&hmac_sha256(KEY, &request), &request), known);
}

#[test]
fn authsign_sends_the_request_and_a_token_over_its_bytes() {
    let world = Script::new([success(json!({"certificate": "LEAF\n"}))]);
    let config = config(json!({"url": "https://a", "label": "primary", "profile": "server"}));
    let certificate = ca(&config, true, &world).sign("CSR").unwrap();
    assert_eq!((certificate.chain.as_str(), certificate.ca), ("LEAF\n", None));

    let (url, body) = world.asked().pop().unwrap();
    assert_eq!(url, "https://a/api/v1/cfssl/authsign");
    let decode = |field: &str| Base64::decode_vec(body[field].as_str().unwrap()).unwrap();
    let request = decode("request");
    assert_eq!(decode("token"), hmac_sha256(KEY, &request));
    assert_eq!(
        serde_json::from_slice::<Value>(&request).unwrap(),
        json!({"certificate_request": "CSR", "label": "primary", "profile": "server", "bundle": false}),
        "no hosts: they would replace the CSR's names"
    );
}

#[test]
fn sign_sends_the_request_as_it_is() {
    let world = Script::new([success(json!({"certificate": "LEAF"}))]);
    let config = config(json!({"url": "https://a/ca/"}));
    ca(&config, false, &world).sign("CSR").unwrap();
    let expected = json!({"certificate_request": "CSR", "label": "", "profile": "", "bundle": false});
    assert_eq!(world.asked(), [("https://a/ca/api/v1/cfssl/sign".to_owned(), expected)]);
}

#[test]
fn a_bundle_is_the_chain_and_the_root() {
    let bundle = json!({"bundle": "LEAF\nINTERMEDIATE", "root": "ROOT", "crt": "LEAF", "status": {}});
    let world = Script::new([success(json!({"certificate": "LEAF", "bundle": bundle}))]);
    let config = config(json!({"url": "https://a", "bundle": true}));
    let certificate = ca(&config, false, &world).sign("CSR").unwrap();
    assert_eq!((certificate.chain.as_str(), certificate.ca.as_deref()), ("LEAF\nINTERMEDIATE", Some("ROOT")));
    assert_eq!(world.asked().pop().unwrap().1["bundle"], true);
}

#[test]
fn without_bundles_the_chain_goes_on_with_the_issuing_certificate() {
    let world = Script::new([
        success(json!({"certificate": "LEAF
"})),
        info(),
    ]);
    let config = config(json!({"url": "https://a", "bundle": true}));
    let certificate = ca(&config, false, &world).sign("CSR").unwrap();
    assert_eq!(
        (certificate.chain.as_str(), certificate.ca),
        (
            "LEAF
CA
", None
        )
    );
    assert_eq!(world.urls(), ["https://a/api/v1/cfssl/sign", "https://a/api/v1/cfssl/info"]);
}

#[test]
fn servers_are_asked_in_their_order_and_one_that_is_down_last() {
    let world =
        Script::new([refused("a"), info(), refusal(400, 1, "invalid request"), refused("b"), refused("a")]);
    let config = config(json!({"url": "https://a,https://b"}));
    let ca = ca(&config, true, &world);
    assert_eq!(ca.check(), Ok(()));
    let failure = ca.sign("CSR").unwrap_err();
    assert_eq!(failure, Failure::retry("b: the connection was refused; a: the connection was refused"));
    let asked = world.urls();
    let asked: Vec<_> = asked.iter().map(|url| url.replace("/api/v1/cfssl/", " ")).collect();
    assert_eq!(
        asked,
        [
            "https://a info",
            "https://b info",
            "https://b authsign",
            "https://b authsign",
            "https://a authsign"
        ]
    );
}

#[test]
fn a_server_in_trouble_is_skipped_and_says_when_to_come_back() {
    let config = config(json!({"url": ["https://a", "https://b"]}));
    let mut busy = refusal(503, 0, "busy").unwrap();
    busy.headers.push(("Retry-After".to_owned(), b"17".to_vec()));
    let denied = HttpError::new(HttpErrorKind::Denied, "not granted");
    let world = Script::new([Err(denied), Ok(busy)]);
    let failure = ca(&config, false, &world).sign("CSR").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry(Some(17)));
    assert_eq!(failure.message, "not granted; https://b/api/v1/cfssl/sign: busy (HTTP 503, code 0)");
}

#[test]
fn a_refusal_is_final_and_no_other_server_is_asked() {
    let config = config(json!({"url": ["https://a", "https://b"], "label": "primary", "profile": "server"}));
    let world = Script::new([refusal(400, 5500, "Request does not match policy whitelist")]);
    let failure = ca(&config, false, &world).sign("CSR").unwrap_err();
    assert_eq!(
        failure,
        Failure::invalid_request(
            "https://a/api/v1/cfssl/sign: Request does not match policy whitelist (HTTP 400, code 5500, \
             label \"primary\", profile \"server\")"
        )
    );
    world.asked();
}

#[test]
fn refusals_are_the_issuers_or_the_requests_fault_or_unknown() {
    // multirootca: cmd/multirootca/api.go.
    for (status, message) in [
        (401, "authorisation required"),
        (403, "not authorised"),
        (400, "invalid profile"),
        (400, "invalid token"),
        (405, "only POST is permitted"),
    ] {
        assert_eq!(fault(status, 1, message), Fault::Issuer, "{message}");
    }
    assert_eq!(fault(400, 1, "bad request"), Fault::Unknown);
    // cfssl serve: api/signhandler, api/info, doc/errorcode.txt.
    for message in ["bad label", "invalid token", "authentication required", "no authentication provider"] {
        assert_eq!(fault(400, 400, message), Fault::Issuer, "{message}");
    }
    for (code, expected) in [
        (5100, Fault::Issuer),
        (5200, Fault::Issuer),
        (5300, Fault::Request),
        (5400, Fault::Issuer),
        (5500, Fault::Request),
        (9002, Fault::Request),
        (9003, Fault::Request),
        (1000, Fault::Unknown),
        (1400, Fault::Issuer),
        (7400, Fault::Unknown),
        (10_100, Fault::Unknown),
        (11_100, Fault::Unknown),
    ] {
        assert_eq!(fault(400, code, "x"), expected, "{code}");
    }
    for status in [408, 429, 500, 503] {
        assert_eq!(fault(status, 1, "bad request"), Fault::Server, "{status}");
    }
    // Not CFSSL at all.
    assert_eq!(fault(200, 0, "<html>"), Fault::Server);
    assert_eq!(fault(404, 0, "404 page not found"), Fault::Issuer);
    assert_eq!(fault(302, 0, ""), Fault::Issuer);
}

#[test]
fn check_passes_on_answers_to_a_csr_that_is_none() {
    let config = config(json!({"url": "https://a"}));
    for (authenticate, answer) in [
        (true, refusal(400, 1, "invalid request")),
        (true, refusal(400, 400, "missing parameter 'certificate_request'")),
        (false, refusal(400, 9002, "CSR Decode failed")),
    ] {
        let world = Script::new([info(), answer]);
        assert_eq!(ca(&config, authenticate, &world).check(), Ok(()));
        world.asked();
    }
}

#[test]
fn check_fails_on_a_wrong_label_or_key() {
    let config = config(json!({"url": "https://a", "label": "nobody"}));
    let world = Script::new([refusal(400, 400, "bad label")]);
    let failure = ca(&config, true, &world).check().unwrap_err();
    let message = "https://a/api/v1/cfssl/info: bad label (HTTP 400, code 400, label \"nobody\")";
    assert_eq!(failure, Failure::issuer(message));

    let world = Script::new([info(), refusal(400, 1, "invalid token")]);
    assert_eq!(ca(&config, true, &world).check().unwrap_err().kind, FailureKind::Issuer);
}

#[test]
fn what_a_multirootca_does_not_explain_is_the_issuers_fault_if_the_check_says_so_and_retried_otherwise() {
    let config = config(json!({"url": "https://a", "label": "primary"}));
    let world = Script::new([refusal(400, 1, "bad request"), refusal(400, 400, "bad label")]);
    assert_eq!(ca(&config, true, &world).sign("CSR").unwrap_err().kind, FailureKind::Issuer);

    let world = Script::new([refusal(400, 1, "bad request"), info(), refusal(400, 1, "invalid request")]);
    let failure = ca(&config, true, &world).sign("CSR").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry(None));
    assert!(failure.message.contains("its log says which"), "{}", failure.message);
}

#[test]
fn an_answer_that_is_not_cfssls_is_retried() {
    let config = config(json!({"url": "https://a"}));
    for body in [json!("<html>"), json!({"success": true, "result": {"x": 1}}), json!({"success": true})] {
        let world = Script::new([answer(200, body)]);
        assert_eq!(ca(&config, false, &world).sign("CSR").unwrap_err().kind, FailureKind::Retry(None));
    }
}
