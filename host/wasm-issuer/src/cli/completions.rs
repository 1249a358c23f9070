//! `wasm-issuer completions`

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::output;

const EXAMPLES: &str = "\
Examples:
  source <(wasm-issuer completions bash)                                          # in ~/.bashrc
  wasm-issuer completions zsh >\"${fpath[1]}/_wasm-issuer\"                         # once
  wasm-issuer completions fish >~/.config/fish/completions/wasm-issuer.fish       # once";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell that is to complete commands, options and their values.
    shell: SupportedShell,
}

#[derive(Clone, Copy, ValueEnum)]
enum SupportedShell {
    Bash,
    Zsh,
    Fish,
}

/// Print the script with which a shell completes this command.
pub fn run(args: CompletionsArgs, mut command: Command) -> anyhow::Result<()> {
    let shell = match args.shell {
        SupportedShell::Bash => Shell::Bash,
        SupportedShell::Zsh => Shell::Zsh,
        SupportedShell::Fish => Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    output::stdout(&String::from_utf8(script)?)
}
