//! Plugins in Rust.

use super::kinds::{File, Language, Skeleton, Template};

const CARGO: &str = "\
cargo test
cargo build --target wasm32-wasip2 --release
wasm-issuer plugin inspect target/wasm32-wasip2/release/{{file}}.wasm";
const IGNORED: &[File] = &[(".gitignore", "/target\n")];

pub const CA: Skeleton = Skeleton {
    language: Language::Rust,
    template: Template::Ca,
    start: "src/lib.rs",
    steps: CARGO,
    filled: &[],
    groups: &[
        IGNORED,
        files!("src/cli/author/new/templates/ca": "Cargo.toml", "README.md", "issuer.yaml", "src/lib.rs"),
    ],
};

pub const HTTP: Skeleton = Skeleton {
    language: Language::Rust,
    template: Template::Http,
    start: "src/api.rs",
    steps: CARGO,
    filled: &[],
    groups: &[
        IGNORED,
        files!(
            "src/cli/author/new/templates/http": "Cargo.toml", "README.md", "issuer.yaml", "src/lib.rs", "src/config.rs",
            "src/api.rs", "src/api/tests.rs", "cases/check-with-another-token/case.yaml",
            "cases/check-with-another-token/exchanges.yaml", "cases/check/case.yaml",
            "cases/check/exchanges.yaml", "cases/sign-what-is-ordered/case.yaml",
            "cases/sign-what-is-ordered/exchanges.yaml", "cases/sign-what-the-ca-refuses/case.yaml",
            "cases/sign-what-the-ca-refuses/exchanges.yaml", "cases/sign-when-the-ca-is-busy/case.yaml",
            "cases/sign-when-the-ca-is-busy/exchanges.yaml", "cases/sign-when-the-order-is-done/case.yaml",
            "cases/sign-when-the-order-is-done/exchanges.yaml", "cases/sign-when-the-order-is-done/web.csr",
            "cases/sign/case.yaml", "cases/sign/exchanges.yaml", "cases/sign/web.csr"
        ),
    ],
};
