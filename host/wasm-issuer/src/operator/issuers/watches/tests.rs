//! What is watched, and what is known, when Issuers name few objects, many, forbidden ones, and more than there are watches.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::*;
use crate::operator::testing::{Call, Fault, NAMESPACE, Object, ScriptedApi, secret};

fn watches(api: &ScriptedApi, open: usize) -> Watches {
    Watches::with(api.client(), FairSlots::new(open), Arc::new(Metrics::new()))
}

fn put(api: &ScriptedApi, name: &str) -> Object {
    let (object, value) = secret(name);
    api.put(&object, value);
    object
}

/// Secrets `a000` and so on.
fn put_many(api: &ScriptedApi, count: usize) {
    (0..count).for_each(|n| drop(put(api, &format!("a{n:03}"))));
}

fn subscribe(watches: &Watches, name: &str) -> Subscription {
    watches.subscribe(Watched::Secret, NAMESPACE, name)
}

fn version(subscription: &Subscription) -> Version {
    subscription.version.borrow().clone()
}

/// The version that an object has by now.
fn current(api: &ScriptedApi, object: &Object) -> Version {
    match api.get(object) {
        Some(value) => Version::At(value["metadata"]["resourceVersion"].as_str().unwrap().to_owned()),
        None => Version::Absent,
    }
}

/// Long enough for watches to begin, and for what happens to be told.
async fn a_moment() {
    sleep(Duration::from_secs(1)).await;
}

