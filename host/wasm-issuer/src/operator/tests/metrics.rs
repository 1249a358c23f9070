//! What happens is measured where it happens.

use std::time::Duration;

use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::operator::metrics::Format;
use crate::operator::testing::{Answer, Call, Fault, config_map, issuer, request};

const LABELS: &str = r#"issuer_kind="WasmIssuer",issuer_namespace="team-a",issuer_name="ca""#;

impl Bench {
    /// The value of a series.
    fn value(&self, series: &str) -> Option<f64> {
        self.metrics.set_issuers(&self.registry.issuers());
        let text = self.metrics.text(Format::Classic);
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    fn of_issuer(&self, metric: &str) -> Option<f64> {
        self.value(&format!("wasm_issuer_issuer_{metric}{{{LABELS}}}"))
    }

    fn signs(&self, outcome: &str) -> Option<f64> {
        self.value(&format!(r#"wasm_issuer_issuer_signs_total{{{LABELS},outcome="{outcome}"}}"#))
    }
}

#[tokio::test(start_paused = true)]
async fn signs_are_measured_for_their_issuer() {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    assert_eq!(bench.of_issuer("ready"), Some(1.0));
    assert_eq!(bench.of_issuer("last_success_timestamp_seconds"), None);
    let plugin = bench.plugins.plugin("v1");
    plugin.signs(Answer::failure(FailureKind::Retry { after: None }));
    plugin.signs(Answer::forged());
    bench.until_issued(&bench.ask("web")).await;
    assert_eq!(["retry", "refused", "issued"].map(|outcome| bench.signs(outcome)), [Some(1.0); 3]);
    assert_eq!(bench.of_issuer("sign_retries_total"), Some(2.0));
    assert_eq!(bench.of_issuer("sign_duration_seconds_count"), Some(3.0));
    assert!(bench.of_issuer("last_success_timestamp_seconds").is_some_and(|at| at > 1e9));
    // The certificates of the scripted plugin are for good, as rcgen makes them.
    assert!(bench.of_issuer("ca_expiry_timestamp_seconds").is_some_and(|at| at > 6e10));
    bench.api.delete(&bench.ca);
    bench.api.until("it is forgotten", |_| bench.of_issuer("ready").is_none()).await;
    assert_eq!(bench.signs("issued"), None);
    assert_eq!(bench.value(r#"wasm_issuer_signs_total{outcome="issued"}"#), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_what_they_wait_for() {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let plugin = bench.plugins.plugin("v1");
    plugin.fails("orders", FailureKind::Pending { resume: None, poll_after: None });
    bench.ask("orders");
    plugin.fails("fails", FailureKind::Retry { after: Some(Duration::from_secs(600)) });
    bench.ask("fails");
    plugin.signs(Answer::good().after(Duration::from_secs(600)));
    bench.ask("slow");
    let (nobodys, mut value) = request("nobodys");
    value["spec"]["issuerRef"]["name"] = "missing".into();
    bench.api.put(&nobodys, value);
    let (unapproved, mut value) = request("unapproved");
    value["status"]["conditions"] = serde_json::json!([]);
    bench.api.put(&unapproved, value);
    sleep(Duration::from_secs(40)).await;
    let states = ["unapproved", "waiting_for_issuer", "queued", "in_flight", "pending", "retrying"];
    let count = |state: &str| bench.value(&format!(r#"wasm_issuer_requests_unfinished{{state="{state}"}}"#));
    assert_eq!(states.map(count), [1.0, 1.0, 0.0, 1.0, 1.0, 1.0].map(Some));
    let age = bench.value(r#"wasm_issuer_requests_oldest_age_seconds{state="waiting_for_issuer"}"#);
    assert!(age.is_some_and(|age| (30.0..60.0).contains(&age)), "{age:?}");
    assert!(bench.value("wasm_issuer_request_queue_duration_seconds_count").is_some_and(|n| n >= 4.0));
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_refuses_is_counted() {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let writes = |kind: &str, outcome: &str| {
        bench.value(&format!(r#"wasm_issuer_api_writes_total{{kind="{kind}",outcome="{outcome}"}}"#))
    };
    assert_eq!(writes("WasmIssuer", "written"), Some(1.0));
    let restarts = |resource: &str| {
        bench.value(&format!(r#"wasm_issuer_watch_restarts_total{{resource="{resource}"}}"#))
    };
    assert_eq!(restarts("certificaterequests"), Some(0.0));
    let web = bench.ask("web");
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Code(409));
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Code(500));
    bench.until_issued(&web).await;
    assert_eq!(["conflict", "error", "written"].map(|it| writes("CertificateRequest", it)), [Some(1.0); 3]);
    assert!(writes("Event", "written").is_some_and(|n| n >= 1.0));
    for plural in ["certificaterequests", "wasmissuers", "configmaps"] {
        bench.api.next(Call::Watch(plural.to_owned()), Fault::Code(500));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(restarts(plural), Some(1.0), "{plural}");
    }
}

#[tokio::test(start_paused = true)]
async fn plugins_that_are_loaded_and_that_break_are_counted() {
    let bench = Bench::start(|_, _, plugins| plugins.plugin("v1").checks(Answer::no_room()));
    bench.api.until("a load", |_| bench.plugins.plugin("v1").checked() > 0).await;
    let loads =
        |result: &str| bench.value(&format!(r#"wasm_issuer_plugin_loads_total{{result="{result}"}}"#));
    assert_eq!(["memory", "compiled", "failed"].map(loads), [1.0, 0.0, 0.0].map(Some));
    assert_eq!(bench.value("wasm_issuer_plugin_load_duration_seconds_count"), Some(1.0));
    let broke = r#"wasm_issuer_plugin_breakages_total{reason="memory_exhausted"}"#;
    assert_eq!(bench.value(broke), Some(1.0), "in a check");
    bench.plugins.uncompiled("v2");
    let (map, value) = config_map("plugin-2", "v2");
    bench.api.put(&map, value);
    let (other, mut value) = issuer("other");
    value["spec"]["plugin"]["configMap"]["name"] = "plugin-2".into();
    bench.api.put(&other, value);
    bench.api.until("it is compiled", |_| bench.plugins.compiling().contains(&"v2".to_owned())).await;
    bench.plugins.compiled("v2");
    bench.until(&other, READY, CHECKED).await;
    assert_eq!(["compiled", "failed"].map(loads), [1.0, 0.0].map(Some));
    assert_eq!(bench.value("wasm_issuer_plugin_compile_duration_seconds_count"), Some(1.0));
}
