//! Requests that are more than there is room for.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;

use super::bench::{Bench, ISSUED};
use crate::operator::testing::{Call, Fault, NAMESPACE, Object, issuer, request};

/// Requests of 100 KiB each for an Issuer that does not exist.
async fn waiting(bench: &Bench, number: usize) -> Vec<Object> {
    let ask = |n: usize| {
        let (web, mut value) = request(&format!("web-{n}"));
        value["metadata"]["annotations"] = json!({"note": format!("{n} {}", "x".repeat(100 << 10))});
        value["spec"]["issuerRef"]["name"] = "late".into();
        bench.api.put(&web, value);
        web
    };
    let requests: Vec<_> = (0..number).map(ask).collect();
    sleep(Duration::from_secs(60)).await;
    // News of a request takes no more room.
    for web in &requests {
        bench.api.edit(web, |web| web["metadata"]["labels"] = json!({"a": "b"}));
    }
    sleep(Duration::from_secs(60)).await;
    requests
}

fn reads(bench: &Bench, requests: &[Object]) -> usize {
    requests.iter().map(|web| bench.api.count(&Call::Get(web.clone()))).sum()
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_is_read_when_its_turn_comes() {
    let bench = Bench::whole(|_, _, _| {});
    let requests = waiting(&bench, 20).await;
    assert!(bench.request_memory.share(NAMESPACE).grow(100 << 10).is_err(), "half of a MiB, and no more");
    assert!(bench.request_memory.share("modest").grow(200 << 10).is_ok());
    assert_eq!(reads(&bench, &requests), 0);
    let (late, value) = issuer("late");
    bench.api.put(&late, value);
    for web in &requests {
        bench.until_issued(web).await;
    }
    let read = reads(&bench, &requests);
    assert!((15..=16).contains(&read), "{read}: those that there was no room for, each once");
    let asked = bench.plugins.plugin("v1").asked();
    assert_eq!(asked.len(), requests.len());
    let whole = asked.iter().all(|request| request.annotations[0].1.len() > 100 << 10);
    assert!(whole, "the plugin gets all of it");
    sleep(Duration::from_secs(60)).await;
    assert!(
        bench.request_memory.share(NAMESPACE).grow(512 << 10).is_ok(),
        "nothing is kept of what is finished"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_read_again_waits() {
    let bench = Bench::whole(|_, _, _| {});
    let requests = waiting(&bench, 6).await;
    let (kept, unkept) = requests.split_at(5);
    let [unkept] = unkept else { panic!("one") };
    bench.api.every(Call::Get(unkept.clone()), Fault::Code(500));
    let (late, value) = issuer("late");
    bench.api.put(&late, value);
    for web in kept {
        bench.until_issued(web).await;
    }
    bench.api.until("another try", |api| api.count(&Call::Get(unkept.clone())) > 2).await;
    assert_ne!(bench.api.condition(unkept, READY).as_deref(), Some(ISSUED));
    bench.api.heal();
    bench.until_issued(unkept).await;
    assert_eq!(bench.plugins.plugin("v1").asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_much_is_refused_whoever_approves_it() {
    let bench = Bench::whole(|_, _, _| {});
    let ask = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let (web, mut value) = request(name);
        value["status"] = json!({});
        change(&mut value);
        bench.api.put(&web, value);
        web
    };
    let csr = ask("csr", &|value| value["spec"]["request"] = "x".repeat(400 << 10).into());
    let text = ask("text", &|value| value["spec"]["username"] = "x".repeat(384 << 10).into());
    let name = ask("name", &|value| value["spec"]["issuerRef"]["name"] = "x".repeat(254).into());
    let kind = ask("kind", &|value| value["spec"]["issuerRef"]["kind"] = "x".repeat(254).into());
    for (web, why) in [
        (csr, "spec.request: the CSR has 307200 bytes; at most 65536 are accepted"),
        (text, "the request has 393"),
        (name, "spec.issuerRef.name has 254 bytes; a name has 253 at most"),
        (kind, "spec.issuerRef.kind has 254 bytes; a name has 253 at most"),
    ] {
        let failed = format!("False Failed: Failed permanently to sign CertificateRequest: {why}");
        let says = |api: &crate::operator::testing::ScriptedApi| api.condition(&web, READY);
        bench.api.until(why, |api| says(api).is_some_and(|ready| ready.starts_with(&failed))).await;
    }
    assert!(bench.request_memory.share("any").grow(512 << 10).is_ok());
}
