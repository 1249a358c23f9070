//! What stands for the Issuer's Secret: a folder in which each file is a key, as in a Pod that mounts the Secret, or the
//! Secret's YAML.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use zeroize::Zeroizing;

use super::input::{self, quoted};
use super::secret_file;
pub use super::secret_file::{SecretRead, SecretValues};
use crate::api::is_data_key;

/// What a Secret holds at most.
const MAX_SECRET: u64 = 1 << 20;

/// The Secret in a folder or a file; `-` is YAML on stdin.
pub fn read(path: &Path) -> anyhow::Result<SecretRead> {
    let is_folder = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let read = if is_folder {
        SecretRead { name: None, values: read_folder(path)? }
    } else {
        secret_file::read(path)?
    };
    check(&read.values, path)?;
    Ok(read)
}

/// A mounted volume's `..data` and the folders that it points to are no keys.
fn read_folder(folder: &Path) -> anyhow::Result<SecretValues> {
    let what = || format!("cannot read the secret folder {}", quoted(folder));
    let mut values = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        let Some(key) = path.file_name().and_then(|name| name.to_str()) else {
            bail!("{}: the name of a Secret's key is text", quoted(&path));
        };
        // Through symbolic links, which is what a mounted volume consists of.
        if key.starts_with("..") || std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            continue;
        }
        values.insert(key.to_owned(), Zeroizing::new(input::read(&path, "the secret", MAX_SECRET)?));
    }
    ensure!(!values.is_empty(), "the secret folder {} holds no files: each is to be a key", quoted(folder));
    Ok(values)
}

/// What the API server would refuse.
fn check(values: &SecretValues, path: &Path) -> anyhow::Result<()> {
    if let Some(key) = values.keys().find(|key| !is_data_key(key)) {
        bail!(
            "the secret {}: it cannot have a key {key:?}: only letters, digits, '-', '_' and '.'",
            quoted(path)
        );
    }
    let total: usize = values.values().map(|value| value.len()).sum();
    ensure!(
        u64::try_from(total).is_ok_and(|total| total <= MAX_SECRET),
        "the secret {} holds {total} bytes; a Secret holds at most 1 MiB",
        quoted(path)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &Path) -> String {
        format!("{:#}", read(path).err().unwrap())
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
        let keys: Vec<_> = read(folder.path()).unwrap().values.into_iter().collect();
        assert_eq!(keys[0].0, ".dockerconfigjson");
        assert_eq!((keys[1].0.as_str(), keys[1].1.as_slice()), ("token", &b"t0k3n"[..]));
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn what_is_no_secret_says_why() {
        let folder = tempfile::tempdir().unwrap();
        assert!(error(&folder.path().join("none")).contains("cannot read the secret"));
        assert!(error(folder.path()).contains("holds no files"));
        std::fs::write(folder.path().join("a b"), "").unwrap();
        assert!(error(folder.path()).contains("cannot have a key \"a b\""));
        std::fs::remove_file(folder.path().join("a b")).unwrap();
        std::fs::write(folder.path().join("a"), vec![0; 600 << 10]).unwrap();
        std::fs::write(folder.path().join("b"), vec![0; 600 << 10]).unwrap();
        assert!(error(folder.path()).contains("holds at most 1 MiB"));
    }

    #[test]
    fn a_secret_in_yaml_is_bounded_as_a_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.yaml");
        let secret = |key: &str, value: &str| {
            let yaml = format!("apiVersion: v1\nkind: Secret\nstringData: {{{key:?}: {value:?}}}\n");
            std::fs::write(&file, yaml).unwrap();
            read(&file)
        };
        assert_eq!(secret("token", "t").unwrap().values["token"].as_slice(), b"t");
        assert!(secret("a b", "t").err().unwrap().to_string().contains("cannot have a key \"a b\""));
        let large = "x".repeat((1 << 20) + 1);
        assert!(secret("token", &large).err().unwrap().to_string().contains("holds at most 1 MiB"));
    }
}
