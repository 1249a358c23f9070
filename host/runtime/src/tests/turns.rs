//! Who waits for whom.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures::FutureExt as _;
use wasm_issuer_core::keys::{EphemeralKeys, PrivateKey};
use wasmtime::component::ResourceTable;

use super::*;
use crate::bindings::wasm_issuer::plugin::keys::HostSigningKey as _;
use crate::engine::TICK;
use crate::fair::Owner;
use crate::imports::keys::KeysView;
use crate::testing::until;
use crate::turns::{CallTurns, IssuerTurns, Turns};

#[tokio::test]
async fn calls_wait_for_their_turn_for_as_long_as_it_takes() {
    let plugin = runtime().load(checking(""), &account()).await.unwrap();
    tokio::time::pause();
    let session = session(CallLimits { concurrency: 1, ..quick() });
    let turn = session.checks.try_acquire(&session.owner()).unwrap();
    let end_of_turn = async {
        tokio::time::sleep(100 * AGES).await;
        drop(turn);
    };
    let (result, ()) = tokio::join!(plugin.check(&session), end_of_turn);
    assert_eq!(result, Ok(()));
}

/// Signs that hold every slot that they may keep no check waiting, be it of their own Issuer.
#[tokio::test]
async fn signs_and_checks_do_not_wait_for_each_other() {
    let runtime = runtime();
    let plugin = runtime.load(checking(""), &account()).await.unwrap();
    let session = session(CallLimits { concurrency: 1, ..patient() });
    let _own = session.signs.try_acquire(&session.owner()).unwrap();
    let mut held = Vec::new();
    for tenant in 0..1000 {
        held.extend(runtime.signs.try_acquire(&Owner::new(&tenant.to_string(), "x")));
    }
    assert!(runtime.signs.try_acquire(&Owner::new("late", "x")).is_none(), "no slot is left");
    plugin.check(&session).await.unwrap();
}

/// The slow signs of one namespace leave room in an Issuer that others share with it.
#[tokio::test]
async fn no_namespace_holds_all_slots_of_a_shared_issuer() {
    let session = session(CallLimits { concurrency: 4, ..patient() });
    let take = |namespace: &str| session.signs.try_acquire(&session.owner_in(Some(namespace)));
    let held: Vec<_> = (0..10).map_while(|_| take("hostile")).collect();
    assert_eq!(held.len(), 4);
    let neighbours = [take("neighbour"), take("neighbour")];
    assert!(neighbours.iter().all(Option::is_some));
}

#[tokio::test]
async fn a_call_ends_with_its_caller() {
    let runtime = runtime();
    let plugin = runtime.load(checking(LOOP), &account()).await.unwrap();
    let session = session(CallLimits { concurrency: 1, ..patient() });
    let caller = tokio::spawn({
        let (plugin, session) = (plugin.clone(), session.clone());
        async move { plugin.check(&session).await }
    });
    let runs = || session.checks.try_acquire(&session.owner()).is_none();
    until("the call runs", runs).await;
    caller.abort();
    until("the call ends", || !runs() && runtime.memory.used() == 0).await;
}

/// With as many endless loops as the executor has threads, others still get their turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_looping_plugin_does_not_delay_its_neighbours() {
    let runtime = runtime();
    let looping = runtime.load(checking(LOOP), &account()).await.unwrap();
    let good = runtime.load(checking(""), &account()).await.unwrap();
    let endless = session(CallLimits { timeout: 60 * AGES, concurrency: 2, ..patient() });
    let loops: Vec<_> = (0..2)
        .map(|_| {
            let (looping, endless) = (looping.clone(), endless.clone());
            tokio::spawn(async move { looping.check(&endless).await })
        })
        .collect();
    until("both loops run", || endless.checks.try_acquire(&endless.owner()).is_none()).await;
    let session = session(patient());
    for _ in 0..50 {
        good.check(&session).await.unwrap();
    }
    assert!(loops.iter().all(|task| !task.is_finished()));
    loops.iter().for_each(tokio::task::JoinHandle::abort);
}

