//! A page, parsed: its blocks of code, its links and its anchors.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::block::{Block, Fate};

/// A page of Markdown.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// From the root of the repository.
    pub path: PathBuf,
    /// Its blocks of code.
    pub blocks: Vec<Block>,
    /// What it links to.
    pub links: Vec<Link>,
    /// What can be linked to in it, without the `#`.
    pub anchors: BTreeSet<String>,
    /// What the rows of its tables begin with, by the heading that they are under: the words in code style of the first cell.
    pub rows: Vec<(String, String)>,
}

/// A link of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its line, from 1.
    pub line: usize,
    /// As it stands there.
    pub target: String,
}

impl Page {
    /// The page at a path from the root of the repository.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(root: &Path, path: PathBuf) -> io::Result<Self> {
        let text = std::fs::read_to_string(root.join(&path))?;
        Ok(Self::parse(path, &text))
    }

    /// A page with that text.
    pub fn parse(path: PathBuf, text: &str) -> Self {
        let mut page = Self { path, ..Self::default() };
        let line = |offset: usize| 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count();
        let (mut heading, mut title, mut block) = (None::<String>, String::new(), None::<Block>);
        let mut is_first_cell = false;
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    title = heading.take().unwrap_or_default();
                    page.add_anchor(&title);
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(Link { line: line(range.start), target: dest_url.into_string() });
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let (info, fence) = match &kind {
                        CodeBlockKind::Fenced(info) => (info.trim(), 1),
                        CodeBlockKind::Indented => ("", 0),
                    };
                    let (language, words) = info.split_once(char::is_whitespace).unwrap_or((info, ""));
                    block = Some(Block {
                        page: page.path.clone(),
                        line: line(range.start) + fence,
                        language: language.to_owned(),
                        fate: Fate::read(words.trim()),
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Text(text) | Event::Code(text) if heading.is_some() => {
                    heading.get_or_insert_default().push_str(&text);
                }
                Event::Text(text) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&text);
                    }
                }
                Event::Start(Tag::TableRow) => is_first_cell = true,
                Event::End(TagEnd::TableCell) => is_first_cell = false,
                Event::Code(word) if is_first_cell => page.rows.push((title.clone(), word.into_string())),
                _ => {}
            }
        }
        page
    }

    /// GitHub's anchors: in lower case, without punctuation, a hyphen for each space, and a number where it is not the first.
    fn add_anchor(&mut self, title: &str) {
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|n| format!("{anchor}-{n}"));
        let free = std::iter::once(anchor.clone()).chain(numbered).find(|it| !self.anchors.contains(it));
        self.anchors.extend(free);
    }
}
