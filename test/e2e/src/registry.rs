//! Real OCI registries on loopback, in clear text: one without users (crane's), the same where it lists what refers to a
//! manifest, and one with users (the reference implementation, Debian's package docker-registry). Killed they keep their
//! layers, and the last one all that it has.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::SOON;
use crate::operator::{binary, root};

/// `wasm` with the password `s3cret`, as htpasswd writes it.
const USERS: &str = "wasm:$2y$05$zOZr8udZeo0PF3kK7mxnrOPp4MNMv4QHc.5QtX9A9UFAsNhxHBlSa\n";
/// The registry that asks for it.
const WITH_USERS: &str = "docker-registry";

/// The folder with crane, oras and the registry that lists. `build.sh` builds what is missing there.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = root().join("test/registry/build.sh");
    let built = Command::new(script).stderr(Stdio::inherit()).output().expect("test/registry/build.sh runs");
    assert!(built.status.success(), "test/registry/build.sh failed: see above");
    PathBuf::from(String::from_utf8(built.stdout).expect("a path").trim_end())
});

/// A registry, which ends when it is dropped.
pub struct Registry {
    /// `127.0.0.1:port`
    pub host: String,
    folder: PathBuf,
    program: Program,
    running: Option<Child>,
}

#[derive(Clone, Copy)]
enum Program {
    Crane,
    Listing,
    WithUsers,
}

impl Registry {
    /// One for everybody. What it has and logs is in this folder.
    pub fn open(folder: &Path) -> Self {
        Self::start(folder, Program::Crane)
    }

    /// The same, which lists what refers to a manifest.
    pub fn listing(folder: &Path) -> Self {
        Self::start(folder, Program::Listing)
    }

    /// One for the user `wasm` alone; none where that registry is not installed.
    pub fn with_users(folder: &Path) -> Option<Self> {
        let found = Command::new(WITH_USERS).arg("--version").output().is_ok();
        found.then(|| Self::start(folder, Program::WithUsers))
    }

    fn start(folder: &Path, program: Program) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        std::fs::create_dir_all(folder.join("content")).expect("a folder");
        let host = format!("127.0.0.1:{port}");
        let mut registry = Self { host, folder: folder.to_owned(), program, running: None };
        registry.up();
        registry
    }

    /// Start it, with what it had before.
    pub fn up(&mut self) {
        let content = self.folder.join("content");
        let mut command = match self.program {
            Program::WithUsers => {
                let mut command = Command::new(WITH_USERS);
                command.arg("serve").arg(self.configuration(&content));
                command
            }
            Program::Crane => {
                let mut command = Command::new(TOOLS.join("crane"));
                command.args(["registry", "serve", "--address", &self.host, "--disk"]).arg(content);
                command
            }
            Program::Listing => {
                let mut command = Command::new(TOOLS.join("registry"));
                command.arg(&self.host).arg(content);
                command
            }
        };
        let log = std::fs::File::create(self.folder.join("log")).expect("a file");
        let errors = log.try_clone().expect("a file");
        self.running = Some(command.stdout(log).stderr(errors).spawn().expect("a registry"));
        let began = Instant::now();
        while TcpStream::connect(&self.host).is_err() {
            assert!(began.elapsed() < SOON, "the registry does not start: see {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The file that tells the reference implementation what to do.
    fn configuration(&self, content: &Path) -> PathBuf {
        let (users, config) = (self.folder.join("users"), self.folder.join("config.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {content:?}}}}}\nhttp: {{addr: \"{}\"}}\n\
             auth: {{htpasswd: {{realm: test, path: {users:?}}}}}\n",
            self.host
        );
        std::fs::write(users, USERS).and_then(|()| std::fs::write(&config, text)).expect("a file");
        config
    }

    /// End it as a machine's failure would.
    pub fn down(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().and_then(|()| running.wait().map(drop)).expect("it is our child");
        }
    }

    /// A file with the credentials of `wasm`, as `docker login` writes it, with this password.
    pub fn login(&self, password: &str) -> String {
        let auth = BASE64_STANDARD.encode(format!("wasm:{password}"));
        format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, self.host)
    }

    /// Push a component with `wasm-issuer plugin push`. Returns the reference with its digest.
    pub fn push(&self, component: &[u8], name: &str, args: &[&str]) -> Result<String, String> {
        let file = self.folder.join("pushed.wasm");
        std::fs::write(&file, component).expect("a file");
        let reference = format!("{}/{name}", self.host);
        let pushed = Command::new(binary())
            .args(["plugin", "push", "--plain-http"])
            .args(args)
            .arg(file)
            .arg(reference)
            .env("HOME", &self.folder)
            .output();
        printed(pushed.expect("the CLI"))
    }

    /// Pull a component with `wasm-issuer plugin pull`.
    pub fn pull(&self, reference: &str) -> Vec<u8> {
        self.pull_with(reference, &[]).expect("it is pulled")
    }

    /// The same with these arguments; or what it says where it fails.
    pub fn pull_with(&self, reference: &str, args: &[&str]) -> Result<Vec<u8>, String> {
        let file = self.folder.join("pulled.wasm");
        let pulled = Command::new(binary())
            .args(["plugin", "pull", "--plain-http", reference, "-o"])
            .arg(&file)
            .args(args)
            .env("HOME", &self.folder)
            .output();
        printed(pulled.expect("the CLI"))?;
        Ok(std::fs::read(file).expect("the component"))
    }

    /// What `wasm-issuer plugin verify` prints, or what it says where it fails.
    pub fn verify(&self, reference: &str, key: &Path) -> Result<String, String> {
        let verified = Command::new(binary())
            .args(["plugin", "verify", "--plain-http", reference, "--verify-key"])
            .arg(key)
            .env("HOME", &self.folder)
            .output();
        printed(verified.expect("the CLI"))
    }

    /// Push a file with oras, as a layer of the type of a component. Returns the reference.
    pub fn oras(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.folder.join("layer.wasm"), bytes).expect("a file");
        let reference = format!("{}/{name}", self.host);
        let pushed = Command::new(TOOLS.join("oras"))
            .args(["push", "--plain-http", &reference, "layer.wasm:application/wasm"])
            .current_dir(&self.folder)
            .output();
        printed(pushed.expect("oras")).expect("it is pushed");
        reference
    }

    /// What crane shows of a manifest.
    pub fn manifest(&self, reference: &str) -> String {
        let shown = Command::new(TOOLS.join("crane")).args(["manifest", "--insecure", reference]).output();
        printed(shown.expect("crane")).expect("a manifest")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.down();
    }
}

/// What a command printed on stdout, or on stderr where it failed.
pub fn printed(Output { status, stdout, stderr }: Output) -> Result<String, String> {
    let text = |bytes| String::from_utf8(bytes).expect("text").trim_end().to_owned();
    if status.success() { Ok(text(stdout)) } else { Err(text(stderr)) }
}
