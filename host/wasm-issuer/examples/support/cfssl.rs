//! An Issuer for a real CFSSL on loopback, which signs with P-256, over TLS.

use cfssl_fixture::Cfssl;
use serde_json::json;
use wasm_issuer_runtime::SessionInit;
use wasm_issuer_runtime::egress::{AddressPolicy, Grant, HttpGrant, Roots, ValueLocation};

use crate::support::{init, secret};

/// What a session with the label `primary` of its `multirootca` is made of.
pub fn issuer(cfssl: &Cfssl) -> SessionInit {
    let (url, auth) = (cfssl.multirootca.url(), cfssl.auth_key());
    let at = ValueLocation { namespace: "team-a".into(), secret: "ca".into(), key: "ca.crt".into() };
    let http = HttpGrant {
        allowed: Grant::parse([&url]).expect("a grant"),
        roots: Some(Roots::from_pem(cfssl.trusted().as_bytes(), &at).expect("roots")),
        addresses: AddressPolicy {
            allow: vec!["127.0.0.0/8".parse().expect("a network")],
            ..Default::default()
        },
        ..HttpGrant::default()
    };
    let secret = Some(secret(&[("key", auth.as_bytes())]));
    SessionInit { secret, http, ..init(json!({"url": url, "label": "primary"})) }
}
