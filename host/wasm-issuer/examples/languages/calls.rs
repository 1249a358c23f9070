//! Calls that get certificates from CFSSL.

use std::sync::Arc;
use std::time::Instant;

use cfssl_fixture::Cfssl;
use serde_json::json;
use wasm_issuer_core::issuance::signer::SignRequest;
use wasm_issuer_runtime::{CallLimits, Plugin, Session, SessionInit};

use crate::cfssl::issuer;
use crate::support::{init, patient, request};

/// Calls whose median is told.
const CALLS: usize = 50;
/// The most that an Issuer may give to a call, in MiB.
const MOST: usize = 1024;

/// What calls take: seconds, and bytes.
pub struct Calls {
    /// A `sign` that ends at its configuration, which the host holds against the schema for `check` only: an instance, and its
    /// interpreter.
    pub instantiate: f64,
    pub check: f64,
    pub sign: f64,
    /// The least `spec.limits.memory`, in whole MiB, with which `sign` works.
    pub memory: usize,
}

pub async fn measure(plugin: &Arc<Plugin>) -> Calls {
    let cfssl = Cfssl::start();
    let refused = Session::new(init(json!({"unknown": 1})));
    let (session, request) = (session(&cfssl, patient()), request());
    let instantiate = async || drop(plugin.sign(&refused, &request).await.expect_err("a bad config"));
    let check = async || plugin.check(&session).await.expect("a check");
    let sign = async || drop(plugin.sign(&session, &request).await.expect("a certificate"));
    Calls {
        instantiate: median(instantiate).await,
        check: median(check).await,
        sign: median(sign).await,
        memory: least_memory(plugin, &cfssl, &request).await << 20,
    }
}

fn session(cfssl: &Cfssl, limits: CallLimits) -> Arc<Session> {
    Session::new(SessionInit { limits, ..issuer(cfssl) })
}

/// The median seconds of a call.
async fn median(call: impl AsyncFn()) -> f64 {
    let mut took = Vec::new();
    for _ in 0..CALLS {
        let began = Instant::now();
        call().await;
        took.push(began.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    took[CALLS / 2]
}

/// In MiB.
async fn least_memory(plugin: &Arc<Plugin>, cfssl: &Cfssl, request: &SignRequest) -> usize {
    let (mut too_little, mut enough) = (0, MOST);
    while enough - too_little > 1 {
        let tried = too_little.midpoint(enough);
        let limits = CallLimits { memory: tried << 20, ..patient() };
        match plugin.sign(&session(cfssl, limits), request).await {
            Ok(_) => enough = tried,
            Err(_) => too_little = tried,
        }
    }
    enough
}
