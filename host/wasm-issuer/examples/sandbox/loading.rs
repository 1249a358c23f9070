//! From a component's bytes to a plugin.

use std::path::Path;
use std::time::Instant;

use wasm_issuer_runtime::{Account, CompilerProcess, Runtime, RuntimeConfig};

use crate::support::component;
use crate::{Effort, Row, Unit};

pub async fn rows(effort: Effort, program: &Path) {
    for _ in 0..effort.loads {
        let folder = tempfile::tempdir().expect("a folder");
        for what in ["compile in-memory-ca", "the same from the cache folder"] {
            let compiler =
                CompilerProcess { program: program.into(), args: vec!["compile".into()], memory: 768 << 20 };
            let config = RuntimeConfig {
                cache_dir: Some(folder.path().to_owned()),
                compiler: Some(compiler),
                ..RuntimeConfig::default()
            };
            let runtime = Runtime::new(config).expect("a runtime");
            let wasm = component("in_memory_ca");
            let began = Instant::now();
            let plugin = runtime.load(wasm, &Account::administrators()).await.expect("a plugin");
            Row { what, unit: Unit::Milliseconds, is_native: false }
                .print(vec![began.elapsed().as_secs_f64()]);
            drop(plugin);
        }
    }
}
