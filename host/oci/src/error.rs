//! Why a registry did not do what it was asked for.

use http::StatusCode;

use crate::digest::Digest;
use crate::manifest::NoComponent;
use crate::transport::HttpError;

/// Why a registry did not do what it was asked for. The texts say what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There was no answer, or no end of one.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It is overloaded, or has trouble of its own.
    #[error("the registry has trouble: {0}")]
    Trouble(Answer),
    /// Credentials are needed, or others.
    #[error("the registry does not let us in: {0}")]
    Denied(Answer),
    /// There is no such thing.
    #[error("the registry has no such artifact: {0}")]
    NotFound(Answer),
    /// Something else than was asked for.
    #[error("the registry answers in a way that the protocol does not know: {0}")]
    Unexpected(Answer),
    /// Neither Basic nor Bearer, or a token server that cannot be.
    #[error("the registry asks for credentials in a way that is not supported: {0}")]
    Challenge(&'static str),
    /// A redirect that is not followed.
    #[error("the registry redirects in a way that is not followed: {0}")]
    Redirect(&'static str),
    /// What is there is no component.
    #[error(transparent)]
    NoComponent(#[from] NoComponent),
    /// More than the caller takes.
    #[error("the component has {size} bytes, where at most {limit} are accepted")]
    TooLarge {
        /// What the manifest says.
        size: u64,
        /// What the caller takes.
        limit: u64,
    },
    /// More than any answer of that kind has.
    #[error("the registry's answer is longer than {0} bytes")]
    LongAnswer(usize),
    /// Other bytes than were asked for.
    #[error("the registry sent other bytes than it was asked for ({wanted}): {found}")]
    OtherBytes {
        /// The digest that was asked for.
        wanted: Digest,
        /// The digest of what came, or how many bytes.
        found: String,
    },
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} to {what}{detail}")]
pub struct Answer {
    /// Which one.
    pub status: StatusCode,
    /// The method and the URL.
    pub what: String,
    /// What the registry says about it, cleaned and bounded; with `: ` in front, or empty.
    pub detail: String,
}

impl Error {
    /// Whether time may mend it: nothing is known of what was asked for.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => !error.is_prohibited,
            Self::Trouble(_) => true,
            _ => false,
        }
    }

    /// What an answer means.
    pub(crate) fn of(answer: Answer) -> Self {
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied(answer),
            StatusCode::NOT_FOUND => Self::NotFound(answer),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Self::Trouble(answer),
            status if status.is_server_error() => Self::Trouble(answer),
            _ => Self::Unexpected(answer),
        }
    }
}
