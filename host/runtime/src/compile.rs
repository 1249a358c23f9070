//! Turns a component's bytes into machine code.
//!
//! Compiling is where a small file can ask for hours and gigabytes, and wasmtime makes no promise there. So it can be
//! done in a process of its own with limits, and what came out of it can be kept in a folder for the next start.

mod artifact;
mod child;
#[cfg_attr(not(target_os = "linux"), path = "compile/unconfined.rs")]
mod confine;
mod folder;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use artifact::{Artifact, precompile, revive};
pub use child::{CompilerProcess, compile_for_parent};
use folder::ArtifactFolder;
use tokio::task::spawn_blocking;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::code::{Account, CodePool, CodeShare};
use super::component::ComponentBytes;
use super::error::{LoadError, RuntimeError};
use super::fair::{FairSlot, FairSlots, Owner};

/// The bytes of a component that the time-out is for. A larger one has it for each such part.
const TIMED_BYTES: usize = 16 << 20;

/// Compiles one component at a time: it takes every core there is.
pub struct Compiler {
    engine: Engine,
    process: Option<CompilerProcess>,
    folder: Option<Arc<ArtifactFolder>>,
    turns: Arc<FairSlots>,
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
        Ok(Self { engine, process, folder, turns: FairSlots::new(1), timeout, code })
    }

    /// Wait for the one turn to compile: whoever has used it for a shorter time goes first.
    pub async fn turn(&self, owner: &Owner) -> FairSlot {
        self.turns.acquire(owner).await
    }

    /// A component that was compiled earlier, and its code's place on the account.
    pub async fn kept(
        &self,
        sha256: &str,
        account: &Account,
    ) -> Result<Option<(Component, CodeShare)>, LoadError> {
        let (Some(folder), sha256) = (self.folder.clone(), sha256.to_owned()) else { return Ok(None) };
        let get = move || folder.get(&sha256);
        let Some(artifact) = spawn_blocking(get).await.map_err(LoadError::compiler)? else { return Ok(None) };
        let code = self.admit(&artifact, account)?;
        // One that does not fit this engine is compiled anew.
        Ok(self.revive(artifact).await?.ok().map(|component| (component, code)))
    }

    /// Machine code for a component. The turn is over when it is dropped here and in whatever still compiles.
    pub async fn compile(
        &self,
        bytes: ComponentBytes,
        account: &Account,
        turn: &Arc<FairSlot>,
    ) -> Result<Artifact, LoadError> {
        let time = time_for(bytes.as_slice().len(), self.timeout);
        match &self.process {
            Some(process) => process.compile(bytes.as_slice(), time, account.budget.artifact_bytes).await,
            None => self.compile_here(bytes, time, turn.clone()).await,
        }
    }

    /// The component of machine code that was just made. The code is kept also if there is no place for it now, so that
    /// trying again costs little.
    pub async fn adopt(
        &self,
        sha256: &str,
        artifact: Artifact,
        account: &Account,
    ) -> Result<(Component, CodeShare), LoadError> {
        let artifact = self.keep(sha256.to_owned(), artifact).await?;
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

    async fn compile_here(
        &self,
        bytes: ComponentBytes,
        time: Duration,
        turn: Arc<FairSlot>,
    ) -> Result<Artifact, LoadError> {
        let engine = self.engine.clone();
        let compiling = spawn_blocking(move || {
            let _turn = turn; // until it is really over: a blocking thread cannot be stopped
            precompile(&engine, bytes.as_slice())
        });
        match tokio::time::timeout(time, compiling).await {
            Ok(result) => result.map_err(LoadError::compiler)?.map_err(LoadError::Invalid),
            Err(_elapsed) => Err(LoadError::Timeout { limit: time }),
        }
    }
}

/// How long a component of so many bytes may take.
fn time_for(bytes: usize, timeout: Duration) -> Duration {
    let parts = u32::try_from(bytes.div_ceil(TIMED_BYTES)).unwrap_or(u32::MAX);
    timeout.saturating_mul(parts.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_component_has_more_time() {
        let minutes = |bytes| time_for(bytes, Duration::from_secs(60)).as_secs() / 60;
        assert_eq!([1, 16 << 20, (16 << 20) + 1, 64 << 20].map(minutes), [1, 1, 2, 4]);
    }
}
