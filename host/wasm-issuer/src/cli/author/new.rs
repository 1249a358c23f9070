//! `wasm-issuer plugin new`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::input::{self, quoted};
use super::output;
use super::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin new my-ca
  wasm-issuer plugin new my-ca --sdk ../wasm-issuer       # a local checkout

Exit codes:
  0  made
  2  wrong usage, or a folder that cannot be written";

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// What is made: the path in the folder, and its template.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.template")),
    ("src/lib.rs", include_str!("new/lib.rs.template")),
    ("README.md", include_str!("new/README.md.template")),
    ("issuer.yaml", include_str!("new/issuer.yaml.template")),
    (".gitignore", "/target\n"),
];

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// The plugin's name: lower-case letters, digits and '-'.
    #[arg(value_name = "NAME", value_parser = crate_name)]
    name: String,
    /// The folder to make [default: the plugin's name]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Where the SDK is: a checkout of wasm-issuer or the folder of its SDK, or the URL of a git repository.
    #[arg(long, value_name = "FOLDER|URL", default_value = REPOSITORY)]
    sdk: String,
}

pub fn run(args: NewArgs) -> anyhow::Result<Verdict> {
    let sdk = Sdk::find(&args.sdk)?;
    let dir = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    let is_used = dir.exists() && std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!is_used, "{} is there already and not empty: give another folder with --dir", quoted(&dir));
    let src = dir.join("src");
    std::fs::create_dir_all(&src).with_context(|| format!("cannot make {}", quoted(&src)))?;
    for (path, template) in FILES {
        input::write(&dir.join(path), fill(template, &args.name, &sdk).as_bytes())?;
    }
    output::stdout(&next_steps(&args.name, &dir, &sdk))?;
    Ok(Verdict::Fine)
}

/// Where the SDK comes from.
#[derive(Debug, PartialEq, Eq)]
enum Sdk {
    Folder(PathBuf),
    Git(String),
}

impl Sdk {
    fn find(place: &str) -> anyhow::Result<Self> {
        if place.contains("://") {
            ensure!(
                !place.chars().any(|c| c.is_control() || c.is_whitespace() || c == '"' || c == '\\'),
                "--sdk {place:?} is no URL"
            );
            return Ok(Self::Git(place.to_owned()));
        }
        let folder = Path::new(place);
        let is_sdk = |folder: &Path| {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            manifest.lines().any(|line| line.trim() == "name = \"wasm-issuer-sdk\"")
        };
        for folder in [folder.to_owned(), folder.join("sdk")] {
            if is_sdk(&folder) {
                let folder =
                    folder.canonicalize().with_context(|| format!("cannot find {}", quoted(&folder)))?;
                return Ok(Self::Folder(folder));
            }
        }
        bail!("--sdk {place:?} is neither a checkout of wasm-issuer nor its SDK's folder nor a URL with ://")
    }

    /// The value of the dependency in Cargo.toml.
    fn dependency(&self) -> String {
        match self {
            Self::Folder(folder) => format!("{{ path = {:?} }}", folder.display().to_string()),
            Self::Git(url) => format!("{{ git = {url:?} }}"),
        }
    }
}

fn fill(template: &str, name: &str, sdk: &Sdk) -> String {
    template
        .replace("{{name}}", name)
        .replace("{{file}}", &name.replace('-', "_"))
        .replace("{{type}}", &type_name(name))
        .replace("{{sdk}}", &sdk.dependency())
        .replace("{{repository}}", REPOSITORY)
        .replace("{{rust-version}}", RUST_VERSION)
}

fn next_steps(name: &str, dir: &Path, sdk: &Sdk) -> String {
    let file = name.replace('-', "_");
    let hint = match sdk {
        Sdk::Folder(_) => String::new(),
        Sdk::Git(url) => format!(
            "\nThe SDK comes from {url}. To build with a local checkout, say `--sdk FOLDER`, or in Cargo.toml:\n  \
             wasm-issuer-sdk = {{ path = \"/path/to/wasm-issuer/sdk\" }}\n"
        ),
    };
    format!(
        "made {dir}: start with {dir}/src/lib.rs\n\n  \
         cd {dir}\n  \
         cargo build --target wasm32-wasip2 --release\n  \
         wasm-issuer plugin check target/wasm32-wasip2/release/{file}.wasm --issuer issuer.yaml\n  \
         wasm-issuer plugin sign target/wasm32-wasip2/release/{file}.wasm --issuer issuer.yaml --dns web.example.com\n\
         {hint}",
        dir = dir.display(),
    )
}

/// `my-ca` as `MyCa`.
fn type_name(name: &str) -> String {
    let capital = |part: &str| {
        let mut chars = part.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    name.split('-').map(capital).collect()
}

/// A name of a crate and of Kubernetes objects, that makes the name of a type.
fn crate_name(text: &str) -> Result<String, String> {
    /// Names of types that the code uses, and of crates that it could not be told from.
    const TAKEN: [&str; 13] = [
        "self",
        "core",
        "std",
        "alloc",
        "test",
        "config",
        "plugin",
        "issuer",
        "request",
        "certificate",
        "failure",
        "algorithm",
        "authority",
    ];
    let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let fits = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !starts_well || !fits || text.ends_with('-') || text.contains("--") || text.len() > 63 {
        return Err("lower-case letters, digits and '-' are expected, a letter first, as in my-ca".to_owned());
    }
    if TAKEN.contains(&text) || text.starts_with("wasm-issuer") || text == "serde" {
        return Err(format!("{text} is the name of something else: try {text}-ca or my-{text}"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_crates() {
        for name in ["my-ca", "a", "acme2"] {
            assert_eq!(crate_name(name), Ok(name.to_owned()));
        }
        for name in ["", "My-CA", "2ca", "-a", "a-", "a--b", "a_b", "../x", "config", "serde", "ä"] {
            assert!(crate_name(name).is_err(), "{name}");
        }
        assert_eq!(type_name("my-2nd-ca"), "My2ndCa");
    }

    #[test]
    fn the_templates_are_filled() {
        let sdk = Sdk::Git("https://git.example/x".into());
        for (path, template) in FILES {
            let text = fill(template, "my-ca", &sdk);
            assert!(!text.contains("{{"), "{path}: {text}");
        }
        let manifest = fill(FILES[0].1, "my-ca", &sdk);
        assert!(manifest.contains("wasm-issuer-sdk = { git = \"https://git.example/x\" }"), "{manifest}");
        assert!(next_steps("my-ca", Path::new("my-ca"), &sdk).contains("--sdk FOLDER"));
    }

    #[test]
    fn the_sdk_is_found_in_a_checkout() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let sdk = checkout.join("sdk").canonicalize().unwrap();
        for place in [checkout.clone(), checkout.join("sdk")] {
            assert_eq!(Sdk::find(place.to_str().unwrap()).unwrap(), Sdk::Folder(sdk.clone()));
        }
        assert!(Sdk::find("/nowhere").is_err());
        assert!(Sdk::find("https://a\"b").is_err());
    }
}
