//! A block of code, and what becomes of it.

use std::path::PathBuf;

/// A block of code of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The page, from the root of the repository.
    pub page: PathBuf,
    /// The line of its first line of code, from 1.
    pub line: usize,
    /// The first word of its info string; empty where it has none, as an indented block.
    pub language: String,
    /// What becomes of it.
    pub fate: Fate,
    /// The code.
    pub text: String,
}

/// What becomes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is run with the other blocks of this name.
    Run {
        /// The name.
        name: String,
        /// The name of the blocks that are run before.
        after: Option<String>,
    },
    /// It is not run, for this reason.
    NotRun(String),
    /// It does not say.
    Unsaid,
    /// What it says makes no sense.
    Unclear(String),
}

impl Fate {
    /// What the words after the language say.
    pub(crate) fn read(words: &str) -> Self {
        if words.is_empty() {
            return Self::Unsaid;
        }
        if let Some(words) = words.strip_prefix("test=") {
            let (name, after) = words.split_once(" after=").map_or((words, None), |(n, a)| (n, Some(a)));
            if std::iter::once(name).chain(after).all(is_name) {
                return Self::Run { name: name.to_owned(), after: after.map(str::to_owned) };
            }
        }
        let reason = words.strip_prefix("not-run=\"").and_then(|rest| rest.strip_suffix('"'));
        match reason.filter(|reason| reason.split_whitespace().count() >= 3) {
            Some(reason) => Self::NotRun(reason.to_owned()),
            None => Self::Unclear(words.to_owned()),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Block {
    /// Where it is, for people: `docs/upgrade.md:12`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }

    /// Why the block must not stand in a page as it is; none if all is well.
    pub fn fault(&self) -> Option<String> {
        let is_for_a_shell = ["sh", "bash", "shell", "console", "zsh", ""].contains(&self.language.as_str());
        let why = match &self.fate {
            Fate::Unclear(words) => {
                format!(
                    "{words:?} is neither test=NAME, with after=NAME perhaps, nor not-run=\"REASON\" with a reason of three \
                     words or more"
                )
            }
            _ if self.language.is_empty() => {
                "has no language: fence it, as ```sh test=NAME or ```sh not-run=\"REASON\" where it holds commands, else \
                 as ```text"
                    .to_owned()
            }
            _ if is_for_a_shell && self.language != "sh" => {
                format!("call it sh and not {}: it is run by bash, in one way", self.language)
            }
            Fate::Unsaid if is_for_a_shell => {
                "holds commands and does not say whether they are run: test=NAME or not-run=\"REASON\"".to_owned()
            }
            Fate::Run { .. } | Fate::NotRun(_) if !is_for_a_shell => {
                format!("a block of {} is not run: only sh is", self.language)
            }
            _ => return None,
        };
        Some(format!("{}: {why}", self.place()))
    }
}
