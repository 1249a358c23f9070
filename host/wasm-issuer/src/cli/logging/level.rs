//! What is logged, which can be changed while the operator runs: a file says so, as one says what the policy is. It opens no
//! port and needs no signal, its owner is whoever may write the ConfigMap, and it holds for all replicas.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::sleep;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

/// How often the file is read.
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest filter that is read.
const MAX: u64 = 4 << 10;

/// Has another filter hold from now on.
pub type Reload = Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send + Sync>;

/// What is logged, and what changes it.
pub struct LogLevel {
    /// Where no file says otherwise.
    default: String,
    file: Option<PathBuf>,
    reload: Reload,
}

impl LogLevel {
    pub fn new(default: String, file: Option<PathBuf>, reload: Reload) -> Self {
        Self { default, file, reload }
    }

    /// Do what the file says, now and whenever it changes, until the future is dropped. What is no filter changes nothing,
    /// and is told once.
    pub async fn follow(self) {
        let Some(file) = &self.file else { return std::future::pending().await };
        let mut last = Ok(String::new());
        loop {
            let found = read(file).await.map_err(|error| error.to_string());
            if found != last {
                self.take(file, &found);
                last = found;
            }
            sleep(INTERVAL).await;
        }
    }

    fn take(&self, file: &Path, found: &Result<String, String>) {
        let text = found.as_ref().map(|text| if text.is_empty() { &self.default } else { text });
        let text = text.map_err(|error| anyhow!("{error}"));
        match text.and_then(|text| (self.reload)(filter(text)?).map(|()| text)) {
            Ok(filter) => info!(file = %file.display(), filter, "this is logged from now on"),
            Err(error) => {
                error!(file = %file.display(), error = format!("{error:#}"), "what is logged stays as it is");
            }
        }
    }
}

/// The filter that a text means.
pub fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text).with_context(|| format!("{text:?} is not a filter"))
}

/// What the file says; nothing if there is none.
async fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    match File::open(file).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(text),
        opened => opened?.take(MAX).read_to_string(&mut text).await?,
    };
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_file_says_is_logged_and_what_is_no_filter_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("level");
        let set = Arc::new(Mutex::new(Vec::new()));
        let seen = set.clone();
        let reload: Reload = Box::new(move |filter| {
            seen.lock().unwrap().push(filter.to_string());
            Ok(())
        });
        tokio::spawn(LogLevel::new("info".to_owned(), Some(file.clone()), reload).follow());
        let mut expected = Vec::new();
        for (text, now) in [
            (None, None),
            (Some("wasm_issuer=debug,info"), Some("wasm_issuer=debug,info")),
            (Some("wasm_issuer=debug,info\n"), None),
            (Some("wasm_issuer=loud"), None),
            (Some("debug"), Some("debug")),
            (Some(""), Some("info")),
            (Some("trace"), Some("trace")),
            (None, Some("info")),
        ] {
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => drop(std::fs::remove_file(&file)),
            }
            sleep(2 * INTERVAL).await;
            expected.extend(now);
            assert_eq!(*set.lock().unwrap(), expected, "{text:?}");
        }
    }
}
