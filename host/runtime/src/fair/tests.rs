//! Who gets the slots, and what is left behind by those who do not.

use futures::FutureExt as _;

use super::*;

fn owner(namespace: &str, issuer: &str) -> Owner {
    Owner::new(namespace, issuer)
}

/// All that an owner gets at once.
async fn grab(slots: &Arc<FairSlots>, owner: &Owner) -> Vec<FairSlot> {
    let mut held = Vec::new();
    while let Some(slot) = slots.try_acquire(owner) {
        held.push(slot);
    }
    held
}

#[tokio::test]
async fn nobody_takes_the_last_slots() {
    let slots = FairSlots::new(128);
    let mut held = Vec::new();
    for (namespace, share) in [("a", 64), ("b", 32), ("c", 16), ("d", 8), ("e", 4), ("f", 2), ("g", 1)] {
        let mut taken = Vec::new();
        // With Issuers enough, their own shares are no bound.
        for issuer in 0..200 {
            taken.extend(slots.try_acquire(&owner(namespace, &issuer.to_string())));
        }
        assert_eq!(taken.len(), share, "{namespace}");
        held.push(taken);
    }
    assert!(slots.try_acquire(&owner("newcomer", "x")).is_some(), "one is left for who comes late");
}

#[tokio::test]
async fn no_namespace_holds_more_than_each_may() {
    let slots = FairSlots::capped(16, 2);
    let mut held = Vec::new();
    for namespace in ["a", "b", "c"] {
        let before = held.len();
        held.extend((0..10).filter_map(|n| slots.try_acquire(&owner(namespace, &n.to_string()))));
        assert_eq!(held.len() - before, 2, "{namespace}");
    }
    assert!(slots.acquire(&owner("a", "late")).now_or_never().is_none());
}

#[tokio::test]
async fn an_issuer_leaves_room_for_its_neighbours_in_the_namespace() {
    let slots = FairSlots::new(128);
    let greedy = grab(&slots, &owner("a", "greedy")).await;
    assert_eq!(greedy.len(), 43);
    assert!(slots.try_acquire(&owner("a", "modest")).is_some());
}

#[tokio::test(start_paused = true)]
async fn whoever_held_slots_for_a_shorter_time_goes_first() {
    let slots = FairSlots::new(1);
    let held = slots.acquire(&owner("greedy", "x")).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let queue = |namespace: &'static str, issuer: &'static str| {
        let (slots, order) = (slots.clone(), order.clone());
        tokio::spawn(async move {
            let _slot = slots.acquire(&owner(namespace, issuer)).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            order.lock().unwrap().push((namespace, issuer));
        })
    };
    let mut tasks: Vec<_> = ["1", "2", "3"].map(|issuer| queue("greedy", issuer)).into();
    tokio::time::sleep(Duration::from_secs(30)).await;
    tasks.push(queue("modest", "x"));
    tokio::task::yield_now().await;
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [("modest", "x"), ("greedy", "1"), ("greedy", "2"), ("greedy", "3")]);
}

#[tokio::test(start_paused = true)]
async fn issuers_of_a_namespace_take_turns() {
    let slots = FairSlots::new(1);
    let held = slots.acquire(&owner("n", "0")).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks = ["a", "a", "a", "b", "c"].map(|issuer| {
        let (slots, order) = (slots.clone(), order.clone());
        tokio::spawn(async move {
            let _slot = slots.acquire(&owner("n", issuer)).await;
            order.lock().unwrap().push(issuer);
        })
    });
    tokio::task::yield_now().await;
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["a", "b", "c", "a", "a"]);
}

/// Between a slot's return and its handing out somebody else may come.
#[tokio::test]
async fn whoever_comes_when_a_slot_is_given_back_takes_it_from_nobody_who_waits() {
    let slots = FairSlots::new(1);
    let (first, early, late) = (owner("a", "x"), owner("b", "x"), owner("c", "x"));
    assert!(lock(&slots.state).take_at_once(&first, slots.bounds));
    let mut waiting = Box::pin(slots.acquire(&early));
    assert!((&mut waiting).now_or_never().is_none());
    lock(&slots.state).give_back(&first, Duration::ZERO);
    assert!(slots.acquire(&late).now_or_never().is_none());
    assert!(waiting.now_or_never().is_some());
}

#[tokio::test]
async fn a_place_that_is_given_up_costs_nobody_a_slot() {
    let slots = FairSlots::new(1);
    let held = slots.acquire(&owner("a", "x")).await;
    let (early, late) = (owner("b", "x"), owner("c", "x"));
    let mut waiting = Box::pin(slots.acquire(&early));
    assert!((&mut waiting).now_or_never().is_none());
    drop(waiting);
    // Given up after the slot was handed to it.
    let mut waiting = Box::pin(slots.acquire(&late));
    assert!((&mut waiting).now_or_never().is_none());
    drop(held);
    drop(waiting);
    let again = slots.try_acquire(&owner("d", "x"));
    assert!(again.is_some());
    drop(again);
    assert!(lock(&slots.state).namespaces.values().all(|namespace| !namespace.is_in_use()));
}

/// A tenant that has all it may have and asks for more costs no memory.
#[tokio::test]
async fn places_that_are_given_up_do_not_pile_up() {
    let slots = FairSlots::new(4);
    let greedy = owner("greedy", "x");
    let _held = grab(&slots, &greedy).await;
    let one_waits = slots.acquire(&greedy);
    let mut one_waits = Box::pin(one_waits);
    assert!((&mut one_waits).now_or_never().is_none());
    for n in 0..10_000 {
        assert!(slots.try_acquire(&greedy).is_none());
        assert!(slots.acquire(&greedy).now_or_never().is_none());
        assert!(slots.acquire(&owner("greedy", &n.to_string())).now_or_never().is_none());
    }
    let state = lock(&slots.state);
    let namespace = &state.namespaces[&greedy.namespace];
    let places: usize = namespace.issuers.values().map(|issuer| issuer.waiting.len()).sum();
    assert!(places < 1000 && namespace.turns.len() < 1000, "{places}, {}", namespace.turns.len());
    assert_eq!(state.waiting.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_rest_nobody_is_ahead_and_nothing_is_kept() {
    let slots = FairSlots::new(2);
    let held = slots.acquire(&owner("greedy", "x")).await;
    let other = slots.acquire(&owner("modest", "x")).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    drop(other);
    assert_eq!(lock(&slots.state).namespaces.len(), 2, "they still compete");
    drop(held);
    assert!(lock(&slots.state).namespaces.is_empty());
}
