//! The `wasm-issuer` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    wasm_issuer::cli::main()
}
