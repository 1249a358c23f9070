//! `wasm-issuer plugin new`

mod name;
mod sdk;
mod skeleton;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;

use self::sdk::Sdk;
use self::skeleton::{Language, Skeleton, Template};
use super::input::{self, quoted};
use super::output;
use super::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin new my-ca                            # a CA with a key of its own
  wasm-issuer plugin new my-ca --template http            # certificates from a CA with an HTTP API
  wasm-issuer plugin new my-ca --language go              # the same in Go, from CFSSL
  wasm-issuer plugin new my-ca --sdk ../wasm-issuer       # with the SDK of a checkout
  wasm-issuer plugin new my-ca --sdk https://git.example/wasm-issuer#v0.1.0

What is made builds at once, and its tests pass; its README.md says how to go on.

Exit codes:
  0  made
  2  wrong usage, or a folder that cannot be written";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// The plugin's name: lower-case letters, digits and '-'.
    #[arg(value_name = "NAME", value_parser = name::parse)]
    name: String,
    /// What it starts from [default: the first that there is in the language]
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// The language that it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,
    /// The folder to make [default: the plugin's name]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Where a plugin in Rust gets the SDK: `registry` (crates.io, in the version of this program), a checkout of wasm-issuer
    /// or the folder of its SDK, or the URL of a git repository, at the tag of this program's version or at another one.
    #[arg(long, value_name = "registry|FOLDER|URL[#TAG]", default_value = sdk::REGISTRY)]
    sdk: String,
}

/// The folder that is going to be made.
struct Plan {
    dir: PathBuf,
    name: String,
    skeleton: &'static Skeleton,
    /// Where it gets the SDK; none in other languages than Rust.
    sdk: Option<Sdk>,
}

pub fn run(args: NewArgs) -> anyhow::Result<Verdict> {
    let plan = Plan {
        skeleton: skeleton::find(args.language, args.template)?,
        sdk: (args.language == Language::Rust).then(|| Sdk::find(&args.sdk)).transpose()?,
        dir: args.dir.unwrap_or_else(|| PathBuf::from(&args.name)),
        name: args.name,
    };
    make(&plan)?;
    output::stdout(&plan.next_steps())?;
    Ok(Verdict::Fine)
}

fn make(plan: &Plan) -> anyhow::Result<()> {
    let Plan { dir, .. } = plan;
    let is_used = dir.exists() && std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!is_used, "{} is there already and not empty: give another folder with --dir", quoted(dir));
    for (path, text) in plan.files() {
        let path = dir.join(path);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", quoted(folder)))?;
        if path.extension().is_some_and(|extension| extension == "sh") {
            input::write_program(&path, text.as_bytes())?;
        } else {
            input::write(&path, text.as_bytes())?;
        }
    }
    // The versions that the SDK is tested with, which a checkout has downloaded already.
    if let Some(lock) = plan.sdk.as_ref().and_then(Sdk::lock_file) {
        let lock = input::read(&lock, "the SDK's lock file", input::MAX_TEXT)?;
        input::write(&dir.join("Cargo.lock"), &lock)?;
    }
    Ok(())
}

impl Plan {
    /// What the folder holds: paths in it, and their texts.
    fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.skeleton.files().map(|(path, template)| (path, self.fill(template)))
    }

    fn fill(&self, template: &str) -> String {
        let own = self.skeleton.filled.iter();
        let template = own
            .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
        template
            .replace("{{start}}", self.skeleton.start)
            .replace("{{name}}", &self.name)
            .replace("{{file}}", &self.file())
            .replace("{{sdk}}", &self.sdk.as_ref().map(Sdk::dependency).unwrap_or_default())
            .replace("{{repository}}", sdk::REPOSITORY)
            .replace("{{rust-version}}", sdk::RUST_VERSION)
    }

    /// The stem of the component that Cargo builds.
    fn file(&self) -> String {
        self.name.replace('-', "_")
    }

    fn next_steps(&self) -> String {
        let Self { dir, skeleton, .. } = self;
        let dir = dir.display();
        let steps = self.fill(skeleton.steps).replace('\n', "\n  ");
        let sdk = self.sdk.as_ref().map(|sdk| format!("{sdk}\n")).unwrap_or_default();
        format!(
            "made {dir}: start with {dir}/{start}\n\n  cd {dir}\n  {steps}\n\n\
             README.md has the rest: trying it out, and the way into a cluster.\n{sdk}",
            start = skeleton.start,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{WasmClusterIssuer, WasmIssuer};

    fn plan(skeleton: &'static Skeleton, sdk: Sdk) -> Plan {
        Plan { dir: PathBuf::from("my-ca"), name: "my-ca".to_owned(), skeleton, sdk: Some(sdk) }
    }

    #[test]
    fn every_name_in_a_skeleton_is_filled_in() {
        for skeleton in skeleton::ALL {
            let plan = plan(skeleton, Sdk::Registry);
            for (path, text) in plan.files() {
                assert!(!text.contains("{{"), "{path}: {text}");
            }
            assert!(!plan.next_steps().contains("{{"), "{}", plan.next_steps());
        }
    }

    #[test]
    fn the_issuer_of_a_skeleton_is_one() {
        for skeleton in skeleton::ALL {
            let plan = plan(skeleton, Sdk::Registry);
            let (_, issuer) = plan.files().find(|(path, _)| *path == "issuer.yaml").unwrap();
            let spec = if issuer.contains("kind: WasmClusterIssuer") {
                serde_saphyr::from_str::<WasmClusterIssuer>(&issuer).unwrap().spec.0
            } else {
                serde_saphyr::from_str::<WasmIssuer>(&issuer).unwrap().spec.0
            };
            spec.plugin.source().unwrap();
        }
    }

    #[test]
    fn a_manifest_has_the_name_and_the_sdk() {
        let skeleton = skeleton::find(Language::Rust, Some(Template::Http)).unwrap();
        let sdk = Sdk::find("https://git.example/x#v9").unwrap();
        let plan = plan(skeleton, sdk);
        let (_, manifest) = plan.files().find(|(path, _)| *path == "Cargo.toml").unwrap();
        assert!(manifest.contains("name = \"my-ca\"\n"), "{manifest}");
        let sdk =
            "wasm-issuer-sdk = { git = \"https://git.example/x\", tag = \"v9\", features = [\"http\"] }";
        assert!(manifest.contains(sdk), "{manifest}");
        assert!(plan.next_steps().contains("release/my_ca.wasm"));
        assert!(plan.next_steps().contains("--sdk FOLDER"));
    }

    #[test]
    fn a_folder_that_is_used_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "x").unwrap();
        let skeleton = skeleton::find(Language::Rust, None).unwrap();
        let plan = Plan { dir: folder.path().to_owned(), ..plan(skeleton, Sdk::Registry) };
        let error = make(&plan).unwrap_err().to_string();
        assert!(error.contains("give another folder with --dir"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
