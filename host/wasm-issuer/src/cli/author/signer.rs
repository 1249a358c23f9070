//! The keys that plugins in registries are signed with, and those that are asked for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wasm_issuer_core::keys::PrivateKey;
use wasm_issuer_oci::{Attachment, Component, SignerKey};
use zeroize::Zeroizing;

use super::input::{self, quoted};

/// A signature of a component by the private key in a file.
pub fn sign(component: &Component, path: &Path) -> anyhow::Result<Attachment> {
    let pem = Zeroizing::new(input::read(path, "the private key", input::MAX_TEXT)?);
    let named = || format!("--sign-key {}", quoted(path));
    let key = PrivateKey::from_pem(&pem).with_context(|| {
        format!("{} (cosign's own files are encrypted: those sign with `cosign sign --key`)", named())
    })?;
    Attachment::sign(component, &key).with_context(named)
}

/// The public keys in these files.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<SignerKey>> {
    let read = |path: &PathBuf| {
        let pem = input::read(path, "the public key", input::MAX_TEXT)?;
        let key = String::from_utf8_lossy(&pem).parse::<SignerKey>();
        key.with_context(|| format!("--verify-key {}", quoted(path)))
    };
    paths.iter().map(read).collect()
}
