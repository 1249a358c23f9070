//! Conditions, those of cert-manager's CertificateRequests and those of our own kinds.

use jiff::Timestamp;

use super::reason::ConditionReason;

/// The type of the condition that says whether an object is done.
pub const READY: &str = "Ready";
/// Set by an approver.
pub const APPROVED: &str = "Approved";
/// Set by an approver; also the reason of Ready on a denied request.
pub const DENIED: &str = "Denied";
/// On a CertificateSigningRequest: it will never be signed. The API server takes it with the status `True` only, and keeps
/// it.
pub const FAILED: &str = "Failed";
/// Tells cert-manager that the request itself is at fault.
pub const INVALID_REQUEST: &str = "InvalidRequest";
/// Holds in its message what a plugin returned with `pending`, so that it survives a restart.
pub const RESUME: &str = "wasm-issuer.dev/Resume";
/// Holds in its message the time, by RFC 3339, before which the CA does not want to be asked again, so that a restart
/// respects it.
pub const NOT_BEFORE: &str = "wasm-issuer.dev/NotBefore";
/// On an Issuer: whether the plugin that the spec and its source ask for is the one in use.
pub const PLUGIN_CURRENT: &str = "PluginCurrent";

/// `True`, `False` or `Unknown`.
pub const TRUE: &str = "True";
/// See [`TRUE`].
pub const FALSE: &str = "False";
/// See [`TRUE`].
pub const UNKNOWN: &str = "Unknown";

/// What one entry of an object's `status.conditions` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The type, the key of the list.
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// CamelCase, for machines.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When the status changed last.
    pub last_transition: Option<Timestamp>,
    /// The generation that this is about; only our own kinds have it.
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// A condition that turns to its status now.
    pub fn new(
        type_: &str,
        status: &str,
        reason: ConditionReason,
        message: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self::for_reason(type_, status, reason.as_str(), message, now)
    }

    /// The same for a reason that is not this operator's: a plugin's.
    pub(super) fn for_reason(
        type_: &str,
        status: &str,
        reason: &str,
        message: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            last_transition: Some(now),
            observed_generation: None,
        }
    }

    /// The same for a generation.
    pub fn observing(mut self, generation: i64) -> Self {
        self.observed_generation = Some(generation);
        self
    }

    /// The same, keeping the time of `before` where the status did not change.
    fn since(mut self, before: Option<&Condition>) -> Self {
        if let Some(before) = before.filter(|b| b.status == self.status) {
            self.last_transition = before.last_transition.or(self.last_transition);
        }
        self
    }
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Put a condition into a list in place of the one of its type. Its transition time stays where its status does.
pub fn set(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(slot) => *slot = new.since(Some(slot)),
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let (then, now) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let mut list = vec![Condition::new(READY, FALSE, ConditionReason::Pending, "a", then)];
        set(&mut list, Condition::new(READY, FALSE, ConditionReason::Failed, "b", now));
        assert_eq!(list, [Condition::new(READY, FALSE, ConditionReason::Failed, "b", then)]);
        set(&mut list, Condition::new(READY, TRUE, ConditionReason::Issued, "c", now));
        assert_eq!(list, [Condition::new(READY, TRUE, ConditionReason::Issued, "c", now)]);
    }
}
