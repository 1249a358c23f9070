//! Turns a component's bytes into machine code.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::error::LoadError;
use crate::issuance::text::clean;

/// Compiles one component at a time: it takes every core there is.
pub struct Compiler {
    engine: Engine,
    turn: Arc<Semaphore>,
    timeout: Duration,
}

impl Compiler {
    pub fn new(engine: Engine, timeout: Duration) -> Self {
        Self { engine, turn: Arc::new(Semaphore::new(1)), timeout }
    }

    /// Compile. The time for it starts when its turn comes.
    pub async fn compile(&self, wasm: Vec<u8>) -> Result<Component, LoadError> {
        let internal = |error: &dyn std::fmt::Display| LoadError::Compiler(error.to_string());
        let turn = self.turn.clone().acquire_owned().await.map_err(|error| internal(&error))?;
        let engine = self.engine.clone();
        let compiling = tokio::task::spawn_blocking(move || {
            let _turn = turn; // until it is really over: a blocking thread cannot be stopped
            let component = Component::from_binary(&engine, &wasm)?;
            component.initialize_copy_on_write_image()?;
            Ok(component)
        });
        match tokio::time::timeout(self.timeout, compiling).await {
            Ok(Ok(Ok(component))) => Ok(component),
            Ok(Ok(Err(error))) => Err(invalid(&error)),
            Ok(Err(panic)) => Err(internal(&panic)),
            Err(_elapsed) => Err(LoadError::Timeout { limit: self.timeout }),
        }
    }
}

fn invalid(error: &wasmtime::Error) -> LoadError {
    LoadError::Invalid(clean(&format!("{error:#}"), 500))
}
