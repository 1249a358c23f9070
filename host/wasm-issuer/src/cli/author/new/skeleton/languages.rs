//! Plugins in other languages: the folders of plugins/examples, which hold all that builds them.

use super::kinds::{File, Language, Skeleton, Template};

const STEPS: &str = "\
./build.sh
wasm-issuer plugin test plugin.wasm
wasm-issuer plugin inspect plugin.wasm";

const IGNORED: &[File] = &[(".gitignore", "/plugin.wasm\n__pycache__/\n")];
const DESCRIBED: &[File] = files!("src/cli/author/new/templates/languages": "README.md", "issuer.yaml");
const TOOLS: &[File] = files!("../../plugins/examples": "tools.sh");
const CASES: &[File] = files!(
    "../../plugins/examples": "cases/check-with-another-key/case.yaml",
    "cases/check-with-another-key/exchanges.yaml", "cases/check/case.yaml", "cases/check/exchanges.yaml",
    "cases/sign-what-the-ca-refuses/case.yaml", "cases/sign-what-the-ca-refuses/exchanges.yaml",
    "cases/sign-when-it-is-down/case.yaml", "cases/sign-when-it-is-down/exchanges.yaml",
    "cases/sign/case.yaml", "cases/sign/exchanges.yaml", "cases/sign/web.csr"
);
const WIT: &[File] = files!(
    "../..": "wit/author.wit", "wit/cache.wit", "wit/certificates.wit", "wit/description.wit", "wit/keys.wit",
    "wit/log.wit", "wit/secrets.wit", "wit/signer.wit", "wit/types.wit", "wit/world.wit", "wit/deps/cli.wit",
    "wit/deps/clocks.wit", "wit/deps/filesystem.wit", "wit/deps/http.wit", "wit/deps/io.wit",
    "wit/deps/random.wit", "wit/deps/sockets.wit"
);

pub const GO: Skeleton = Skeleton {
    language: Language::Go,
    template: Template::Http,
    start: "plugin.go",
    steps: STEPS,
    filled: &[
        ("source", "configMap: {name: {{name}}}"),
        ("install", PACKAGE),
        ("language", "Go"),
        ("page", "go.md"),
        ("client", "`http.go`"),
        ("kind", "WasmIssuer"),
        ("home", "default"),
        ("namespace", "\n  namespace: default"),
    ],
    groups: &[
        IGNORED,
        DESCRIBED,
        TOOLS,
        CASES,
        WIT,
        files!("../../plugins/examples/go": "build.sh", "go.mod", "go.sum", "http.go", "plugin.go"),
    ],
};

pub const C: Skeleton = Skeleton {
    language: Language::C,
    template: Template::Http,
    start: "plugin.c",
    steps: STEPS,
    filled: &[
        ("source", "configMap: {name: {{name}}}"),
        ("install", PACKAGE),
        ("language", "C"),
        ("page", "c.md"),
        ("client", "`http.c`, `json.c`, `text.c`"),
        ("kind", "WasmIssuer"),
        ("home", "default"),
        ("namespace", "\n  namespace: default"),
    ],
    groups: &[
        IGNORED,
        DESCRIBED,
        TOOLS,
        CASES,
        WIT,
        files!(
            "../../plugins/examples/c": "build.sh", "http.c", "http.h", "json.c", "plugin.c", "requirements.txt",
            "text.c", "text.h"
        ),
    ],
};

pub const JS: Skeleton = Skeleton {
    language: Language::Js,
    template: Template::Http,
    start: "plugin.js",
    steps: STEPS,
    filled: &[
        ("source", "image: {reference: registry.example/team/{{name}}:1.0}"),
        ("install", PUSH),
        ("language", "JavaScript"),
        ("page", "javascript.md"),
        ("client", "`package.json`, `package-lock.json`"),
        ("kind", "WasmIssuer"),
        ("home", "default"),
        ("namespace", "\n  namespace: default"),
    ],
    groups: &[
        IGNORED,
        DESCRIBED,
        TOOLS,
        CASES,
        WIT,
        files!("../../plugins/examples/js": "build.sh", "package-lock.json", "package.json", "plugin.js"),
    ],
};

pub const PYTHON: Skeleton = Skeleton {
    language: Language::Python,
    template: Template::Http,
    start: "plugin.py",
    steps: STEPS,
    // Larger than a tenant's may be by default.
    filled: &[
        ("source", "image: {reference: registry.example/team/{{name}}:1.0}"),
        ("install", PUSH),
        ("language", "Python"),
        ("page", "python.md"),
        ("client", "`http_client.py`"),
        ("kind", "WasmClusterIssuer"),
        ("home", "wasm-issuer"),
        ("namespace", ""),
    ],
    groups: &[
        IGNORED,
        DESCRIBED,
        TOOLS,
        CASES,
        WIT,
        files!("../../plugins/examples/python": "build.sh", "http_client.py", "plugin.py", "requirements.txt"),
    ],
};

/// A component that fits into a ConfigMap.
const PACKAGE: &str = "wasm-issuer plugin package plugin.wasm --name {{name}} --namespace {{home}} | kubectl apply --server-side -f -";
/// One that does not.
const PUSH: &str = "wasm-issuer plugin push plugin.wasm registry.example/team/{{name}}:1.0";
