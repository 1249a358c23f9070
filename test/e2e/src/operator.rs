//! The operator under test: a child process with the ServiceAccount and the rights of deploy/.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::{Process, SOON, leases};

/// The operator. It ends with the process of the tests, however that ends.
pub struct Operator {
    workdir: PathBuf,
    running: Option<Running>,
    launch: Launch,
}

/// How it is started, where a test wants that otherwise than usual.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// A program that becomes the operator, with its first arguments; the operator's own command line follows.
    pub wrapper: Vec<OsString>,
    /// More of the operator's arguments.
    pub args: Vec<OsString>,
    /// How it reaches the API server, in place of `operator.kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
}

impl Launch {
    /// With these arguments.
    pub fn with(args: &[&str]) -> Self {
        Self { args: args.iter().map(OsString::from).collect(), ..Self::default() }
    }

    /// As one of several replicas, with these arguments besides.
    pub fn replica(more: &[&str]) -> Self {
        let all = ["--leader-elect", "--lease-namespace", leases::NAMESPACE];
        Self::with(&[all.as_slice(), more].concat())
    }
}

struct Running {
    operator: Child,
    /// Where it serves its probes and metrics.
    port: u16,
    /// Kills the operator when its standard input closes.
    guard: Child,
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("test/e2e is in the workspace")
}

fn path_from(variable: &str, default: &str) -> PathBuf {
    root().join(std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from))
}

/// The program that is tested.
pub fn binary() -> PathBuf {
    path_from("WASM_ISSUER_BINARY", "target/debug/wasm-issuer")
}

/// The file of a plugin.
pub fn plugin_file(name: &str) -> PathBuf {
    path_from("WASM_ISSUER_PLUGINS", "target/wasm32-wasip2/plugin").join(name).with_extension("wasm")
}

/// The file of the plugin in plugins/examples that is written in a language.
pub fn language_file(language: &str) -> PathBuf {
    path_from("WASM_ISSUER_LANGUAGES", "target/languages").join(language).with_extension("wasm")
}

