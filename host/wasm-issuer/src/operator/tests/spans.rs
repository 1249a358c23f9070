//! Whatever is logged says of which object.

use serde_json::json;
use wasm_issuer_core::issuance::condition::READY;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::Answer;
use crate::operator::testing::log::{self, MARK};

#[tokio::test(start_paused = true)]
async fn lines_within_a_request_and_a_check_name_their_objects_whoever_logs() {
    log::start();
    let bench = Bench::whole(|_, _, plugins| {
        let plugin = plugins.plugin("v1");
        plugin.checks(Answer::good().meanwhile(|| tracing::info!(text = MARK, "in check")));
        plugin.signs(Answer::good().meanwhile(|| tracing::warn!(text = MARK, "in sign")));
    });
    bench.until_says(READY, CHECKED).await;
    let web = bench.ask(MARK);
    bench.until_issued(&web).await;
    let issuer = "WasmIssuer team-a/ca";
    let request = json!({
        "name": "request", "kind": "CertificateRequest", "namespace": "team-a", "request": MARK, "issuer": issuer,
    });
    let spans = |message: &str| {
        let lines = log::lines(message);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        line["spans"].clone()
    };
    assert_eq!(spans("in sign"), json!([request]));
    assert_eq!(spans("in check"), json!([{"name": "check", "issuer": issuer}]));
    let mut written = request.clone();
    written["outcome"] = "Issued".into();
    // The reason is in the span by then, and the names are in the span alone.
    let lines = log::lines("status written");
    let line =
        lines.iter().find(|line| line["spans"] == json!([written])).unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!((&line["reason"], line.get("namespace")), (&json!("Issued"), None));
}
