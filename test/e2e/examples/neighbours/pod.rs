//! The operator's surroundings, as a pod has them, and what it takes of them.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use wasm_issuer_e2e::{Launch, Operator, Process};

use crate::servers::Names;

/// As deploy/install.yaml has it.
const MEMORY: u64 = 1536 << 20;
const FILES: usize = 1024;
const MIB: f64 = (1 << 20) as f64;

/// Enters the cgroup and puts the files in place, where there are any, takes the processor that test/apart.sh left, and becomes
/// the operator.
const ENTER: &str = r#"
cgroup=$1 etc=$2 files=$3
shift 3
[ -z "$cgroup" ] || echo $$ >"$cgroup/cgroup.procs"
[ -z "$etc" ] || for file in resolv.conf hosts; do mount --bind "$etc/$file" "/etc/$file"; done
[ -z "${OPERATOR_CPU:-}" ] || taskset -cp "$OPERATOR_CPU" $$ >/dev/null
ulimit -n "$files"
exec "$@""#;

/// A pod's way to look up names: tries all of them in each search domain.
const SEARCH: &str = "search team-a.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

/// How a memory cgroup is read.
#[derive(Clone, Copy)]
enum Version {
    V1,
    V2,
}

/// A memory cgroup, removed when it is dropped.
struct Cgroup {
    folder: PathBuf,
    version: Version,
}

/// Where the operator runs.
pub struct Pod {
    cgroup: Option<Cgroup>,
    names: Option<Names>,
    /// Its files in /etc, in a mount namespace of its own; and its cache.
    folder: PathBuf,
}

/// What the operator takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// MiB that the kernel cannot take back.
    pub memory: f64,
    pub files: usize,
    pub threads: usize,
    /// How often it ended by itself, and was started again.
    pub ended: usize,
}

impl Usage {
    /// Whether it is what it was when all was quiet, or nearly.
    pub fn is_back(self, quiet: Self) -> bool {
        /// Allocators keep some, MiB.
        const MEMORY: f64 = 50.0;
        /// Connections to the API server wait for their next use, up to 90 s.
        const FILES: usize = 100;
        self.memory <= quiet.memory + MEMORY && self.files <= quiet.files + FILES
    }
}

