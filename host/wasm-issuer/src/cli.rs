//! The command line. Results go to stdout, logs and progress to stderr.

mod author;
mod client;
mod completions;
mod description;
mod doctor;
mod executor;
mod input;
mod logging;
mod output;
mod policy;
mod progress;
mod reference;
mod run;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  wasm-issuer doctor                                   # what is wrong, and what mends it
  wasm-issuer doctor certificate web -n team-a         # why there is no certificate
  wasm-issuer policy check policy.yaml                 # what a policy allows, and its mistakes
  wasm-issuer plugin new my-ca                         # a plugin of one's own
  wasm-issuer crds | kubectl apply --server-side -f -

docs/cli.md has all of this help in one page.";

const CRDS_EXAMPLES: &str = "\
Examples:
  wasm-issuer crds | kubectl apply --server-side -f -
  wasm-issuer crds --dir crds";

/// Issue certificates through sandboxed WebAssembly plugins: a cert-manager issuer for any CA.
#[derive(Parser)]
#[command(
    name = "wasm-issuer",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
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
    /// Find what is wrong in a cluster, with the cause and what mends it. Changes nothing.
    Doctor(doctor::DoctorArgs),
    /// Check and explain policies, which bound what Issuers may grant to their plugins.
    Policy(policy::PolicyArgs),
    /// Write, look at and try out plugins.
    Plugin(author::PluginArgs),
    /// Print the CustomResourceDefinitions of WasmIssuer and WasmClusterIssuer as YAML.
    Crds(CrdsArgs),
    /// Print the script with which a shell completes this command.
    Completions(completions::CompletionsArgs),
    /// Print the fields of the two kinds as Markdown: docs/api.md.
    ApiReference,
    /// Print the JSON Schema of the records of `run --audit`: docs/audit.schema.json.
    AuditSchema,
    /// Print what the operator measures as Markdown: docs/metrics.md.
    Metrics,
    /// Print this help, of all commands, as Markdown: docs/cli.md.
    Reference,
    /// Compile a plugin: started by this program itself.
    #[command(hide = true)]
    Compile,
}

#[derive(clap::Args)]
#[command(after_help = CRDS_EXAMPLES)]
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
        Command::Doctor(args) => Ok(doctor::run(args)),
        Command::Policy(args) => Ok(policy::run(args)),
        Command::Plugin(args) => Ok(author::run(args)),
        Command::Crds(args) => crds(args).map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => completions::run(args, visible()).map(|()| ExitCode::SUCCESS),
        Command::ApiReference => {
            output::stdout(&crate::api::reference::reference()).map(|()| ExitCode::SUCCESS)
        }
        Command::AuditSchema => audit_schema().map(|()| ExitCode::SUCCESS),
        Command::Metrics => output::stdout(&crate::operator::metrics_reference()).map(|()| ExitCode::SUCCESS),
        Command::Reference => output::stdout(&reference::markdown(visible())).map(|()| ExitCode::SUCCESS),
        Command::Compile => Ok(wasm_issuer_runtime::compile_for_parent()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The command without what is hidden, which completions would offer.
fn visible() -> clap::Command {
    let all = Cli::command();
    let offered = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let args = all.get_arguments().cloned();
    let about = all.get_about().cloned().unwrap_or_default();
    let command = clap::Command::new("wasm-issuer")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(EXAMPLES)
        .subcommand_required(true);
    command.args(args).subcommands(offered)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_what_is_hidden_is_not_offered() {
        Cli::command().debug_assert();
        let visible = visible();
        visible.clone().debug_assert();
        let names: Vec<&str> = visible.get_subcommands().map(clap::Command::get_name).collect();
        assert!(names.contains(&"doctor") && !names.contains(&"compile"), "{names:?}");
    }
}
