use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt as _;
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, Requester, SignRequest};
use wasm_issuer_core::x509::Csr;
use zeroize::Zeroizing;

use super::*;
use crate::bindings::IssuerPlugin;
use crate::call::Export;
use crate::log::{CallLog, CallName};
use crate::testing::{AGES, records, until};
use crate::{Breakage, CallError, Doing, Phase};

fn request() -> SignRequest {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap();
    SignRequest {
        namespace: None,
        name: "www".into(),
        uid: "7".into(),
        csr: Csr::from_pem_or_der(csr.der()).unwrap(),
        duration: Duration::from_secs(3600),
        is_ca: false,
        usages: vec!["server auth".into()],
        annotations: vec![("a".into(), "b".into())],
        requester: Requester::default(),
        resume: None,
    }
}

async fn broken(wasm: ComponentBytes, limits: CallLimits) -> Breakage {
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    match plugin.check(&session(limits)).await {
        Err(CallError::Broken(breakage)) => breakage,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_answers() {
    let plugin = runtime().load(checking(""), &account()).await.unwrap();
    plugin.check(&session(patient())).await.unwrap();
    let ever = Duration::MAX;
    let endless = CallLimits {
        timeout: ever,
        instantiate: ever,
        concurrency: usize::MAX,
        memory: usize::MAX,
        ..CallLimits::default()
    };
    plugin.check(&session(endless)).await.unwrap();
}

#[tokio::test]
async fn a_failure_is_passed_on_with_its_text_cleaned() {
    let wasm = edited(&[
        (";; MORE", r#"(data (i32.const 4096) "no\0d\0a such \1b[31mprofile")"#),
        (";; CHECK", "(return (call $fail (i32.const 2) (i32.const 4096) (i32.const 22)))"),
    ]);
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    let error = plugin.check(&session(patient())).await.unwrap_err();
    let message = "no such [31mprofile".to_owned();
    assert_eq!(error.into_failure(), Failure { kind: FailureKind::Issuer, message, condition: None });
}

#[tokio::test]
async fn a_long_message_is_cut() {
    let wasm = edited(&[
        (";; MORE", r#"(func $fill (memory.fill (i32.const 4096) (i32.const 97) (i32.const 60000)))"#),
        (";; CHECK", "(call $fill) (return (call $fail (i32.const 1) (i32.const 4096) (i32.const 60000)))"),
    ]);
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    let failure = plugin.check(&session(patient())).await.unwrap_err().into_failure();
    assert_eq!((failure.kind, failure.message.len()), (FailureKind::Permanent, 4096));
}

#[tokio::test]
async fn a_trap_is_a_retry_that_says_what_happened() {
    let breakage = broken(checking("unreachable"), patient()).await;
    assert_eq!(breakage.label(), "trapped");
    let message = "the plugin trapped: wasm `unreachable` instruction executed";
    assert_eq!(breakage.to_string(), message);
    let failure = CallError::from(breakage).into_failure();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Retry { after: None }, message));
}

#[tokio::test]
async fn memory_beyond_its_end_is_a_trap() {
    let breakage = broken(checking("(drop (i32.load (i32.const -4)))"), patient()).await;
    assert_eq!(breakage.to_string(), "the plugin trapped: out of bounds memory access");
}

#[tokio::test]
async fn recursion_is_stopped() {
    let wasm = edited(&[(";; MORE", "(func $down (call $down))"), (";; CHECK", "(call $down)")]);
    assert_eq!(broken(wasm, patient()).await, Breakage::StackOverflow);
}

#[tokio::test]
async fn an_endless_loop_is_stopped_on_time() {
    let limit = Duration::from_millis(200);
    let breakage = broken(checking(LOOP), quick()).await;
    assert_eq!(
        breakage,
        Breakage::TimedOut { phase: Phase::Call, limit, doing: Doing::Computing, last_lines: None }
    );
    assert!(
        breakage.to_string().starts_with("the plugin did not answer within 200 ms (spec.limits.timeout)")
    );
}

#[tokio::test]
async fn an_endless_start_has_its_own_limit() {
    let wasm = edited(&[(";; MORE", &format!("(func $start {LOOP}) (start $start)"))]);
    let limits = CallLimits { instantiate: Duration::from_millis(200), ..patient() };
    let breakage = broken(wasm, limits).await;
    assert_eq!(breakage.to_string(), "the plugin did not start within 200 ms");
}

/// An hour, in nanoseconds.
const WAIT: &str = "(call $block (call $subscribe (i64.const 3600000000000)))";

/// A check whose clock runs ahead while the plugin waits.
async fn check_in_test_time(wasm: ComponentBytes) -> Result<(), CallError> {
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    tokio::time::pause();
    plugin.check(&session(patient())).await
}

const WAITED: CallError = CallError::Broken(Breakage::TimedOut {
    phase: Phase::Call,
    limit: AGES,
    doing: Doing::Waiting,
    last_lines: None,
});

#[tokio::test]
async fn endless_waiting_is_stopped_on_time() {
    assert_eq!(check_in_test_time(checking(WAIT)).await, Err(WAITED));
}

#[tokio::test]
async fn waiting_until_just_before_that_is_fine() {
    let short = "(call $block (call $subscribe (i64.const 59900000000)))";
    assert_eq!(check_in_test_time(checking(short)).await, Ok(()));
}

/// What a call computed before it began to wait is not what takes its time.
#[tokio::test]
async fn a_long_call_that_waits_is_said_to_wait() {
    let count = "(func $count (local $i i32)
                   (loop $again
                     (local.set $i (i32.add (local.get $i) (i32.const 1)))
                     (br_if $again (i32.lt_u (local.get $i) (i32.const 100000000)))))";
    // Beyond what a call has of its own.
    let grow = "(drop (memory.grow (i32.const 64)))";
    let wasm = edited(&[(";; MORE", count), (";; CHECK", &format!("(call $count) {grow} {WAIT}"))]);
    let runtime = runtime();
    let plugin = runtime.load(wasm, &account()).await.unwrap();
    let check = tokio::spawn(async move { plugin.check(&session(patient())).await });
    until("it waits", || runtime.memory.used() > 0 && runtime.turns.is_idle()).await;
    // No further than that: the clock does not wait for what runs in the background.
    tokio::time::pause();
    tokio::time::advance(2 * AGES).await;
    tokio::time::resume();
    assert_eq!(check.await.unwrap(), Err(WAITED));
}

#[tokio::test]
async fn memory_is_bounded_over_all_memories() {
    let limits = CallLimits { memory: 4 << 20, ..patient() };
    // Refused growth by itself is the plugin's to handle.
    let refused = "(if (i32.ne (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable))";
    let plugin = runtime().load(checking(refused), &account()).await.unwrap();
    plugin.check(&session(limits.clone())).await.unwrap();
    // A plugin that gives up is told why.
    let gives_up = "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable))";
    let breakage = broken(checking(gives_up), limits.clone()).await;
    assert_eq!(breakage.to_string(), "the plugin asked for more than 4 MiB of memory (spec.limits.memory)");
    // Neither a second memory nor a table is a way around it.
    for more in ["(memory $big 63)", "(table 600000 funcref)"] {
        let breakage = broken(edited(&[(";; MORE", more)]), limits.clone()).await;
        assert_eq!(breakage.label(), "memory_limit", "{more}");
    }
}

#[test]
fn memory_beyond_the_limit_is_never_touched() {
    alone("calls::greedy_memories");
}

#[tokio::test]
#[ignore = "measures its process"]
async fn greedy_memories() {
    let memories = "(memory $a 0) (memory $b 0) (memory $c 0)";
    let take = |memory: &str| {
        format!(
            "(if (i32.ne (memory.grow {memory} (i32.const 4096)) (i32.const -1))
               (then (memory.fill {memory} (i32.const 0) (i32.const 97) (i32.const 268435456))))"
        )
    };
    let check: String = ["$a", "$b", "$c"].map(take).concat();
    let wasm = edited(&[(";; MORE", memories), (";; CHECK", &check)]);
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    let before = status("VmHWM:");
    plugin.check(&session(CallLimits { memory: 4 << 20, ..patient() })).await.unwrap();
    let more = status("VmHWM:") - before;
    assert!(more < 64 << 20, "{more}");
}

