//! Turns a component's bytes into machine code.
//!
//! Compiling is where a small file can ask for hours and gigabytes, and wasmtime makes no promise there. So it can be
//! done in a process of its own with limits, and what came out of it can be kept in a folder for the next start.

mod artifacts;
mod child;

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
use super::error::{LoadError, RuntimeError};

/// Compiles one component at a time: it takes every core there is.
pub struct Compiler {
    engine: Engine,
    process: Option<CompilerProcess>,
    artifacts: Option<Arc<Artifacts>>,
    turn: Arc<Semaphore>,
    timeout: Duration,
}

impl Compiler {
    pub fn new(
        engine: Engine,
        process: Option<CompilerProcess>,
        cache_dir: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, RuntimeError> {
        let artifacts = cache_dir.map(|dir| Artifacts::open(dir, &engine)).transpose()?.map(Arc::new);
        Ok(Self { engine, process, artifacts, turn: Arc::new(Semaphore::new(1)), timeout })
    }

    /// The component, compiled now or earlier.
    pub async fn compile(&self, sha256: &str, wasm: Vec<u8>) -> Result<Component, LoadError> {
        if let Some(component) = self.kept(sha256).await? {
            return Ok(component);
        }
        let artifact = match &self.process {
            Some(process) => {
                let _turn = self.turn.acquire().await.map_err(failed)?;
                process.compile(&wasm, self.timeout).await?
            }
            None => self.compile_here(wasm).await?,
        };
        let (engine, artifacts, sha256) = (self.engine.clone(), self.artifacts.clone(), sha256.to_owned());
        spawn_blocking(move || {
            let component = revive(&engine, &artifact).map_err(failed)?;
            if let Some(artifacts) = artifacts {
                artifacts.put(&sha256, &artifact);
            }
            Ok(component)
        })
        .await
        .map_err(failed)?
    }

    /// What an earlier run has kept. One that does not fit is as good as none.
    async fn kept(&self, sha256: &str) -> Result<Option<Component>, LoadError> {
        let Some(artifacts) = self.artifacts.clone() else { return Ok(None) };
        let (engine, sha256) = (self.engine.clone(), sha256.to_owned());
        let kept = move || revive(&engine, &artifacts.get(&sha256)?).ok();
        spawn_blocking(kept).await.map_err(failed)
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
