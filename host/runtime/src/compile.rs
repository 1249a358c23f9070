//! Turns a component's bytes into machine code.
//!
//! Compiling is where a small file can ask for hours and gigabytes, and wasmtime makes no promise there. So it can be
//! done in a process of its own with limits, and what came out of it can be kept in a folder for the next start.

mod artifacts;
mod child;
mod confine;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasm_issuer_core::text::clean;
use wasmtime::Engine;
use wasmtime::component::Component;

use self::artifacts::Artifacts;
pub use self::child::{CompilerProcess, compile_for_parent};
use super::code::{CodePool, CodeShare};
use super::error::{LoadError, RuntimeError};
use super::runtime::Account;

/// Compiles one component at a time: it takes every core there is.
pub struct Compiler {
    engine: Engine,
    process: Option<CompilerProcess>,
    artifacts: Option<Arc<Artifacts>>,
    turn: Arc<Semaphore>,
    timeout: Duration,
    code: Arc<CodePool>,
}

impl Compiler {
    /// `cache` is the folder and the bytes that it may hold.
    pub fn new(
        engine: Engine,
        process: Option<CompilerProcess>,
        cache: Option<(&Path, u64)>,
        timeout: Duration,
        code: Arc<CodePool>,
    ) -> Result<Self, RuntimeError> {
        let artifacts =
            cache.map(|(dir, bytes)| Artifacts::open(dir, bytes, &engine)).transpose()?.map(Arc::new);
        Ok(Self { engine, process, artifacts, turn: Arc::new(Semaphore::new(1)), timeout, code })
    }

    /// The component, compiled now or earlier, and its code's place on the account.
    pub async fn compile(
        &self,
        sha256: &str,
        wasm: Vec<u8>,
        account: &Account,
    ) -> Result<(Component, CodeShare), LoadError> {
        let limit = account.budget.artifact_bytes;
        if let Some(artifact) = self.kept(sha256).await? {
            let code = self.admit(&artifact, account)?;
            if let Ok(component) = self.revive(artifact).await? {
                return Ok((component, code));
            }
        }
        let artifact = match &self.process {
            Some(process) => {
                let _turn = self.turn.acquire().await.map_err(failed)?;
                process.compile(&wasm, self.timeout, limit).await?
            }
            None => self.compile_here(wasm).await?,
        };
        let artifact = self.keep(sha256, artifact).await?;
        let code = self.admit(&artifact, account)?;
        let component = self.revive(artifact).await?.map_err(failed)?;
        Ok((component, code))
    }

    fn admit(&self, artifact: &Artifact, account: &Account) -> Result<CodeShare, LoadError> {
        let limit = account.budget.artifact_bytes;
        if artifact.0.len() > limit {
            return Err(LoadError::ArtifactTooLarge { limit });
        }
        self.code.take(&account.owner, artifact.0.len())
    }

    /// What an earlier run has kept.
    async fn kept(&self, sha256: &str) -> Result<Option<Artifact>, LoadError> {
        let Some(artifacts) = self.artifacts.clone() else { return Ok(None) };
        let sha256 = sha256.to_owned();
        spawn_blocking(move || artifacts.get(&sha256)).await.map_err(failed)
    }

    /// Keep what was just compiled: also if there is no place for its code now, so that trying again costs little.
    async fn keep(&self, sha256: &str, artifact: Artifact) -> Result<Artifact, LoadError> {
        let Some(artifacts) = self.artifacts.clone() else { return Ok(artifact) };
        let sha256 = sha256.to_owned();
        let keep = move || {
            artifacts.put(&sha256, &artifact);
            artifact
        };
        spawn_blocking(keep).await.map_err(failed)
    }

    /// The inner error is that the artifact does not fit this engine.
    async fn revive(&self, artifact: Artifact) -> Result<wasmtime::Result<Component>, LoadError> {
        let engine = self.engine.clone();
        spawn_blocking(move || revive(&engine, &artifact)).await.map_err(failed)
    }

    async fn compile_here(&self, wasm: Vec<u8>) -> Result<Artifact, LoadError> {
        let turn = self.turn.clone().acquire_owned().await.map_err(failed)?;
        let engine = self.engine.clone();
        let compiling = spawn_blocking(move || {
            let _turn = turn; // until it is really over: a blocking thread cannot be stopped
            precompile(&engine, &wasm)
        });
        match tokio::time::timeout(self.timeout, compiling).await {
            Ok(result) => result.map_err(failed)?.map_err(LoadError::Invalid),
            Err(_elapsed) => Err(LoadError::Timeout { limit: self.timeout }),
        }
    }
}

/// Machine code for this engine. Only made here: by compiling, by a child that runs this same program, and by reading
/// back what one of these two made from a folder that nobody else can write to.
struct Artifact(Vec<u8>);

/// Compile, or say what is wrong with the component.
fn precompile(engine: &Engine, wasm: &[u8]) -> Result<Artifact, String> {
    engine.precompile_component(wasm).map(Artifact).map_err(|error| clean(&format!("{error:#}"), 500))
}

/// Load machine code.
#[expect(unsafe_code, reason = "machine code cannot be checked; where it comes from is what counts")]
fn revive(engine: &Engine, artifact: &Artifact) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime asks that the bytes are what `Engine::precompile_component` returned, unmodified. That is what an
    // `Artifact` is: nothing that a user provides becomes one, and those from the folder are checked by their digest.
    let component = unsafe { Component::deserialize(engine, &artifact.0) }?;
    component.initialize_copy_on_write_image()?;
    Ok(component)
}

fn failed(error: impl std::fmt::Display) -> LoadError {
    LoadError::Compiler(error.to_string())
}
