//! What Issuers keep in memory is their namespace's affair.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_runtime::IssuerMemory;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{Answer, Call, Fault, Object, ScriptedApi, config_map, issuer, secret};

const KIB: usize = 1 << 10;
/// What all Issuers of a test may keep.
const ALL: usize = 100 * KIB;
const NO_ROOM: &str = "False Pending: Not ready yet: of the 102400 bytes of memory for what Issuers keep no more is free for \
                       this namespace, which leaves as much to others as it has: name smaller or fewer Secrets, or have \
                       the operator's --issuer-memory raised";

/// The data of a Secret of so many bytes, which are no text.
fn data(bytes: usize) -> Value {
    json!({"token": BASE64_STANDARD.encode(vec![0xff; bytes])})
}

/// A namespace of Issuers.
struct Tenant {
    api: ScriptedApi,
    namespace: &'static str,
}

impl Tenant {
    fn new(api: &ScriptedApi, namespace: &'static str) -> Self {
        let (map, value) = config_map("plugin", "v1");
        api.put(&map.in_namespace(namespace), value);
        Self { api: api.clone(), namespace }
    }

    fn secret(&self, name: &str, bytes: usize) -> Object {
        let (object, mut value) = secret(name);
        value["data"] = data(bytes);
        let object = object.in_namespace(self.namespace);
        self.api.put(&object, value);
        object
    }

    fn issuer(&self, name: &str, secret: &str) -> Object {
        let (object, mut value) = issuer(name);
        value["spec"]["authSecretName"] = secret.into();
        let object = object.in_namespace(self.namespace);
        self.api.put(&object, value);
        object
    }

