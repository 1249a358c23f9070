//! The name of a new plugin: that of a crate, of its folder, and of Kubernetes objects.

/// Crates that the plugin's own could not be told from.
const TAKEN: [&str; 8] = ["alloc", "core", "proc-macro", "self", "serde", "serde-json", "std", "test"];

/// The name, if it is one.
pub fn parse(text: &str) -> Result<String, String> {
    let starts_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let fits = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !starts_well || !fits || text.ends_with('-') || text.contains("--") || text.len() > 63 {
        return Err("lower-case letters, digits and '-' are expected, a letter first, as in my-ca".to_owned());
    }
    if TAKEN.contains(&text) || text.starts_with("wasm-issuer") {
        return Err(format!("{text} is the name of something else: try {text}-ca or my-{text}"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_crates() {
        for name in ["my-ca", "a", "acme2", "config"] {
            assert_eq!(parse(name), Ok(name.to_owned()));
        }
        let long = "a".repeat(64);
        for name in
            ["", "My-CA", "2ca", "-a", "a-", "a--b", "a_b", "../x", "serde", "wasm-issuer-sdk", "ä", &long]
        {
            assert!(parse(name).is_err(), "{name}");
        }
    }
}
