//! What the watch has brought of the Issuer beside what its task looks at.

use super::IssuerTask;

impl IssuerTask {
    /// Whether the watch has brought a spec that is not the one looked at.
    pub(super) fn is_outdated(&self) -> bool {
        self.current.has_other_spec(&self.object.borrow())
    }

    pub(super) fn is_touched(&self) -> bool {
        let newest = self.object.borrow();
        !newest.target.is_older_than(&self.current.target) && self.current.is_touched_by(&newest)
    }

    /// Take in what the watch has brought, unless it is older than what this task wrote.
    pub(super) fn take_newest(&mut self) {
        let newest = self.object.borrow_and_update();
        if !newest.target.is_older_than(&self.current.target) {
            self.current = newest.clone();
        }
        drop(newest);
        let events = self.unanswered.landed(&self.current.state.conditions);
        if let Some(fence) = &self.fence {
            self.shared.events.publish(fence, &self.current.target.reference, events);
        }
    }
}