fn lists(api: &ScriptedApi) -> usize {
    api.count(&Call::ListNamespace("secrets".to_owned(), NAMESPACE.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn few_objects_have_a_watch_each() {
    let api = ScriptedApi::new();
    let there = put(&api, "b");
    let watches = watches(&api, 256);
    let subscriptions = ["a", "b", "c", "b", "d"].map(|name| subscribe(&watches, name));
    assert!(subscriptions.iter().all(|subscription| version(subscription) == Version::Unknown));
    a_moment().await;
    assert_eq!(api.watches("secrets"), ["team-a/a", "team-a/b", "team-a/c", "team-a/d"]);
    assert_eq!(version(&subscriptions[0]), Version::Absent);
    assert_eq!(version(&subscriptions[1]), current(&api, &there));
    assert_eq!(version(&subscriptions[3]), current(&api, &there));
    let made = put(&api, "a");
    api.delete(&there);
    a_moment().await;
    assert_eq!(version(&subscriptions[0]), current(&api, &made));
    assert_eq!(version(&subscriptions[1]), Version::Absent);
    assert_eq!(lists(&api), 0);
}

#[tokio::test(start_paused = true)]
async fn many_objects_share_one_watch() {
    let api = ScriptedApi::new();
    put_many(&api, 260);
    let watches = watches(&api, 256);
    let mut subscriptions: Vec<_> = (0..4).map(|n| subscribe(&watches, &format!("a{n:03}"))).collect();
    a_moment().await;
    assert_eq!(api.watches("secrets").len(), 4);
    subscriptions.extend(["a100", "a249", "none"].map(|name| subscribe(&watches, name)));
    assert!(subscriptions.iter().all(|subscription| version(subscription) == Version::Unknown));
    a_moment().await;
    assert_eq!(api.watches("secrets"), ["team-a/*"]);
    assert_eq!(lists(&api), 6, "a page at a time");
    for subscription in &subscriptions {
        let (object, _) = secret(&subscription.name);
        assert_eq!(version(subscription), current(&api, &object), "{}", subscription.name);
    }
    let changed = ["a001", "a249", "none"].map(|name| put(&api, name));
    api.delete(&secret("a100").0);
    put(&api, "a200");
    a_moment().await;
    for object in &changed {
        let subscription = subscriptions.iter().find(|s| *s.name == *object.name).unwrap();
        assert_eq!(version(subscription), current(&api, object), "{}", object.name);
    }
    assert_eq!(version(&subscriptions[4]), Version::Absent);
    assert!(!watches.0.lock().values().any(|group| group.names(&Scope::Namespace).len() > 7));
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_to_a_watch_of_many_costs_no_list() {
    let api = ScriptedApi::new();
    let late = put(&api, "late");
    let watches = watches(&api, 256);
    let _early: Vec<_> = (0..5).map(|n| subscribe(&watches, &n.to_string())).collect();
    a_moment().await;
    let subscription = subscribe(&watches, "late");
    let read = current(&api, &late);
    assert_eq!(version(&subscription), Version::Unchanged);
    assert!(!version(&subscription).is_news(Some(&read)));
    api.edit(&late, |value| value["data"]["token"] = "bmV3".into());
    a_moment().await;
    assert_eq!(version(&subscription), current(&api, &late));
    assert!(version(&subscription).is_news(Some(&read)));
    assert_eq!(lists(&api), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_named_when_the_list_is_past_it_is_not_taken_for_absent() {
    let api = ScriptedApi::new();
    put_many(&api, 150);
    let watches = Arc::new(watches(&api, 256));
    let _early: Vec<_> = (0..5).map(|n| subscribe(&watches, &n.to_string())).collect();
    // The second page is asked for when the first one was taken in.
    let list = Call::ListNamespace("secrets".to_owned(), NAMESPACE.to_owned());
    let late = Arc::new(Mutex::new(None));
    let (name_it, kept) = (watches.clone(), late.clone());
    api.next(list.clone(), Fault::overtaken(|_| {}));
    api.next(list, Fault::overtaken(move |_| *kept.lock().unwrap() = Some(subscribe(&name_it, "a000"))));
    a_moment().await;
    let late = late.lock().unwrap().take().unwrap();
    assert_eq!(version(&late), Version::Unchanged);
    let object = put(&api, "a000");
    a_moment().await;
    assert_eq!(version(&late), current(&api, &object));
}

#[tokio::test(start_paused = true)]
async fn where_a_namespace_may_not_be_watched_its_objects_are() {
    let api = ScriptedApi::new();
    api.every(Call::ListNamespace("secrets".to_owned(), NAMESPACE.to_owned()), Fault::Code(403));
    let watches = watches(&api, 256);
    let mut subscriptions: Vec<_> = (0..8).map(|n| subscribe(&watches, &n.to_string())).collect();
    a_moment().await;
    let by_name: Vec<_> = (0..8).map(|n| format!("team-a/{n}")).collect();
    assert_eq!(api.watches("secrets"), by_name);
    subscriptions.push(subscribe(&watches, "8"));
    let object = put(&api, "8");
    a_moment().await;
    assert_eq!(version(&subscriptions[8]), current(&api, &object));
    // It is tried again, which disturbs nobody.
    let mut seen = subscriptions[8].receiver();
    seen.borrow_and_update();
    sleep(Duration::from_secs(600)).await;
    assert!(lists(&api) > 1);
    assert!(!seen.has_changed().unwrap());
    api.heal();
    sleep(Duration::from_secs(1200)).await;
    assert_eq!(api.watches("secrets"), ["team-a/*"]);
    assert!(!seen.has_changed().unwrap());
    api.delete(&object);
    a_moment().await;
    assert_eq!(*seen.borrow_and_update(), Version::Absent);
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_knows_nothing_and_comes_back() {
    for names in [1, 6] {
        let api = ScriptedApi::new();
        let object = put(&api, "0");
        let watches = watches(&api, 256);
        let subscriptions: Vec<_> = (0..names).map(|n| subscribe(&watches, &n.to_string())).collect();
        a_moment().await;
        let mut seen = subscriptions[0].receiver();
        assert_eq!(*seen.borrow_and_update(), current(&api, &object));
        // When the API server ends it, and it is to go on.
        api.every(Call::Watch("secrets".to_owned()), Fault::Code(500));
        timeout(Duration::from_secs(60), seen.changed()).await.unwrap().unwrap();
        assert_eq!(*seen.borrow_and_update(), Version::Unknown);
        sleep(Duration::from_secs(60)).await;
        api.edit(&object, |value| value["data"]["token"] = "bmV3".into());
        api.heal();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(*seen.borrow_and_update(), current(&api, &object), "{names}");
    }
}

/// As it answers whatever it is asked until it has read its roles.
#[tokio::test(start_paused = true)]
async fn what_an_api_server_refuses_that_has_just_started_is_known_again_soon() {
    for names in [1, 6] {
        let api = ScriptedApi::new();
        let object = put(&api, "0");
        let watches = watches(&api, 256);
        let subscriptions: Vec<_> = (0..names).map(|n| subscribe(&watches, &n.to_string())).collect();
        sleep(Duration::from_secs(10)).await;
        let calls = [
            Call::Watch("secrets".to_owned()),
            Call::List("secrets".to_owned()),
            Call::ListNamespace("secrets".to_owned(), NAMESPACE.to_owned()),
        ];
        calls.iter().for_each(|call| api.every(call.clone(), Fault::Code(500)));
        api.break_watches();
        sleep(Duration::from_secs(30)).await;
        api.heal();
        calls.iter().for_each(|call| api.every(call.clone(), Fault::Code(403)));
        sleep(Duration::from_secs(5)).await;
        api.heal();
        api.edit(&object, |value| value["data"]["token"] = "bmV3".into());
        sleep(Duration::from_secs(10)).await;
        assert_eq!(version(&subscriptions[0]), current(&api, &object), "{names}");
        // If the right is taken away for good, that is not asked for all the time.
        calls.iter().for_each(|call| api.every(call.clone(), Fault::Code(403)));
        api.break_watches();
        let asked = || calls.iter().map(|call| api.count(call)).sum::<usize>();
        sleep(Duration::from_secs(300)).await;
        let before = asked();
        sleep(Duration::from_secs(3600)).await;
        assert!(asked() - before < 100, "{names}: {}", asked() - before);
    }
}

/// This process as well has just started.
#[tokio::test(start_paused = true)]
async fn what_was_refused_at_the_start_is_tried_again_soon() {
    let api = ScriptedApi::new();
    let object = put(&api, "0");
    api.every(Call::List("secrets".to_owned()), Fault::Code(403));
    let watches = watches(&api, 256);
    let subscription = subscribe(&watches, "0");
    sleep(Duration::from_secs(4)).await;
    api.heal();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(version(&subscription), current(&api, &object));
}

#[tokio::test(start_paused = true)]
async fn no_namespace_takes_all_watches() {
    let api = ScriptedApi::new();
    let list = |namespace: &str| Call::ListNamespace("secrets".to_owned(), namespace.to_owned());
    api.every(list("greedy"), Fault::Code(403));
    let watches = watches(&api, 8);
    let greedy: Vec<_> =
        (0..50).map(|n| watches.subscribe(Watched::Secret, "greedy", &n.to_string())).collect();
    a_moment().await;
    assert_eq!(api.watches("secrets").len(), 4);
    let modest = watches.subscribe(Watched::Secret, "modest", "x");
    a_moment().await;
    assert_eq!(version(&modest), Version::Absent);
    assert!(api.watches("secrets").contains(&"modest/x".to_owned()));
    // The others are read with each check.
    let unknown = || greedy.iter().filter(|subscription| version(subscription) == Version::Unknown).count();
    assert_eq!(unknown(), 46);
}

#[tokio::test(start_paused = true)]
async fn watches_end_with_whoever_wanted_them_and_others_begin() {
    let api = ScriptedApi::new();
    let watches = watches(&api, 2);
    let of = |namespace: &str| watches.subscribe(Watched::Secret, namespace, "x");
    let (first, second, third) = (of("a"), of("b"), of("c"));
    a_moment().await;
    assert_eq!(api.watches("secrets"), ["a/x", "b/x"]);
    assert_eq!(version(&third), Version::Unknown);
    let again = of("a");
    drop(first);
    a_moment().await;
    assert_eq!(api.watches("secrets"), ["a/x", "b/x"]);
    drop(again);
    a_moment().await;
    assert_eq!(api.watches("secrets"), ["b/x", "c/x"]);
    assert_eq!(version(&third), Version::Absent);
    drop((second, third));
    let many: Vec<_> = (0..20).map(|n| subscribe(&watches, &n.to_string())).collect();
    a_moment().await;
    assert_eq!(api.watches("secrets"), ["team-a/*"]);
    drop(many);
    a_moment().await;
    assert_eq!(api.watches("secrets"), [""; 0]);
    assert!(watches.0.lock().is_empty());
}

/// Nobody is kept from watching by what may not, or cannot, be watched.
#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_gives_its_turn_to_others() {
    let api = ScriptedApi::new();
    api.next(Call::List("secrets".to_owned()), Fault::Code(403));
    let watches = watches(&api, 1);
    let _refused = watches.subscribe(Watched::Secret, "a", "x");
    a_moment().await;
    let other = watches.subscribe(Watched::Secret, "b", "x");
    a_moment().await;
    assert_eq!(version(&other), Version::Absent);
}
