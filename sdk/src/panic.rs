//! What a panic says: one line, which the status of the Issuer or the request shows.

use std::panic::{self, PanicHookInfo};

/// From now on a panic writes one line to stderr. In a plugin's own unit tests Rust's report stays.
pub fn install_hook() {
    if cfg!(target_family = "wasm") {
        panic::set_hook(Box::new(|info| eprintln!("{}", line(info))));
    }
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(at) => format!("panicked at {}:{}:{}: {message}", short(at.file()), at.line(), at.column()),
        None => format!("panicked: {message}"),
    }
}

/// The path of a source file without what it only has on its author's machine: from the package's folder on, or as it is
/// if it is relative.
fn short(path: &str) -> &str {
    let is_separator = |c| c == '/' || c == '\\';
    let is_absolute = path.starts_with(is_separator) || path.get(1..3).is_some_and(|drive| drive == ":\\");
    if !is_absolute {
        return path;
    }
    // `<package>/src/...`; of a path without that, the file and its folder.
    let src = ["/src/", "\\src\\"].iter().filter_map(|src| path.rfind(src)).max();
    let package_end = src.or_else(|| path.rfind(is_separator)).unwrap_or_default();
    let start = path.get(..package_end).and_then(|before| before.rfind(is_separator)).map(|at| at + 1);
    path.get(start.unwrap_or_default()..).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_with_the_package() {
        for (path, shown) in [
            ("src/lib.rs", "src/lib.rs"),
            ("plugins/team-ca/src/api.rs", "plugins/team-ca/src/api.rs"),
            ("/home/ann/work/team-ca/src/lib.rs", "team-ca/src/lib.rs"),
            ("/home/ann/src/team-ca/src/api/ca.rs", "team-ca/src/api/ca.rs"),
            (
                "/home/ann/.cargo/registry/src/index.crates.io-1949/der-0.8.0/src/reader.rs",
                "der-0.8.0/src/reader.rs",
            ),
            (
                "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs",
                "core/src/option.rs",
            ),
            ("C:\\Users\\ann\\team-ca\\src\\lib.rs", "team-ca\\src\\lib.rs"),
            ("/home/ann/target/build/out/generated.rs", "out/generated.rs"),
            ("/lib.rs", "/lib.rs"),
            ("", ""),
        ] {
            assert_eq!(short(path), shown);
        }
    }
}
