//! What plugins say of themselves, for people.

use std::fmt::Write as _;

use wasm_issuer_core::text::clean;

use super::super::diagnose::Described;
use super::rows::{CAUSE, row};
use crate::cli::description::needs::{Need, Needed};

/// How many Issuers are shown.
const SHOWN: usize = 20;

/// All of them, those first that are not granted all that their plugins say that they need.
pub fn text(plugins: &[Described]) -> String {
    let mut sorted: Vec<&Described> = plugins.iter().collect();
    sorted.sort_by_key(|it| it.grant.is_none());
    let mut text: String = sorted.iter().take(SHOWN).map(|it| one(it)).collect();
    if let Some(more @ 1..) = sorted.len().checked_sub(SHOWN) {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "{more} more Issuers have plugins that say what they are: -o json shows them\n");
    }
    text
}

fn one(described: &Described) -> String {
    let Described { issuer, name, version, summary, needs, grant } = described;
    let mut text = clean(&format!("{issuer} runs {name} {version}: {summary}"), CAUSE) + "\n";
    for need in needs {
        row(&mut text, "needs", &clean(&words(need), CAUSE));
    }
    if let Some(grant) = grant {
        row(&mut text, "paste", &grant.section);
        for key in &grant.keys {
            row(&mut text, "", &format!("# the Secret is to have the key {key}"));
        }
        row(&mut text, "but", grant.policy.as_deref().unwrap_or_default());
    }
    text + "\n"
}

/// `https://ca.example of spec.config.url (the CA): granted`
fn words(need: &Need) -> String {
    let what = match &need.what {
        Needed::Server(origin) => origin.clone(),
        Needed::Key(name) => format!("key {name} of the Secret"),
        Needed::RevealedKey(name) => format!("key {name} of the Secret, to be read"),
    };
    let field = need.field.as_ref().map(|field| format!(" of {field}")).unwrap_or_default();
    let granted = match (need.granted, need.optional) {
        (true, _) => "granted",
        (false, true) => "not granted, optional",
        (false, false) => "not granted",
    };
    format!("{what}{field} ({}): {granted}", need.purpose)
}

#[cfg(test)]
mod tests {
    use super::super::super::diagnose::Grant;
    use super::super::super::finding::ObjectRef;
    use super::*;

    fn described(grant: Option<Grant>) -> Described {
        let need = |what, optional, granted| Need {
            what,
            field: Some("spec.config.x".to_owned()),
            purpose: "to\u{1b}[31m ask".to_owned(),
            optional,
            granted,
        };
        Described {
            issuer: ObjectRef::new("WasmIssuer", "a", "ca"),
            name: "acme".to_owned(),
            version: "1.2".to_owned(),
            summary: "certificates".to_owned(),
            needs: vec![
                need(Needed::Server("https://ca.example".to_owned()), false, grant.is_none()),
                need(Needed::RevealedKey("pin".to_owned()), true, false),
            ],
            grant,
        }
    }

    #[test]
    fn what_lacks_comes_first_with_what_to_paste() {
        let grant = Grant {
            section: "http: {}\nauthSecretName: \"ca-auth\"\n".to_owned(),
            policy: Some("the policy does not".to_owned()),
            keys: vec!["pin".to_owned()],
        };
        let mut plugins = vec![described(None); SHOWN];
        plugins.push(described(Some(grant)));
        let text = text(&plugins);
        let first = "WasmIssuer a/ca runs acme 1.2: certificates\n\
                     \x20  needs  https://ca.example of spec.config.x (to [31m ask): not granted\n\
                     \x20  needs  key pin of the Secret, to be read of spec.config.x (to [31m ask): not granted, optional\n\
                     \x20  paste  http: {}\n\
                     \x20         authSecretName: \"ca-auth\"\n\
                     \x20         # the Secret is to have the key pin\n\
                     \x20  but    the policy does not\n\n";
        assert!(text.starts_with(first), "{text}");
        assert!(
            text.contains("(to [31m ask): granted\n") && text.contains("\n1 more Issuers have"),
            "{text}"
        );
    }
}
