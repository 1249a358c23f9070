//! Compiling in a process of its own, which can be stopped and whose memory is limited.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use wasm_issuer_core::text::clean;
use wasmtime::Engine;

use super::artifact::{Artifact, precompile};
use super::confine;
use crate::engine;
use crate::error::LoadError;

/// The exit code that means: the component is at fault, and stderr says why.
const INVALID: u8 = 3;
const MAX_MESSAGE: u64 = 4096;
/// What has wasmtime's compiler use one thread: it is rayon's to know.
const ONE_THREAD: [(&str, &str); 1] = [("RAYON_NUM_THREADS", "1")];

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

    /// Have a new process compile this, within this time and to no more than that many bytes. One that runs out of memory is
    /// followed by one that compiles a function at a time: those of an interpreter can be large, and how many of them are in
    /// work together depends on the processors.
    pub(super) async fn compile(
        &self,
        wasm: &[u8],
        time: Duration,
        size: usize,
    ) -> Result<Artifact, LoadError> {
        let work = async {
            match self.run(wasm, time, size, &[]).await? {
                Err(stopped) if stopped.is_out_of_memory() => self.run(wasm, time, size, &ONE_THREAD).await,
                done => Ok(done),
            }
        };
        let done = timeout(time, work).await.map_err(|_elapsed| LoadError::Timeout { limit: time })?;
        done?.map_err(|stopped| self.why(&stopped))
    }

    /// One process, with these environment variables alone. The inner error is that it stopped without an artifact.
    async fn run(
        &self,
        wasm: &[u8],
        time: Duration,
        size: usize,
        environment: &[(&str, &str)],
    ) -> Result<Result<Artifact, Stopped>, LoadError> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(environment.iter().copied())
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
        let mut message = Vec::new();
        let mut stderr = stderr.take(MAX_MESSAGE);
        // A child that stops early breaks the pipe; its exit status says more than that. One that writes too much is not
        // waited for.
        let (sent, artifact, _) = tokio::try_join!(
            async { Ok(self.send(stdin, wasm, time).await) },
            receive(stdout, size),
            async { Ok(stderr.read_to_end(&mut message).await) },
        )?;
        let status = child.wait().await.map_err(LoadError::compiler)?;
        if !status.success() {
            let message = String::from_utf8_lossy(&message).into_owned();
            return Ok(Err(Stopped { status, message }));
        }
        sent.map_err(LoadError::compiler)?;
        warn_once(&message);
        Ok(Ok(Artifact(artifact)))
    }

    async fn send(&self, mut stdin: ChildStdin, wasm: &[u8], limit: Duration) -> std::io::Result<()> {
        stdin.write_all(&Allowance { memory: self.memory, cpu: limit }.to_bytes()).await?;
        stdin.write_all(wasm).await?;
        stdin.shutdown().await
    }

    fn why(&self, Stopped { status, message }: &Stopped) -> LoadError {
        if status.code() == Some(INVALID.into()) {
            return LoadError::Invalid(clean(message, 500));
        }
        LoadError::compiler(format_args!(
            "the compiler stopped ({status}), as it does where a component needs more than {} MiB to compile: {}",
            self.memory >> 20,
            clean(message.lines().next().unwrap_or_default(), 500),
        ))
    }
}

/// A process that ended without an artifact, and what it said.
struct Stopped {
    status: ExitStatus,
    message: String,
}

impl Stopped {
    /// By the words with which Rust ends a program that gets no memory.
    fn is_out_of_memory(&self) -> bool {
        self.status.code().is_none() && self.message.contains("memory allocation of ")
    }
}

/// All that the child writes, unless that is too much.
async fn receive(stdout: ChildStdout, limit: usize) -> Result<Vec<u8>, LoadError> {
    let mut artifact = Vec::new();
    let beyond = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    stdout.take(beyond).read_to_end(&mut artifact).await.map_err(LoadError::compiler)?;
    if artifact.len() > limit { Err(LoadError::ArtifactTooLarge { limit }) } else { Ok(artifact) }
}

/// What a child says that did its work: this system does not let it give everything up. Each one says the same.
fn warn_once(message: &[u8]) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if let Some(line) = String::from_utf8_lossy(message).lines().next() {
        ONCE.call_once(|| tracing::warn!("{}", clean(line, 500)));
    }
}

/// What the parent asks the child to limit itself to, ahead of the component.
struct Allowance {
    memory: u64,
    cpu: Duration,
}

impl Allowance {
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
        rustix::process::nice(19).map(drop).or(Ok(()))
    }
}

/// The child's side: reads a component from stdin, writes machine code to stdout. For a hidden command of the program.
pub fn compile_for_parent() -> ExitCode {
    let compile = || -> std::io::Result<Result<Artifact, String>> {
        let mut stdin = std::io::stdin().lock();
        Allowance::read(&mut stdin)?.apply()?;
        // From here on there is one thread that computes, and others that it starts.
        if let Err(error) = confine::to_computing() {
            eprintln!("plugins are compiled by a process that could open files and sockets: {error}");
        }
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

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;

    use super::*;

    /// A shell in the compiler's place.
    async fn shell(script: &str, size: usize) -> Result<Artifact, LoadError> {
        let args = ["-c", script].map(OsString::from).to_vec();
        let process = CompilerProcess { program: "/bin/sh".into(), args, memory: 1 << 30 };
        process.compile(b"", Duration::from_secs(600), size).await
    }

    #[tokio::test]
    async fn an_endless_artifact_is_not_read_to_its_end() {
        let error = shell("cat >/dev/null; cat /dev/zero", 1 << 20).await.err();
        assert_eq!(error, Some(LoadError::ArtifactTooLarge { limit: 1 << 20 }));
        let artifact = shell("cat >/dev/null; head -c 1048576 /dev/zero", 1 << 20).await.unwrap();
        assert_eq!(artifact.0.len(), 1 << 20);
    }

    #[tokio::test]
    async fn what_has_no_memory_on_all_processors_is_compiled_on_one() {
        let fails = "echo 'memory allocation of 8 bytes failed' >&2; kill -ABRT $$";
        let script = format!(r#"cat >/dev/null; [ "$RAYON_NUM_THREADS" = 1 ] || {{ {fails}; }}; printf x"#);
        assert_eq!(shell(&script, 1 << 20).await.unwrap().0, b"x");
        let error = shell(&format!("cat >/dev/null; {fails}"), 1 << 20).await.err().unwrap().to_string();
        assert!(error.contains("memory allocation of 8 bytes"), "{error}");
    }

    #[tokio::test]
    async fn the_compiler_inherits_no_file_and_no_environment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let image = r#"(component (core module (memory 1) (data (i32.const 0) "x")))"#;
        let component = Component::new(&Engine::new(&engine::config()).unwrap(), image).unwrap();
        component.initialize_copy_on_write_image().unwrap();
        // Files that this process inherited itself are not what is tested: they are looked for by what they are.
        let number = std::os::fd::AsRawFd::as_raw_fd(&socket);
        let socket = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        let listed = shell("cat >/dev/null; export -p; ls -l /proc/self/fd", 1 << 20).await.unwrap();
        let listed = String::from_utf8(listed.0).unwrap();
        assert!(listed.contains(" 0 -> "), "{listed}");
        for other in ["CARGO", "PATH=", "wasm-memory-image"] {
            assert!(!listed.contains(other), "{other}: {listed}");
        }
        for other in [file.path(), &socket] {
            assert!(!listed.contains(other.to_str().unwrap()), "{}: {listed}", other.display());
        }
    }
}
