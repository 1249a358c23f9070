//! A folder that stands for the Issuer's Secret: each file is a key, as in a Pod that mounts the Secret.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use zeroize::Zeroizing;

use super::input::{self, quoted};
use crate::api::is_data_key;

/// What a Secret holds at most.
const MAX_SECRET: u64 = 1 << 20;

/// The values of a Secret by their keys.
pub type SecretValues = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// The keys and values of the folder. A mounted volume's `..data` and the folders that it points to are no keys.
pub fn read(folder: &Path) -> anyhow::Result<SecretValues> {
    let what = || format!("cannot read the secret folder {}", quoted(folder));
    let mut data = BTreeMap::new();
    let mut total = 0;
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        let Some(key) = path.file_name().and_then(|name| name.to_str()) else {
            bail!("{}: the name of a Secret's key is text", quoted(&path));
        };
        // Through symbolic links, which is what a mounted volume consists of.
        if key.starts_with("..") || std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            continue;
        }
        ensure!(
            is_data_key(key),
            "{}: a Secret cannot have a key of that name: only letters, digits, '-', '_' and '.'",
            quoted(&path)
        );
        let value = Zeroizing::new(input::read(&path, "the secret", MAX_SECRET)?);
        total += value.len();
        data.insert(key.to_owned(), value);
    }
    ensure!(!data.is_empty(), "the secret folder {} holds no files: each is to be a key", quoted(folder));
    ensure!(
        u64::try_from(total).is_ok_and(|total| total <= MAX_SECRET),
        "the secret folder {} holds {total} bytes; a Secret holds at most 1 MiB",
        quoted(folder)
    );
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(folder: &Path) -> String {
        format!("{:#}", read(folder).unwrap_err())
    }

    #[test]
    fn a_mounted_volume_is_read_through_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("..2024_01_02");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("token"), "t0k3n").unwrap();
        std::os::unix::fs::symlink("..2024_01_02", folder.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/token", folder.path().join("token")).unwrap();
        std::fs::write(folder.path().join(".dockerconfigjson"), "{}").unwrap();
        let keys: Vec<_> = read(folder.path()).unwrap().into_iter().collect();
        assert_eq!(keys[0].0, ".dockerconfigjson");
        assert_eq!((keys[1].0.as_str(), keys[1].1.as_slice()), ("token", &b"t0k3n"[..]));
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn a_folder_that_is_no_secret_says_why() {
        let folder = tempfile::tempdir().unwrap();
        assert!(error(&folder.path().join("none")).contains("cannot read the secret folder"));
        assert!(error(folder.path()).contains("holds no files"));
        std::fs::write(folder.path().join("a b"), "").unwrap();
        assert!(error(folder.path()).contains("cannot have a key of that name"));
        std::fs::remove_file(folder.path().join("a b")).unwrap();
        std::fs::write(folder.path().join("a"), vec![0; 600 << 10]).unwrap();
        std::fs::write(folder.path().join("b"), vec![0; 600 << 10]).unwrap();
        assert!(error(folder.path()).contains("holds at most 1 MiB"));
    }
}
