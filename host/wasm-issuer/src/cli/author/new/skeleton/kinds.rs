//! Which plugins can be made, and what each is made of.

use clap::ValueEnum;

/// What a plugin starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// A CA with a key of its own, in Rust: of the Issuer's Secret, or made on the spot
    Ca,
    /// Certificates from a CA with an HTTP API, and the tests of that: in Rust with a token and orders that take their time, in
    /// other languages those of CFSSL
    Http,
}

/// The language of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With the SDK
    Rust,
    /// With Go's own compiler
    Go,
    /// JavaScript, with componentize-js
    Js,
    /// With componentize-py
    Python,
    /// With clang or zig
    C,
}

/// A path in the folder, and a text in which `{{name}}` and others are yet to be filled in.
pub type File = (&'static str, &'static str);

/// The files of a new plugin.
#[derive(Debug)]
pub struct Skeleton {
    /// What they are written in.
    pub language: Language,
    /// What they do.
    pub template: Template,
    /// The file to read first.
    pub start: &'static str,
    /// The commands that come next, one to a line, with names as in the files.
    pub steps: &'static str,
    /// What is filled in beside what all have: `{{key}}` and its text, which may have those in it that follow.
    pub filled: &'static [(&'static str, &'static str)],
    /// The files, in groups.
    pub groups: &'static [&'static [File]],
}

impl Skeleton {
    /// The files.
    pub fn files(&self) -> impl Iterator<Item = File> {
        self.groups.iter().copied().flatten().copied()
    }
}
