//! Where asynchronous parts of commands run.

use anyhow::Context as _;

/// Run a command's asynchronous part.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the executor")?
        .block_on(future)
}
