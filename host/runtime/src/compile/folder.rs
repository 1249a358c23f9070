//! Compiled components in a folder, so that a restart compiles nothing.
//!
//! What is read back is run as native code. So the folder is for this user alone, a file's name says for which exact
//! build of which engine it is, and a file's digest says that it is whole.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use wasmtime::Engine;

use super::artifact::Artifact;
use crate::error::RuntimeError;
use crate::folder::Folder;

/// A folder of artifacts, by the digest of their component.
pub struct ArtifactFolder {
    folder: Folder,
    engine: u64,
}

impl ArtifactFolder {
    /// Make a folder within `parent` that holds so many bytes.
    pub fn open(parent: &Path, limit: u64, engine: &Engine) -> Result<Self, RuntimeError> {
        let dir = parent.join("plugins");
        let folder = Folder::open(dir.clone(), limit).map_err(|error| RuntimeError::CacheDir {
            path: dir.display().to_string(),
            error: error.to_string(),
        })?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher); // with wasmtime's full version
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Ok(Self { folder, engine: hasher.finish() })
    }

    fn name(&self, sha256: &str) -> String {
        format!("{sha256}-{:016x}", self.engine)
    }

    /// What was kept for a component, if it is whole.
    pub fn get(&self, sha256: &str) -> Option<Artifact> {
        self.folder.get(&self.name(sha256)).map(Artifact)
    }

    /// Keep one. That it cannot be kept is no reason not to use it.
    pub fn put(&self, sha256: &str, artifact: &Artifact) {
        if let Err(error) = self.folder.put(&self.name(sha256), &artifact.0) {
            tracing::warn!(folder = %self.folder.dir().display(), %error, "a compiled plugin could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::time::SystemTime;

    use super::*;

    impl ArtifactFolder {
        fn path(&self, sha256: &str) -> PathBuf {
            self.folder.path(&self.name(sha256))
        }
    }

    fn open(dir: &Path) -> Result<ArtifactFolder, RuntimeError> {
        bounded(dir, 1 << 20)
    }

    fn bounded(dir: &Path, limit: u64) -> Result<ArtifactFolder, RuntimeError> {
        ArtifactFolder::open(dir, limit, &Engine::new(&crate::engine::config()).unwrap())
    }

    /// The blocks of 4 KiB that the folder's files take.
    fn held(dir: &Path) -> u64 {
        let files = fs::read_dir(dir.join("plugins")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len().div_ceil(4096)).sum()
    }

    #[test]
    fn what_is_put_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = open(dir.path()).unwrap();
        assert!(artifacts.get("abc").is_none());
        artifacts.put("abc", &Artifact(b"code".to_vec()));
        assert_eq!(open(dir.path()).unwrap().get("abc").unwrap().0, b"code");
        assert!(artifacts.get("abd").is_none());
    }

    #[test]
    fn another_engine_finds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap().put("abc", &Artifact(b"code".to_vec()));
        let mut config = crate::engine::config();
        config.epoch_interruption(false);
        let other = ArtifactFolder::open(dir.path(), 1 << 20, &Engine::new(&config).unwrap()).unwrap();
        assert!(other.get("abc").is_none());
    }

    #[test]
    fn damaged_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = open(dir.path()).unwrap();
        let path = artifacts.path("abc");
        for damaged in [&b""[..], b"short", &[0; 100]] {
            fs::write(&path, damaged).unwrap();
            assert!(artifacts.get("abc").is_none());
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_folder_that_others_can_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let plugins = dir.path().join("plugins");
        fs::set_permissions(&plugins, fs::Permissions::from_mode(0o770)).unwrap();
        let error = open(dir.path()).err().unwrap();
        assert!(error.to_string().contains("mode 0700"), "{error}");
        fs::remove_dir(&plugins).unwrap();
        std::os::unix::fs::symlink(dir.path(), &plugins).unwrap();
        assert!(open(dir.path()).is_err());
    }

    #[test]
    fn the_cache_folder_never_holds_more_than_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = bounded(dir.path(), 10 * 4096).unwrap();
        let put = |name: &str, size: usize, age: u64| {
            artifacts.put(name, &Artifact(vec![0; size * 4096 - 32]));
            assert!(held(dir.path()) <= 10);
            let used = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(artifacts.path(name)).and_then(|file| file.set_modified(used))
        };
        put("old", 4, 300).unwrap();
        put("older", 4, 400).unwrap();
        assert_eq!(held(dir.path()), 8);
        assert!(artifacts.get("older").is_some()); // now it is the one that was used last
        put("new", 4, 200).unwrap();
        assert!(artifacts.get("old").is_none());
        assert!(artifacts.get("older").is_some() && artifacts.get("new").is_some());
        // What is too large by itself is not worth the others.
        assert!(put("huge", 11, 0).is_err());
        assert!(artifacts.get("older").is_some() && artifacts.get("new").is_some());
        put("whole", 10, 100).unwrap();
        assert_eq!(held(dir.path()), 10);
        // Nor under a smaller limit than that of the run before.
        drop(bounded(dir.path(), 10 * 4096 - 1).unwrap());
        assert_eq!(held(dir.path()), 0);
    }

    #[test]
    fn unfinished_files_are_removed_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = open(dir.path()).unwrap();
        artifacts.put("abc", &Artifact(b"code".to_vec()));
        fs::write(artifacts.path("abd").with_extension("0123456789abcdef"), [0; 100]).unwrap();
        assert!(open(dir.path()).unwrap().get("abc").is_some());
        assert_eq!(held(dir.path()), 1);
    }
}