impl Cgroup {
    fn new() -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("wasm-issuer-bench-{}", std::process::id());
        let (folder, version, limits) = if root.join("memory/memory.limit_in_bytes").exists() {
            (
                root.join("memory").join(name),
                Version::V1,
                ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
            )
        } else {
            (root.join(name), Version::V2, ["memory.max", "memory.swap.max"])
        };
        fs::create_dir(&folder).ok()?;
        let cgroup = Self { folder, version };
        let swap = if matches!(version, Version::V1) { MEMORY } else { 0 };
        cgroup.write(limits[0], MEMORY)?;
        // Swap would be a way around it, where there is any.
        let _ = cgroup.write(limits[1], swap);
        Some(cgroup)
    }

    fn write(&self, file: &str, value: u64) -> Option<()> {
        fs::write(self.folder.join(file), value.to_string()).ok()
    }

    fn read(&self, file: &str) -> Option<f64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }

    /// A line of a file of names and values.
    fn line(&self, file: &str, name: &str) -> Option<f64> {
        line(&self.folder.join(file), name)
    }

    /// Bytes, without the cache of files.
    fn held(&self) -> Option<f64> {
        let usage = match self.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        let cached =
            ["inactive_file", "active_file"].iter().filter_map(|name| self.line("memory.stat", name));
        Some(self.read(usage)? - cached.sum::<f64>())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A value in a file of lines with a name and a value.
fn line(file: &Path, name: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().map(str::split_whitespace);
    pairs.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

impl Pod {
    /// Make what the pod has, as far as this machine allows. `workdir` is the cluster's.
    pub fn new(workdir: &Path) -> Self {
        let folder = workdir.join("pod");
        fs::create_dir_all(folder.join("etc")).expect("a folder");
        let names = Names::start().filter(|_| can_mount(&folder));
        if let Some(names) = &names {
            let servers = format!("nameserver {}\n{SEARCH}", names.address.ip());
            fs::write(folder.join("etc/resolv.conf"), servers).expect("a file");
            fs::write(folder.join("etc/hosts"), "127.0.0.1 localhost\n").expect("a file");
        }
        Self { cgroup: Cgroup::new(), names, folder }
    }

    /// In words: where the operator runs.
    pub fn describe(&self) -> String {
        let memory = match &self.cgroup {
            Some(_) => format!("in a cgroup with {} MiB", MEMORY >> 20),
            None => "without a memory limit (no cgroup could be made here)".to_owned(),
        };
        let processor = match std::env::var_os("OPERATOR_CPU") {
            Some(_) => ", on a processor of its own",
            None => ", on the API server's processors",
        };
        format!("{memory}, {FILES} open files{processor}")
    }

    /// Whether the operator asks a name server of this process.
    pub fn has_names(&self) -> bool {
        self.names.is_some()
    }

    /// How the operator starts in here.
    pub fn launch(&self) -> Launch {
        let etc = self.names.as_ref().map(|_| self.folder.join("etc"));
        let cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.folder.clone());
        let mount: &[&str] = if etc.is_some() { &["unshare", "--mount"] } else { &[] };
        let mut wrapper: Vec<OsString> =
            mount.iter().chain(&["sh", "-ec", ENTER, "sh"]).map(OsString::from).collect();
        wrapper.extend([cgroup, etc].map(|path| path.map_or_else(OsString::new, PathBuf::into_os_string)));
        wrapper.push(FILES.to_string().into());
        let args = vec!["--cache-dir".into(), self.folder.join("cache").into()];
        Launch { wrapper, args, kubeconfig: None }
    }

    /// What the operator takes from here on is its peak, until it is asked for. The cache of files goes first: what was
    /// logged would be part of it.
    pub fn reset_peak(&self) {
        if let Some(cgroup @ Cgroup { version: Version::V1, .. }) = &self.cgroup {
            let _ = cgroup.write("memory.force_empty", 0);
            let _ = cgroup.write("memory.max_usage_in_bytes", 0);
        }
    }

    /// What the operator takes at this moment.
    fn usage(&self, operator: &Operator) -> Usage {
        let process = Process::new(operator.pid());
        let memory = self.cgroup.as_ref().and_then(Cgroup::held).unwrap_or_else(|| process.resident());
        Usage { memory: memory / MIB, files: process.files(), threads: process.threads() as usize, ended: 0 }
    }

    /// The most that the operator takes until it is done. If it ends it is started again.
    pub async fn watch(&self, operator: &mut Operator, done: &Cell<bool>) -> Usage {
        let mut most = Usage::default();
        while !done.get() {
            if operator.is_running() {
                let now = self.usage(operator);
                most.memory = most.memory.max(now.memory);
                most.files = most.files.max(now.files);
                most.threads = most.threads.max(now.threads);
            } else {
                most.ended += 1;
                let _ = operator.try_start().await;
            }
            sleep(Duration::from_millis(100)).await;
        }
        // Where the kernel keeps the peak, nothing of it is missed between two looks.
        if let Some(cgroup @ Cgroup { version: Version::V1, .. }) = &self.cgroup {
            most.memory = most.memory.max(cgroup.read("memory.max_usage_in_bytes").unwrap_or_default() / MIB);
        }
        most
    }

    /// What the operator takes once it is back to what it took when all was quiet. A call that runs is let finish, so that
    /// may take as long as one.
    pub async fn settle(&self, operator: &mut Operator, quiet: Option<Usage>) -> Usage {
        const WHILE: Duration = Duration::from_secs(40);
        let began = Instant::now();
        if !operator.is_running() {
            operator.start().await;
        }
        loop {
            sleep(Duration::from_secs(2)).await;
            let now = self.usage(operator);
            if began.elapsed() > WHILE || quiet.is_none_or(|quiet| now.is_back(quiet)) {
                return now;
            }
        }
    }
}

/// Whether this process may give others files of their own in /etc.
fn can_mount(folder: &Path) -> bool {
    let file = folder.join("etc/probe");
    fs::write(&file, "").expect("a file");
    let mount = ["--mount", "mount", "--bind"];
    let done = Command::new("unshare").args(mount).arg(&file).arg("/etc/resolv.conf").status();
    done.is_ok_and(|status| status.success())
}
