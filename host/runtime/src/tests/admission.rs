//! What a component may ask for before its first instruction runs.

mod cost;

use super::*;
use crate::{Budget, Footprint, LoadError};

/// A plugin that is this much more than the fixture.
fn with(more: &str) -> ComponentBytes {
    edited(&[("(component", &format!("(component {more}"))])
}

/// An account without bounds, for what has to be dangerous to prove a second wall.
fn boundless() -> Account {
    let endless = u64::MAX;
    let footprint = Footprint {
        nesting: endless,
        modules: endless,
        functions: endless,
        type_bytes: endless,
        images: endless,
        image_bytes: endless,
        definitions: endless,
        instances: endless,
        memories: endless,
        tables: endless,
        globals: endless,
        instance_bytes: endless,
        start_bytes: endless,
    };
    let budget = Budget { component_bytes: usize::MAX, artifact_bytes: usize::MAX, footprint };
    Account { owner: "team-a".into(), budget }
}

/// What is over its bound, and how much was found.
async fn refusal(wasm: ComponentBytes, account: &Account) -> (&'static str, u64) {
    match runtime().load(wasm, account).await {
        Err(LoadError::OverBudget { what, found, .. }) => (what, found),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("loaded"),
    }
}

#[tokio::test]
async fn a_million_globals_in_250_instances_are_refused() {
    let globals = "(global i32 (i32.const 0))".repeat(1_000_000);
    let instances = "(core instance (instantiate $bomb))".repeat(250);
    let wasm = with(&format!("(core module $bomb {globals}) {instances}"));
    // With the fixture's own one.
    assert_eq!(refusal(wasm.clone(), &account()).await, ("core instances once instantiated", 251));
    let (what, found) = refusal(wasm, &Account::administrators()).await;
    assert_eq!(what, "globals once instantiated");
    assert!(found >= 250_000_000, "{found}");
}

#[tokio::test]
async fn sparse_images_are_refused() {
    let sparse = r#"(core module (memory 257) (data (i32.const 0) "x") (data (i32.const 16000000) "x"))"#;
    let (what, found) = refusal(with(&sparse.repeat(16)), &account()).await;
    assert_eq!(what, "bytes between the first and the last initial data of its memories");
    assert!(found > 16 << 20, "{found}");
}

#[tokio::test]
async fn images_are_no_denser_than_their_segments() {
    let sparse = r#"(core module (memory 257) (data (i32.const 0) "x") (data (i32.const 16000000) "x"))"#;
    let artifact = runtime().engine.precompile_component(with(&sparse.repeat(4)).as_slice()).unwrap();
    assert!(artifact.len() < 1 << 20, "{}", artifact.len());
}

#[tokio::test]
async fn hundreds_of_modules_are_refused() {
    let images = r#"(core module (memory 1) (data (i32.const 0) "x"))"#.repeat(900);
    let modules = "(core module (memory 1))".repeat(900);
    for account in [account(), Account::administrators()] {
        let bounds = account.budget.footprint;
        let images = refusal(with(&images), &account).await;
        assert_eq!(images, ("memories with initial data", bounds.images + 1));
        let modules = refusal(with(&modules), &account).await;
        assert_eq!(modules, ("core modules", bounds.modules + 1));
    }
}

#[tokio::test]
async fn instances_multiply_through_components() {
    let double = |depth: u32| {
        let levels: String = (1..=depth)
            .map(|n| {
                let inner = n - 1;
                format!(
                    "(component $c{n} (alias outer 1 $c{inner} (component $inner))
                       (instance (instantiate $inner)) (instance (instantiate $inner)))"
                )
            })
            .collect();
        with(&format!(
            "(component $c0 (core module $m) (core instance (instantiate $m))) {levels}
             (instance (instantiate $c{depth}))"
        ))
    };
    let found =
        |depth| runtime().inspect(&double(depth), &boundless().budget).map(|found| found.footprint.instances);
    assert_eq!(found(0), Ok(2));
    assert_eq!(found(5), Ok(33));
    assert_eq!(found(40), Ok((1 << 40) + 1));
    assert_eq!(found(400), Ok(u64::MAX));
    assert_eq!(refusal(double(400), &account()).await.0, "definitions once instantiated");
}

