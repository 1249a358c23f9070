//! PEM (RFC 7468), read exactly as Go's `encoding/pem` reads it. cert-manager and the policies that approve requests are
//! written in Go: a block that they do not see, or another one that they take for the first, would be signed unseen.
//!
//! So blocks stand at the start of a line, and anything may be around them: text in any encoding, NUL, other blocks.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use zeroize::Zeroizing;

use crate::text;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// Go does not look at the bits that the last digit has too many.
const DIGITS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Why text is not PEM. The messages never quote a block's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Neither PEM nor any text.
    #[error("it is not text")]
    NotText,
    /// No block between a `-----BEGIN` and an `-----END` line.
    #[error("it holds no PEM block")]
    NoBlock,
    /// More blocks than the caller reads.
    #[error("it holds more PEM blocks than {0}")]
    TooMany(usize),
    /// A block without its end.
    #[error("PEM block {0} has no matching END line")]
    Unterminated(usize),
    /// What seems to start a block does not start its line, or the line goes on behind it.
    #[error("the BEGIN line of PEM block {0} is not a line of its own")]
    BeginLine(usize),
    /// A block whose content does not decode.
    #[error("PEM block {0} is not valid base64")]
    Base64(usize),
}

/// What stands between a `-----BEGIN` line and its `-----END` line. The content is not decoded yet.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// What stands behind `BEGIN`.
    pub label: &'a str,
    headers: bool,
    /// What follows the headers.
    body: &'a [u8],
    /// Counted from 1, for messages.
    number: usize,
}

impl Block<'_> {
    /// The label for messages: it is as hostile as the rest.
    pub fn printable_label(&self) -> String {
        text::printable(self.label, 40)
    }

    /// Whether the block carries RFC 1421 headers, which mark legacy encryption of private keys.
    pub fn has_headers(&self) -> bool {
        self.headers
    }

    /// The content. It may be a private key, so no copy of it stays behind.
    pub fn decode(&self) -> Result<Zeroizing<Vec<u8>>, PemError> {
        let mut digits = Zeroizing::new(Vec::with_capacity(self.body.len()));
        digits.extend(self.body.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')));
        let mut der = Zeroizing::new(vec![0; base64::decoded_len_estimate(digits.len())]);
        let len = DIGITS
            .decode_slice(digits.as_slice(), &mut der)
            .map_err(|_error| PemError::Base64(self.number))?;
        der.truncate(len);
        Ok(der)
    }
}

/// All blocks of a text, at most `max`, and what follows the last one. One that is malformed is an error.
pub fn blocks(bytes: &[u8], max: usize) -> Result<(Vec<Block<'_>>, &[u8]), PemError> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((block, after)) = next_block(rest, found.len() + 1) {
        if found.len() == max {
            return Err(PemError::TooMany(max));
        }
        found.push(block?);
        rest = after;
    }
    if found.is_empty() { Err(none_in(bytes)) } else { Ok((found, rest)) }
}

/// The first block that is whole, with its content, as Go's `pem.Decode` has it: malformed ones in front of it are
/// skipped. What is wrong with the first of them is the error where there is no other.
pub fn first_block(bytes: &[u8]) -> Result<(Block<'_>, Zeroizing<Vec<u8>>), PemError> {
    let mut wrong = None;
    let (mut rest, mut number) = (bytes, 1);
    while let Some((block, after)) = next_block(rest, number) {
        match block.and_then(|block| Ok((block, block.decode()?))) {
            Ok(whole) => return Ok(whole),
            Err(error) => wrong = wrong.or(Some(error)),
        }
        (rest, number) = (after, number + 1);
    }
    Err(wrong.unwrap_or_else(|| none_in(bytes)))
}

fn none_in(bytes: &[u8]) -> PemError {
    match std::str::from_utf8(bytes) {
        Ok(_) => PemError::NoBlock,
        Err(_) => PemError::NotText,
    }
}

/// What stands in front of the next END line, and the bytes behind it; none where no block may follow.
fn next_block(bytes: &[u8], number: usize) -> Option<(Result<Block<'_>, PemError>, &[u8])> {
    let mut rest = bytes;
    while let Some((front, trailer)) = split(rest, END) {
        // A BEGIN line without an END line counts for nothing where another follows.
        if let Some(begin) = front.windows(BEGIN.len()).rposition(|window| window == BEGIN) {
            let (before, block) = front.split_at(begin);
            let starts_line = before.last().is_none_or(|byte| *byte == b'\n');
            let parsed =
                if starts_line { parse(block, trailer, number) } else { Err(PemError::BeginLine(number)) };
            return Some(match parsed {
                Ok((block, after)) => (Ok(block), after),
                Err(error) => (Err(error), trailer),
            });
        }
        rest = trailer;
    }
    let begins = rest.starts_with(BEGIN) || split(rest, b"\n-----BEGIN ").is_some();
    begins.then_some((Err(PemError::Unterminated(number)), &[]))
}

/// The block that starts with the BEGIN line `block`, and what follows its END line, whose `trailer` starts at the label.
fn parse<'a>(block: &'a [u8], trailer: &'a [u8], number: usize) -> Result<(Block<'a>, &'a [u8]), PemError> {
    let (line, body) = first_line(block.get(BEGIN.len()..).unwrap_or_default());
    let label = line.strip_suffix(DASHES).ok_or(PemError::BeginLine(number))?;
    let unterminated = PemError::Unterminated(number);
    let (mut content, mut headers) = (body, false);
    while let Some((_, after)) = content.map(first_line).filter(|(line, _)| line.contains(&b':')) {
        (content, headers) = (after, true);
    }
    if headers && content.is_none() {
        return Err(unterminated);
    }
    let (end, after) = trailer
        .strip_prefix(label)
        .and_then(|end| end.strip_prefix(DASHES))
        .map(first_line)
        .ok_or(unterminated.clone())?;
    if !end.is_empty() {
        return Err(unterminated);
    }
    let label = std::str::from_utf8(label).unwrap_or("\u{FFFD}");
    let body = content.unwrap_or_default();
    Ok((Block { label, headers, body, number }, after.unwrap_or_default()))
}

/// A line without white space at its end, and what follows it; none where no newline ends it.
fn first_line(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (line, after) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => {
            let line = bytes.get(..at).unwrap_or_default();
            (line.strip_suffix(b"\r").unwrap_or(line), bytes.get(at + 1..))
        }
        None => (bytes, None),
    };
    let blanks = line.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (line.get(..line.len() - blanks).unwrap_or_default(), after)
}

/// What is in front of `marker` and behind it.
fn split<'a>(bytes: &'a [u8], marker: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(marker.len()).position(|window| window == marker)?;
    Some((bytes.get(..at)?, bytes.get(at + marker.len()..)?))
}

/// A block with lines of 64 digits, as RFC 7468 section 2 has generators write it.
pub fn encode(label: &str, der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut pem = String::with_capacity(digits.len() + digits.len() / 64 + 2 * label.len() + 40);
    pem.push_str("-----BEGIN ");
    pem.push_str(label);
    pem.push_str("-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}
