//! The compiled code of all plugins in use, bounded for the process and for each owner.

use std::sync::Arc;

use super::budget::Budget;
use super::error::LoadError;
use super::fair_bytes::{FairBytes, Share, Shortage};

/// On whose account a plugin is loaded.
///
/// A plugin that several owners use is on the account of the one that loaded it first, as long as anybody uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose the code is: a namespace, or [`ADMINISTRATORS`](Self::ADMINISTRATORS). Shown in messages.
    pub owner: String,
    /// What a component may ask for.
    pub budget: Budget,
}

impl Account {
    /// The one owner of what WasmClusterIssuers use. No namespace has such a name.
    pub const ADMINISTRATORS: &str = "WasmClusterIssuers";

    /// A namespace with what everybody has.
    pub fn tenant(namespace: &str) -> Self {
        Self { owner: namespace.to_owned(), budget: Budget::TENANT }
    }

    /// The administrators' one, with the wide budget.
    pub fn administrators() -> Self {
        Self { owner: Self::ADMINISTRATORS.to_owned(), budget: Budget::WIDE }
    }

    /// The same for components of at most so many bytes.
    pub fn up_to(self, component_bytes: usize) -> Self {
        Self { budget: self.budget.up_to(component_bytes), ..self }
    }
}

/// How many bytes of code are loaded.
///
/// Code is not taken away again while it is in use, so what an owner lets go comes too late for the one that needs it:
/// each leaves as much free as it has.
pub struct CodePool(Arc<FairBytes>);

/// Bytes on an owner's account, until this is dropped.
pub struct CodeShare(Share);

impl CodeShare {
    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl CodePool {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self(FairBytes::new(limit)))
    }

    /// Put bytes on an owner's account.
    pub fn take(&self, owner: &str, bytes: usize) -> Result<CodeShare, LoadError> {
        let mut share = self.0.share(owner);
        match share.grow(bytes) {
            Ok(()) => Ok(CodeShare(share)),
            Err(Shortage { held, free }) => {
                Err(LoadError::CodeLimit { bytes, owner: owner.to_owned(), held, free })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_owner_holds_more_code_than_it_leaves_free() {
        let pool = CodePool::new(100);
        let first = pool.take("team-a", 30).unwrap();
        let error = pool.take("team-a", 21).err().unwrap();
        assert_eq!(error, LoadError::CodeLimit { bytes: 21, owner: "team-a".into(), held: 30, free: 70 });
        assert_eq!(
            error.to_string(),
            "the plugin's 21 bytes of code do not fit: the plugins of team-a hold 30 bytes, 70 bytes are free, and nobody \
             takes more than it leaves to others; use fewer different plugins, or raise the operator's --code-memory"
        );
        let _second = pool.take("team-a", 20).unwrap();
        let _other = pool.take("team-b", 25).unwrap();
        let _third = pool.take("team-c", 12).unwrap();
        drop(first);
        assert!(pool.take("team-a", usize::MAX).is_err());
    }
}