#[test]
fn what_is_passed_in_is_taken_for_the_heaviest() {
    let heavy = format!("(core module $heavy {})", "(global i32 (i32.const 0))".repeat(1000));
    let passed = "(component $c (import \"m\" (core module $m)) (core instance (instantiate $m)))
        (core module $light)
        (instance (instantiate $c (with \"m\" (core module $light))))";
    let globals = |more: &str| {
        let inspection = runtime().inspect(&with(more), &boundless().budget).unwrap();
        inspection.footprint.globals
    };
    let fixture = globals("");
    assert_eq!(globals(passed), 2 * fixture);
    assert_eq!(globals(&format!("{heavy} {passed}")), fixture + 1000);
    assert_eq!(globals(&format!("{passed} {heavy}")), fixture + 1000);
    // A component that is passed in could instantiate anything.
    let component = "(component $c (import \"c\" (component $x)) (instance (instantiate $x)))
        (component $light)
        (instance (instantiate $c (with \"c\" (component $light))))";
    assert_eq!(globals(component), u64::MAX);
}

#[tokio::test]
async fn a_store_holds_no_more_instances_than_the_widest_budget() {
    let instances = |n: usize| {
        let wasm = with(&format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(n)));
        async move {
            let plugin = runtime().load(wasm, &boundless()).await.unwrap();
            plugin.check(&session(CallLimits::default())).await
        }
    };
    // The fixture is one of them.
    assert_eq!(instances(255).await, Ok(()));
    let error = instances(256).await.unwrap_err().to_string();
    assert!(error.contains("instance count too high at 257"), "{error}");
}

#[tokio::test]
async fn a_budget_holds_for_plugins_that_others_have_loaded() {
    let runtime = runtime();
    let wasm = with(&r#"(core module (memory 1) (data (i32.const 0) "x"))"#.repeat(10));
    let _used = runtime.load(wasm.clone(), &Account::administrators()).await.unwrap();
    let error = runtime.load(wasm, &account()).await.err();
    assert!(matches!(error, Some(LoadError::OverBudget { .. })), "{error:?}");
}

#[tokio::test]
async fn an_artifact_is_bounded() {
    let budget = Budget { artifact_bytes: 10_000, ..Budget::TENANT };
    let error = runtime().load(checking(""), &Account { budget, ..account() }).await.err();
    assert_eq!(error, Some(LoadError::ArtifactTooLarge { limit: 10_000 }));
}

#[tokio::test]
async fn what_one_account_has_no_place_for_others_may_load_meanwhile() {
    let runtime = runtime();
    let budget = Budget { artifact_bytes: 10_000, ..Budget::TENANT };
    let (small, large) = (Account { budget, ..account() }, Account::tenant("team-b"));
    let (first, second) =
        tokio::join!(runtime.load(checking(""), &small), runtime.load(checking(""), &large));
    assert_eq!(first.err(), Some(LoadError::ArtifactTooLarge { limit: 10_000 }));
    assert!(second.is_ok());
}

#[tokio::test]
async fn code_is_released_with_the_last_user_of_a_plugin() {
    let size = runtime().engine.precompile_component(checking("").as_slice()).unwrap().len();
    // Half of it is enough for one and not for two.
    let runtime = Runtime::new(RuntimeConfig { code_bytes: 3 * size, ..RuntimeConfig::default() }).unwrap();
    let (first, other) = (checking(""), checking("nop"));
    let plugin = runtime.load(first.clone(), &account()).await.unwrap();
    let error = runtime.load(other.clone(), &account()).await.err();
    assert!(matches!(&error, Some(LoadError::CodeLimit { owner, .. }) if owner == "team-a"), "{error:?}");
    // Shared, it counts for the one that loaded it first.
    let neighbour = Account::tenant("team-b");
    let shared = runtime.load(first, &neighbour).await.unwrap();
    let _neighbours = runtime.load(other.clone(), &neighbour).await.unwrap();
    drop(plugin);
    assert!(runtime.load(checking("nop nop"), &account()).await.is_err());
    drop(shared);
    assert!(runtime.load(checking("nop nop"), &account()).await.is_ok());
}
