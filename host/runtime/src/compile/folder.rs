//! Compiled components in a folder, so that a restart compiles nothing.
//!
//! What is read back is run as native code. So the folder is for this user alone, a file's name says for which exact
//! build of which engine it is, and a file's digest says that it is whole.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use wasmtime::Engine;

use super::artifact::Artifact;
use crate::error::RuntimeError;

const DIGEST: usize = 32;
/// The least recently used ones over this number are removed.
const MAX_FILES: usize = 64;

/// A folder of artifacts, by the digest of their component.
pub struct ArtifactFolder {
    dir: PathBuf,
    engine: u64,
}

impl ArtifactFolder {
    /// Make a folder within `parent`, which may be a mounted volume with a mode of its own.
    pub fn open(parent: &Path, engine: &Engine) -> Result<Self, RuntimeError> {
        let dir = parent.join("plugins");
        let unusable = |error: &dyn std::fmt::Display| RuntimeError::CacheDir {
            path: dir.display().to_string(),
            error: error.to_string(),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| unusable(&error))?;
        let metadata = fs::symlink_metadata(&dir).map_err(|error| unusable(&error))?;
        if !metadata.is_dir() || metadata.permissions().mode() & 0o077 != 0 {
            return Err(unusable(&"it is not a folder that only its owner can use (mode 0700)"));
        }
        // In a folder of that mode only its owner (or root) can make a file.
        let probe = dir.join("probe");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|error| unusable(&error))?;

        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher); // with wasmtime's full version
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Ok(Self { dir, engine: hasher.finish() })
    }

    fn path(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}-{:016x}", self.engine))
    }

    /// What was kept for a component, if it is whole.
    pub fn get(&self, sha256: &str) -> Option<Artifact> {
        let path = self.path(sha256);
        let mut bytes = fs::read(&path).ok()?;
        let code = bytes.split_off(DIGEST.min(bytes.len()));
        if digest(&SHA256, &code).as_ref() != bytes {
            let _ = fs::remove_file(&path);
            return None;
        }
        // The least recently used go first.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(Artifact(code))
    }

    /// Keep one. That it cannot be kept is no reason not to use it.
    pub fn put(&self, sha256: &str, artifact: &Artifact) {
        if let Err(error) = self.try_put(sha256, &artifact.0) {
            tracing::warn!(folder = %self.dir.display(), %error, "a compiled plugin could not be kept");
        }
    }

    fn try_put(&self, sha256: &str, code: &[u8]) -> std::io::Result<()> {
        let path = self.path(sha256);
        let unfinished = path.with_extension(format!("{:016x}", rand::random::<u64>()));
        let mut file = File::create_new(&unfinished)?;
        let written = file
            .write_all(digest(&SHA256, code).as_ref())
            .and_then(|()| file.write_all(code))
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        self.remove_oldest()
    }

    fn remove_oldest(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let surplus = files.len().saturating_sub(MAX_FILES);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Result<ArtifactFolder, RuntimeError> {
        ArtifactFolder::open(dir, &Engine::new(&crate::engine::config()).unwrap())
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
        let other = ArtifactFolder::open(dir.path(), &Engine::new(&config).unwrap()).unwrap();
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
    fn their_number_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = open(dir.path()).unwrap();
        for n in 0..MAX_FILES + 3 {
            artifacts.put(&n.to_string(), &Artifact(vec![]));
        }
        assert_eq!(fs::read_dir(dir.path().join("plugins")).unwrap().count(), MAX_FILES);
    }
}