    /// How many of them are ready when all others are told that there is no room.
    async fn ready(&self, issuers: &[Object]) -> usize {
        let says = |issuer: &Object| self.api.condition(issuer, READY).unwrap_or_default();
        let is_told = |issuer: &Object| says(issuer) == CHECKED || says(issuer) == NO_ROOM;
        self.api.until("all are told", |_| issuers.iter().all(is_told)).await;
        issuers.iter().filter(|issuer| says(issuer) == CHECKED).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_keeps_too_much_is_told_and_its_neighbour_signs() {
    let memory = IssuerMemory::new(ALL);
    let bench = Bench::within(memory.clone(), |api, ca, _| api.delete(ca));
    let hostile = Tenant::new(&bench.api, "hostile");
    let secrets: Vec<_> = (0..10).map(|n| hostile.secret(&format!("auth-{n}"), 20 * KIB)).collect();
    let mut issuers: Vec<_> =
        (0..10).map(|n| hostile.issuer(&format!("ca-{n}"), &format!("auth-{n}"))).collect();
    assert_eq!(hostile.ready(&issuers).await, 2);

    // Who comes late finds room.
    let neighbour = Tenant::new(&bench.api, "team-a");
    neighbour.secret("auth", 15 * KIB);
    neighbour.issuer("ca", "auth");
    bench.until_says(READY, CHECKED).await;
    bench.until_issued(&bench.ask("web")).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(hostile.ready(&issuers).await, 2);
    assert!(memory.held() < 56 * KIB, "{}", memory.held());
    let writes = |issuer: &Object| bench.api.count(&Call::WriteStatus(issuer.clone()));
    assert!(issuers.iter().all(|issuer| writes(issuer) <= 2), "who was told is not told again");

    // Whatever is let go, be it a Secret that becomes smaller or an Issuer, is there for the next one.
    for change in [
        (&|at: usize| bench.api.edit(&secrets[at], |value| value["data"] = data(1))) as &dyn Fn(usize),
        &|at: usize| bench.api.delete(&issuers[at]),
    ] {
        let is_large = |at: &usize| {
            let data = bench.api.get(&secrets[*at]).unwrap()["data"]["token"].to_string();
            data.len() > 100 && bench.api.condition(&issuers[*at], READY).as_deref() == Some(CHECKED)
        };
        let ready = hostile.ready(&issuers).await;
        change((0..10).find(is_large).unwrap());
        sleep(Duration::from_secs(120)).await;
        let left: Vec<_> = issuers.iter().filter(|issuer| bench.api.get(issuer).is_some()).cloned().collect();
        assert_eq!(hostile.ready(&left).await, ready + left.len() - 9);
    }
    issuers.iter().for_each(|issuer| bench.api.delete(issuer));
    bench.api.delete(&bench.ca);
    issuers.clear();
    bench.api.until("nothing is kept", |_| memory.held() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_kept_once_however_many_issuers_name_it() {
    let memory = IssuerMemory::new(ALL);
    let bench = Bench::within(memory.clone(), |_, _, _| {});
    let tenant = Tenant::new(&bench.api, "team-b");
    let shared = tenant.secret("auth", 20 * KIB);
    let reads = || bench.api.count(&Call::Get(shared.clone()));
    bench.api.every(Call::Get(shared.clone()), Fault::Late(Duration::from_secs(1)));
    let issuers: Vec<_> = (0..200).map(|n| tenant.issuer(&format!("ca-{n}"), "auth")).collect();
    assert_eq!(tenant.ready(&issuers).await, 200);
    assert!((20 * KIB..22 * KIB).contains(&memory.held()), "{}", memory.held());
    // Who waits for a turn to read it finds what others began to read meanwhile.
    let before = reads();
    assert!(before < 100, "{before}");
    bench.api.edit(&shared, |value| value["data"] = data(10 * KIB));
    bench.api.until("the new one is kept, and the old one is not", |_| memory.held() < 12 * KIB).await;
    assert_eq!(tenant.ready(&issuers).await, 200);
    assert!(memory.held() > 10 * KIB);
    assert!(reads() <= before + 64, "{}", reads());
}

#[tokio::test(start_paused = true)]
async fn what_is_new_and_has_no_room_takes_that_of_the_old_when_it_fails() {
    let memory = IssuerMemory::new(ALL);
    let bench = Bench::within(memory.clone(), |api, ca, _| {
        api.edit(ca, |value| value["spec"]["authSecretName"] = "auth".into());
    });
    let tenant = Tenant::new(&bench.api, "team-a");
    let auth = tenant.secret("auth", 30 * KIB);
    bench.until_says(READY, CHECKED).await;
    bench.api.edit(&auth, |value| value["data"] = data(45 * KIB));
    sleep(Duration::from_secs(600)).await;
    assert!(bench.serves());
    assert!((30 * KIB..31 * KIB).contains(&memory.held()), "the old one, which still works");
    bench.plugins.plugin("v1").checks(Answer::failure(FailureKind::Retry { after: None }));
    let began = Instant::now();
    bench.api.until("the new one", |_| memory.held() > 45 * KIB).await;
    assert!(began.elapsed() < Duration::from_secs(70), "{:?}", began.elapsed());
    bench.until_issued(&bench.ask("web")).await;
    assert_eq!(bench.times_written(), 1, "ready all the while");
}

/// It is not in memory with the object.
#[tokio::test(start_paused = true)]
async fn a_long_configuration_is_read_when_a_plugin_is_to_have_it() {
    let config = |bytes: usize| json!({"key": "x".repeat(bytes)});
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |value| value["spec"]["config"] = config(4 * KIB));
        api.next(Call::Get(ca.clone()), Fault::Code(500));
    });
    let reads = || bench.api.count(&Call::Get(bench.ca.clone()));
    let json = |bytes: usize| config(bytes).to_string().len();
    let given = || bench.plugins.plugin("v1").configs().iter().map(String::len).collect::<Vec<_>>();
    bench.until_says(READY, CHECKED).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!((reads(), given()), (2, vec![json(4 * KIB)]));

    // It changes again before it is read.
    let overtake = {
        let ca = bench.ca.clone();
        move |api: &ScriptedApi| api.edit(&ca, |value| value["spec"]["config"] = config(6 * KIB))
    };
    bench.api.next(Call::Get(bench.ca.clone()), Fault::overtaken(overtake));
    bench.api.edit(&bench.ca, |value| value["spec"]["config"] = config(5 * KIB));
    sleep(Duration::from_secs(60)).await;
    assert!(bench.serves());
    assert_eq!(given()[1..], [json(6 * KIB)]);

    bench.api.edit(&bench.ca, |value| value["spec"]["config"] = config(4 * KIB - 10));
    sleep(Duration::from_secs(60)).await;
    assert_eq!((reads(), given().len()), (4, 3), "that one is short enough");
    bench.api.edit(&bench.ca, |value| value["spec"]["config"] = config(256 * KIB));
    let too_long =
        "False Failed: Failed permanently: spec.config has 256 KiB as JSON; at most 256 KiB are accepted";
    bench.until_says(READY, too_long).await;
    assert_eq!(reads(), 4, "nor is that one read");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_on_the_account_of_its_namespace() {
    let memory = IssuerMemory::new(ALL);
    let bench = Bench::within(memory.clone(), |api, ca, _| {
        api.edit(ca, |value| value["spec"]["config"] = json!({"key": "x".repeat(60 * KIB)}));
    });
    bench.until_says(READY, NO_ROOM).await;
    assert_eq!(memory.held(), 0);
    bench.api.edit(&bench.ca, |value| value["spec"]["config"] = json!({"key": "x".repeat(40 * KIB)}));
    bench.until_says(READY, CHECKED).await;
    assert!((40 * KIB..41 * KIB).contains(&memory.held()));
}

#[tokio::test(start_paused = true)]
async fn a_secret_with_too_many_keys_is_refused() {
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |ca| ca["spec"]["authSecretName"] = "many".into());
    });
    let put = |keys: usize| {
        let (object, mut value) = secret("many");
        value["data"] =
            (0..keys).map(|n| (format!("key-{n}"), json!(BASE64_STANDARD.encode("s3cret")))).collect();
        bench.api.put(&object, value);
    };
    put(257);
    let refused = "False Pending: Not ready yet: Secret \"team-a/many\" (named by spec.authSecretName) has 257 keys; at \
                   most 256 are accepted";
    bench.until_says(READY, refused).await;
    put(256);
    bench.until_says(READY, CHECKED).await;
}
