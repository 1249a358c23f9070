//! `wasm-issuer plugin`: the tools of a plugin's author, on a laptop with no cluster at all.
//!
//! A component runs here through the code that the operator runs: the same runtime, limits, Secret handles and
//! verification. Arguments are parsed, then validated into values that cannot be wrong, then run; a command ends with
//! a [`verdict::Verdict`] where the plugin was tried, and with an error where it could not be.

mod against;
mod ask;
mod bench;
mod cases;
mod certificate;
mod chain;
mod check;
mod component;
mod csr;
mod describe;
mod docs;
mod grants;
mod host;
mod http;
mod inspect;
mod issuer;
mod issuer_file;
mod key;
mod language;
mod new;
mod package;
mod policy;
mod problem;
mod producers;
mod registry;
mod reporter;
mod request;
mod request_file;
mod secret;
mod secret_file;
mod sign;
mod signer;
mod uses;
mod verdict;
mod verify;
mod wait;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::executor::block_on;
use super::{input, output, progress};

#[derive(Args)]
#[command(arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct PluginArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the folder of a new plugin in Rust, Go, JavaScript, Python or C, ready to build.
    New(new::NewArgs),
    /// Show what a component imports and exports, whether an operator takes it, and what an Issuer has to grant it.
    Inspect(inspect::InspectArgs),
    /// Print a page on a plugin, in Markdown: its configuration and what an Issuer grants it, as it says itself.
    Docs(docs::DocsArgs),
    /// Ask a plugin whether it could sign, as the operator does when an Issuer changes.
    Check(Box<check::CheckArgs>),
    /// Have a plugin sign a CSR, verify what it returns as the operator does, and print the chain.
    Sign(Box<sign::SignArgs>),
    /// Run the cases of a folder: recorded, without network.
    Test(Box<cases::TestArgs>),
    /// Measure what a plugin's calls take, and compare that with another component.
    Bench(bench::BenchArgs),
    /// Show the certificates of a PEM file, and whether they lead to a CA.
    Certificate(certificate::CertificateArgs),
    /// Print a ConfigMap that holds a plugin.
    Package(package::PackageArgs),
    /// Write a plugin into an OCI registry.
    Push(registry::PushArgs),
    /// Read a plugin from an OCI registry.
    Pull(registry::PullArgs),
    /// Say whose signature a plugin in an OCI registry has.
    Verify(verify::VerifyArgs),
}

/// At the end of each command's help.
const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  the plugin failed, or what it returned was refused
  2  wrong usage, or a file that cannot be read or written
  3  the plugin has accepted the request and is not done (pending)";

pub fn run(args: PluginArgs) -> ExitCode {
    let result = match args.command {
        Command::New(args) => new::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Docs(args) => docs::run(args),
        Command::Check(args) => check::run(*args),
        Command::Sign(args) => sign::run(*args),
        Command::Test(args) => cases::run(*args),
        Command::Bench(args) => bench::run(args),
        Command::Certificate(args) => certificate::run(args),
        Command::Package(args) => package::run(args),
        Command::Push(args) => registry::push(args),
        Command::Pull(args) => registry::pull(args),
        Command::Verify(args) => verify::run(args),
    };
    match result {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