/// What takes tens of milliseconds, a signature of RSA with 8192 bits, holds no thread of the executor, and a turn of the
/// owner's until it has ended.
#[tokio::test]
async fn long_work_of_the_host_is_done_elsewhere_in_turns() {
    let all = Turns::at_a_time(1).unwrap();
    let call = |issuer: &str| CallTurns::new(all.clone(), IssuerTurns::new(), Owner::new("team-a", issuer));
    let (first, second) = (call("one"), call("two"));
    let (go_on, told) = std::sync::mpsc::channel::<()>();
    let working = tokio::spawn(first.compute(move || told.recv_timeout(AGES).unwrap()));
    // The only thread here goes on, or nobody would tell it to.
    until("it has begun", || !first.waits()).await;
    let waiting = tokio::spawn(second.compute(|| ()));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(second.waits(), "one at a time");
    go_on.send(()).unwrap();
    working.await.unwrap();
    waiting.await.unwrap();
    assert!(!second.waits());
}

/// On the executor's threads others wait.
#[tokio::test]
async fn a_signature_that_takes_long_waits_for_its_turn_and_others_do_not() {
    let slow = include_bytes!("../../../core/src/keys/testdata/rsa-8192.key");
    let quick = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let all = Turns::at_a_time(1).unwrap();
    let turns = || CallTurns::new(all.clone(), IssuerTurns::new(), Owner::new("team-a", "ca"));
    let (others, own) = (turns(), turns());
    let (go_on, told) = std::sync::mpsc::channel::<()>();
    let working = tokio::spawn(others.compute(move || told.recv_timeout(AGES).unwrap()));
    until("it has begun", || !others.waits()).await;

    let (keys, mut table) = (EphemeralKeys::default(), ResourceTable::new());
    let [slow, quick] = [slow.as_slice(), quick.as_bytes()]
        .map(|pem| table.push(Arc::new(PrivateKey::from_pem(pem).unwrap())).unwrap());
    let mut view = KeysView { keys: &keys, verified: &Default::default(), turns: &own, table: &mut table };
    assert!(view.sign(quick, b"message".to_vec()).now_or_never().unwrap().unwrap().is_ok());
    let mut signing = Box::pin(view.sign(slow, b"message".to_vec()));
    assert!((&mut signing).now_or_never().is_none());
    go_on.send(()).unwrap();
    working.await.unwrap();
    assert_eq!(signing.await.unwrap().unwrap().len(), 1024);
}

fn call(all: &Turns, namespace: &str) -> CallTurns {
    CallTurns::new(all.clone(), IssuerTurns::new(), Owner::new(namespace, "ca"))
}

fn compute_long(turns: &CallTurns) {
    let compute = async { while turns.thread.computed() <= TICK {} };
    turns.thread.count(compute).now_or_never().unwrap();
}

/// A call that has the only turn, until it is dropped.
fn hold(all: &Turns) -> CallTurns {
    let other = call(all, "other");
    compute_long(&other);
    assert!(goes_on(other.next()));
    other
}

/// The call has had its thread for one more tick.
fn tick(turns: &CallTurns) -> impl Future<Output = ()> + use<> {
    turns.thread.count(poll_fn(|_| Poll::Ready(turns.next()))).now_or_never().unwrap()
}

/// Whether a call goes on without a turn.
fn goes_on(turn: impl Future<Output = ()>) -> bool {
    let mut turn = std::pin::pin!(turn);
    (0..3).any(|_| turn.as_mut().now_or_never().is_some())
}

/// On a busy machine every call has its thread for long, and none of them would be a short one.
#[tokio::test]
async fn who_waits_for_a_processor_takes_no_turns_and_who_computes_does() {
    let all = Turns::at_a_time(1).unwrap();
    let (_held, own) = (hold(&all), call(&all, "team-a"));
    own.thread.count(async { std::thread::sleep(5 * TICK) }).await;
    assert!(goes_on(tick(&own)));
    compute_long(&own);
    assert!(!goes_on(tick(&own)));
}

/// Each call of a crowd may be short, and together they keep all processors busy.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_has_spent_its_allowance_takes_turns() {
    let all = Turns::at_a_time(1).unwrap();
    let _held = hold(&all);
    let [first, second, third] = ["hostile"; 3].map(|namespace| call(&all, namespace));
    assert!(goes_on(third.first()));
    [&first, &second, &third].into_iter().for_each(compute_long);
    let next = call(&all, "hostile");
    assert!(!goes_on(next.first()), "from its start");
    assert!(!goes_on(tick(&next)), "and with each tick");
    assert!(goes_on(call(&all, "modest").first()));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(goes_on(next.first()));
}

