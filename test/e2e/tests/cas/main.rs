//! The plugins for real CAs, each from Certificate to Secret against a server of the CA's own project, which a test starts
//! for itself. `make test-cas` builds the servers; a test whose server cannot be had is skipped, loudly.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

mod aws_pca;
mod cases;
mod step_ca;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use server_fixture::Server;
use wasm_issuer_e2e::certificate::verify;
use wasm_issuer_e2e::{Csr, Kind, Object, SOON, Side, Test, e2e, has_cert_manager, skip};

/// A CA with its server, as these tests need it.
trait Ca {
    /// What the spec of an Issuer says to use it. Its Secrets are written too, for the server as it is now.
    async fn spec(&self, side: &Side) -> Value;
    /// Writes credentials that the server refuses, and returns what the Issuer then says.
    async fn refused_credentials(&self, side: &Side) -> &'static str;
    /// A CSR that the CA refuses for good, and what the request then says.
    fn refused_csr(&self) -> (Csr, &'static str);
    /// The server, which runs.
    fn server(&mut self) -> &mut Server;
    /// Gives it another root in place of the one that it has.
    async fn rotate(&mut self);
    /// The root that its certificates lead to now, DER.
    fn root(&self) -> Vec<u8>;
}

/// The folder with a CA's programs, which `test/cas/NAME/build.sh` prints, if this test can run.
fn programs(name: &str) -> Option<PathBuf> {
    if !has_cert_manager() {
        return None;
    }
    let found = server_fixture::programs(&format!("cas/{name}/build.sh"));
    if found.is_none() {
        skip(&format!("the server {name} cannot be had (see what test/cas/{name}/build.sh said)"));
    }
    found
}

/// A new folder for a server.
fn folder(t: &Test, server: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = t.workdir.join(format!("{server}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What every plugin has to do, with either kind of Issuer, each with a server of its own.
fn works<C: Ca>(start: impl AsyncFn(&Test) -> C) {
    e2e(async |t| {
        for side in [Side::own(t, "own").await, Side::cluster(t, "cluster").await] {
            lives_through(t, &side, start(t).await).await;
        }
    });
}

async fn lives_through(t: &Test, side: &Side, mut ca: impl Ca) {
    let name = |what: &str| format!("{}-{what}", side.name);
    side.apply(ca.spec(side).await).await;
    side.ready().await;
    certificate(t, side, &ca, &name("first")).await;
    t.renew(&name("first")).await;
    issued(t, &ca, &name("first")).await;

    // The CSR's fault: the Issuer stays ready.
    let (csr, why) = ca.refused_csr();
    t.approved_request(&name("refused"), side.reference(), &csr, json!({})).await;
    let failed =
        |request: &Object| request.ready().starts_with("False Failed") && request.ready().contains(why);
    t.wait((Kind::CertificateRequest, &name("refused")), SOON, why, failed).await;
    side.ready().await;

    // The credentials' fault: its requests wait, and go on with the right ones.
    let wanted = ca.refused_credentials(side).await;
    side.says(wanted).await;
    ask(t, side, &name("unknown")).await;
    let waits = |request: &Object| request.ready().starts_with("False Pending");
    let request = t.request_of(&name("unknown")).await;
    t.wait((Kind::CertificateRequest, request.name()), SOON, "waiting", waits).await;
    side.apply(ca.spec(side).await).await;
    issued(t, &ca, &name("unknown")).await;

    // A server that is down is waited for.
    ca.server().stop();
    ask(t, side, &name("down")).await;
    let request = t.request_of(&name("down")).await;
    t.wait((Kind::CertificateRequest, request.name()), SOON, "waiting", waits).await;
    ca.server().start();
    issued(t, &ca, &name("down")).await;

    let before = ca.root();
    ca.rotate().await;
    assert_ne!(before, ca.root(), "the root is another one");
    side.apply(ca.spec(side).await).await;
    certificate(t, side, &ca, &name("rotated")).await;
}

async fn ask(t: &Test, side: &Side, name: &str) {
    let spec = json!({
        "dnsNames": ["web.example.com"],
        "duration": "1h",
        "renewBefore": "5m",
        "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
    });
    t.ask_for_certificate(name, side.reference(), spec).await;
}

/// The Certificate's chain leads to the CA's root, which is its `ca.crt`.
async fn issued(t: &Test, ca: &impl Ca, name: &str) {
    let issued = t.certificate(name).await;
    verify(&issued.chain[0], &issued.chain[1..], &[ca.root()]);
    assert_eq!(issued.ca, [ca.root()], "ca.crt");
}

async fn certificate(t: &Test, side: &Side, ca: &impl Ca, name: &str) {
    ask(t, side, name).await;
    issued(t, ca, name).await;
}
