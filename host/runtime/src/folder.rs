//! Files by name in a folder of this user's alone, bounded: what is over goes, the least recently used first.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use super::lock::lock;

const DIGEST: usize = 32;

/// A folder whose files were written whole: each has the SHA-256 of its content in front.
pub struct Folder {
    dir: PathBuf,
    /// The bytes that it may hold.
    limit: u64,
    /// Held while there is made room for a file and it is written.
    writing: Mutex<()>,
}

impl Folder {
    /// Make the folder, if it is not there. Its parent may be a mounted volume with a mode of its own.
    pub fn open(dir: PathBuf, limit: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let metadata = fs::symlink_metadata(&dir)?;
        if !metadata.is_dir() || metadata.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("it is not a folder that only its owner can use (mode 0700)"));
        }
        // In a folder of that mode only its owner (or root) can make a file.
        let probe = dir.join("probe");
        File::create(&probe).and_then(|_| fs::remove_file(&probe))?;
        let folder = Self { dir, limit, writing: Mutex::default() };
        folder.tidy()?;
        Ok(folder)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What an earlier run left half written, or kept under a larger limit.
    fn tidy(&self) -> io::Result<()> {
        for (_, _, path) in self.files()? {
            if path.extension().is_some() {
                fs::remove_file(path)?;
            }
        }
        self.make_room(0)
    }

    /// The file of a name that has no dot in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file's content, if it is there and whole.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut bytes = fs::read(&path).ok()?;
        let content = bytes.split_off(DIGEST.min(bytes.len()));
        if digest(&SHA256, &content).as_ref() != bytes {
            let _ = fs::remove_file(&path);
            return None;
        }
        // The least recently used go first.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(content)
    }

    /// The SHA-256 of a file's content in hexadecimal, and its size in bytes, without reading it.
    pub fn digest(&self, name: &str) -> Option<(String, u64)> {
        let mut file = File::open(self.path(name)).ok()?;
        let mut digest = [0; DIGEST];
        file.read_exact(&mut digest).ok()?;
        let size = file.metadata().ok()?.len().checked_sub(DIGEST as u64)?;
        Some((hex::encode(digest), size))
    }

    /// Keep a file, if it is not larger than all together may be.
    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let _writing = lock(&self.writing);
        let bytes = (DIGEST + content.len()) as u64;
        if bytes > self.limit {
            return Ok(()); // all others would have to go, and it would still be too large
        }
        self.make_room(bytes)?;
        let path = self.path(name);
        let unfinished = path.with_extension(format!("{:016x}", rand::random::<u64>()));
        let mut file = File::create_new(&unfinished)?;
        let written = file
            .write_all(digest(&SHA256, content).as_ref())
            .and_then(|()| file.write_all(content))
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Remove the least recently used until so many more bytes fit.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
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
    fn files(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let file = |entry: io::Result<fs::DirEntry>| {
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

    #[test]
    fn a_digest_is_told_without_reading_and_is_that_of_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().join("a"), 1 << 20).unwrap();
        assert_eq!(folder.digest("x"), None);
        folder.put("x", b"content").unwrap();
        let sha256 = hex::encode(digest(&SHA256, b"content"));
        assert_eq!(folder.digest("x"), Some((sha256, 7)));
        assert_eq!(folder.get("x").as_deref(), Some(&b"content"[..]));
        // What was cut off has none.
        fs::write(folder.path("x"), b"short").unwrap();
        assert_eq!(folder.digest("x"), None);
    }
}
