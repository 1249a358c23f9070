//! The blocks of one name, run in their order.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use wasm_issuer_docs::{Block, Fate, Page, root};

use crate::node::{self, Node};

/// What the shell does with the blocks: it names the one whose command fails.
const PRELUDE: &str = r#"set -Eeuo pipefail
trap 'printf "\n%s: this failed with %d: %s\n" "$DOCS_BLOCK" $? "$BASH_COMMAND" >&2' ERR
"#;

/// The blocks of one name.
pub struct Scenario {
    pub name: String,
    pub blocks: Vec<Block>,
}

impl Scenario {
    /// All of them, in the order in which they appear, but those that others begin with.
    pub fn all(pages: &[Page]) -> Vec<Self> {
        let mut all: Vec<Self> = vec![];
        let mut before: BTreeMap<String, String> = BTreeMap::new();
        for block in pages.iter().flat_map(|page| &page.blocks) {
            let Fate::Run { name, after } = &block.fate else { continue };
            if let Some(after) = after {
                before.insert(name.clone(), after.clone());
            }
            match all.iter_mut().find(|it| it.name == *name) {
                Some(scenario) => scenario.blocks.push(block.clone()),
                None => all.push(Self { name: name.clone(), blocks: vec![block.clone()] }),
            }
        }
        let beginning = |name: &str| {
            let (mut name, mut blocks) = (name.to_owned(), vec![]);
            while let Some(after) = before.get(&name) {
                let other = all.iter().find(|it| it.name == *after);
                let other =
                    other.unwrap_or_else(|| panic!("no block has test={after}, which {name} comes after"));
                blocks = other.blocks.iter().cloned().chain(blocks).collect();
                name.clone_from(after);
            }
            blocks
        };
        let whole = all.iter().filter(|it| !before.values().any(|name| *name == it.name)).map(|it| {
            let blocks = beginning(&it.name).into_iter().chain(it.blocks.iter().cloned()).collect();
            Self { name: it.name.clone(), blocks }
        });
        whole.collect()
    }

    /// Whether one of the blocks calls this program.
    pub fn needs(&self, program: &str) -> bool {
        let calls = |line: &str| line.split_whitespace().next() == Some(program);
        self.blocks.iter().any(|block| block.text.lines().any(calls))
    }

    /// Run them in the cluster of the environment; whether all went well.
    pub fn run(&self) -> bool {
        let workdir =
            PathBuf::from(env::var_os("CLUSTER_WORKDIR").expect("run this under test/cluster/run.sh"));
        let folder = checkout(&workdir);
        let script = workdir.join("commands.sh");
        fs::write(&script, self.script()).expect("a script");
        let images = workdir.join("images");
        fs::write(&images, "").expect("a file");
        let stop = node::Stop::default();
        let node = Node::new(&workdir, images.clone(), stop.clone());
        let node = thread::spawn(move || node.run());
        let status = Command::new("bash")
            .arg(&script)
            .current_dir(&folder)
            .env("PATH", path())
            .env("STAND_IN_IMAGES", &images)
            .env("HOME", &workdir)
            .envs(kept())
            .env("CARGO_NET_OFFLINE", "true")
            // What the commands build is where the pages say.
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .expect("bash");
        stop.now();
        node.join().expect("the node");
        if !status.success() {
            node::tell_logs(&workdir);
        }
        status.success()
    }

    fn script(&self) -> String {
        let blocks = self.blocks.iter().map(|block| {
            let place = block.place();
            format!(
                "DOCS_BLOCK={place}\nprintf '\\033[2m--- %s\\033[0m\\n' \"$DOCS_BLOCK\" >&2\n{}",
                block.text
            )
        });
        std::iter::once(PRELUDE.to_owned()).chain(blocks).collect()
    }
}

/// A folder that has what the root of the repository has: what commands write beside it is gone with the cluster.
fn checkout(workdir: &Path) -> PathBuf {
    let folder = workdir.join("wasm-issuer");
    fs::create_dir(&folder).expect("a folder");
    for entry in fs::read_dir(root()).expect("the root").flatten().filter(|it| it.file_name() != "target") {
        symlink(entry.path(), folder.join(entry.file_name())).expect("a link");
    }
    // Wherever it is: plugins are in target/wasm32-wasip2/plugin.
    let plugins = node::plugins();
    symlink(plugins.ancestors().nth(2).expect("a folder"), folder.join("target")).expect("a link");
    folder
}

/// Where tools have what they have downloaded and built, for a HOME that has nothing.
fn kept() -> [(&'static str, OsString); 3] {
    let home = PathBuf::from(env::var_os("HOME").expect("HOME"));
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    [
        ("CARGO_HOME", home.join(".cargo")),
        ("RUSTUP_HOME", home.join(".rustup")),
        ("WASM_ISSUER_CACHE", cache.join("wasm-issuer")),
    ]
    .map(|(variable, default)| (variable, env::var_os(variable).unwrap_or_else(|| default.into_os_string())))
}

/// What stands in for programs, then `wasm-issuer` as somebody has it who has installed it, then the rest.
fn path() -> OsString {
    let binary = node::binary();
    let tools = env::var_os("DOCS_TOOLS").map(PathBuf::from).unwrap_or_default();
    let before =
        [root().join("test/docs/stand-ins"), binary.parent().expect("its folder").to_path_buf(), tools];
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(before.into_iter().chain(env::split_paths(&rest))).expect("paths")
}
