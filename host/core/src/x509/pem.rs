//! PEM (RFC 7468), read as leniently as Go's `encoding/pem` reads what cert-manager accepts: any line length, CRLF,
//! text around the blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why text is not PEM. The messages never quote a block's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Neither PEM nor any text.
    #[error("it is not text")]
    NotText,
    /// No `-----BEGIN` line.
    #[error("it holds no PEM block")]
    NoBlock,
    /// More blocks than the caller reads.
    #[error("it holds more PEM blocks than {0}")]
    TooMany(usize),
    /// A block without its end.
    #[error("PEM block {0} has no matching END line")]
    Unterminated(usize),
    /// A block whose content does not decode.
    #[error("PEM block {0} is not valid base64")]
    Base64(usize),
    /// Something behind the last block.
    #[error("text follows the PEM block")]
    TrailingData,
}

/// What stands between a `-----BEGIN` line and its `-----END` line. The content is not decoded yet.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// What stands behind `BEGIN`.
    pub label: &'a str,
    body: &'a str,
    /// Counted from 1, for messages.
    number: usize,
}

impl<'a> Block<'a> {
    /// The label for messages: it is as hostile as the rest.
    pub fn printable_label(&self) -> String {
        text::printable(self.label, 40)
    }

    /// Whether the block carries RFC 1421 headers, which mark legacy encryption.
    pub fn has_headers(&self) -> bool {
        self.body.contains(':')
    }

    /// The content. It may be a private key, so no copy of it stays behind.
    pub fn decode(&self) -> Result<Zeroizing<Vec<u8>>, PemError> {
        let mut digits = Zeroizing::new(Vec::with_capacity(self.body.len()));
        digits.extend(self.body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        let mut der = Zeroizing::new(vec![0; base64::decoded_len_estimate(digits.len())]);
        let len = STANDARD
            .decode_slice(digits.as_slice(), &mut der)
            .map_err(|_error| PemError::Base64(self.number))?;
        der.truncate(len);
        Ok(der)
    }
}

/// All blocks of a text, at most `max`, and what follows the last one.
pub fn blocks(bytes: &[u8], max: usize) -> Result<(Vec<Block<'_>>, &str), PemError> {
    let mut rest = std::str::from_utf8(bytes).map_err(|_error| PemError::NotText)?;
    let mut found = Vec::new();
    while let Some((block, after)) = next_block(rest, found.len() + 1)? {
        if found.len() == max {
            return Err(PemError::TooMany(max));
        }
        found.push(block);
        rest = after;
    }
    if found.is_empty() { Err(PemError::NoBlock) } else { Ok((found, rest)) }
}

/// The one block of a text. Text in front of it is allowed (`openssl req -text`), text behind it is not.
pub fn single_block(bytes: &[u8]) -> Result<Block<'_>, PemError> {
    let (found, rest) = blocks(bytes, 1)?;
    match found.first() {
        Some(block) if rest.trim().is_empty() => Ok(*block),
        Some(_) => Err(PemError::TrailingData),
        None => Err(PemError::NoBlock),
    }
}

fn next_block(text: &str, number: usize) -> Result<Option<(Block<'_>, &str)>, PemError> {
    let Some(begin) = line_start(text, BEGIN) else { return Ok(None) };
    let unterminated = PemError::Unterminated(number);
    let after = text.get(begin + BEGIN.len()..).unwrap_or_default();
    let (label, after) = after.split_once(DASHES).ok_or(unterminated.clone())?;
    // Base64 holds no dash, so the first dashes after the body are its end or an error.
    let (body, after) = after.split_once(DASHES).ok_or(unterminated.clone())?;
    let after = after
        .strip_prefix("END ")
        .and_then(|after| after.strip_prefix(label))
        .and_then(|after| after.strip_prefix(DASHES))
        .ok_or(unterminated.clone())?;
    if label.contains('\n') {
        return Err(unterminated);
    }
    Ok(Some((Block { label, body, number }, after)))
}

/// Where `marker` first stands at the start of a line.
fn line_start(text: &str, marker: &str) -> Option<usize> {
    text.match_indices(marker).map(|(at, _)| at).find(|at| {
        text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(['\n', '\r', ' ', '\t']))
    })
}

/// A block with lines of 64 digits, as RFC 7468 section 2 has generators write it.
pub fn encode(label: &str, der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut pem = String::with_capacity(digits.len() + digits.len() / 64 + 2 * label.len() + 40);
    pem.push_str(BEGIN);
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(END);
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}
