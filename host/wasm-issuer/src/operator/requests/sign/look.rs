//! Looks again at a request, at the API server itself.

use std::sync::Arc;
use std::time::Duration;

use wasm_issuer_core::issuance::request::Tries;
use wasm_issuer_core::issuance::write::{Found, Wanted, is_wanted};

use super::Signing;
use crate::operator::leadership::Fence;
use crate::operator::read::in_time;
use crate::operator::requests::asked::Asked;
use crate::operator::requests::handled::Handled;
use crate::operator::requests::observe::Observed;
use crate::operator::requests::{audited, objects};

/// When to look again at a request that could not be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

impl Signing {
    /// What the watch has brought may be older than what the process wrote that worked for the Issuer before. Such a request
    /// is read again before its plugin is asked. True if it was.
    pub(super) async fn refresh(
        &self,
        current: &mut Arc<Observed>,
        fence: &Fence,
        tries: Tries,
    ) -> Result<bool, Handled> {
        if !fence.is_newer_than(current.read_at) {
            return Ok(false);
        }
        self.read_again(current, tries).await?;
        Ok(true)
    }

    /// What is asked for, read again if there was no room for it. Else, there is nothing to sign for now.
    pub(in crate::operator::requests) async fn asked(
        &self,
        current: &mut Arc<Observed>,
        tries: Tries,
    ) -> Result<Arc<Asked>, Handled> {
        if let Some(asked) = &current.asked {
            return Ok(asked.clone());
        }
        self.read_again(current, tries).await?;
        current.asked.clone().ok_or_else(|| Handled::again(tries, READ_AGAIN))
    }

    async fn read_again(&self, current: &mut Arc<Observed>, tries: Tries) -> Result<(), Handled> {
        let turn = self.reads.acquire(&current.owner()).await;
        let newer = self.look_again(current, tries).await?;
        drop(turn);
        *current = Arc::new(newer.ok_or_else(|| Handled::again(tries, READ_AGAIN))?);
        Ok(())
    }

    /// The request as it is now, or nothing if the API server does not say. Else it is not to be gone on with.
    pub(super) async fn look_again(&self, old: &Observed, tries: Tries) -> Result<Option<Observed>, Handled> {
        let found = self.read(old).await;
        match (is_wanted(found.view(|observed| &observed.view)), found) {
            (Wanted::Yes, Found::There(newer)) => Ok(Some(newer)),
            (Wanted::Yes, _) => Ok(None),
            (Wanted::Otherwise, Found::There(newer)) => {
                Err(Handled { now: Some(Arc::new(newer)), ..Handled::again(tries, Duration::ZERO) })
            }
            (Wanted::Otherwise, _) => Err(Handled::again(tries, Duration::ZERO)),
            (Wanted::No, Found::There(finished)) => {
                Err(Handled { now: Some(Arc::new(finished)), ..Handled::gone(tries) })
            }
            (Wanted::No, _) => Err(Handled::gone(tries)),
        }
    }

    /// What has become of a request.
    pub(super) async fn read(&self, old: &Observed) -> Found<Observed> {
        let turn = self.calls.turn(&old.owner()).await;
        let newer = in_time(objects::read(&self.client, &old.key)).await;
        drop(turn);
        let Ok(newer) = newer else { return Found::Unknown };
        if let Some(request) = &newer {
            audited::saw(&self.audit, request);
        }
        match newer {
            Some(mut newer) if newer.uid() == old.uid() && newer.fingerprint.spec == old.fingerprint.spec => {
                newer.remember(old);
                Found::There(newer)
            }
            _ => Found::Gone,
        }
    }
}
