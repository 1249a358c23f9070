//! `wasm-issuer plugin docs`

mod fields;
mod page;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use wasm_issuer_runtime::Account;
use wasm_issuer_runtime::describe::Description;

use super::host::{self, PluginFile};
use super::issuer::name_for;
use super::output;
use super::problem::{Call, Problem};
use super::verdict::Verdict;
use crate::cli::description;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin docs step_ca.wasm > step-ca.md

Exit codes:
  0  the page was printed
  1  the component is no plugin, or it says nothing of itself
  2  wrong usage, or a file that cannot be read";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct DocsArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
}

pub fn run(args: DocsArgs) -> anyhow::Result<Verdict> {
    let file = PluginFile::read(&args.plugin)?;
    let name = name_for(&args.plugin);
    match super::block_on(describe(file, name))? {
        Ok(description) => {
            output::stdout(&page::page(&description))?;
            Ok(Verdict::Fine)
        }
        Err(problem) => {
            output::stderr(&problem.text())?;
            Ok(Verdict::Failed)
        }
    }
}

/// What a plugin says of itself. The inner error is the plugin's fault.
async fn describe(file: PluginFile, name: String) -> anyhow::Result<Result<Description, Box<Problem>>> {
    let wasm = match file.wasm {
        Ok(wasm) => wasm,
        Err(problem) => return Ok(Err(problem)),
    };
    let account = Account::administrators();
    let plugin = match host::load(&host::runtime()?, &file.path, wasm, &account).await.0 {
        Ok(plugin) => plugin,
        Err(error) => return Ok(Err(error.into())),
    };
    Ok(match description::of(&plugin, &name).await {
        Ok(Some(description)) => Ok(description),
        Ok(None) => bail!(
            "{} says nothing of itself: it does not export `wasm-issuer:plugin/description`, which the SDK for Rust does",
            file.path.display()
        ),
        Err(error) => Err(Problem::of(Call::Check, error)),
    })
}
