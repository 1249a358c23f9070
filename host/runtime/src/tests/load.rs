use super::*;
use crate::{Budget, Inspection, LoadError, Owner};

fn refused(bytes: &[u8]) -> LoadError {
    runtime().inspect(&ComponentBytes::new(bytes.to_vec()), &Budget::TENANT).unwrap_err()
}

#[test]
fn whatever_is_not_a_component_is_named() {
    assert_eq!(refused(b""), LoadError::Empty);
    assert_eq!(refused(b"\0asm\x01\0\0\0"), LoadError::CoreModule);
    let found = |bytes: &[u8]| match refused(bytes) {
        LoadError::NotWasm { found } => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(b"\x7fELF\x02\x01\x01\0"), "an ELF file");
    assert_eq!(found(b"\x1f\x8b\x08\0"), "gzip data, compressed once too often");
    assert_eq!(found(b"(component)"), "WebAssembly text");
    assert_eq!(found(b"AGFzbQ0AAQA="), "base64, encoded once too often");
    assert_eq!(found(b"apiVersion: v1\nkind: ConfigMap\n"), "text");
    assert_eq!(found(b"\0asm\x0d\0\x02\0"), "WebAssembly of an unknown version");
    assert_eq!(found(b"\0as"), "something else");
}

#[test]
fn a_component_is_known_by_its_digest() {
    // The example of FIPS 180-2.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(ComponentBytes::new(b"abc".to_vec()).sha256(), sha256);
}

#[test]
fn machine_code_is_refused_whatever_it_would_do() {
    let runtime = runtime();
    let compiled = runtime.engine.precompile_component(checking("").as_slice()).unwrap();
    assert_eq!(runtime.inspect(&ComponentBytes::new(compiled), &Budget::WIDE), Err(LoadError::Precompiled));
}

/// A component of exactly this size: the rest is a custom section.
fn padded(size: usize) -> Vec<u8> {
    let mut wasm = checking("").as_slice().to_vec();
    let rest = size - wasm.len() - 6;
    let length = u32::try_from(rest).unwrap();
    wasm.push(0);
    wasm.extend((0..5).map(|byte| (length >> (7 * byte)) as u8 & 0x7f | if byte < 4 { 0x80 } else { 0 }));
    wasm.resize(size, 0); // a name of no bytes, and zeroes
    wasm
}

#[tokio::test]
async fn the_size_is_bounded() {
    let runtime = runtime();
    let load = async |size| runtime.load(ComponentBytes::new(padded(size)), &account()).await.err();
    assert_eq!(load(16 << 20).await, None);
    let bytes = (16 << 20) + 1;
    assert_eq!(load(bytes).await, Some(LoadError::TooLarge { bytes, limit: 16 << 20 }));
    // Before anything looks into it.
    let mut nonsense = padded(bytes);
    nonsense[8..].fill(0xff);
    let error = runtime.inspect(&ComponentBytes::new(nonsense), &Budget::TENANT);
    assert_eq!(error, Err(LoadError::TooLarge { bytes, limit: 16 << 20 }));
    let wide = runtime.inspect(&ComponentBytes::new(padded(64 << 20)), &Budget::WIDE).unwrap();
    assert_eq!(wide.size, 64 << 20);
}

#[test]
fn an_inspection_lists_imports_and_exports() {
    let wasm = checking("");
    let inspection = runtime().inspect(&wasm, &Budget::TENANT).unwrap();
    let Inspection { sha256, size, imports, exports, footprint } = &inspection;
    assert_eq!((sha256.as_str(), *size), (wasm.sha256(), wasm.as_slice().len()));
    let expected =
        ["wasm-issuer:plugin/types@0.1.0", "wasi:io/poll@0.2.0", "wasi:clocks/monotonic-clock@0.2.0"];
    assert_eq!(imports, &expected);
    assert_eq!(exports, &["wasm-issuer:plugin/signer@0.1.0"]);
    assert_eq!(inspection.fits(), Ok(()));
    assert_eq!((footprint.modules, footprint.memories), (1, 1));
}

#[tokio::test]
async fn damaged_bytes_are_invalid() {
    let runtime = runtime();
    let wasm = checking("");
    let wasm = wasm.as_slice();
    for len in [9, wasm.len() / 2, wasm.len() - 1] {
        let error = runtime.load(ComponentBytes::new(wasm[..len].to_vec()), &account()).await.err();
        assert!(matches!(error, Some(LoadError::Invalid(_))), "{len}: {error:?}");
    }
    let error = runtime.load(checking("(drop (i64.const 0)) i32.add drop"), &account()).await.err();
    assert!(matches!(error, Some(LoadError::Invalid(_))), "{error:?}");
}

