//! From a component's bytes to a plugin, in a process of its own as in the operator.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasm_issuer_runtime::{Account, CompilerProcess, ComponentBytes, Plugin, Runtime, RuntimeConfig};

/// How often the process is looked at.
const INTERVAL: Duration = Duration::from_millis(2);

/// What compiling took.
pub struct Compiled {
    pub seconds: f64,
    /// The most that the process had of what `--compiler-memory` bounds.
    pub bytes: u64,
}

pub async fn measure(program: &Path, wasm: ComponentBytes) -> (Arc<Plugin>, Compiled) {
    let compiler = CompilerProcess { program: program.into(), args: vec!["compile".into()], memory: 4 << 30 };
    let config = RuntimeConfig { compiler: Some(compiler), ..RuntimeConfig::default() };
    let runtime = Runtime::new(config).expect("a runtime");
    let began = Instant::now();
    let account = Account::administrators();
    let loading = runtime.load(wasm, &account);
    tokio::pin!(loading);
    let mut bytes = 0;
    let plugin = loop {
        tokio::select! {
            plugin = &mut loading => break plugin.expect("a plugin"),
            () = tokio::time::sleep(INTERVAL) => bytes = child().map_or(bytes, |data| bytes.max(data)),
        }
    };
    (plugin, Compiled { seconds: began.elapsed().as_secs_f64(), bytes })
}

/// The bytes of data of the one process that this one has started.
fn child() -> Option<u64> {
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).ok()?;
    let child = children.split_whitespace().next()?;
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}
