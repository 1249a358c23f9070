//! Where a new plugin in Rust gets the SDK.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::quoted;

pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
pub const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");
/// The value of `--sdk` that means the Rust registry.
pub const REGISTRY: &str = "registry";
/// The SDK's, too: they are released together.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the SDK comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Sdk {
    /// crates.io.
    Registry,
    /// A git repository.
    Git { url: String, tag: String },
    /// The folder of a checkout that holds it; absolute.
    Folder(PathBuf),
}

impl Sdk {
    /// What `--sdk` means.
    pub fn find(place: &str) -> anyhow::Result<Self> {
        if place == REGISTRY {
            return Ok(Self::Registry);
        }
        if place.contains("://") {
            return Self::repository(place);
        }
        for folder in [PathBuf::from(place), Path::new(place).join("sdk")] {
            if is_sdk(&folder) {
                let folder =
                    folder.canonicalize().with_context(|| format!("cannot find {}", quoted(&folder)))?;
                return Ok(Self::Folder(folder));
            }
        }
        bail!(
            "--sdk {place:?} is neither `{REGISTRY}` nor a checkout of wasm-issuer nor its SDK's folder nor a URL with ://"
        )
    }

    fn repository(place: &str) -> anyhow::Result<Self> {
        let fits = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        ensure!(place.chars().all(fits), "--sdk {place:?} is no URL");
        let (url, tag) = place.split_once('#').map_or((place, None), |(url, tag)| (url, Some(tag)));
        ensure!(tag != Some(""), "--sdk {place:?}: the tag after the # is missing");
        let tag = tag.map_or_else(|| format!("v{VERSION}"), str::to_owned);
        Ok(Self::Git { url: url.to_owned(), tag })
    }

    /// Of the dependency in Cargo.toml, what says where it is.
    pub fn dependency(&self) -> String {
        match self {
            Self::Registry => format!("version = \"{VERSION}\""),
            Self::Git { url, tag } => format!("git = \"{url}\", tag = \"{tag}\""),
            Self::Folder(folder) => format!("path = {:?}", folder.display().to_string()),
        }
    }

    /// The lock file of the checkout.
    pub fn lock_file(&self) -> Option<PathBuf> {
        let Self::Folder(folder) = self else { return None };
        let lock = folder.parent()?.join("Cargo.lock");
        lock.exists().then_some(lock)
    }
}

/// Whether the folder holds the SDK.
fn is_sdk(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line.trim() == "name = \"wasm-issuer-sdk\"")
}

/// What its author should know of it.
impl fmt::Display for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHECKOUT: &str = "With a checkout of wasm-issuer it needs no network: --sdk FOLDER.";
        match self {
            Self::Registry => write!(f, "The SDK is wasm-issuer-sdk {VERSION} of crates.io. {CHECKOUT}"),
            Self::Git { url, tag } => write!(f, "The SDK is that of {url}, tag {tag}. {CHECKOUT}"),
            Self::Folder(folder) => write!(f, "The SDK is that of {}.", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_found_in_a_checkout_with_its_lock_file() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = checkout.join("sdk").canonicalize().unwrap();
        for place in [checkout.clone(), checkout.join("sdk")] {
            let sdk = Sdk::find(place.to_str().unwrap()).unwrap();
            assert_eq!(sdk, Sdk::Folder(folder.clone()));
            assert_eq!(sdk.lock_file(), Some(folder.parent().unwrap().join("Cargo.lock")));
        }
        assert!(Sdk::find("/nowhere").is_err());
    }

    #[test]
    fn the_sdk_is_of_this_programs_version_unless_a_tag_is_given() {
        assert_eq!(Sdk::find("registry").unwrap().dependency(), format!("version = \"{VERSION}\""));
        let git = Sdk::find("https://git.example/x").unwrap();
        assert_eq!(git.dependency(), format!("git = \"https://git.example/x\", tag = \"v{VERSION}\""));
        let git = Sdk::find("ssh://git@git.example/x#main-1").unwrap();
        assert_eq!(git.dependency(), "git = \"ssh://git@git.example/x\", tag = \"main-1\"");
        assert_eq!(git.lock_file(), None);
        for wrong in ["https://a\"b", "https://a b", "https://a\\b", "https://a#"] {
            assert!(Sdk::find(wrong).is_err(), "{wrong}");
        }
    }
}
