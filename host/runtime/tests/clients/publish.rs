//! What is published for every CA and every request, by the path of a request through the operator: plugin, verification.

use std::time::SystemTime;

use tokio::sync::OnceCell;
use wasm_issuer_core::issuance::signer::SignRequest;
use wasm_issuer_core::issuance::verify::{TrustedCas, Verification, verify};
use wasm_issuer_runtime::{Account, Plugin, Runtime, RuntimeConfig, Session, SessionInit};

use crate::authorities::{self, Authority};
use crate::requests::{self, Asked};
use crate::support::{component, init, patient, secret};

/// An answer, published or refused.
pub struct Published {
    /// The CA and the request.
    pub what: String,
    /// PEM, leaf first.
    pub chain: String,
    pub ca: String,
    /// Why it is not published.
    pub refused: Option<String>,
    /// Whether it is to be believed of a server.
    pub is_server: bool,
}

/// The in-memory CA.
pub async fn plugin() -> std::sync::Arc<Plugin> {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    runtime.load(component("in_memory_ca"), &Account::tenant("team-a")).await.unwrap()
}

/// A session of an Issuer with this Secret.
pub fn session(values: &[(&str, Vec<u8>)]) -> std::sync::Arc<Session> {
    let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_slice())).collect();
    Session::new(SessionInit {
        secret: Some(secret(&values)),
        limits: patient(),
        ..init(serde_json::json!({}))
    })
}

/// All of them, made once.
pub async fn published() -> &'static [Published] {
    static ALL: OnceCell<Vec<Published>> = OnceCell::const_new();
    ALL.get_or_init(make).await
}

async fn make() -> Vec<Published> {
    let plugin = plugin().await;
    let requests = requests::all();
    let mut all = Vec::new();
    for authority in authorities::all() {
        let session = session(&authority.secret);
        plugin.check(&session).await.unwrap_or_else(|error| panic!("check of {}: {error}", authority.name));
        for asked in requests.iter().filter(|asked| authority.signs_all || asked.is_plain) {
            let signed = plugin.sign(&session, &asked.request).await;
            let signed = signed.unwrap_or_else(|error| panic!("{}, {}: {error}", authority.name, asked.name));
            all.push(judge(&authority, asked, &asked.request, &signed));
        }
    }
    all
}

fn judge(
    authority: &Authority,
    asked: &Asked,
    request: &SignRequest,
    signed: &wasm_issuer_core::issuance::signer::Signed,
) -> Published {
    let trusted = TrustedCas::among(authority.secret.iter().map(|(_, value)| value.as_slice()));
    let now = SystemTime::now().try_into().unwrap();
    let what = format!("{}; {}", authority.name, asked.name);
    let (is_server, signed_ca) = (asked.is_plain, signed.ca.clone().unwrap());
    match verify(request, signed, &trusted, now, &Verification::default()) {
        Ok(verified) => Published {
            what,
            chain: verified.certificate,
            ca: verified.ca.unwrap(),
            refused: None,
            is_server,
        },
        Err(error) => Published {
            what,
            chain: signed.chain.clone(),
            ca: signed_ca,
            refused: Some(error.to_string()),
            is_server,
        },
    }
}