/// One after the other they are as many.
#[tokio::test(start_paused = true)]
async fn an_allowance_outlives_the_calls_that_spent_it() {
    let all = Turns::at_a_time(1).unwrap();
    let _held = hold(&all);
    (0..3).for_each(|_| compute_long(&call(&all, "hostile")));
    assert!(goes_on(call(&all, "modest").first()));
    assert!(!goes_on(call(&all, "hostile").first()));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(goes_on(call(&all, "hostile").first()));
    let _late = call(&all, "late");
    assert_eq!(all.namespaces(), 2, "the others are forgotten");
}

#[tokio::test]
async fn a_turn_ends_when_its_call_gives_the_thread_back() {
    let all = Turns::at_a_time(1).unwrap();
    let [first, second] = ["one", "two"].map(|namespace| call(&all, namespace));
    [&first, &second].into_iter().for_each(compute_long);
    let waits = first.thread.count(async {
        first.next().await;
        assert!(!goes_on(second.next()), "the only turn is taken");
        std::future::pending::<()>().await
    });
    let mut waits = std::pin::pin!(waits);
    assert!(!goes_on(waits.as_mut()));
    until("the turn is over", || goes_on(second.next())).await;
}

#[tokio::test]
async fn a_long_call_goes_on_in_the_background() {
    let all = Turns::at_a_time(1).unwrap();
    let runs_on = || std::thread::current().name().map(str::to_owned);
    for is_long in [false, true] {
        let turns = call(&all, "team-a");
        let run = turns.thread.clone().run(async move {
            let began = runs_on();
            if is_long {
                while turns.thread.computed() <= TICK {}
            }
            turns.next().await;
            (began, runs_on())
        });
        let (began, ended) = run.await;
        assert_eq!(began, runs_on());
        assert_eq!(ended, if is_long { Some("background".to_owned()) } else { began });
    }
}

/// Threads on which others wait stay free of it. It goes on to its end, in its turn, also if nobody waits for it any more.
#[tokio::test]
async fn long_jobs_take_turns_also_those_that_nobody_waits_for() {
    let all = Turns::at_a_time(1).unwrap();
    let job = |namespace: &str, job: Box<dyn FnOnce() + Send>| {
        let (all, owner) = (all.clone(), Owner::new(namespace, "ca"));
        tokio::spawn(async move { all.compute(&owner, job).await })
    };
    let (go_on, told) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let greedy = job(
        "greedy",
        Box::new(move || {
            begun.send(()).unwrap();
            let _ = told.recv_timeout(AGES);
        }),
    );
    begins.await.unwrap();
    greedy.abort();
    assert!(greedy.await.unwrap_err().is_cancelled());
    let modest = job("modest", Box::new(|| ()));
    // Nothing but the other's end brings its turn.
    tokio::time::sleep(5 * TICK).await;
    assert!(!modest.is_finished());
    go_on.send(()).unwrap();
    modest.await.unwrap();
}

/// Fifty Issuers whose plugins never stop computing have half of the turns together, if another namespace computes too.
#[tokio::test]
async fn namespaces_take_turns_to_compute() {
    let (all, every) = (Turns::at_a_time(1).unwrap(), Arc::new(AtomicUsize::default()));
    let compute = |owner: Owner| {
        let turns = CallTurns::new(all.clone(), IssuerTurns::new(), owner);
        compute_long(&turns);
        let (own, every) = (Arc::new(AtomicUsize::default()), every.clone());
        let count = own.clone();
        tokio::spawn(async move {
            loop {
                let turn = async {
                    turns.next().await;
                    std::thread::sleep(Duration::from_micros(200));
                };
                turns.thread.count(turn).await;
                count.fetch_add(1, Ordering::Relaxed);
                every.fetch_add(1, Ordering::Relaxed);
            }
        });
        own
    };
    for issuer in 0..50 {
        compute(Owner::new("hostile", &issuer.to_string()));
    }
    let neighbour = compute(Owner::new("neighbour", "ca"));
    until("a thousand turns", || every.load(Ordering::Relaxed) >= 1000).await;
    let turns = neighbour.load(Ordering::Relaxed);
    assert!(turns > 300, "{turns} of about 1000 turns");
}
