//! What a tenant does to hurt the others.

use std::time::Duration;

use tokio::time::sleep;

use crate::arena::Arena;
use crate::{behaviours, tenants};

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    Nothing,
    Instances,
    Images,
    SleepingChecks,
    Secrets,
    SlowCompiles,
    SilentNames,
    RefusedWrites,
    Blame,
    LargeSecrets,
    /// Of the hostile plugin.
    Behaviour(&'static str),
    /// Of the hostile plugin that speaks HTTP.
    Http(&'static str),
    /// It cannot be measured here. The name of the test that attacks instead.
    Elsewhere(&'static str),
}

impl Attack {
    /// Make what it needs.
    pub async fn begin(self, arena: &Arena) {
        match self {
            Self::Nothing | Self::Elsewhere(_) => {}
            Self::Instances => tenants::instances(arena).await,
            Self::Images => tenants::images(arena).await,
            Self::SleepingChecks => tenants::sleeping_checks(arena).await,
            Self::Secrets => tenants::secrets(arena).await,
            Self::SlowCompiles => tenants::slow_compiles(arena).await,
            Self::SilentNames => tenants::silent_names(arena).await,
            Self::RefusedWrites => tenants::refused_writes(arena).await,
            Self::Blame => tenants::blame(arena).await,
            Self::LargeSecrets => tenants::large_secrets(arena).await,
            Self::Behaviour(name) => behaviours::plugin(arena, name).await,
            Self::Http(name) => behaviours::http(arena, name).await,
        }
    }

    /// Do what has to be done again and again, for ever.
    pub async fn go_on(self, arena: &Arena) {
        for n in 1.. {
            sleep(Duration::from_secs(1)).await;
            match self {
                Self::Instances => tenants::edit(arena, "bomb-0", n).await,
                Self::Images => tenants::edit(arena, "modules-0", n).await,
                Self::SlowCompiles if n % 5 == 0 => tenants::edit(arena, "slow-0", n).await,
                Self::Blame if n % 5 == 0 => tenants::blame_more(arena, n).await,
                _ => {}
            }
        }
    }

    /// Make a restart hard.
    pub async fn before_restart(self, arena: &Arena) {
        if self == Self::SlowCompiles {
            tenants::edit_all_slow(arena).await;
        }
    }

    /// Undo what the tenant could not have done by itself, and delete what it made.
    pub async fn end(self, arena: &Arena) {
        if self == Self::RefusedWrites {
            tenants::allow_writes(arena).await;
        }
        arena.clean_up().await;
    }
}
