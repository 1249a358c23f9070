//! README.md and docs/, as those who follow them see them: what they link to, and which of their commands are run.
//!
//! Every block of commands says what becomes of it, in its info string, which no renderer shows:
//!
//! - `sh test=NAME`: `make test-docs` runs it. All blocks of a NAME are run in their order by one shell, in a cluster of
//!   their own. With `after=OTHER` behind it the blocks of OTHER come before, in the same shell: an installation, say.
//! - `sh not-run="REASON"`: nothing runs it, because of that.
//!
//! The tests of this library refuse a block that says neither; `tests/commands` runs the others.

mod block;
mod page;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use block::{Block, Fate};
pub use page::{Link, Page};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// README.md and docs/*.md, in the order in which a newcomer meets them: README first, then by name.
///
/// # Errors
///
/// A file or folder that cannot be read.
pub fn pages() -> std::io::Result<Vec<Page>> {
    let mut docs = std::fs::read_dir(root().join("docs"))?
        .map(|entry| Ok(PathBuf::from("docs").join(entry?.file_name())))
        .collect::<std::io::Result<Vec<_>>>()?;
    docs.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.sort();
    docs.insert(0, PathBuf::from("README.md"));
    docs.into_iter().map(|path| Page::read(&root(), path)).collect()
}
