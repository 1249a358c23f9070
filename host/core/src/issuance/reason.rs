//! Every reason that this operator gives, of a condition or an Event. docs/operations.md explains each of them, and a test
//! compares the two.

use std::fmt;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($reason:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "docs/operations.md says what each one means and what to do about it")]
        pub enum $name {
            $($reason),+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// As it is written: CamelCase, for machines.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason)),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// Why a condition has its status: those of Issuers and of requests. A plugin may add conditions with reasons of its own.
    ConditionReason {
        Initializing,
        Checked,
        PluginBreaks,
        PluginRefused,
        Pending,
        Failed,
        Loaded,
        Refused,
        Issued,
        Denied,
        InvalidRequest,
        DeniedReference,
        InvalidDuration,
        ErrorParseDuration,
        RetryAfter,
        Over,
    }
}

reasons! {
    /// What an Event is about.
    EventReason {
        Checked,
        PluginBreaks,
        PluginLoaded,
        PluginRefused,
        RequestDenied,
        RetryableError,
        PermanentError,
        Issued,
        CertificateDiffers,
        CaCertificatesDropped,
        Pending,
        ImpossibleIssuer,
        WaitingForIssuerExist,
        WaitingForIssuerReady,
        WaitingApproval,
        UnexpectedError,
        DeniedReference,
        InvalidDuration,
        ErrorParseDuration,
    }
}