/// The component of a plugin.
pub fn plugin(name: &str) -> Vec<u8> {
    let file = plugin_file(name);
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make test-cluster`", file.display()))
}

/// The servers of the tests are on this machine, some without TLS.
const POLICY: &str = r#"
wasmIssuers: {allowAddresses: [127.0.0.0/8], allowedHosts: ["https://*", "http://127.0.0.1"], registries: ["*", "http://127.0.0.1"], allowDifferences: [Extensions]}
wasmClusterIssuers: {allowAddresses: [127.0.0.0/8], registries: ["*", "http://127.0.0.1"]}
"#;

impl Operator {
    /// Install what deploy/ has for it, and start it.
    pub async fn install(workdir: &Path) -> Self {
        let script = "source test/operator.sh && operator_install";
        let installed =
            Command::new("bash").args(["-euo", "pipefail", "-c", script]).current_dir(root()).status().await;
        assert!(installed.expect("bash").success(), "test/operator.sh did not install the operator");
        let mut operator = Self { workdir: workdir.to_owned(), running: None, launch: Launch::default() };
        operator.write_builtins();
        std::fs::write(operator.workdir.join("policy.yaml"), POLICY).expect("a file");
        operator.start().await;
        operator
    }

    /// Another one beside it, with what is installed. It does not run yet.
    pub fn another(workdir: &Path, launch: Launch) -> Self {
        Self { workdir: workdir.to_owned(), running: None, launch }
    }

    /// The folder of builtin plugins: the real ones, and what else tests want to name.
    fn write_builtins(&self) {
        let folder = self.workdir.join("builtins");
        std::fs::create_dir_all(&folder).expect("a folder");
        for (name, file) in [
            ("in-memory-ca", "in_memory_ca"),
            ("cfssl", "cfssl"),
            ("step-ca", "step_ca"),
            ("aws-pca", "aws_pca"),
            ("hostile", "hostile_plugin"),
            ("hostile-http", "hostile_http_plugin"),
            ("minimal", "minimal_plugin"),
            ("counted-ca", "counted_ca_plugin"),
        ] {
            std::fs::write(folder.join(name).with_extension("wasm"), plugin(file)).expect("a copy");
        }
        // More than a ConfigMap holds.
        std::fs::write(folder.join("garbage.wasm"), vec![0xa5; 3 << 20]).expect("a file");
        let large = [b"\0asm\x0d\0\x01\0".as_slice(), &vec![0; 17 << 20]].concat();
        std::fs::write(folder.join("too-large.wasm"), large).expect("a file");
    }

    /// A client with its rights and no more.
    pub async fn client(workdir: &Path) -> Client {
        Self::client_of(&workdir.join("operator.kubeconfig")).await
    }

    /// A client of a kubeconfig.
    pub async fn client_of(kubeconfig: &Path) -> Client {
        let file = Kubeconfig::read_from(kubeconfig).expect("its kubeconfig");
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("a configuration")).expect("a client")
    }

    /// Where it logs, over all its starts.
    pub fn log_file(workdir: &Path) -> PathBuf {
        workdir.join("operator.log")
    }

    /// Start it, and wait until it is ready.
    pub async fn start(&mut self) {
        self.try_start().await.unwrap_or_else(|why| panic!("{why}; see {}", self.workdir.display()));
    }

    /// [`Operator::start`], or why it is not ready.
    pub async fn try_start(&mut self) -> Result<(), String> {
        assert!(!self.is_running(), "the operator runs already");
        let began = Instant::now();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let operator = self.spawn(port);
        let pid = operator.id().expect("it has just started").to_string();
        let guard = Command::new("sh")
            .args(["-c", r#"cat >/dev/null; kill -KILL "$0" 2>/dev/null"#, &pid])
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("sh");
        self.running = Some(Running { operator, port, guard });
        while !is_ready(port).await {
            if !self.is_running() {
                return Err("the operator ended at once".to_owned());
            }
            if began.elapsed() > SOON {
                return Err(format!("the operator is not ready after {SOON:?}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn spawn(&self, port: u16) -> Child {
        let log =
            OpenOptions::new().create(true).append(true).open(Self::log_file(&self.workdir)).expect("a log");
        let binary = binary();
        let launch = &self.launch;
        let usual = self.workdir.join("operator.kubeconfig");
        let mut line = launch.wrapper.iter().map(OsString::as_os_str).chain([binary.as_os_str()]);
        Command::new(line.next().expect("a program"))
            .args(line)
            .args(["run", "--cluster-resource-namespace", "wasm-issuer"])
            .arg("--builtin-dir")
            .arg(self.workdir.join("builtins"))
            .arg("--policy")
            .arg(self.workdir.join("policy.yaml"))
            .args(["--health-address", &format!("127.0.0.1:{port}")])
            .args(&launch.args)
            .env("KUBECONFIG", launch.kubeconfig.as_ref().unwrap_or(&usual))
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make test-cluster`", binary.display()))
    }

    /// Start it so from now on, anew if it runs.
    pub async fn relaunch(&mut self, launch: Launch) {
        if self.is_running() {
            self.kill().await;
        }
        self.launch = launch;
        self.start().await;
    }

    /// Have it run as usual.
    pub(crate) async fn restore(&mut self) {
        if self.launch != Launch::default() {
            self.relaunch(Launch::default()).await;
        } else if !self.is_running() {
            self.start().await;
        }
    }

    /// What its metrics say of one series, `wasm_issuer_signs_total{outcome="issued"}`; 0 before it is first counted.
    pub async fn metric(&self, series: &str) -> u64 {
        let running = self.running.as_ref().expect("the operator runs");
        let metrics = get(running.port, "/metrics").await.expect("the metrics");
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().and_then(|r| r.operator.id()).expect("the operator runs")
    }

    /// Whether it has been started and has not ended.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|r| matches!(r.operator.try_wait(), Ok(None)))
    }

    /// End it as a machine's failure would.
    pub async fn kill(&mut self) {
        let mut running = self.running.take().expect("the operator runs");
        running.guard.kill().await.expect("the guard runs");
        running.operator.kill().await.expect("the operator runs");
    }

    /// End it as Kubernetes does, and wait for the end. None if it has not ended in time.
    pub async fn terminate(&mut self, patience: Duration) -> Option<ExitStatus> {
        let process = Process::new(self.pid());
        let mut running = self.running.take().expect("the operator runs");
        running.guard.kill().await.expect("the guard runs");
        process.signal("TERM");
        match timeout(patience, running.operator.wait()).await {
            Ok(status) => Some(status.expect("it is our child")),
            Err(_) => {
                running.operator.kill().await.expect("it still runs");
                None
            }
        }
    }
}

/// One that is out of files accepts nothing and says nothing.
async fn is_ready(port: u16) -> bool {
    let answer = timeout(Duration::from_secs(1), get(port, "/readyz")).await;
    matches!(answer, Ok(Ok(answer)) if answer.split(' ').nth(1) == Some("200"))
}

/// What the operator answers, with the status line and the headers.
async fn get(port: u16, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
