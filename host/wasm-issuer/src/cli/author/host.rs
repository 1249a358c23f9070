//! A plugin file and the runtime for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use wasm_issuer_runtime::egress::EgressConfig;
use wasm_issuer_runtime::{Account, Budget, ComponentBytes, LoadError, Plugin, Runtime, RuntimeConfig};

use super::input::{self, quoted};
use super::output::size;
use super::problem::Problem;
use super::progress::Progress;
use crate::operator::gunzip;

/// The file of a plugin, uncompressed.
pub struct PluginFile {
    /// Where it was read; `-` is stdin.
    pub path: PathBuf,
    /// The component, or what is wrong with the compressed one.
    pub wasm: Result<ComponentBytes, Box<Problem>>,
}

/// What tells one plugin from another, for JSON.
#[derive(Serialize)]
pub struct PluginIdentity {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

impl PluginIdentity {
    /// The name of its file, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }
}

impl PluginFile {
    /// Read a component, plain or gzip. What is in the file is judged later: by then there is a result to report.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = input::read(path, "the plugin", input::MAX_COMPONENT).map_err(|error| {
            anyhow::anyhow!(
                "{error:#}; `cargo build --target wasm32-wasip2 --release` writes plugins into \
                 target/wasm32-wasip2/release/"
            )
        })?;
        let wasm = gunzip(bytes, &path.display().to_string(), Budget::WIDE.component_bytes);
        let wasm = wasm.map(ComponentBytes::new);
        let wasm = wasm.map_err(|error| Problem::unusable("gzip", error.to_string()));
        Ok(Self { path: path.to_owned(), wasm })
    }

    pub fn facts(&self) -> PluginIdentity {
        let wasm = self.wasm.as_ref().ok();
        PluginIdentity {
            file: self.path.display().to_string(),
            sha256: wasm.map(|wasm| wasm.sha256().to_owned()),
            bytes: wasm.map(|wasm| wasm.as_slice().len()),
        }
    }

    /// `my_ca.wasm (sha256 4f0c12345678)`
    pub fn text(&self) -> String {
        let digest = self.wasm.as_ref().map(ComponentBytes::sha256).unwrap_or_default();
        format!("{} (sha256 {})", self.path.display(), digest.get(..12).unwrap_or_default())
    }
}

/// A runtime with the operator's defaults, and the proxy that the environment names.
pub fn runtime() -> anyhow::Result<Arc<Runtime>> {
    Ok(Runtime::new(config())?)
}

/// One that counts instructions, which takes time.
pub fn counting_runtime() -> anyhow::Result<Arc<Runtime>> {
    Ok(Runtime::new(RuntimeConfig { count_instructions: true, ..config() })?)
}

fn config() -> RuntimeConfig {
    RuntimeConfig { egress: EgressConfig::default().with_proxy_from_env(), ..RuntimeConfig::default() }
}

/// Compiles and links a plugin within an account's budget, and tells how long that took.
pub async fn load(
    runtime: &Arc<Runtime>,
    file: &Path,
    wasm: ComponentBytes,
    account: &Account,
) -> (Result<Arc<Plugin>, LoadError>, Duration) {
    let started = Instant::now();
    let progress = Progress::new(format!("compiling {} ({})", quoted(file), size(wasm.as_slice().len())));
    let plugin = progress.during(runtime.load(wasm, account)).await;
    (plugin, started.elapsed())
}
