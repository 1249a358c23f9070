//! Compiled components in a folder, so that a restart compiles nothing.
//!
//! What is read back is run as native code. So the folder is for this user alone, a file's name says for which exact
//! build of which engine it is, and a file's digest says that it is whole.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use wasmtime::Engine;

use super::artifact::Artifact;
use crate::error::RuntimeError;
use crate::lock::lock;

const DIGEST: usize = 32;

/// A folder of artifacts, by the digest of their component.
pub struct ArtifactFolder {
    dir: PathBuf,
    /// The bytes that it may hold.
    limit: u64,
    /// Held while there is made room for a file and it is written.
    writing: Mutex<()>,
    engine: u64,
}

impl ArtifactFolder {
    /// Make a folder within `parent`, which may be a mounted volume with a mode of its own.
    pub fn open(parent: &Path, limit: u64, engine: &Engine) -> Result<Self, RuntimeError> {
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
        let engine = hasher.finish();
        let artifacts = Self { dir: dir.clone(), limit, writing: Mutex::default(), engine };
        artifacts.tidy().map_err(|error| unusable(&error))?;
        Ok(artifacts)
    }

    /// What an earlier run left half written, or kept under a larger limit.
    fn tidy(&self) -> std::io::Result<()> {
        for (_, _, path) in self.files()? {
            if path.extension().is_some() {
                fs::remove_file(path)?;
            }
        }
        self.make_room(0)
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
        let _writing = lock(&self.writing);
        let bytes = (DIGEST + code.len()) as u64;
        if bytes > self.limit {
            return Ok(()); // all others would have to go, and it would still be too large
        }
        self.make_room(bytes)?;
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
        written
    }

    /// Remove the least recently used until so many more bytes fit.
    fn make_room(&self, bytes: u64) -> std::io::Result<()> {
        let mut files = self.files()?;
        files.sort();
        let mut held = files.iter().map(|(_, size, _)| size).sum::<u64>();
        for (_, size, path) in files {
            if held.saturating_add(bytes) <= self.limit {
                break;
            }
            fs::remove_file(path)?;
            held = held.saturating_sub(size);
        }
        Ok(())
    }

    /// When each was used last, and its size.
    fn files(&self) -> std::io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry?;
            let metadata = entry.metadata()?;
            Ok((metadata.modified()?, metadata.len(), entry.path()))
        };
        fs::read_dir(&self.dir)?.map(file).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Result<ArtifactFolder, RuntimeError> {
        bounded(dir, 1 << 20)
    }

    fn bounded(dir: &Path, limit: u64) -> Result<ArtifactFolder, RuntimeError> {
        ArtifactFolder::open(dir, limit, &Engine::new(&crate::engine::config()).unwrap())
    }

    /// The bytes in the folder.
    fn held(dir: &Path) -> u64 {
        let files = fs::read_dir(dir.join("plugins")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
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
        let artifacts = bounded(dir.path(), 1000).unwrap();
        let put = |name: &str, size: usize, age: u64| {
            artifacts.put(name, &Artifact(vec![0; size]));
            assert!(held(dir.path()) <= 1000);
            let used = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(artifacts.path(name)).and_then(|file| file.set_modified(used))
        };
        put("old", 368, 300).unwrap();
        put("older", 368, 400).unwrap();
        assert_eq!(held(dir.path()), 800);
        assert!(artifacts.get("older").is_some()); // now it is the one that was used last
        put("new", 368, 200).unwrap();
        assert!(artifacts.get("old").is_none());
        assert!(artifacts.get("older").is_some() && artifacts.get("new").is_some());
        // What is too large by itself is not worth the others.
        assert!(put("huge", 969, 0).is_err());
        assert!(artifacts.get("older").is_some() && artifacts.get("new").is_some());
        put("whole", 968, 100).unwrap();
        assert_eq!(held(dir.path()), 1000);
        // Nor under a smaller limit than that of the run before.
        drop(bounded(dir.path(), 999).unwrap());
        assert_eq!(held(dir.path()), 0);
    }

    #[test]
    fn unfinished_files_are_removed_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = open(dir.path()).unwrap();
        artifacts.put("abc", &Artifact(b"code".to_vec()));
        fs::write(artifacts.path("abd").with_extension("0123456789abcdef"), [0; 100]).unwrap();
        assert!(open(dir.path()).unwrap().get("abc").is_some());
        assert_eq!(held(dir.path()), 36);
    }
}
