//! Turns a component's bytes into machine code.
//!
//! Compiling is where a small file can ask for hours and gigabytes, and wasmtime makes no promise there. So it can be
//! done in a process of its own with limits, and what came out of it can be kept in a folder for the next start.

mod artifact;
mod child;
mod confine;
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

use super::code::{Account, CodePool, CodeShare};
use super::component::ComponentBytes;
use super::error::{LoadError, RuntimeError};

/// Compiles one component at a time: it takes every core there is.
pub struct Compiler {
    engine: Engine,
    process: Option<CompilerProcess>,
    folder: Option<Arc<ArtifactFolder>>,
    turn: Arc<Semaphore>,
    timeout: Duration,
    code: Arc<CodePool>,
}

impl Compiler {
    /// Without a `process`, components are compiled in this one; without a `cache`, a folder and the bytes that it may
    /// hold, nothing is kept.
    pub fn new(
        engine: Engine,
        process: Option<CompilerProcess>,
        cache: Option<(&Path, u64)>,
        timeout: Duration,
        code: Arc<CodePool>,
    ) -> Result<Self, RuntimeError> {
        let folder =
            cache.map(|(dir, bytes)| ArtifactFolder::open(dir, bytes, &engine)).transpose()?.map(Arc::new);
        Ok(Self { engine, process, folder, turn: Arc::new(Semaphore::new(1)), timeout, code })
    }

    /// The component, compiled now or earlier, and its code's place on the account.
    pub async fn compile(
        &self,
        bytes: ComponentBytes,
        account: &Account,
    ) -> Result<(Component, CodeShare), LoadError> {
        let sha256 = bytes.sha256().to_owned();
        if let Some(artifact) = self.kept(sha256.clone()).await? {
            let code = self.admit(&artifact, account)?;
            if let Ok(component) = self.revive(artifact).await? {
                return Ok((component, code));
            }
        }
        let artifact = match &self.process {
            Some(process) => {
                let _turn = self.turn.acquire().await.map_err(LoadError::compiler)?;
                process.compile(bytes.as_slice(), self.timeout, account.budget.artifact_bytes).await?
            }
            None => self.compile_here(bytes).await?,
        };
        let artifact = self.keep(sha256, artifact).await?;
        let code = self.admit(&artifact, account)?;
        let component = self.revive(artifact).await?.map_err(LoadError::compiler)?;
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
    async fn kept(&self, sha256: String) -> Result<Option<Artifact>, LoadError> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        spawn_blocking(move || folder.get(&sha256)).await.map_err(LoadError::compiler)
    }

    /// Keep what was just compiled: also if there is no place for its code now, so that trying again costs little.
    async fn keep(&self, sha256: String, artifact: Artifact) -> Result<Artifact, LoadError> {
        let Some(folder) = self.folder.clone() else { return Ok(artifact) };
        let keep = move || {
            folder.put(&sha256, &artifact);
            artifact
        };
        spawn_blocking(keep).await.map_err(LoadError::compiler)
    }

    /// The inner error is that the artifact does not fit this engine.
    async fn revive(&self, artifact: Artifact) -> Result<wasmtime::Result<Component>, LoadError> {
        let engine = self.engine.clone();
        spawn_blocking(move || revive(&engine, &artifact)).await.map_err(LoadError::compiler)
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
