//! A plugin's page, in Markdown.

use std::fmt::Write as _;

use wasm_issuer_runtime::describe::{Description, Place};

use super::fields::{Field, fields};
use crate::cli::description::{default_at, field};

/// The page of a plugin that says this of itself.
pub fn page(description: &Description) -> String {
    let mut page = format!("# {} {}\n\n", description.name, description.version);
    if !description.summary.is_empty() {
        let _ = write!(page, "{}\n\n", description.summary);
    }
    page.push_str("## `spec.config`\n\n");
    page.push_str(&config(&fields(&description.config)));
    page.push_str("\n## What the Issuer grants\n\n");
    page.push_str(&grants(description));
    page
}

fn config(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "None.\n".to_owned();
    }
    let mut table = "| field | holds | default | |\n|---|---|---|---|\n".to_owned();
    for field in fields {
        let default = match (&field.default, field.required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => format!("`{default}`"),
            (None, false) => String::new(),
        };
        let cells = [&format!("`{}`", field.path), &field.kind, &default, &field.description];
        let _ = writeln!(table, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    table
}

fn grants(description: &Description) -> String {
    let mut text = String::new();
    for server in &description.servers {
        let server_of = match &server.url {
            Place::Fixed(url) => format!("`{url}`"),
            Place::Config(pointer) => format!("the server of `{}`", field(pointer)),
        };
        let _ = writeln!(text, "- `spec.http.allowedHosts`: {server_of}: {}", server.purpose);
    }
    for key in &description.secret_keys {
        let name = match &key.name {
            Place::Fixed(name) => format!("`{name}`"),
            Place::Config(pointer) => {
                let default = default_at(&description.config, pointer);
                let default = default.map(|default| format!(", by default `{default}`")).unwrap_or_default();
                format!("the key that `{}` names{default}", field(pointer))
            }
        };
        let optional = if key.optional { " (optional)" } else { "" };
        let _ = writeln!(text, "- the Secret of `spec.authSecretName`, {name}{optional}: {}", key.purpose);
        if key.reveal {
            text.push_str("  The plugin reads it: `spec.secrets.reveal` names it.\n");
        }
    }
    if text.is_empty() {
        "Nothing: it calls no server and uses no Secret, or does not say so.\n".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use wasm_issuer_runtime::describe::{Schema, SecretKey, Server};

    use super::*;

    #[test]
    fn a_page_shows_config_and_grants() {
        let schema = r#"{"properties": {"url": {"type": "string", "description": "a | b"}, "key": {"type": "string", "default": "token"}}, "required": ["url"]}"#;
        let description = Description {
            name: "step-ca".into(),
            version: "1.0.0".into(),
            summary: "Certificates from step-ca.".into(),
            config: Schema::parse(schema).unwrap(),
            servers: vec![Server { url: Place::Config("/url".into()), purpose: "the CA".into() }],
            secret_keys: vec![SecretKey {
                name: Place::Config("/key".into()),
                purpose: "the token".into(),
                optional: true,
                reveal: true,
            }],
        };
        let page = page(&description);
        for line in [
            "# step-ca 1.0.0\n\nCertificates from step-ca.\n",
            "| `key` | string | `\"token\"` |  |\n",
            "| `url` | string | required | a \\| b |\n",
            "- `spec.http.allowedHosts`: the server of `spec.config.url`: the CA\n",
            "- the Secret of `spec.authSecretName`, the key that `spec.config.key` names, by default `token` (optional): the token\n  The plugin reads it: `spec.secrets.reveal` names it.\n",
        ] {
            assert!(page.contains(line), "{line}: {page}");
        }
    }
}
