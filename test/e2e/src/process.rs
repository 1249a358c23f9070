//! What the kernel says of a process, and what a process is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// A process of this machine. What is asked of one that has ended is not a number.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    folder: PathBuf,
}

impl Process {
    /// The process with that number.
    pub fn new(pid: u32) -> Self {
        Self { pid, folder: PathBuf::from(format!("/proc/{pid}")) }
    }

    /// Those that this process has started and that have not ended.
    pub fn children() -> Vec<Self> {
        let Ok(all) = std::fs::read_dir("/proc") else { return vec![] };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let me = std::process::id().to_string();
        pids.map(Self::new).filter(|process| process.stat(1).as_ref() == Some(&me)).collect()
    }

    /// The child whose end of a TCP connection (IPv4) between two addresses of this machine is `its`; none if there is no
    /// such connection any more.
    pub fn of_connection(its: SocketAddr, ours: SocketAddr) -> Option<Self> {
        let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
        let ports = |line: &str| -> Option<(u16, u16, String)> {
            let mut fields = line.split_whitespace().skip(1);
            let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
            let (local, remote) = (port(fields.next()?)?, port(fields.next()?)?);
            Some((local, remote, fields.nth(6)?.to_owned()))
        };
        let mut rows = table.lines().filter_map(ports);
        let (.., inode) = rows.find(|(local, remote, _)| (*local, *remote) == (its.port(), ours.port()))?;
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        Self::children().into_iter().find(|process| process.open().contains(&socket))
    }

    /// Send it a signal, `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid.to_string()).status();
        assert!(sent.expect("kill").success(), "SIG{name} was not sent to {}", self.pid);
    }

    /// The seconds that it has computed, in itself and in the kernel, to a hundredth.
    pub fn cpu(&self) -> f64 {
        // In hundredths.
        let ticks = |field| self.stat(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN);
        (ticks(11) + ticks(12)) / 100.0
    }

    /// A field of its state, counted from behind its name, which is in parentheses.
    fn stat(&self, field: usize) -> Option<String> {
        let stat = std::fs::read_to_string(self.folder.join("stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(field).map(str::to_owned)
    }

    /// The bytes of memory that it has.
    pub fn resident(&self) -> f64 {
        self.status("VmRSS") * 1024.0
    }

    /// The most bytes of memory that it has had.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM") * 1024.0
    }

    /// The number of its threads.
    pub fn threads(&self) -> f64 {
        self.status("Threads")
    }

    fn status(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(self.folder.join("status")).unwrap_or_default();
        let value =
            |line: &str| line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok();
        status.lines().find_map(value).unwrap_or(f64::NAN)
    }

    /// How many files it has open.
    pub fn files(&self) -> usize {
        self.open().len()
    }

    /// How many sockets it has open.
    pub fn sockets(&self) -> usize {
        self.open().iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    fn open(&self) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(self.folder.join("fd")) else { return vec![] };
        files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).collect()
    }
}