#[tokio::test]
async fn memory_is_bounded_over_all_calls() {
    let runtime = Runtime::new(RuntimeConfig { memory: 64 << 10, ..RuntimeConfig::default() }).unwrap();
    let large = edited(&[(";; MORE", "(memory $big 63)")]);
    let plugin = runtime.load(large, &account()).await.unwrap();
    let error = plugin.check(&session(patient())).await.unwrap_err();
    assert!(matches!(error, CallError::Broken(Breakage::MemoryExhausted { .. })), "{error:?}");
    assert_eq!(runtime.memory.used(), 0);
}

#[tokio::test]
async fn handles_are_bounded() {
    let hoard = |handles: u32| {
        let more = format!("(br_if $again (i32.lt_u (global.get $held) (i32.const {handles})))");
        edited(&[
            (";; MORE", "(global $held (mut i32) (i32.const 0))"),
            (
                ";; CHECK",
                &format!(
                    "(loop $again (drop (call $subscribe (i64.const 1)))
                       (global.set $held (i32.add (global.get $held) (i32.const 1))) {more})"
                ),
            ),
        ])
    };
    let plugin = runtime().load(hoard(256), &account()).await.unwrap();
    plugin.check(&session(patient())).await.unwrap();
    assert_eq!(broken(hoard(257), patient()).await, Breakage::HandleLimit);
}

