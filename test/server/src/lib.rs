//! Servers of other projects as child processes of a test, each at an address of its own on loopback.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "this is for tests: what does not work shall fail, with its place"
)]

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// What a `build.sh` exits with where what it builds from cannot be had.
const CANNOT_BE_HAD: i32 = 3;

/// The folder that a script below test/ prints, which holds the programs of servers and builds what is missing there. None
/// where they cannot be had; the script has said why.
pub fn programs(script: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(script);
    let built = Command::new(path).stderr(Stdio::inherit()).output().expect("the script runs");
    if built.status.code() == Some(CANNOT_BE_HAD) {
        return None;
    }
    assert!(built.status.success(), "test/{script} failed: see above");
    Some(PathBuf::from(String::from_utf8(built.stdout).expect("a path").trim_end()))
}

/// How long a server may take to accept connections: another build may have all cores.
const START: Duration = Duration::from_secs(120);

/// Becomes the server, and leaves a guard behind that kills it when standard input ends: the kernel closes that however
/// the process that holds the other end goes.
const TETHERED: &str = r#"exec 3<&0; (cat <&3 >/dev/null; kill -KILL $$) & exec "$@" 3<&- </dev/null"#;

/// A server: stopped until [`Server::start`], ended when it is dropped. It keeps its address.
pub struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    address: SocketAddr,
    running: Option<Child>,
}

impl Server {
    /// A program, and the arguments with which it listens at an address. It runs in the folder and logs there.
    pub fn new(program: PathBuf, folder: &Path, arguments: impl FnOnce(SocketAddr) -> Vec<String>) -> Self {
        let address = free_address();
        Self { program, arguments: arguments(address), folder: folder.to_owned(), address, running: None }
    }

    /// `https://host:port`, the same after a restart.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens, also after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged so far, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts it; it accepts connections when this returns.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.program.display());
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log file");
        let mut child = Command::new("sh")
            .args(["-c", TETHERED, "sh"])
            .arg(&self.program)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file descriptor"))
            .stderr(log)
            .spawn()
            .expect("sh");
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = child.try_wait().expect("it is our child");
            let in_time = ended.is_none() && began.elapsed() < START;
            assert!(in_time, "{} did not start, {ended:?}:\n{}", self.program.display(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.running = Some(child);
    }

    /// Ends it, if it runs. Nothing listens at its address afterwards.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // Closes its standard input first, which is the end of it.
            child.wait().expect("it is our child");
        }
    }

    fn log_file(&self) -> PathBuf {
        let name = self.program.file_name().expect("a program has a name");
        self.folder.join(name).with_extension("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A free port below those that the kernel hands out, so that nobody takes it while the server is stopped.
fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different ones.
    let first = std::process::id().wrapping_mul(64);
    for _ in PORTS {
        let nth = first.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed).into()) % PORTS.len() as u32;
        let port = u16::try_from(PORTS.start + nth).expect("a port");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {PORTS:?} is free");
}
