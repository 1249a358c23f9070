//! What an answer's status means: what the operator does next depends on it.

use crate::Failure;

/// What a status outside of 200 to 299 means, by the name of the [`Failure`] that it becomes.
///
/// ```
/// use wasm_issuer_sdk::http::Meaning;
///
/// assert_eq!(Meaning::of(422), Meaning::InvalidRequest);
/// assert_eq!(Meaning::of(503), Meaning::Retry);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It may pass: [`Failure::retry`], no sooner than the header `Retry-After` says.
    Retry,
    /// This request is refused for good, through no fault of its own: [`Failure::permanent`].
    Permanent,
    /// This request is refused for good, for what it holds: [`Failure::invalid_request`].
    InvalidRequest,
    /// It concerns every request: [`Failure::issuer`].
    Issuer,
}

impl Meaning {
    /// What the status means of a server of which nothing else is known. [The module](crate::http#errors) has the table,
    /// with the reasons.
    ///
    /// ```
    /// use wasm_issuer_sdk::http::Meaning;
    ///
    /// assert_eq!(Meaning::of(404), Meaning::Issuer);
    /// ```
    pub fn of(status: u16) -> Self {
        match status {
            400 | 413 | 422 => Self::InvalidRequest,
            409 => Self::Permanent,
            408 | 425 | 429 => Self::Retry,
            300..=499 => Self::Issuer,
            // 5xx, and what HTTP does not know.
            _ => Self::Retry,
        }
    }

    /// What the table says, or else [`Meaning::of`].
    pub(super) fn by(table: &[(u16, Self)], status: u16) -> Self {
        let named = table.iter().find(|(known, _)| *known == status);
        named.map_or_else(|| Self::of(status), |(_, meaning)| *meaning)
    }

    pub(super) fn failure(self, message: String, retry_after: Option<u32>) -> Failure {
        match self {
            Self::Retry => retry_after.into_iter().fold(Failure::retry(message), Failure::after),
            Self::Permanent => Failure::permanent(message),
            Self::InvalidRequest => Failure::invalid_request(message),
            Self::Issuer => Failure::issuer(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_the_same_for_a_day_is_not_retried() {
        let retried: Vec<u16> = (300..500).filter(|status| Meaning::of(*status) == Meaning::Retry).collect();
        assert_eq!(retried, [408, 425, 429]);
        for (status, meaning) in [
            (302, Meaning::Issuer),
            (400, Meaning::InvalidRequest),
            (401, Meaning::Issuer),
            (403, Meaning::Issuer),
            (404, Meaning::Issuer),
            (409, Meaning::Permanent),
            (422, Meaning::InvalidRequest),
            (500, Meaning::Retry),
            (599, Meaning::Retry),
        ] {
            assert_eq!(Meaning::of(status), meaning, "{status}");
        }
    }

    #[test]
    fn the_authors_table_comes_first() {
        let table = [(409, Meaning::Retry), (404, Meaning::Permanent)];
        for (status, meaning) in [
            (409, Meaning::Retry),
            (404, Meaning::Permanent),
            (410, Meaning::Issuer),
            (422, Meaning::InvalidRequest),
        ] {
            assert_eq!(Meaning::by(&table, status), meaning, "{status}");
        }
    }

    #[test]
    fn a_meaning_is_the_failure_of_its_name() {
        let failure = |meaning: Meaning, after| meaning.failure("why".to_owned(), after);
        assert_eq!(failure(Meaning::Retry, None), Failure::retry("why"));
        assert_eq!(failure(Meaning::Retry, Some(30)), Failure::retry("why").after(30));
        assert_eq!(failure(Meaning::Permanent, Some(30)), Failure::permanent("why"));
        assert_eq!(failure(Meaning::InvalidRequest, Some(30)), Failure::invalid_request("why"));
        assert_eq!(failure(Meaning::Issuer, Some(30)), Failure::issuer("why"));
    }
}
