//! How much work one verification may be. A plugin chooses the certificates, and the operator itself does the work.

use super::mismatch::{CA, Mismatch, NAME_CONSTRAINTS};

/// The signatures that are verified in search of the CAs above a chain. An RSA key of 8192 bits takes 0.2 ms. Go stops
/// at 100, for a whole path.
const SIGNATURES: usize = 50;
/// The names that are compared with name constraints. Go allows as many for one certificate.
const COMPARISONS: usize = 250_000;

/// What is left of the work that one verification may be.
#[derive(Debug)]
pub struct Effort {
    signatures: usize,
    comparisons: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { signatures: SIGNATURES, comparisons: COMPARISONS }
    }
}

impl Effort {
    /// Another signature of a CA that may be above the chain is to be verified.
    pub(super) fn verify_signature(&mut self) -> Result<(), Mismatch> {
        let message = || {
            format!(
                "more than {SIGNATURES} signatures would have to be verified to find what is above the chain"
            )
        };
        take(&mut self.signatures, 1).ok_or_else(|| Mismatch::new(CA, message()))
    }

    /// So many pairs of a name and a constraint are to be compared.
    pub(super) fn compare(&mut self, pairs: usize) -> Result<(), Mismatch> {
        let message = || {
            format!(
                "more than {COMPARISONS} names would have to be compared with the constraints of the CAs above them"
            )
        };
        take(&mut self.comparisons, pairs).ok_or_else(|| Mismatch::new(NAME_CONSTRAINTS, message()))
    }
}

fn take(left: &mut usize, some: usize) -> Option<()> {
    *left = left.checked_sub(some)?;
    Some(())
}
