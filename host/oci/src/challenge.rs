//! How a registry asks for credentials: `WWW-Authenticate` (RFC 9110 section 11, the distribution specification's token
//! authentication).

use http::{HeaderMap, header};
use http_auth::ChallengeRef;

use crate::error::Error;

/// What to do to be let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Say the user and the password.
    Basic,
    /// Fetch a token.
    Bearer {
        /// Where: an absolute URL.
        realm: String,
        /// For which service, if it says.
        service: Option<String>,
    },
}

impl Challenge {
    /// The first one that can be answered, Bearer before Basic.
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        const MISSING: Error = Error::Challenge("it names neither Basic nor Bearer");
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok());
        let all: Vec<ChallengeRef<'_>> =
            values.filter_map(|value| http_auth::parse_challenges(value).ok()).flatten().collect();
        let find = |scheme: &str| all.iter().find(|it| it.scheme.eq_ignore_ascii_case(scheme));
        if let Some(bearer) = find("Bearer") {
            let param = |name: &str| {
                let found = bearer.params.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            let realm = param("realm").ok_or(Error::Challenge("Bearer without a realm"))?;
            return Ok(Self::Bearer { realm, service: param("service") });
        }
        find("Basic").map(|_| Self::Basic).ok_or(MISSING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Result<Challenge, Error> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn the_challenges_of_registries_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Ok(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#;
        assert_eq!(challenge(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(challenge(&[r#"bearer Realm="https://a/\"x""#]), bearer("https://a/\"x", None));
        assert_eq!(challenge(&[r#"Basic realm="Registry""#]), Ok(Challenge::Basic));
        assert_eq!(challenge(&["Negotiate", r#"Basic realm="a", Bearer realm="b""#]), bearer("b", None));
    }

    #[test]
    fn other_challenges_are_refused() {
        for values in [&[][..], &["Negotiate"], &["Digest realm=\"a\""], &["Bearer service=\"a\""], &["\"\""]]
        {
            assert!(matches!(challenge(values), Err(Error::Challenge(_))), "{values:?}");
        }
    }
}
