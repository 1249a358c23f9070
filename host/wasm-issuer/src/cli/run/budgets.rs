//! What plugins may take of this process, all of them together. Within each, namespaces share (docs/security.md).

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use wasm_issuer_runtime::egress::EgressConfig;
use wasm_issuer_runtime::{CompilerProcess, RuntimeConfig};

use crate::api::{GoDuration, Quantity};

#[derive(Args)]
#[command(next_help_heading = "What plugins may take of this process")]
pub struct Budgets {
    /// How large a plugin may be, whatever the policy's maxComponent says. A larger one takes more memory to compile.
    #[arg(long, default_value = "64Mi", value_name = "QUANTITY")]
    max_component: Quantity,
    /// How much memory compiling one plugin may take, in a process of its own. The pod's limit must leave room for it.
    #[arg(long, default_value = "768Mi", value_name = "QUANTITY")]
    compiler_memory: Quantity,
    /// How long compiling one plugin may take, for each 16Mi of it.
    #[arg(long, default_value = "1m", value_name = "DURATION")]
    compile_timeout: GoDuration,
    /// How much compiled code all plugins in use may have, and one namespace's half as much. The pod's limit must leave room
    /// for it.
    #[arg(long, default_value = "256Mi", value_name = "QUANTITY")]
    code_memory: Quantity,
    /// How much the folder of compiled plugins may hold; the least recently used go. Less than its volume does.
    #[arg(long, default_value = "256Mi", value_name = "QUANTITY")]
    cache_size: Quantity,
    /// How much the components that were pulled from registries may have in the cache folder, beside the compiled ones; the
    /// least recently used go.
    #[arg(long, default_value = "128Mi", value_name = "QUANTITY")]
    image_cache_size: Quantity,
    /// How much memory the plugins that run may have, beyond 2Mi of their own for each call. The pod's limit must leave room
    /// for it.
    #[arg(long, default_value = "384Mi", value_name = "QUANTITY")]
    call_memory: Quantity,
    /// How much memory Issuers may keep between calls, for their configurations and Secrets and what their plugins cache, and
    /// one namespace's half as much. The pod's limit must leave room for it.
    #[arg(long, default_value = "128Mi", value_name = "QUANTITY")]
    issuer_memory: Quantity,
    /// How many calls of sign run at a time.
    #[arg(long, default_value_t = 128, value_name = "N")]
    max_signs: usize,
    /// How many calls of check run at a time.
    #[arg(long, default_value_t = 32, value_name = "N")]
    max_checks: usize,
    /// How many connections plugins may have open; each takes one of the process's files.
    #[arg(long, default_value_t = 512, value_name = "N")]
    max_connections: usize,
    /// How many names are looked up at a time; each takes a thread.
    #[arg(long, default_value_t = 32, value_name = "N")]
    max_lookups: usize,
}

impl Budgets {
    /// The way of plugins to the network within these budgets.
    pub fn egress(&self) -> EgressConfig {
        EgressConfig::new(self.max_lookups, self.max_connections)
    }

    /// How much Issuers may keep in memory, in bytes.
    pub fn issuer_memory(&self) -> usize {
        self.issuer_memory.in_memory()
    }

    /// How large a plugin may be.
    pub fn max_component(&self) -> Quantity {
        self.max_component
    }

    /// How much of what was pulled from registries may be kept, in bytes.
    pub fn image_cache(&self) -> u64 {
        self.image_cache_size.bytes
    }

    /// A runtime within these budgets.
    pub fn runtime(self, cache_dir: Option<PathBuf>, egress: EgressConfig) -> anyhow::Result<RuntimeConfig> {
        let compiler = CompilerProcess::this_program(self.compiler_memory.bytes)
            .context("cannot find this program itself, which compiles plugins in a process of its own")?;
        Ok(RuntimeConfig {
            cache_dir,
            compiler: Some(compiler),
            cache_bytes: self.cache_size.bytes,
            code_bytes: self.code_memory.in_memory(),
            compile_timeout: self.compile_timeout.0,
            signs: self.max_signs,
            checks: self.max_checks,
            memory: self.call_memory.in_memory(),
            egress,
            count_instructions: false,
        })
    }
}
