//! The folder of the builtin plugins.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::fs;
use wasm_issuer_runtime::ComponentBytes;

use super::source_error::SourceError;

/// The folder, with a `<name>.wasm` for each, and what was read of it. Clones are the same one.
#[derive(Clone)]
pub struct Builtins {
    folder: PathBuf,
    /// By names that were found, so there are no more of them than files.
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// A file as it was when it was read.
#[derive(Clone)]
struct Known {
    path: PathBuf,
    version: Version,
    sha256: String,
}

/// What changes with a file.
#[derive(Clone, PartialEq, Eq)]
struct Version {
    bytes: u64,
    modified: SystemTime,
}

impl Builtins {
    /// Nothing is read yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, known: Arc::default() }
    }

    /// The SHA-256, in hexadecimal, of a plugin that was read before and is as it was then: with thousands of Issuers on one,
    /// to read it and to hash it for each takes a tenth of the time that they take to start.
    pub fn known(&self, name: &str) -> Option<String> {
        let known = self.lock().get(name).cloned()?;
        let version = Version::of(&known.path).ok()?;
        (version == known.version).then_some(known.sha256)
    }

    /// Read a plugin.
    pub async fn read(&self, name: &str) -> Result<ComponentBytes, SourceError> {
        // Names come from the folder, never from the spec, so no name can point outside it.
        let mut names = Vec::new();
        let folder = self.folder.display().to_string();
        let mut entries = fs::read_dir(&self.folder).await.map_err(unreadable(&folder))?;
        while let Some(entry) = entries.next_entry().await.map_err(unreadable(&folder))? {
            let path = entry.path();
            let stem = path.file_stem().and_then(|s| s.to_str()).map(|s| s.replace('_', "-"));
            let Some(stem) = stem.filter(|_| path.extension().is_some_and(|e| e == "wasm")) else { continue };
            if stem == name {
                return self.read_file(stem, path).await;
            }
            names.push(stem);
        }
        names.sort();
        Err(SourceError::NoBuiltin { name: name.to_owned(), found: names.join(", ") })
    }

    async fn read_file(&self, name: String, path: PathBuf) -> Result<ComponentBytes, SourceError> {
        let what = format!("the builtin plugin \"{name}\"");
        // Before its content: what changes in between is noticed the next time.
        let version = Version::of(&path).map_err(unreadable(&what))?;
        let component = ComponentBytes::new(fs::read(&path).await.map_err(unreadable(&what))?);
        let sha256 = component.sha256().to_owned();
        self.lock().insert(name, Known { path, version, sha256 });
        Ok(component)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Version {
    /// In this thread: it takes a microsecond, and thousands that wait for others would have hundreds of threads.
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
}

fn unreadable(what: &str) -> impl Fn(std::io::Error) -> SourceError {
    move |error| SourceError::Unreadable { what: what.to_owned(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_was_read_is_known_as_long_as_its_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let builtins = Builtins::new(folder.path().to_owned());
        let file = folder.path().join("some_ca.wasm");
        fs::write(&file, "one").await.unwrap();
        assert_eq!(builtins.known("some-ca"), None);
        let one = builtins.read("some-ca").await.unwrap().sha256().to_owned();
        assert_eq!(builtins.known("some-ca"), Some(one));

        let before = fs::metadata(&file).await.unwrap().modified().unwrap();
        fs::write(&file, "two").await.unwrap();
        // The clock of files is coarse.
        let later = before + Duration::from_secs(1);
        File::options().append(true).open(&file).unwrap().set_modified(later).unwrap();
        assert_eq!(builtins.known("some-ca"), None);
        let two = builtins.read("some-ca").await.unwrap().sha256().to_owned();
        assert_eq!(builtins.known("some-ca"), Some(two));

        fs::remove_file(&file).await.unwrap();
        assert_eq!(builtins.known("some-ca"), None);
        let error = builtins.read("some-ca").await.unwrap_err().to_string();
        assert!(error.contains("some-ca"), "{error}");
    }
}
