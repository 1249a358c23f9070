//! Turns a component's bytes into machine code.
//!
//! Compiling is where a small file can ask for hours and gigabytes, and wasmtime makes no promise there. So it can be
//! done in a process of its own with limits, and what came out of it can be kept in a folder for the next start.

mod artifact;
mod child;
mod folder;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use artifact::{Artifact, precompile, revive};
pub use child::{CompilerProcess, compile_for_parent};
use folder::ArtifactFolder;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::component::ComponentBytes;
use super::error::{LoadError, RuntimeError};

/// Compiles one component at a time: it takes every core there is.
pub struct Compiler {
    engine: Engine,
    process: Option<CompilerProcess>,
    folder: Option<Arc<ArtifactFolder>>,
    turn: Arc<Semaphore>,
    timeout: Duration,
}

impl Compiler {
    /// Without a `process`, components are compiled in this one; without a `cache_dir`, nothing is kept.
    pub fn new(
        engine: Engine,
        process: Option<CompilerProcess>,
        cache_dir: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, RuntimeError> {
        let folder = cache_dir.map(|dir| ArtifactFolder::open(dir, &engine)).transpose()?.map(Arc::new);
        Ok(Self { engine, process, folder, turn: Arc::new(Semaphore::new(1)), timeout })
    }

    /// The component, compiled now or earlier.
    pub async fn compile(&self, bytes: ComponentBytes) -> Result<Component, LoadError> {
        let sha256 = bytes.sha256().to_owned();
        if let Some(component) = self.kept(sha256.clone()).await? {
            return Ok(component);
        }
        let artifact = match &self.process {
            Some(process) => {
                let _turn = self.turn.acquire().await.map_err(LoadError::compiler)?;
                process.compile(bytes.as_slice(), self.timeout).await?
            }
            None => self.compile_here(bytes).await?,
        };
        let (engine, folder) = (self.engine.clone(), self.folder.clone());
        spawn_blocking(move || {
            let component = revive(&engine, &artifact).map_err(LoadError::compiler)?;
            if let Some(folder) = folder {
                folder.put(&sha256, &artifact);
            }
            Ok(component)
        })
        .await
        .map_err(LoadError::compiler)?
    }

    /// What an earlier run has kept. One that does not fit is as good as none.
    async fn kept(&self, sha256: String) -> Result<Option<Component>, LoadError> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        let engine = self.engine.clone();
        let kept = move || revive(&engine, &folder.get(&sha256)?).ok();
        spawn_blocking(kept).await.map_err(LoadError::compiler)
    }

    async fn compile_here(&self, bytes: ComponentBytes) -> Result<Artifact, LoadError> {
        let turn = self.turn.clone().acquire_owned().await.map_err(LoadError::compiler)?;
        let engine = self.engine.clone();
        let compiling = spawn_blocking(move || {
            let _turn = turn; // until it is really over: a blocking thread cannot be stopped
            precompile(&engine, bytes.as_slice())
        });
        match tokio::time::timeout(self.timeout, compiling).await {
            Ok(result) => result.map_err(LoadError::compiler)?.map_err(LoadError::Invalid),
            Err(_elapsed) => Err(LoadError::Timeout { limit: self.timeout }),
        }
    }
}
