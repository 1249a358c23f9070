//! What an Issuer's task waits for.

/// What wakes an Issuer's task.
pub enum Wake {
    /// Somebody did something about the Issuer.
    Touched,
    Policy,
    /// This process works for the Issuer from now on, or does not any more.
    Standing,
    Dependency,
    Due,
    /// Signing fails by the Issuer's fault, with this message, whatever its check says.
    NotReady(String),
    Deleted,
}
