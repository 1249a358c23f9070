//! What there is too little of.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasm_issuer_e2e::{KeyKind, Process};

/// What limits a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The CA takes long for each, and a process has so many calls under way at a time.
    Calls,
    /// Each process has a part of a processor, as a pod with a limit, and signs with a large key.
    Processor,
    /// Nothing but the machine, which all share.
    Machine,
}

/// Of a processor, in thousandths.
const MILLICORES: u32 = 60;
/// Few, so that no machine is too slow for them.
const CALLS: usize = 16;

impl Limit {
    pub const ALL: [Self; 3] = [Self::Calls, Self::Processor, Self::Machine];

    /// In words.
    pub fn describe(self) -> String {
        match self {
            Self::Calls => {
                format!("a CA that takes 2 s, and `--max-in-flight {CALLS}` for each process")
            }
            Self::Processor => format!("{MILLICORES}m of a processor for each process, an RSA-4096 CA"),
            Self::Machine => "the machine, a P-256 CA".to_owned(),
        }
    }

    /// More of the arguments of each process.
    pub fn args(self) -> Vec<String> {
        if self == Self::Calls { vec!["--max-in-flight".to_owned(), CALLS.to_string()] } else { vec![] }
    }

    /// How long the CA takes.
    pub fn takes(self) -> Duration {
        if self == Self::Calls { Duration::from_secs(2) } else { Duration::ZERO }
    }

    /// The CA's key.
    pub fn key(self) -> KeyKind {
        if self == Self::Processor { KeyKind::Rsa4096 } else { KeyKind::P256 }
    }

    /// What each process may have of a processor, if not all.
    pub fn quota(self) -> Option<u32> {
        (self == Self::Processor).then_some(MILLICORES)
    }
}

/// A cgroup with a part of a processor, removed when it is dropped.
pub struct Quota {
    folder: PathBuf,
    millicores: u32,
}

/// In microseconds: what a quota is counted in.
const PERIOD: u32 = 100_000;

impl Quota {
    /// With nothing in it; none where this machine lets nobody make one. `number` tells those of this process apart.
    pub fn new(number: usize) -> Option<Self> {
        let (root, name) =
            (Path::new("/sys/fs/cgroup"), format!("wasm-issuer-shards-{}-{number}", std::process::id()));
        let v1 = root.join("cpu");
        let folder = if v1.join("cpu.cfs_quota_us").exists() { v1.join(name) } else { root.join(name) };
        fs::create_dir(&folder).ok()?;
        let quota = Self { folder, millicores: MILLICORES };
        quota.set().then_some(quota)
    }

    fn set(&self) -> bool {
        let quota = self.millicores * (PERIOD / 1000);
        let v1 = self.folder.join("cpu.cfs_quota_us");
        if v1.exists() {
            return fs::write(v1, quota.to_string()).is_ok();
        }
        fs::write(self.folder.join("cpu.max"), format!("{quota} {PERIOD}")).is_ok()
    }

    /// A process has no more from now on.
    pub fn hold(&self, process: &Process) {
        fs::write(self.folder.join("cgroup.procs"), process.pid.to_string()).expect("it is moved there");
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}
