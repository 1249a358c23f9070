//! What can go wrong with a plugin, in words for whoever has to act on it.

mod breakage;

use std::fmt;
use std::time::Duration;

pub use breakage::{Breakage, Doing, Phase};
use wasm_issuer_core::issuance::signer::{Failure, FailureKind};
use wasm_issuer_core::text::clean;
use wasmparser::BinaryReaderError;

/// Why the runtime could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// wasmtime does not accept this machine or this configuration.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// The system gives no threads.
    #[error("the threads for plugins could not be started: {0}")]
    Threads(#[from] std::io::Error),
    /// The folder for compiled plugins is of no use.
    #[error("the cache folder {path} cannot be used: {error}")]
    CacheDir {
        /// Its path, as it was configured.
        path: String,
        /// What the system says, or what is wrong with the folder's mode.
        error: String,
    },
}

/// Why bytes were not accepted as a plugin. Each message says what was found and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There are no bytes.
    #[error("the plugin is empty (0 bytes): put the component's bytes there")]
    Empty,
    /// More bytes than the operator accepts.
    #[error(
        "the plugin has {bytes} bytes, at most {limit} are accepted: build it optimised for size and stripped, use it in a WasmClusterIssuer, or have maxComponent in the operator's policy raised"
    )]
    TooLarge {
        /// The size of the component, in bytes.
        bytes: usize,
        /// The largest size that is accepted, in bytes.
        limit: usize,
    },
    /// The bytes are not WebAssembly.
    #[error(
        "the plugin is {found}, not a WebAssembly component: give the .wasm file that `cargo build --target wasm32-wasip2` wrote"
    )]
    NotWasm {
        /// What the bytes look like instead.
        found: &'static str,
    },
    /// A component compiled to machine code. Loading one would mean to run whatever it holds outside of the sandbox.
    #[error(
        "the plugin is compiled to machine code (`wasmtime compile`), which is never accepted: give the component that it was compiled from"
    )]
    Precompiled,
    /// A module without the component model.
    #[error(
        "the plugin is a core WebAssembly module, not a component: build it with `--target wasm32-wasip2`, or turn it into one with `wasm-tools component new`"
    )]
    CoreModule,
    /// Bytes that do not validate.
    #[error("the plugin is not a valid component: {0}")]
    Invalid(String),
    /// A component, but not of our world.
    #[error("the plugin does not implement the world `wasm-issuer:plugin/issuer-plugin@0.1.0`: {0}")]
    WrongWorld(String),
    /// An import that nothing provides.
    #[error("the plugin imports `{name}`, which is not available: {hint}")]
    UnknownImport {
        /// The import, with its version.
        name: String,
        /// What is available in its place.
        hint: &'static str,
    },
    /// More than one of the bounds of its [`Budget`](crate::Budget).
    #[error(
        "the plugin has {found} {what}, at most {bound} are accepted: {mend}; one that a WasmClusterIssuer uses may be larger"
    )]
    OverBudget {
        /// What is counted.
        what: &'static str,
        /// How much of it was found, at least.
        found: u64,
        /// The bound.
        bound: u64,
        /// What to do about it.
        mend: &'static str,
    },
    /// Too much machine code and too many images came out of the compiler.
    #[error(
        "the plugin compiles to more than {} of machine code and data: make it smaller; one that a WasmClusterIssuer uses may be larger",
        size(*limit)
    )]
    ArtifactTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// All the code that may be loaded, by this owner or by everybody, is.
    #[error(
        "the plugin's {} of code do not fit: the plugins of {owner} hold {}, {} are free, and nobody takes more than it leaves to others; use fewer different plugins, or raise the operator's --code-memory",
        size(*bytes), size(*held), size(*free)
    )]
    CodeLimit {
        /// Its own bytes.
        bytes: usize,
        /// On whose account it is.
        owner: String,
        /// The bytes that are on it already.
        held: usize,
        /// The bytes that nobody holds.
        free: usize,
    },
    /// Compiling took longer than it may.
    #[error("compiling the plugin took longer than {}: make it smaller, or raise the operator's --compile-timeout", seconds(*limit))]
    Timeout {
        /// How long it may take.
        limit: Duration,
    },
    /// Compiling failed for a reason that is not in the bytes.
    #[error("the plugin could not be compiled: {0}")]
    Compiler(String),
}

impl From<BinaryReaderError> for LoadError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(clean(&error.to_string(), 500))
    }
}

impl LoadError {
    pub(super) fn compiler(error: impl fmt::Display) -> Self {
        Self::Compiler(error.to_string())
    }

    /// A stable name, for programs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::NotWasm { .. } => "not_wasm",
            Self::Precompiled => "precompiled",
            Self::CoreModule => "core_module",
            Self::Invalid(_) => "invalid",
            Self::WrongWorld(_) => "wrong_world",
            Self::UnknownImport { .. } => "unknown_import",
            Self::OverBudget { .. } => "over_budget",
            Self::ArtifactTooLarge { .. } => "artifact_too_large",
            Self::CodeLimit { .. } => "code_limit",
            Self::Timeout { .. } => "timed_out",
            Self::Compiler(_) => "compiler",
        }
    }
}

/// What an Issuer would keep between calls does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "of the {} of memory for what Issuers keep no more is free for this namespace, which leaves as much to others as it has: name smaller or fewer Secrets, or have the operator's --issuer-memory raised",
    size(*limit)
)]
pub struct NoIssuerMemory {
    /// What all Issuers may keep together, in bytes.
    pub limit: usize,
}

/// Why a call did not give what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin answered with a failure.
    #[error("{}", .0.message)]
    Failed(Failure),
    /// The plugin did not answer, or not with an answer.
    #[error("{0}")]
    Broken(#[from] Breakage),
}

impl CallError {
    /// As a failure. A broken plugin may be mended while the request lives, and a request cannot be, so: try again.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Broken(breakage) => Failure {
                kind: FailureKind::Retry { after: None },
                message: breakage.to_string(),
                condition: None,
            },
        }
    }
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}

fn size(bytes: usize) -> String {
    const MIB: usize = 1 << 20;
    if bytes >= MIB && bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}
