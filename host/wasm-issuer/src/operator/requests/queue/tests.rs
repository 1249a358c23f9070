//! Whose turn it is.

use std::time::Duration;

use super::*;

const LIMITS: Limits = Limits { total: 4, per_issuer: 2, per_namespace: 3 };

fn lane(issuer: &str, namespace: &str) -> Lane<String> {
    Lane { issuer: issuer.to_owned(), namespace: namespace.to_owned(), is_shared: false }
}

fn shared(issuer: &str, namespace: &str) -> Lane<String> {
    Lane { is_shared: true, ..lane(issuer, namespace) }
}

fn drain(queue: &mut Queue<String, String>, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| queue.pop(now)).map(|(key, _)| key).collect()
}

fn push_all(queue: &mut Queue<String, String>, lane: &Lane<String>, keys: &[&str]) {
    for key in keys {
        queue.push((*key).to_owned(), lane.clone());
    }
}

#[test]
fn a_namespace_leaves_room_in_an_issuer_that_others_share() {
    let mut queue = Queue::new(Limits { total: 100, per_issuer: 8, per_namespace: 50 });
    for n in 0..20 {
        queue.push(format!("hostile-{n}"), shared("cluster", "x"));
    }
    assert_eq!(drain(&mut queue, Instant::now()).len(), 4);
    push_all(&mut queue, &shared("cluster", "y"), &["y1", "y2", "y3"]);
    assert_eq!(drain(&mut queue, Instant::now()), ["y1", "y2"]);
}

#[test]
fn those_that_wait_long_are_named_once() {
    let mut queue = Queue::new(LIMITS);
    push_all(&mut queue, &lane("a", "x"), &["a1", "a2", "a3", "a4"]);
    let now = Instant::now();
    assert_eq!(drain(&mut queue, now), ["a1", "a2"]);
    assert_eq!(queue.pop_late(now - Duration::from_secs(1)), None, "not long yet");
    let late: Vec<String> = std::iter::from_fn(|| queue.pop_late(now)).collect();
    assert_eq!(late, ["a3", "a4"]);
    assert_eq!(queue.oldest_arrival(), None, "nothing is left behind");
}

#[test]
fn lanes_take_turns_and_keep_their_order() {
    let mut queue = Queue::new(Limits { total: 9, per_issuer: 9, per_namespace: 9 });
    push_all(&mut queue, &lane("a", "x"), &["a1", "a2", "a3"]);
    push_all(&mut queue, &lane("b", "x"), &["b1"]);
    push_all(&mut queue, &lane("a", "y"), &["y1", "y2"]);
    assert_eq!(drain(&mut queue, Instant::now()), ["a1", "b1", "y1", "a2", "y2", "a3"]);
}

#[test]
fn no_issuer_and_no_namespace_takes_more_than_its_share() {
    let now = Instant::now();
    let mut queue = Queue::new(LIMITS);
    push_all(&mut queue, &lane("a", "x"), &["a1", "a2", "a3"]);
    push_all(&mut queue, &lane("b", "x"), &["b1", "b2"]);
    assert_eq!(drain(&mut queue, now), ["a1", "b1"], "half of all");
    push_all(&mut queue, &lane("c", "z"), &["c1", "c2"]);
    assert_eq!(drain(&mut queue, now), ["c1"], "half of the rest");
    queue.done(&"a1".to_owned());
    assert_eq!(drain(&mut queue, now).len(), 1);
    assert_eq!(queue.running(), 3);
}

#[test]
fn limits_hold_where_there_is_room() {
    let now = Instant::now();
    let mut queue = Queue::new(Limits { total: 100, ..LIMITS });
    push_all(&mut queue, &lane("a", "x"), &["a1", "a2", "a3"]);
    push_all(&mut queue, &lane("b", "x"), &["b1", "b2"]);
    push_all(&mut queue, &lane("a", "y"), &["y1"]);
    assert_eq!(drain(&mut queue, now), ["a1", "b1", "y1", "b2"], "two of Issuer a, three of namespace x");
}

#[test]
fn tenants_that_want_all_leave_a_place_for_who_comes_late() {
    let now = Instant::now();
    let mut queue = Queue::new(Limits { total: 128, per_issuer: 128, per_namespace: 128 });
    for tenant in ["a", "b", "c", "d", "e"] {
        let keys: Vec<String> = (0..200).map(|n| format!("{tenant}{n}")).collect();
        keys.into_iter().for_each(|key| queue.push(key, lane("ca", tenant)));
        drain(&mut queue, now);
    }
    queue.push("late".to_owned(), lane("ca", "modest"));
    assert_eq!(drain(&mut queue, now), ["late"]);
}

#[test]
fn a_running_one_runs_once_more_however_often_it_was_pushed() {
    let now = Instant::now();
    let mut queue = Queue::new(LIMITS);
    push_all(&mut queue, &lane("a", "x"), &["a1", "a1"]);
    assert_eq!(drain(&mut queue, now), ["a1"]);
    push_all(&mut queue, &lane("a", "x"), &["a1", "a1"]);
    assert!(drain(&mut queue, now).is_empty(), "never twice at the same time");
    assert!(queue.done(&"a1".to_owned()));
    assert_eq!(drain(&mut queue, now), ["a1"]);
    assert!(!queue.done(&"a1".to_owned()));
    assert_eq!(queue.running(), 0);
}

#[test]
fn a_delayed_one_waits_unless_it_is_pushed() {
    let now = Instant::now();
    let later = now + Duration::from_secs(5);
    let mut queue = Queue::new(LIMITS);
    queue.push_at("a1".to_owned(), lane("a", "x"), later);
    queue.push_at("a2".to_owned(), lane("a", "x"), later);
    assert_eq!(queue.next_wake(), Some(later));
    assert!(drain(&mut queue, now).is_empty());
    queue.push("a2".to_owned(), lane("a", "x"));
    assert_eq!(drain(&mut queue, now), ["a2"]);
    assert_eq!(drain(&mut queue, later), ["a1"]);
    assert_eq!(queue.next_wake(), None);
}

#[test]
fn a_forgotten_one_is_passed_over_and_may_come_back() {
    let now = Instant::now();
    let mut queue = Queue::new(LIMITS);
    push_all(&mut queue, &lane("a", "x"), &["a1", "a2"]);
    queue.forget(&"a1".to_owned());
    queue.push("a1".to_owned(), lane("a", "x"));
    assert_eq!(drain(&mut queue, now), ["a2", "a1"], "at the end, once");
    queue.push("a1".to_owned(), lane("a", "x"));
    queue.forget(&"a1".to_owned());
    assert!(!queue.done(&"a1".to_owned()));
    assert!(drain(&mut queue, now).is_empty());
}
