//! Reads and writes the files that the command line names. Every error names the file.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::Value;

/// What is read of a text at most: configurations and certificates.
pub const MAX_TEXT: u64 = 4 << 20;
/// What is read of a component at most; the runtime says what it accepts of that.
pub const MAX_COMPONENT: u64 = 64 << 20;

/// The content of a file, or of stdin for `-`. `what` names it in errors: "the CSR".
pub fn read(path: &Path, what: &str, max: u64) -> anyhow::Result<Vec<u8>> {
    let named = || format!("cannot read {what} {}", quoted(path));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(max + 1).read_to_end(&mut bytes).with_context(named)?;
    } else {
        let file = File::open(path).with_context(named)?;
        file.take(max + 1).read_to_end(&mut bytes).with_context(named)?;
    }
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    ensure!(size <= max, "{what} {} is larger than {} MiB: is it the right file?", quoted(path), max >> 20);
    Ok(bytes)
}

/// The YAML or JSON documents of a file.
pub fn documents(path: &Path, what: &str) -> anyhow::Result<Vec<Value>> {
    serde_saphyr::from_multiple(&text(path, what)?)
        .with_context(|| format!("{what} {} is neither YAML nor JSON", quoted(path)))
}

/// The one object of a kind among the documents of a file. An error shows no line of it: it may be a Secret.
pub fn object(path: &Path, what: &str, (version, kind): (&str, &str)) -> anyhow::Result<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text(path, what)?).map_err(|error| {
        anyhow!("{what} {} is neither YAML nor JSON: {}", quoted(path), error.without_snippet())
    })?;
    let is_one = |document: &Value| document.get("kind").and_then(Value::as_str) == Some(kind);
    let mut objects = documents.into_iter().filter(is_one);
    let (Some(object), None) = (objects.next(), objects.next()) else {
        bail!("{what} {}: exactly one {kind} is expected in the file", quoted(path));
    };
    ensure!(
        object.get("apiVersion").and_then(Value::as_str) == Some(version),
        "{what} {}: apiVersion is to be {version}",
        quoted(path)
    );
    Ok(object)
}

/// The content of a text file.
pub fn text(path: &Path, what: &str) -> anyhow::Result<String> {
    let bytes = read(path, what, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|_error| anyhow!("{what} {} is not text", quoted(path)))
}

/// Write a file, in place of one that is there.
pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write {}", quoted(path)))
}

/// The same of a file that can be run.
pub fn write_program(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write(path, content)?;
    let allowed = std::fs::set_permissions(path, Permissions::from_mode(0o755));
    allowed.with_context(|| format!("cannot make {} executable", quoted(path)))
}

/// Write a file that only its owner can read, unless one is there.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content))
        .with_context(|| format!("cannot write {}", quoted(path)))
}

/// A path in quotation marks, or `from stdin` for `-`.
pub fn quoted(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "from stdin".to_owned(),
        _ => format!("{:?}", path.display().to_string()),
    }
}
