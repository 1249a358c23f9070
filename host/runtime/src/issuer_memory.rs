//! The memory of what Issuers keep between calls, shared between namespaces: their configurations and Secrets, and what
//! their plugins have cached.
//!
//! An Issuer keeps what it has for as long as it is there, and to take it back would stop it: each owner leaves as much
//! free as it has.

use std::sync::Arc;

use super::error::NoIssuerMemory;
use super::fair_bytes::{FairBytes, Share, Shortage};

/// So many bytes for all Issuers. Clones are the same ones.
#[derive(Clone)]
pub struct IssuerMemory(Arc<FairBytes>);

/// What is kept on one owner's account, until this is dropped.
pub struct IssuerShare(Share);

impl IssuerMemory {
    /// So many bytes.
    pub fn new(limit: usize) -> Self {
        Self(FairBytes::new(limit))
    }

    /// As many bytes as anybody may want, for one who shares with nobody.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// A share on this owner's account, empty yet.
    pub fn share(&self, owner: &str) -> IssuerShare {
        IssuerShare(self.0.share(owner))
    }

    /// What all Issuers keep, in bytes.
    #[cfg(any(test, feature = "fixtures"))]
    pub fn held(&self) -> usize {
        self.0.held()
    }
}

impl IssuerShare {
    /// Take so many bytes more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), NoIssuerMemory> {
        self.0.grow(bytes).map_err(|Shortage { .. }| NoIssuerMemory { limit: self.0.limit() })
    }

    /// Give so many bytes back.
    pub fn shrink(&mut self, bytes: usize) {
        self.0.shrink(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_of_a_namespace_leave_as_much_memory_as_they_keep() {
        let memory = IssuerMemory::new(4 << 20);
        let share = |owner, bytes| {
            let mut share = memory.share(owner);
            share.grow(bytes).map(|()| share)
        };
        let first = share("hostile", 1 << 20).unwrap();
        let _second = share("hostile", 1 << 20).unwrap();
        assert_eq!(
            share("hostile", 1).err().unwrap().to_string(),
            "of the 4 MiB of memory for what Issuers keep no more is free for this namespace, which leaves as much to \
             others as it has: name smaller or fewer Secrets, or have the operator's --issuer-memory raised"
        );
        let _neighbour = share("neighbour", 1 << 20).unwrap();
        drop(first);
        assert_eq!(memory.held(), 2 << 20);
        share("hostile", 1 << 19).unwrap();
    }
}
