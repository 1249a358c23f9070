//! The compiled code of all plugins in use, bounded for the process and for each owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::budget::Budget;
use super::error::LoadError;
use super::lock::lock;

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
}

/// How many bytes of code are loaded, by owner.
///
/// Nobody gets more than half of the bound, whether others want the rest or not: code is not taken away again while it
/// is in use, so what an owner lets go comes too late for the one that needs it.
pub struct CodePool {
    limit: usize,
    used: Mutex<HashMap<String, usize>>,
}

impl CodePool {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: Mutex::default() })
    }

    /// Put bytes on an owner's account.
    pub fn take(self: &Arc<Self>, owner: &str, bytes: usize) -> Result<CodeShare, LoadError> {
        let mut used = lock(&self.used);
        let own = used.get(owner).copied().unwrap_or(0);
        let all = used.values().sum::<usize>();
        for (whose, used, limit) in [(owner, own, self.limit / 2), ("all owners", all, self.limit)] {
            if used.checked_add(bytes).is_none_or(|sum| sum > limit) {
                return Err(LoadError::CodeLimit { bytes, whose: whose.to_owned(), used, limit });
            }
        }
        used.insert(owner.to_owned(), own + bytes);
        drop(used);
        Ok(CodeShare { pool: self.clone(), owner: owner.to_owned(), bytes })
    }
}

/// Bytes on an owner's account, until this is dropped.
pub struct CodeShare {
    pool: Arc<CodePool>,
    owner: String,
    bytes: usize,
}

impl Drop for CodeShare {
    fn drop(&mut self) {
        let mut used = lock(&self.pool.used);
        if let Some(own) = used.get_mut(&self.owner) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                used.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_owner_holds_more_than_half_of_the_code() {
        let pool = CodePool::new(100);
        let first = pool.take("team-a", 30).unwrap();
        let error = pool.take("team-a", 21).err().unwrap();
        let expected = LoadError::CodeLimit { bytes: 21, whose: "team-a".into(), used: 30, limit: 50 };
        assert_eq!(error, expected);
        let _second = pool.take("team-a", 20).unwrap();
        let _other = pool.take("team-b", 50).unwrap();
        let error = pool.take("team-c", 1).err().unwrap();
        assert!(matches!(&error, LoadError::CodeLimit { whose, .. } if whose == "all owners"), "{error}");
        drop(first);
        let _third = pool.take("team-c", 30).unwrap();
        assert!(pool.take("team-a", usize::MAX).is_err());
    }

    #[test]
    fn owners_without_code_are_forgotten() {
        let pool = CodePool::new(100);
        (0..10).for_each(|n| drop(pool.take(&n.to_string(), n).unwrap()));
        assert!(lock(&pool.used).is_empty());
    }
}
