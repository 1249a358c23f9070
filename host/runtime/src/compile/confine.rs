//! What the compiler's process gives up: everything but memory, threads and the pipes that it holds.
//!
//! A component that takes over the compiler then finds a process without files, sockets and other programs. The list
//! says what is allowed, and everything else fails with EPERM, which libraries take for "not on this machine". Landlock
//! is a second layer of the kernel's, for the day when a call that is allowed reaches more than was thought.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetError, RulesetStatus, Scope,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// What compiling needs on threads of its own.
const ALLOWED: &[libc::c_long] = &[
    // The pipes.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads. A process is no more than another thread to the kernel, so it could make one: as confined as itself.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_prctl,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals of its own.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_restart_syscall,
];

/// Give up everything else, for this thread and those that it will start. An error if the kernel does not know how, or
/// on an architecture that the filter does not know.
pub fn to_computing() -> Result<(), Box<dyn std::error::Error>> {
    no_paths_and_ports()?; // before the filter, which knows no such call
    let rules: BTreeMap<_, _> = ALLOWED.iter().map(|call| (*call, vec![])).collect();
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(())
}

/// No path, no TCP port, no process outside and none of its sockets, as far as this kernel knows Landlock: whether it does
/// is in the answer. Where it does not, the filter does the same alone.
fn no_paths_and_ports() -> Result<RulesetStatus, RulesetError> {
    let all = ABI::V6;
    let rules =
        Ruleset::default().handle_access(AccessFs::from_all(all))?.handle_access(AccessNet::from_all(all))?;
    Ok(rules.scope(Scope::from_all(all))?.create()?.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Run by the next test in a process of its own.
    #[test]
    #[ignore = "gives up what other tests need"]
    fn confined() {
        to_computing().unwrap();
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM));
        };
        denied(std::net::TcpListener::bind("127.0.0.1:0").map(drop));
        denied(std::net::UdpSocket::bind("127.0.0.1:0").map(drop));
        denied(std::os::unix::net::UnixStream::pair().map(drop));
        denied(std::fs::read("/proc/self/environ").map(drop));
        denied(std::fs::File::create("/tmp/escaped").map(drop));
        assert!(Command::new("/bin/true").status().is_err());
        // What compiling takes.
        let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(move || vec![n; 10 << 20].len())).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 10 << 20));
        let engine = wasmtime::Engine::new(&crate::engine::config()).unwrap();
        engine.precompile_component(&wat::parse_str("(component (core module (func)))").unwrap()).unwrap();
    }

    /// Run by the next test in a process of its own.
    #[test]
    #[ignore = "gives up what other tests need"]
    fn without_paths_and_ports() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        if no_paths_and_ports().unwrap() == RulesetStatus::NotEnforced {
            println!("skipped: this kernel has no Landlock");
            return;
        }
        let denied = |result: std::io::Result<()>| {
            let error = result.unwrap_err().raw_os_error();
            assert!(matches!(error, Some(libc::EACCES | libc::EPERM)), "{error:?}");
        };
        denied(std::fs::read("/proc/self/environ").map(drop));
        denied(std::fs::File::create("/tmp/escaped").map(drop));
        denied(Command::new("/bin/true").status().map(drop));
        denied(std::net::TcpStream::connect(server.local_addr().unwrap()).map(drop));
    }

    fn passes_alone(test: &str) {
        let this = std::env::current_exe().unwrap();
        let name = format!("compile::confine::tests::{test}");
        let child = Command::new(this).args(["--exact", &name, "--ignored", "--nocapture"]).output().unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && output.contains("1 passed"), "{child:?}");
    }

    #[test]
    fn a_compiler_can_open_neither_files_nor_sockets() {
        passes_alone("confined");
    }

    #[test]
    fn landlock_alone_denies_paths_and_ports() {
        passes_alone("without_paths_and_ports");
    }
}
