//! Random inputs that can be made again.

use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of numbers from a seed (SplitMix64).
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// From the seed in `ORACLE_SEED`: a number, always the same one if there is none (what a change must pass must not hang on
    /// luck), or `random`. Says on stderr which.
    pub fn from_env() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos().into());
        let seed = match std::env::var("ORACLE_SEED").as_deref() {
            Ok("random") => now(),
            Ok(seed) => seed.parse().expect("ORACLE_SEED is a number, or `random`"),
            Err(_) => 1,
        };
        eprintln!("ORACLE_SEED={seed}");
        Self { seed, state: seed }
    }

    /// What it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((number ^ (number >> 31)) % end as u64) as usize
    }

    /// The input with one to three bytes changed, put in, taken out, or a part of it repeated. It is not empty.
    pub fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut output = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(output.len().max(1));
            match self.below(5) {
                _ if output.len() < 2 => output.push(self.below(256) as u8),
                0 => output[at] ^= 1 << self.below(8),
                1 => output[at] = self.below(256) as u8,
                2 => output.insert(at, self.below(256) as u8),
                3 => _ = output.remove(at),
                _ => {
                    let end = (at + 1 + self.below(32)).min(output.len());
                    let part = output[at..end].to_vec();
                    output.splice(at..at, part);
                }
            }
        }
        output
    }

    /// The input, which is one TLV after the other, with something changed in one of them. Most lengths still fit.
    pub fn mutate_der(&mut self, input: &[u8]) -> Vec<u8> {
        let Some(mut parts) = split(input).filter(|parts| !parts.is_empty()) else {
            return self.mutate(input);
        };
        let at = self.below(parts.len());
        let (tag, content) = parts[at].clone();
        // Extensions are in an OCTET STRING.
        let holds_others =
            (tag & 0x20 != 0 || tag == 4) && split(&content).is_some_and(|inner| !inner.is_empty());
        match self.below(8) {
            0 => parts[at].0 = self.below(256) as u8,
            1 => parts.insert(at, (tag, content)),
            2 => _ = parts.remove(at),
            3 => return self.mutate(input),
            _ if holds_others => parts[at].1 = self.mutate_der(&content),
            _ => parts[at].1 = self.mutate(&content),
        }
        parts.iter().flat_map(|(tag, content)| tlv(*tag, content)).collect()
    }
}

type Tlv = (u8, Vec<u8>);

/// The TLVs that the bytes are, if they are whole ones with lengths of at most two octets.
fn split(mut bytes: &[u8]) -> Option<Vec<Tlv>> {
    let mut parts = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        let (length, rest) = match rest {
            [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
            [0x81, length, rest @ ..] => (usize::from(*length), rest),
            [0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        parts.push((*tag, content.to_vec()));
        bytes = after;
    }
    Some(parts)
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [header.as_slice(), content].concat()
}
