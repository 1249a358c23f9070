//! Files by name in a folder of this user's alone, bounded: what is over goes, the least recently used first; where owners
//! share the folder, of the one that holds most.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use super::lock::lock;

const DIGEST: usize = 32;
/// What a file takes at least of a disk, and by how much it grows.
const BLOCK: u64 = 4096;

/// What an owner holds of a folder, the least recently used first.
#[derive(Default)]
struct Held {
    bytes: u64,
    files: VecDeque<(SystemTime, u64, PathBuf)>,
}

/// A folder whose files were written whole: each has the SHA-256 of its content in front.
pub struct Folder {
    dir: PathBuf,
    /// The bytes of disk that it may take.
    limit: u64,
    /// Whether a file's name begins with its owner.
    is_shared: bool,
    /// Held while there is made room for a file and it is written.
    writing: Mutex<()>,
}

impl Folder {
    /// Make the folder, if it is not there. Its parent may be a mounted volume with a mode of its own.
    pub fn open(dir: PathBuf, limit: u64) -> io::Result<Self> {
        Self::make(dir, limit, false)
    }

    /// The same, for several owners: the part before the first `-` of a file's name says whose it is. Room is made at the
    /// cost of whoever holds most, so that nobody's many files push out another's few.
    pub fn shared(dir: PathBuf, limit: u64) -> io::Result<Self> {
        Self::make(dir, limit, true)
    }

    fn make(dir: PathBuf, limit: u64, is_shared: bool) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let metadata = fs::symlink_metadata(&dir)?;
        if !metadata.is_dir() || metadata.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("it is not a folder that only its owner can use (mode 0700)"));
        }
        // In a folder of that mode only its owner (or root) can make a file.
        let probe = dir.join("probe");
        File::create(&probe).and_then(|_| fs::remove_file(&probe))?;
        let folder = Self { dir, limit, is_shared, writing: Mutex::default() };
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
                remove(&path)?;
            }
        }
        self.make_room("", 0)
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
        self.touch(name);
        Some(content)
    }

    /// Note that a file is used: the least recently used go first. Returns whether it is there.
    pub fn touch(&self, name: &str) -> bool {
        File::open(self.path(name)).and_then(|file| file.set_modified(SystemTime::now())).is_ok()
    }

    /// The SHA-256 of a file's content in hexadecimal, and its size in bytes, without reading it. It counts as used.
    pub fn digest(&self, name: &str) -> Option<(String, u64)> {
        let mut file = File::open(self.path(name)).ok()?;
        let mut digest = [0; DIGEST];
        file.read_exact(&mut digest).ok()?;
        let size = file.metadata().ok()?.len().checked_sub(DIGEST as u64)?;
        self.touch(name);
        Some((hex::encode(digest), size))
    }

    /// Keep a file, if it is not larger than all together may be.
    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let _writing = lock(&self.writing);
        let bytes = on_disk((DIGEST + content.len()) as u64);
        if bytes > self.limit {
            return Ok(()); // all others would have to go, and it would still be too large
        }
        self.make_room(name, bytes)?;
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

    /// Remove the least recently used until so many more bytes fit, which are to be the file of that name.
    fn make_room(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort();
        let mut total = bytes;
        let mut owners: HashMap<Vec<u8>, Held> = HashMap::new();
        owners.entry(self.owner(OsStr::new(name))).or_default().bytes = bytes;
        for (used, size, path) in files {
            total = total.saturating_add(size);
            let held = owners.entry(self.owner(path.file_name().unwrap_or_default())).or_default();
            held.bytes = held.bytes.saturating_add(size);
            held.files.push_back((used, size, path));
        }
        while total > self.limit {
            let removable = owners.values_mut().filter(|held| !held.files.is_empty());
            // Of those who hold the same, the one whose file was used least recently.
            let most = removable.max_by_key(|held| (held.bytes, held.files.front().map(|it| Reverse(it.0))));
            let Some(most) = most else { break };
            let Some((_, size, path)) = most.files.pop_front() else { break };
            remove(&path)?;
            most.bytes = most.bytes.saturating_sub(size);
            total = total.saturating_sub(size);
        }
        Ok(())
    }

    /// Whose a file of that name is.
    fn owner(&self, name: &OsStr) -> Vec<u8> {
        let name = name.as_encoded_bytes();
        if self.is_shared {
            name.split(|byte| *byte == b'-').next().unwrap_or_default().to_vec()
        } else {
            vec![]
        }
    }

    /// When each was used last, and what it takes of the disk.
    fn files(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let size = on_disk(metadata.len()).max(metadata.blocks().saturating_mul(512));
            files.push((metadata.modified()?, size, entry.path()));
        }
        Ok(files)
    }
}

/// What a file of so many bytes takes of a disk.
fn on_disk(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(BLOCK)
}

/// A damaged file may have been removed meanwhile.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn who_fills_a_shared_folder_pushes_out_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::shared(dir.path().join("a"), 16 * BLOCK).unwrap();
        let put = |name: &str, blocks: u64, age: u64| {
            folder.put(name, &vec![0; (blocks * BLOCK) as usize - DIGEST]).unwrap();
            let used = SystemTime::now() - Duration::from_secs(age);
            File::open(folder.path(name)).and_then(|file| file.set_modified(used)).unwrap();
        };
        let is_there = |name: &str| folder.path(name).exists();
        put("modest-a", 2, 900);
        put("modest-b", 1, 800);
        for n in 0..40 {
            put(&format!("loud-{n}"), 4, 400 - n);
        }
        assert!(is_there("modest-a") && is_there("modest-b"));
        assert!(is_there("loud-39") && is_there("loud-37") && !is_there("loud-36"));
        // It pays for others, too, as long as it holds most; who would hold most then pays itself.
        put("modest-c", 4, 100);
        assert!(is_there("modest-a") && is_there("loud-38") && !is_there("loud-37"));
        put("modest-d", 7, 0);
        assert!(!is_there("modest-a") && !is_there("modest-b") && is_there("loud-38"));
    }

    #[test]
    fn a_file_counts_as_what_it_takes_of_the_disk_and_as_used_when_its_digest_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().join("a"), 5 * BLOCK - 1).unwrap();
        for (name, age) in [("a", 400), ("b", 300), ("c", 200), ("d", 100)] {
            folder.put(name, b"small").unwrap();
            let used = SystemTime::now() - Duration::from_secs(age);
            File::open(folder.path(name)).and_then(|file| file.set_modified(used)).unwrap();
        }
        assert!(folder.digest("a").is_some() && folder.touch("b") && !folder.touch("x"));
        folder.put("e", b"small").unwrap();
        folder.put("f", b"small").unwrap();
        let there: Vec<&str> =
            ["a", "b", "c", "d", "e", "f"].into_iter().filter(|it| folder.path(it).exists()).collect();
        assert_eq!(there, ["a", "b", "e", "f"]);
    }
}