#[tokio::test]
async fn an_answer_from_nowhere_is_a_trap() {
    let wasm = checking("(return (call $fail (i32.const 1) (i32.const 4096) (i32.const 100000000)))");
    let breakage = broken(wasm, patient()).await;
    assert_eq!(breakage.label(), "trapped", "{breakage}");
}

#[tokio::test]
async fn an_answer_beyond_the_transfer_limit_is_refused() {
    let wasm = edited(&[
        (";; MORE", "(func $grow (drop (memory.grow (i32.const 100))))"),
        (";; CHECK", "(call $grow) (return (call $fail (i32.const 1) (i32.const 4096) (i32.const 5000000)))"),
    ]);
    assert_eq!(broken(wasm, patient()).await, Breakage::TransferLimit);
}

#[tokio::test]
async fn a_chain_of_more_than_a_mebibyte_is_refused() {
    let wasm = edited(&[
        (
            ";; MORE",
            "(func $fill
               (drop (memory.grow (i32.const 100)))
               (memory.fill (i32.const 4096) (i32.const 97) (i32.const 2000000))
               (i32.store (i32.const 2052) (i32.const 4096))
               (i32.store (i32.const 2056) (i32.const 2000000)))",
        ),
        (";; SIGN", "(call $fill) (return (i32.const 2048))"),
    ]);
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    let error = plugin.sign(&session(patient()), &request()).await.unwrap_err();
    let too_large = Breakage::AnswerTooLarge { what: "chain", bytes: 2_000_000, limit: 1 << 20 };
    assert_eq!(error, CallError::Broken(too_large));
}

#[tokio::test]
async fn nothing_lasts_from_one_call_to_the_next() {
    let wasm = edited(&[
        (";; MORE", "(global $calls (mut i32) (i32.const 0))"),
        (
            ";; CHECK",
            "(if (i32.or (global.get $calls) (i32.load (i32.const 8192))) (then unreachable))
             (global.set $calls (i32.const 1)) (i32.store (i32.const 8192) (i32.const 1))",
        ),
    ]);
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    let session = session(patient());
    for _ in 0..3 {
        plugin.check(&session).await.unwrap();
    }
}

/// A call that its caller drops has an end, too: nothing of what was left out goes unsaid.
#[tokio::test]
async fn a_call_that_is_dropped_says_how_many_records_it_left_out() {
    records::start();
    let log = CallLog::new(Session::new(init("dropped")), CallName::Check);
    for number in 0..70 {
        log.record(tracing::Level::INFO, "log", &format!("record {number}"));
    }
    assert_eq!(records::of("dropped").len(), 64);
    drop(log);
    let records = records::of("dropped");
    assert_eq!(records.len(), 65);
    assert!(records[64].contains("message=6 more log records were dropped "), "{}", records[64]);
}

/// What a panic says is the host's own text, and may hold what the host worked with.
#[tokio::test]
async fn a_panic_of_the_host_is_told_in_the_log_alone_and_without_secrets() {
    records::start();
    let printed = Arc::new(Mutex::new(String::new()));
    let (sink, others) = (printed.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        sink.lock().unwrap().push_str(&info.to_string());
        others(info);
    }));
    redact_panics();
    let values = [("token".to_owned(), Zeroizing::new(b"s3cr3t-token".to_vec()))].into();
    let secret = Secret::new(SecretData { namespace: "pki".into(), name: "auth".into(), values });
    let session =
        Session::new(SessionInit { secret: Some(secret), limits: patient(), ..init("panicking-ca") });
    let plugin = runtime().load(checking(""), &account()).await.unwrap();
    let export: Export<IssuerPlugin, ()> =
        Box::new(|_, _| async { panic!("not a boundary in `s3cr3t-token`") }.boxed());
    let error = plugin.call(&session, CallName::Check, export).await.unwrap_err();
    let said = "internal error while running the plugin; see the operator's log";
    assert_eq!((error.to_string().as_str(), error.into_failure().message.as_str()), (said, said));
    let records = records::of("panicking-ca").concat();
    assert!(records.contains("internal error: not a boundary in `[redacted]`"), "{records}");
    let printed = printed.lock().unwrap().clone();
    assert!(!printed.contains("not a boundary"), "{printed}");
}
