//! cosign itself, as its users run it offline: key pairs and signatures, and no log. It speaks to the registry alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::operator::root;
use crate::registry::printed;

/// The folder with cosign; none where the Go module proxy does not serve it.
static TOOL: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let script = Command::new(root().join("test/go-tool.sh")).arg("cosign").stderr(Stdio::inherit()).output();
    let built = script.expect("test/go-tool.sh runs");
    built.status.success().then(|| PathBuf::from(String::from_utf8(built.stdout).expect("a path").trim_end()))
});

/// cosign, with the keys in a folder of its own.
pub struct Cosign {
    program: PathBuf,
    folder: PathBuf,
}

/// The form of a signature.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// As cosign 3 signs.
    Bundle,
    /// As cosign 2 does.
    Payload,
}

impl Cosign {
    /// With this folder; none where it cannot be had.
    pub fn find(folder: &Path) -> Option<Self> {
        let program = TOOL.as_ref()?.join("cosign");
        std::fs::create_dir_all(folder).expect("a folder");
        Some(Self { program, folder: folder.to_owned() })
    }

    /// Make a key pair. Returns the public key as PEM.
    pub fn key_pair(&self, name: &str) -> String {
        self.run(&["generate-key-pair", "--output-key-prefix", name]).expect("a key pair");
        std::fs::read_to_string(self.public_key(name)).expect("a public key")
    }

    /// The file of a public key.
    pub fn public_key(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pub"))
    }

    /// Sign what is in a registry, with the private key of that name.
    pub fn sign(&self, key: &str, reference: &str, form: Form) {
        let (key, form) = (
            format!("{key}.key"),
            match form {
                Form::Bundle => "--new-bundle-format=true",
                Form::Payload => "--new-bundle-format=false",
            },
        );
        let offline = ["--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry", "--yes"];
        self.run(&[&["sign", "--key", &key, form], offline.as_slice(), &[reference]].concat())
            .expect("it is signed");
    }

    /// Whether cosign finds a signature by a key.
    pub fn verify(&self, key: &str, reference: &str) -> Result<String, String> {
        let key = format!("{key}.pub");
        self.run(&[
            "verify",
            "--key",
            &key,
            "--insecure-ignore-tlog=true",
            "--allow-http-registry",
            reference,
        ])
    }

    fn run(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        let ran =
            command.args(args).current_dir(&self.folder).env("HOME", &self.folder).env("COSIGN_PASSWORD", "");
        printed(ran.output().expect("cosign"))
    }
}
