//! Several replicas that all work, for different Issuers.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{LEASE, RETRY, ask_of, asked, lease, until_issued};
use crate::operator::testing::{Object, Replica, ScriptedApi, Setup, config_map, issuer};

const ISSUERS: usize = 16;

/// Of a replica that shares four shards with the others.
fn four() -> Setup {
    Setup { shards: 4, ..Setup::default() }
}

/// An API server with many Issuers.
fn cluster() -> ScriptedApi {
    let api = ScriptedApi::new();
    let (map, value) = config_map("plugin", "v1");
    api.put(&map, value);
    for n in 0..ISSUERS {
        let (object, value) = issuer(&format!("ca-{n}"));
        api.put(&object, value);
    }
    api
}

/// How many Issuers somebody works for.
fn works_for(replica: &Replica) -> Vec<bool> {
    let name = |n| format!("WasmIssuer team-a/ca-{n}");
    (0..ISSUERS).map(|n| replica.leadership.of(&name(n)).is_some()).collect()
}

/// Each Issuer is worked for by one of them, or by nobody yet.
fn never_two(replicas: &[&Replica]) {
    let all: Vec<_> = replicas.iter().map(|replica| works_for(replica)).collect();
    for n in 0..ISSUERS {
        assert!(all.iter().filter(|works| works[n]).count() < 2, "two work for ca-{n}");
    }
}

async fn shares(api: &ScriptedApi, replicas: &[&Replica], wanted: &[usize]) {
    let held = || replicas.iter().map(|replica| replica.leadership.held()).collect::<Vec<_>>();
    let began = Instant::now();
    while held() != wanted {
        never_two(replicas);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}, not {wanted:?}", held());
        sleep(Duration::from_millis(10)).await;
    }
    let _ = api;
}

/// One request of each Issuer.
async fn all_issue(api: &ScriptedApi, prefix: &str) -> Vec<Object> {
    let requests: Vec<_> =
        (0..ISSUERS).map(|n| ask_of(api, &format!("{prefix}-{n}"), &format!("ca-{n}"))).collect();
    for request in &requests {
        until_issued(api, request).await;
    }
    requests
}

#[tokio::test(start_paused = true)]
async fn two_replicas_share_the_issuers_and_each_signs_for_its_own() {
    let api = cluster();
    let first = Replica::start(&api, "first", &four());
    shares(&api, &[&first], &[4]).await;
    let second = Replica::start(&api, "second", &four());
    shares(&api, &[&first, &second], &[2, 2]).await;
    // And it stays so.
    for _ in 0..600 {
        never_two(&[&first, &second]);
        assert_eq!((first.leadership.held(), second.leadership.held()), (2, 2));
        sleep(Duration::from_millis(100)).await;
    }
    all_issue(&api, "web").await;
    let (mine, others) = (asked(&first), asked(&second));
    assert_eq!(mine.len() + others.len(), ISSUERS, "each once");
    assert!(!mine.is_empty() && !others.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_one_that_dies_are_taken_over() {
    let api = cluster();
    let (first, second) = (Replica::start(&api, "first", &four()), Replica::start(&api, "second", &four()));
    shares(&api, &[&first, &second], &[2, 2]).await;
    let began = Instant::now();
    first.kill();
    shares(&api, &[&second], &[4]).await;
    assert!(began.elapsed() < LEASE + RETRY + RETRY, "{:?}", began.elapsed());
    all_issue(&api, "web").await;
    assert_eq!(asked(&second).len(), ISSUERS);
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_one_that_stops_are_taken_over_at_once() {
    let api = cluster();
    let (first, second) = (Replica::start(&api, "first", &four()), Replica::start(&api, "second", &four()));
    shares(&api, &[&first, &second], &[2, 2]).await;
    let began = Instant::now();
    first.stop().await;
    shares(&api, &[&second], &[4]).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_fifth_replica_waits_for_a_seat_and_takes_the_place_of_one_that_dies() {
    let api = cluster();
    let mut replicas: Vec<_> =
        (0..4).map(|n| Replica::start(&api, &format!("replica-{n}"), &four())).collect();
    shares(&api, &replicas.iter().collect::<Vec<_>>(), &[1; 4]).await;
    let fifth = Replica::start(&api, "fifth", &four());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fifth.leadership.held(), 0);
    replicas.remove(2).kill();
    replicas.push(fifth);
    shares(&api, &replicas.iter().collect::<Vec<_>>(), &[1; 4]).await;
}

/// During a rollout that changes their number, or from leader election to shards and back.
#[tokio::test(start_paused = true)]
async fn replicas_with_another_number_of_shards_wait_for_the_last_of_the_old_ones() {
    let api = cluster();
    let old = Replica::start(&api, "old", &Setup::default());
    shares(&api, &[&old], &[1]).await;
    let (four, five) = (Replica::start(&api, "four", &four()), Replica::start(&api, "five", &four()));
    for _ in 0..600 {
        assert_eq!((old.leadership.held(), four.leadership.held(), five.leadership.held()), (1, 0, 0));
        sleep(Duration::from_millis(100)).await;
    }
    old.stop().await;
    shares(&api, &[&four, &five], &[2, 2]).await;
    let back = Replica::start(&api, "back", &Setup::default());
    four.stop().await;
    shares(&api, &[&five, &back], &[4, 0]).await;
    sleep(2 * LEASE).await;
    assert_eq!(back.leadership.held(), 0);
    five.stop().await;
    shares(&api, &[&back], &[1]).await;
}

/// Everything that a shard's Lease guards is looked at as a whole elsewhere; here, that a line that is cut costs one replica
/// its shards, before the other takes them.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_reach_the_api_server_loses_its_shards_first() {
    let api = cluster();
    let (first, second) = (Replica::start(&api, "first", &four()), Replica::start(&api, "second", &four()));
    shares(&api, &[&first, &second], &[2, 2]).await;
    first.line.cut();
    shares(&api, &[&first, &second], &[0, 4]).await;
    first.line.mend();
    shares(&api, &[&first, &second], &[2, 2]).await;
    assert!(api.get(&lease("wasm-issuer-shard-0-of-4")).is_some());
}
