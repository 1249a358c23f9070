//! Several processes that share the Issuers: by shards, or by what each of them selects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::leases::holders;
use wasm_issuer_e2e::{Counter, Csr, KeyKind, Kind, Launch, Operator, SOON, Test, e2e_alone, issuer_ref};

/// So many that no process is left without any: which shard an Issuer is in depends on its name.
const ISSUERS: usize = 16;

fn sharded() -> Launch {
    Launch::replica(&["--shards", "2"])
}

/// Wait until each of the two shards is held, by these processes and no other.
async fn until_shared_by(t: &Test, pids: &[u32]) {
    let (began, pids) = (Instant::now(), BTreeSet::from_iter(pids.iter().copied().map(Some)));
    loop {
        let holders = holders(&t.client, "wasm-issuer-shard-").await;
        if holders.len() == 2 && BTreeSet::from_iter(holders.iter().copied()) == pids {
            return;
        }
        assert!(began.elapsed() < SOON, "the shards are held by {holders:?}, and not by {pids:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// A CA's Secret, and an Issuer of the plugin that the counter counts.
async fn issuer(t: &Test, counter: &Counter, name: &str, labels: Value) {
    let spec = counter.issuer(&json!({"builtin": "counted-ca"}), "keys");
    t.apply(Kind::WasmIssuer, name, json!({"metadata": {"labels": labels}, "spec": spec})).await;
}

async fn keys(t: &Test) {
    let root = Ca::root("root", KeyKind::P256);
    t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
}

/// Have each Issuer sign one request. Returns which process asked the CA for which Issuer, which is one for each.
async fn round(t: &Test, counter: &Counter, round: &str) -> BTreeMap<usize, u32> {
    let requests: Vec<_> =
        (0..ISSUERS).map(|n| (n, format!("{round}-{n}"), Csr::for_host("a.example"))).collect();
    let mut issuers = BTreeMap::new();
    for (n, name, csr) in &requests {
        let request = t.approved_request(name, issuer_ref(&format!("ca-{n}")), csr, json!({})).await;
        issuers.insert(request.meta("uid").to_owned(), *n);
    }
    for (_, name, csr) in &requests {
        t.issued(name).await.verify(csr);
    }
    let signs = counter.signs();
    let ours = signs.iter().filter_map(|call| Some((*issuers.get(call.request.as_ref()?)?, call.pid)));
    let ours: Vec<(usize, Option<u32>)> = ours.collect();
    let by_issuer: BTreeMap<usize, u32> =
        ours.iter().map(|(issuer, pid)| (*issuer, pid.expect("it is known who asked"))).collect();
    assert_eq!((ours.len(), by_issuer.len()), (ISSUERS, ISSUERS), "each is asked for once: {ours:?}");
    by_issuer
}

#[test]
fn each_issuer_is_served_by_one_of_two_processes_and_a_dead_ones_by_the_other() {
    e2e_alone(async |t, first| {
        let counter = Counter::start(|_| Duration::ZERO).await;
        first.relaunch(sharded()).await;
        let mut second = Operator::another(&t.workdir, sharded());
        second.start().await;
        let (one, other) = (first.pid(), second.pid());
        until_shared_by(t, &[one, other]).await;
        keys(t).await;
        for n in 0..ISSUERS {
            issuer(t, &counter, &format!("ca-{n}"), json!({})).await;
        }
        let before = round(t, &counter, "before").await;
        assert_eq!(BTreeSet::from_iter(before.values().copied()), BTreeSet::from([one, other]));
        assert_eq!(round(t, &counter, "again").await, before, "each Issuer stays with its process");

        second.kill().await;
        let after = round(t, &counter, "after").await;
        assert!(after.values().all(|pid| *pid == one), "{after:?}");

        second.start().await;
        let third = second.pid();
        until_shared_by(t, &[one, third]).await;
        let shared = round(t, &counter, "shared").await;
        // Which of the two shards it got is not said.
        let count = |of: &BTreeMap<usize, u32>, pid| of.values().filter(|by| **by == pid).count();
        let sizes = [one, other].map(|pid| count(&before, pid));
        assert!(sizes.contains(&count(&shared, third)), "{before:?}, then {shared:?}");
    });
}

#[test]
fn an_issuer_that_no_selector_selects_is_left_alone() {
    e2e_alone(async |t, first| {
        let counter = Counter::start(|_| Duration::ZERO).await;
        let selecting = |selector: &str, name: &str| {
            Launch::replica(&["--issuer-selector", selector, "--lease-name", name])
        };
        first.relaunch(selecting("team in (a)", "of-a")).await;
        let mut second = Operator::another(&t.workdir, selecting("team=b,!retired", "of-b"));
        second.start().await;
        keys(t).await;
        let labels = [
            ("a", json!({"team": "a"})),
            ("b", json!({"team": "b"})),
            ("retired", json!({"team": "b", "retired": "yes"})),
            ("nobodys", json!({})),
        ];
        let csr = Csr::for_host("a.example");
        let mut uids = BTreeMap::new();
        for (name, labels) in labels {
            issuer(t, &counter, name, labels).await;
            let request = t.approved_request(name, issuer_ref(name), &csr, json!({})).await;
            uids.insert(name, request.meta("uid").to_owned());
        }
        let asked_by = |name: &str| -> Vec<Option<u32>> {
            let ours = |call: &&_| matches!(call, wasm_issuer_e2e::counter::Call { request: Some(uid), .. } if *uid == uids[name]);
            counter.signs().iter().filter(ours).map(|call| call.pid).collect()
        };
        for (name, operator) in [("a", &*first), ("b", &second)] {
            t.issued(name).await.verify(&csr);
            assert_eq!(asked_by(name), [Some(operator.pid())]);
        }
        sleep(Duration::from_secs(2)).await;
        for name in ["retired", "nobodys"] {
            assert_eq!(
                (t.get(Kind::WasmIssuer, name).await.ready(), asked_by(name)),
                (String::new(), vec![]),
                "{name}"
            );
            assert_eq!(t.get(Kind::CertificateRequest, name).await.ready(), "", "{name}");
            for kind in [Kind::WasmIssuer, Kind::CertificateRequest] {
                assert_eq!(t.events(kind, name).await, Vec::<String>::new(), "{name}");
            }
        }
        // It belongs to somebody from now on, and what waited for it is signed.
        t.merge(Kind::WasmIssuer, "nobodys", json!({"metadata": {"labels": {"team": "b"}}})).await;
        t.issued("nobodys").await.verify(&csr);
        assert_eq!(asked_by("nobodys"), [Some(second.pid())]);
    });
}

#[test]
fn a_selector_that_cannot_be_read_is_refused_at_the_start() {
    e2e_alone(async |t, _| {
        let mut operator = Operator::another(&t.workdir, Launch::with(&["--issuer-selector", "team in (a"]));
        assert_eq!(operator.try_start().await, Err("the operator ended at once".to_owned()));
        let log = std::fs::read_to_string(Operator::log_file(&t.workdir)).expect("its log");
        let told = "error: --issuer-selector \"team in (a\" is no label selector, says the API server: unable to parse";
        assert!(log.contains(told), "{}", log.lines().last().unwrap_or_default());
    });
}
