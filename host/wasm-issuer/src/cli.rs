//! The command line. Results go to stdout, logs and progress to stderr.

mod author;
mod logging;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Issue certificates through sandboxed WebAssembly plugins: a cert-manager issuer for any CA.
#[derive(Parser)]
#[command(name = "wasm-issuer", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: logging::LoggingArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<run::RunArgs>),
    /// Print the CustomResourceDefinitions of WasmIssuer and WasmClusterIssuer as YAML.
    Crds(CrdsArgs),
    /// Print the fields of the two kinds as Markdown: docs/api.md.
    ApiReference,
    /// Print the JSON Schema of the records of `run --audit`.
    AuditSchema,
    /// Print what the operator measures as Markdown: docs/metrics.md.
    Metrics,
    /// Write, look at and try out plugins.
    Plugin(author::PluginArgs),
    /// Compile a plugin: started by this program itself.
    #[command(hide = true)]
    Compile,
}

#[derive(clap::Args)]
struct CrdsArgs {
    /// Write one file for each CRD into this folder instead of printing them.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<std::path::PathBuf>,
}

/// Parse the command line, do what it says, and report how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let logging = match cli.logging.install(matches!(cli.command, Command::Run(_))) {
        Ok(logging) => logging,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(*args, logging).map(|()| ExitCode::SUCCESS),
        Command::Crds(args) => crds(args).map(|()| ExitCode::SUCCESS),
        Command::ApiReference => {
            print!("{}", crate::api::reference::reference());
            Ok(ExitCode::SUCCESS)
        }
        Command::AuditSchema => audit_schema().map(|()| ExitCode::SUCCESS),
        Command::Metrics => {
            print!("{}", crate::operator::metrics_reference());
            Ok(ExitCode::SUCCESS)
        }
        Command::Plugin(args) => Ok(author::run(args)),
        Command::Compile => Ok(wasm_issuer_runtime::compile_for_parent()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn audit_schema() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&wasm_issuer_core::issuance::audit::schema())?);
    Ok(())
}

fn crds(args: CrdsArgs) -> anyhow::Result<()> {
    use anyhow::Context;
    let Some(dir) = args.dir else {
        print!("{}", crate::api::crds::yaml()?);
        return Ok(());
    };
    for (name, content) in crate::api::crds::files()? {
        let path = dir.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