#[tokio::test]
async fn imports_that_nothing_provides_are_named() {
    let runtime = runtime();
    for name in [
        "wasi:http/outgoing-handler@0.3.0",
        "wasi:http/incoming-handler@0.2.0",
        "wasi:io/poll@0.3.0",
        "wasi:io/poll@0.2.0-rc-2023-11-10",
        "wasi:keyvalue/store@0.2.0",
        "wasm-issuer:plugin/keys@0.2.0",
        "env",
    ] {
        let import = format!("(component (import \"{name}\" (instance))");
        let error = runtime.load(edited(&[("(component", &import)]), &account()).await.err().unwrap();
        assert!(
            matches!(&error, LoadError::UnknownImport { name: found, .. } if found == name),
            "{name}: {error:?}"
        );
        assert!(error.to_string().contains(name));
    }
}

#[tokio::test]
async fn other_worlds_are_told_apart() {
    let runtime = runtime();
    let wrong = async |edits: &[(&str, &str)]| match runtime.load(edited(edits), &account()).await {
        Err(LoadError::WrongWorld(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("loaded: {edits:?}"),
    };
    let why = wrong(&[("plugin/signer@0.1.0", "plugin/signer@0.2.0")]).await;
    assert_eq!(
        why,
        "it exports `wasm-issuer:plugin/signer@0.2.0`, this operator calls `wasm-issuer:plugin/signer@0.1.0`"
    );
    let why = wrong(&[("wasm-issuer:plugin/signer@0.1.0", "wasi:cli/run@0.2.0")]).await;
    assert_eq!(why, "`wasm-issuer:plugin/signer@0.1.0` is missing; it exports wasi:cli/run@0.2.0");
    let why = wrong(&[("(export \"sign\" (func $sign))", "")]).await;
    assert_eq!(why, "`wasm-issuer:plugin/signer@0.1.0` has no function `sign`");
    let why = wrong(&[("(field \"is-ca\" bool)", "(field \"is-ca\" u8)")]).await;
    assert!(why.starts_with("`sign` of `wasm-issuer:plugin/signer@0.1.0`: type mismatch"), "{why}");
    let error = runtime
        .load(ComponentBytes::new(wat::parse_str("(component)").unwrap()), &account())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("it exports nothing"), "{error}");
}

#[tokio::test]
async fn a_later_patch_version_of_the_contract_fits() {
    let wasm = edited(&[
        ("plugin/signer@0.1.0", "plugin/signer@0.1.7"),
        ("wasi:io/poll@0.2.0", "wasi:io/poll@0.2.99"),
    ]);
    let plugin = runtime().load(wasm, &account()).await.unwrap();
    plugin.check(&session(CallLimits::default())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_digest_is_compiled_once_and_freed_after_use() {
    let runtime = runtime();
    let (wasm, account) = (checking(""), account());
    let loads = futures::future::join_all((0..20).map(|_| runtime.load(wasm.clone(), &account))).await;
    let plugins: Vec<_> = loads.into_iter().map(Result::unwrap).collect();
    let first = Arc::downgrade(&plugins[0]);
    assert!(plugins.iter().all(|plugin| Arc::ptr_eq(plugin, &plugins[0])));
    assert_eq!(plugins[0].sha256().len(), 64);
    let other = runtime.load(checking("nop"), &account).await.unwrap();
    assert_ne!(other.sha256(), plugins[0].sha256());
    drop(plugins);
    assert!(first.upgrade().is_none());
    runtime.load(wasm, &account).await.unwrap();
}

#[tokio::test]
async fn what_was_compiled_earlier_is_found_while_others_wait_for_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = || {
        let cache_dir = Some(folder.path().to_owned());
        Runtime::new(RuntimeConfig { cache_dir, ..RuntimeConfig::default() }).unwrap()
    };
    let (wasm, account) = (checking(""), account());
    assert!(runtime().find(&wasm, &account).await.unwrap().is_none());
    runtime().load(wasm.clone(), &account).await.unwrap();

    let runtime = runtime();
    let turn = runtime.turn(&Owner::new("greedy", "ca")).await;
    let (other, waiting) = (checking("nop"), runtime.clone());
    let waiting = tokio::spawn(async move { waiting.load(other, &Account::tenant("team-b")).await });
    tokio::task::yield_now().await;
    let finds = futures::future::join_all((0..20).map(|_| runtime.find(&wasm, &account))).await;
    let found: Vec<_> = finds.into_iter().map(|found| found.unwrap().unwrap()).collect();
    assert!(found.iter().all(|(plugin, _)| Arc::ptr_eq(plugin, &found[0].0)), "its code is loaded once");
    let caches: Vec<_> = found.iter().map(|(_, cache)| *cache).collect();
    assert!(caches.iter().filter(|cache| **cache == Cache::Folder).count() == 1, "{caches:?}");
    assert!(!waiting.is_finished());
    drop(turn);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_waited_in_vain_takes_what_was_compiled_meanwhile() {
    let runtime = runtime();
    let (wasm, account) = (checking(""), account());
    let plugin = runtime.load(wasm.clone(), &account).await.unwrap();
    let turn = runtime.turn(&Owner::new("team-b", "ca")).await;
    let same = runtime.compile(wasm, &Account::tenant("team-b"), turn).await.unwrap();
    assert!(Arc::ptr_eq(&plugin, &same));
}
