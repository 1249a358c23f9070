//! What an Issuer says of what is wrong: everything at once, and what its check does not find.

use serde_json::json;
use wasm_issuer_core::issuance::condition::READY;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{Answer, config_map};

#[tokio::test(start_paused = true)]
async fn all_that_a_spec_names_and_is_not_there_is_told_at_once() {
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |value| {
            value["spec"]["authSecretName"] = "auth".into();
            value["spec"]["http"] = json!({"caBundleSecretName": "roots"});
        });
        api.delete(&config_map("plugin", "v1").0);
    });
    let secret = |name: &str, field: &str| format!(r#"Secret "team-a/{name}" not found (named by {field})"#);
    let missing = [
        secret("auth", "spec.authSecretName"),
        secret("roots", "spec.http.caBundleSecretName"),
        r#"ConfigMap "team-a/plugin" not found (named by spec.plugin.configMap.name)"#.to_owned(),
    ];
    bench.until_says(READY, &format!("False Pending: Not ready yet: {}", missing.join("; "))).await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_breaks_at_every_call_is_told_on_its_issuer_until_it_signs() {
    let bench = Bench::whole(|_, _, plugins| {
        for _ in 0..4 {
            plugins.plugin("v1").signs(Answer::broken());
        }
    });
    let web = bench.ask("web");
    let said = "Succeeded checking the issuer. Its plugin breaks off at every call to sign, the last time so: the plugin \
                trapped: call stack exhausted (endless recursion, most likely)";
    bench.until_says(READY, &format!("True PluginBreaks: {said}")).await;
    assert!(bench.serves(), "what one request holds may be why");
    bench.until_issued(&web).await;
    bench.until_says(READY, CHECKED).await;
    assert!(bench.api.events().contains(&format!("PluginBreaks: {said}")), "{:?}", bench.api.events());
    assert_eq!((bench.api.told("PluginBreaks"), bench.api.told("Checked")), (1, 2));
}
