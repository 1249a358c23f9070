//! Compiling in a process of its own, which can be stopped and whose memory is limited.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;
use wasm_issuer_core::text::clean;
use wasmtime::Engine;

use super::artifact::{Artifact, precompile};
use crate::engine;
use crate::error::LoadError;

/// The exit code that means: the component is at fault, and stderr says why.
const INVALID: u8 = 3;
const MAX_ARTIFACT: u64 = 512 << 20;
const MAX_MESSAGE: u64 = 4096;

/// The program that compiles, one process for each component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerProcess {
    /// This same program: machine code of another one would not fit, or worse, seem to.
    pub program: PathBuf,
    /// What makes it call [`compile_for_parent`].
    pub args: Vec<OsString>,
    /// The memory that it may use, in bytes.
    pub memory: u64,
}

impl CompilerProcess {
    /// This program's own `compile` command.
    pub fn this_program(memory: u64) -> std::io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, args: vec!["compile".into()], memory })
    }

    /// Have a new process compile this, within `limit`.
    pub(super) async fn compile(&self, wasm: &[u8], limit: Duration) -> Result<Artifact, LoadError> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| LoadError::compiler(format_args!("{}: {error}", self.program.display())))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(LoadError::compiler("the compiler's pipes are missing"));
        };
        let (mut stdout, mut stderr) = (stdout.take(MAX_ARTIFACT), stderr.take(MAX_MESSAGE));
        let (mut artifact, mut message) = (Vec::new(), Vec::new());
        let work = async {
            let (sent, read, _) = tokio::join!(
                self.send(stdin, wasm, limit),
                stdout.read_to_end(&mut artifact),
                stderr.read_to_end(&mut message),
            );
            // A child that stops early breaks the pipe; its exit status says more than that.
            let status = child.wait().await?;
            if status.success() {
                sent?;
                read?;
            }
            Ok(status)
        };
        let status = match timeout(limit, work).await {
            Ok(status) => status.map_err(|error: std::io::Error| LoadError::compiler(error))?,
            Err(_elapsed) => return Err(LoadError::Timeout { limit }),
        };
        if status.success() { Ok(Artifact(artifact)) } else { Err(self.why(status, &message)) }
    }

    async fn send(&self, mut stdin: ChildStdin, wasm: &[u8], limit: Duration) -> std::io::Result<()> {
        stdin.write_all(&Budget { memory: self.memory, cpu: limit }.to_bytes()).await?;
        stdin.write_all(wasm).await?;
        stdin.shutdown().await
    }

    fn why(&self, status: ExitStatus, message: &[u8]) -> LoadError {
        let message = String::from_utf8_lossy(message);
        if status.code() == Some(INVALID.into()) {
            return LoadError::Invalid(clean(&message, 500));
        }
        LoadError::compiler(format_args!(
            "the compiler stopped ({status}), as it does where a component needs more than {} MiB to compile: {}",
            self.memory >> 20,
            clean(message.lines().next().unwrap_or_default(), 500),
        ))
    }
}

/// What the parent asks the child to limit itself to, ahead of the component.
struct Budget {
    memory: u64,
    cpu: Duration,
}

impl Budget {
    fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (memory, cpu) = bytes.split_at_mut(8);
        memory.copy_from_slice(&self.memory.to_le_bytes());
        cpu.copy_from_slice(&self.cpu.as_secs().to_le_bytes());
        bytes
    }

    fn read(mut from: impl Read) -> std::io::Result<Self> {
        let (mut memory, mut cpu) = ([0; 8], [0; 8]);
        from.read_exact(&mut memory)?;
        from.read_exact(&mut cpu)?;
        Ok(Self { memory: u64::from_le_bytes(memory), cpu: Duration::from_secs(u64::from_le_bytes(cpu)) })
    }

    /// The parent stops a child that takes too long. Should the parent be gone, the processor time runs out.
    fn apply(&self) -> std::io::Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = self.cpu.as_secs().max(1).saturating_mul(cores.try_into().unwrap_or(1));
        for (resource, limit) in
            [(Resource::Data, self.memory), (Resource::Cpu, cpu), (Resource::Core, 0), (Resource::Fsize, 0)]
        {
            setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
        }
        // Whatever is being signed meanwhile comes first.
        rustix::process::nice(10).map(drop).or(Ok(()))
    }
}

/// The child's side: reads a component from stdin, writes machine code to stdout. For a hidden command of the program.
pub fn compile_for_parent() -> ExitCode {
    let compile = || -> std::io::Result<Result<Artifact, String>> {
        let mut stdin = std::io::stdin().lock();
        Budget::read(&mut stdin)?.apply()?;
        let mut wasm = Vec::new();
        stdin.read_to_end(&mut wasm)?;
        let engine = Engine::new(&engine::config()).map_err(std::io::Error::other)?;
        Ok(precompile(&engine, &wasm))
    };
    let failed = |error: &dyn std::fmt::Display, code| {
        eprintln!("{error}");
        code
    };
    match compile() {
        Ok(Ok(artifact)) => match std::io::stdout().lock().write_all(&artifact.0) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, ExitCode::FAILURE),
        },
        Ok(Err(message)) => failed(&message, ExitCode::from(INVALID)),
        Err(error) => failed(&error, ExitCode::FAILURE),
    }
}
