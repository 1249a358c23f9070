//! The policy that holds now: of a file that is read again and again, because a mounted ConfigMap changes while the operator
//! runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info};

use super::{Policy, PolicyError};

/// How often the file is read.
const INTERVAL: Duration = Duration::from_secs(5);

/// The policy that holds now; whoever has a clone is told when another one does.
pub type CurrentPolicy = watch::Receiver<Arc<Policy>>;

/// Where the policy comes from.
pub struct PolicyFile {
    path: Option<PathBuf>,
    seen: Seen,
    policy: watch::Sender<Arc<Policy>>,
}

/// What was found in the file: text, or why it could not be read.
type Content = Result<String, String>;

/// What was found the last two times.
struct Seen {
    /// What was found, and found once more: what the policy was made of, or what it could not be made of.
    settled: Content,
    last: Content,
}

impl Seen {
    /// Take in what the file holds now. True if it is news, and has been the same twice: a file that is being written may
    /// look like another one for a moment, and an empty one is a valid policy.
    fn is_news(&mut self, now: Content) -> bool {
        let is_news = now == self.last && now != self.settled;
        if is_news {
            self.settled = now.clone();
        }
        self.last = now;
        is_news
    }
}

impl PolicyFile {
    /// The defaults, for good.
    pub fn none() -> Self {
        Self::of(None, String::new(), Policy::default())
    }

    /// The policy of this file. Fails if there is none in it: nothing would hold until it is mended.
    pub fn open(path: &Path) -> Result<Self, PolicyError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| PolicyError::Read(path.display().to_string(), error))?;
        let policy = Policy::parse(&text).map_err(|e| PolicyError::Invalid(path.display().to_string(), e))?;
        Ok(Self::of(Some(path.to_owned()), text, policy))
    }

    fn of(path: Option<PathBuf>, text: String, policy: Policy) -> Self {
        let seen = Seen { settled: Ok(text.clone()), last: Ok(text) };
        Self { path, seen, policy: watch::channel(Arc::new(policy)).0 }
    }

    /// The policy that holds now.
    pub fn policy(&self) -> CurrentPolicy {
        self.policy.subscribe()
    }

    /// Read the file again and again, until the future is dropped. What is no policy changes nothing, and is told once:
    /// `failed` is called.
    pub async fn follow(mut self, failed: impl Fn()) {
        let Some(path) = self.path.clone() else { return std::future::pending().await };
        loop {
            sleep(INTERVAL).await;
            let found = tokio::fs::read_to_string(&path).await;
            if self.seen.is_news(found.map_err(|error: io::Error| error.to_string())) {
                self.take(&path, &failed);
            }
        }
    }

    fn take(&self, path: &Path, failed: impl Fn()) {
        let policy = self.seen.settled.as_ref().map_err(String::clone);
        match policy.and_then(|text| Policy::parse(text).map_err(|faults| faults.to_string())) {
            Ok(policy) => {
                info!(path = %path.display(), "the policy has changed, and holds for all Issuers from now on");
                self.policy.send_replace(Arc::new(policy));
            }
            Err(error) => {
                error!(path = %path.display(), error, "the policy file is no policy any more; the one before holds on");
                failed();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const REVEALING: &str = "wasmIssuers: {reveal: true}";

    #[test]
    fn a_file_that_is_being_written_is_no_news() {
        let mut seen = Seen { settled: Ok("a".to_owned()), last: Ok("a".to_owned()) };
        for (now, is_news) in
            [("a", false), ("", false), ("b", false), ("b", true), ("b", false), ("a", false)]
        {
            assert_eq!(seen.is_news(Ok(now.to_owned())), is_news, "{now}");
        }
        assert!(seen.is_news(Ok("a".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_breaks_changes_nothing_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, REVEALING).unwrap();
        let file = PolicyFile::open(&path).unwrap();
        let policy = file.policy();
        let failures = Arc::new(AtomicUsize::new(0));
        let count = failures.clone();
        tokio::spawn(file.follow(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let reveals = || policy.borrow().wasm_issuers.reveal;
        let mut expected = 0;
        for (text, holds, broken) in [
            ("wasmIssuers: [", true, true),
            ("", false, false),
            ("oops: 1", false, true),
            (REVEALING, true, false),
        ] {
            std::fs::write(&path, text).unwrap();
            sleep(10 * INTERVAL).await;
            expected += usize::from(broken);
            assert_eq!((reveals(), failures.load(Ordering::Relaxed)), (holds, expected), "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        sleep(10 * INTERVAL).await;
        assert_eq!((reveals(), failures.load(Ordering::Relaxed)), (true, expected + 1));
    }
}
