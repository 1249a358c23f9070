//! What the kernel says of a process.

use std::path::PathBuf;

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

    /// The seconds that it has computed, in itself and in the kernel, to a hundredth.
    pub fn cpu(&self) -> f64 {
        let Ok(stat) = std::fs::read_to_string(self.folder.join("stat")) else { return f64::NAN };
        // In hundredths, after the name, which is in parentheses.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
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
