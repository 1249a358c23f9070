//! What a new plugin is made of: the folders in `templates`, as they are in this program.

use anyhow::Context as _;
use clap::ValueEnum;

/// What a plugin starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// A CA with a key of its own: of the Issuer's Secret, or made on the spot
    Ca,
    /// Certificates from a CA with an HTTP API: a token, orders that take their time, and the tests of all that
    Http,
}

/// The language of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With the SDK
    Rust,
}

/// The files of a new plugin.
#[derive(Debug)]
pub struct Skeleton {
    /// What they are written in.
    pub language: Language,
    /// What they do.
    pub template: Template,
    /// The file to read first.
    pub start: &'static str,
    /// The commands that come next, one to a line, with names as in the files.
    pub steps: &'static str,
    /// Paths in the folder, and texts in which `{{name}}` and others are yet to be filled in.
    pub files: &'static [(&'static str, &'static str)],
}

/// The files of a folder beside this one.
macro_rules! files {
    ($folder:literal: $($path:literal),+) => {
        &[(".gitignore", "/target\n"), $(($path, include_str!(concat!($folder, "/", $path)))),+]
    };
}

const CARGO: &str = "\
cargo test
cargo build --target wasm32-wasip2 --release
wasm-issuer plugin inspect target/wasm32-wasip2/release/{{file}}.wasm";

/// All that there are; of those in a language the first is the default.
pub static ALL: &[Skeleton] = &[
    Skeleton {
        language: Language::Rust,
        template: Template::Ca,
        start: "src/lib.rs",
        steps: CARGO,
        files: files!("templates/ca": "Cargo.toml", "README.md", "issuer.yaml", "src/lib.rs"),
    },
    Skeleton {
        language: Language::Rust,
        template: Template::Http,
        start: "src/api.rs",
        steps: CARGO,
        files: files!(
            "templates/http": "Cargo.toml", "README.md", "issuer.yaml", "src/lib.rs", "src/config.rs",
            "src/api.rs", "src/api/tests.rs", "cases/check-with-another-token/case.yaml",
            "cases/check-with-another-token/exchanges.yaml", "cases/check/case.yaml",
            "cases/check/exchanges.yaml", "cases/sign-what-is-ordered/case.yaml",
            "cases/sign-what-is-ordered/exchanges.yaml", "cases/sign-what-the-ca-refuses/case.yaml",
            "cases/sign-what-the-ca-refuses/exchanges.yaml", "cases/sign-when-the-ca-is-busy/case.yaml",
            "cases/sign-when-the-ca-is-busy/exchanges.yaml", "cases/sign-when-the-order-is-done/case.yaml",
            "cases/sign-when-the-order-is-done/exchanges.yaml", "cases/sign-when-the-order-is-done/web.csr",
            "cases/sign/case.yaml", "cases/sign/exchanges.yaml", "cases/sign/web.csr"
        ),
    },
];

/// The one of that kind; without a template the language's first.
pub fn find(language: Language, template: Option<Template>) -> anyhow::Result<&'static Skeleton> {
    let is_wanted =
        |it: &&Skeleton| it.language == language && template.is_none_or(|wanted| it.template == wanted);
    ALL.iter().find(is_wanted).with_context(|| {
        let there_are = ALL.iter().filter(|it| it.language == language).map(|it| value_name(it.template));
        let there_are: Vec<String> = there_are.collect();
        format!("in {} there is only --template {}", value_name(language), there_are.join(" or "))
    })
}

/// As the command line has it.
fn value_name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_kind_is_found_and_the_first_is_the_default() {
        for skeleton in ALL {
            let found = find(skeleton.language, Some(skeleton.template)).unwrap();
            assert!(std::ptr::eq(found, skeleton));
            assert!(found.files.iter().any(|(path, _)| *path == found.start), "{}", found.start);
        }
        assert_eq!(find(Language::Rust, None).unwrap().template, Template::Ca);
    }

    fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { below(&path, found) } else { assert!(found.insert(path)) }
        }
    }

    #[test]
    fn no_file_of_a_template_is_left_behind() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/author/new/templates");
        for (template, name) in [(Template::Ca, "ca"), (Template::Http, "http")] {
            let (folder, mut found) = (folder.join(name), BTreeSet::new());
            below(&folder, &mut found);
            let files = find(Language::Rust, Some(template)).unwrap().files;
            let handed_out = files.iter().map(|(path, _)| *path).filter(|path| *path != ".gitignore");
            assert_eq!(handed_out.map(|path| folder.join(path)).collect::<BTreeSet<_>>(), found);
        }
    }
}
