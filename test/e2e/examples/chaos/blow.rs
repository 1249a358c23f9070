//! What is done to the operator and to what it works with.

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Another plugin in the ConfigMap of all Issuers.
    SwapPlugin,
    /// The API server is killed, and started again.
    KillApiServer,
    /// The replica that leads is killed, and started again.
    KillLeader,
    /// The replica that leads is stopped until the other one has taken over and works, and let go on.
    StopLeader,
    /// etcd is stopped for five seconds.
    PauseEtcd,
}

/// All of them, in their order.
pub const BLOWS: [Blow; 12] = [
    Blow::SwapPlugin,
    Blow::KillApiServer,
    Blow::KillLeader,
    Blow::SwapPlugin,
    Blow::PauseEtcd,
    Blow::KillApiServer,
    Blow::StopLeader,
    Blow::SwapPlugin,
    Blow::KillLeader,
    Blow::SwapPlugin,
    Blow::KillApiServer,
    Blow::SwapPlugin,
];

impl Blow {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::SwapPlugin => "another plugin in the ConfigMap",
            Self::KillApiServer => "API server killed",
            Self::KillLeader => "leading replica killed",
            Self::StopLeader => "leading replica stopped past its Lease",
            Self::PauseEtcd => "etcd stopped for 5 s",
        }
    }
}
