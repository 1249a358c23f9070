//! What a new plugin is made of: the folders in `templates` and, in other languages than Rust, those of plugins/examples, as
//! they are in this program.

/// Files below a folder of this crate.
macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $path)))),+]
    };
}

mod kinds;
mod languages;
mod rust;

use anyhow::Context as _;
use clap::ValueEnum;

pub use self::kinds::{Language, Skeleton, Template};

/// All that there are; of those in a language the first is the default.
pub static ALL: &[Skeleton] =
    &[rust::CA, rust::HTTP, languages::GO, languages::JS, languages::PYTHON, languages::C];

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
            assert!(found.files().any(|(path, _)| path == found.start), "{}", found.start);
        }
        assert_eq!(find(Language::Rust, None).unwrap().template, Template::Ca);
        assert_eq!(find(Language::Go, None).unwrap().template, Template::Http);
        let error = find(Language::Go, Some(Template::Ca)).unwrap_err().to_string();
        assert_eq!(error, "in go there is only --template http");
    }

    fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { below(&path, found) } else { assert!(found.insert(path)) }
        }
    }

    /// What is in a folder, by paths from there.
    fn content(folder: &str) -> BTreeSet<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut found = BTreeSet::new();
        below(&folder, &mut found);
        let is_built = |path: &Path| {
            path.ends_with("plugin.wasm") || path.components().any(|it| it.as_os_str() == "__pycache__")
        };
        let paths = found.iter().map(|path| path.strip_prefix(&folder).unwrap());
        paths.filter(|path| !is_built(path)).map(Path::to_owned).collect()
    }

    #[test]
    fn no_file_of_a_folder_is_left_behind() {
        let handed_out = |language, template| -> BTreeSet<PathBuf> {
            let files = find(language, template).unwrap().files();
            files.map(|(path, _)| path.into()).filter(|path| path != Path::new(".gitignore")).collect()
        };
        for (template, name) in [(Template::Ca, "ca"), (Template::Http, "http")] {
            let folder = content(&format!("src/cli/author/new/templates/{name}"));
            assert_eq!(handed_out(Language::Rust, Some(template)), folder);
        }
        for language in [Language::Go, Language::Js, Language::Python, Language::C] {
            let mut folder = content(&format!("../../plugins/examples/{}", value_name(language)));
            folder.append(&mut content("src/cli/author/new/templates/languages"));
            assert_eq!(handed_out(language, None), folder);
        }
    }
}
