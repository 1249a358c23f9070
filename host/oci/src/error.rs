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
    /// The server that a redirect of the registry leads to. It may be any that the registry wants to know something about, so
    /// nothing is told of what it did.
    #[error("the registry sends on to {0}, which did not send what was asked for")]
    Elsewhere(String),
    /// The registry's token server, of which nothing is told either.
    #[error(
        "the registry sends to {0} for a token, which sent none: it does not take the credentials, or has trouble"
    )]
    Token(String),
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
    /// A list that does not end.
    #[error("the registry's list has more than {0} pages")]
    ManyPages(usize),
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
            Self::Trouble(_) | Self::Elsewhere(_) | Self::Token(_) => true,
            _ => false,
        }
    }

    /// The same, of a server that is not the registry itself: who names a server is not told by what it does not send what
    /// it is and does. That the caller's rules forbid it is no answer of that server's.
    pub(crate) fn of_another(self, as_what: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Http(HttpError { is_prohibited: true, .. }) => self,
            _ => as_what(),
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
