//! The schemas that the plugins of this repository hold as text are those of their configurations. `make generate` writes them.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use wasm_issuer_sdk::config_schema;
use wasm_issuer_sdk::schemars::JsonSchema;

#[path = "../../plugins/aws-pca/src/config.rs"]
#[allow(dead_code, reason = "the plugin uses the rest")]
mod aws_pca;
#[path = "../../plugins/cfssl/src/config.rs"]
#[allow(dead_code, reason = "the plugin uses the rest")]
mod cfssl;
#[path = "../../plugins/in-memory-ca/src/config.rs"]
#[allow(dead_code, reason = "the plugin uses the rest")]
mod in_memory_ca;
#[path = "../../plugins/step-ca/src/config.rs"]
#[allow(dead_code, reason = "the plugin uses the rest")]
mod step_ca;

fn is_current<C: JsonSchema>(plugin: &str) {
    let file = format!("{}/../plugins/{plugin}/config.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema = config_schema::<C>();
    if std::env::var_os("WASM_ISSUER_GENERATE").is_some() {
        std::fs::write(&file, &schema).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), schema, "{plugin}: run `make generate`");
}

#[test]
fn the_checked_in_schemas_are_current() {
    is_current::<aws_pca::Config>("aws-pca");
    is_current::<cfssl::Config>("cfssl");
    is_current::<in_memory_ca::Config>("in-memory-ca");
    is_current::<step_ca::Config>("step-ca");
}
