//! Whom to believe when `sign` says that the Issuer is at fault: one request is not enough to stop everybody's.

use std::collections::BTreeSet;
use std::time::Duration;

/// How many requests fail one after the other, with none succeeding, before their Issuer is at fault whatever its check
/// says.
const ENOUGH: usize = 3;
/// How many namespaces they come from where an Issuer serves many: no tenant can stop the others alone.
const ENOUGH_NAMESPACES: usize = 2;
/// The shortest time between two checks that complaints cause: requests must not make a CA busy with checks.
const BETWEEN_CHECKS: Duration = Duration::from_secs(5);
/// Complaints that are remembered; more say nothing more.
const MAX: usize = 32;

/// The requests that failed by the Issuer's fault since one succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// Namespace and uid.
    requests: BTreeSet<(String, String)>,
}

/// What a complaint calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterBlame {
    /// A check, after so long.
    Check(Duration),
    /// The Issuer is at fault.
    NotReady,
}

impl Blame {
    /// A request failed by the Issuer's fault. `is_shared` tells whether the Issuer serves many namespaces, `checked` how
    /// long ago a complaint caused a check.
    pub fn add(
        &mut self,
        namespace: &str,
        uid: &str,
        is_shared: bool,
        checked: Option<Duration>,
    ) -> AfterBlame {
        let request = (namespace.to_owned(), uid.to_owned());
        let is_news = !self.namespaces().contains(namespace);
        if self.requests.len() < MAX || (is_news && self.namespaces().len() < ENOUGH_NAMESPACES) {
            self.requests.insert(request);
        }
        if self.requests.len() >= ENOUGH && self.namespaces().len() >= namespaces_needed(is_shared) {
            return AfterBlame::NotReady;
        }
        AfterBlame::Check(next_check(checked))
    }

    /// Whether nobody has complained since a request succeeded.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    fn namespaces(&self) -> BTreeSet<&str> {
        self.requests.iter().map(|(namespace, _)| namespace.as_str()).collect()
    }
}

/// How many namespaces have to say the same of an Issuer.
fn namespaces_needed(is_shared: bool) -> usize {
    if is_shared { ENOUGH_NAMESPACES } else { 1 }
}

/// How long it takes until complaints may cause a check, where the last one that they caused began so long ago.
pub fn next_check(checked: Option<Duration>) -> Duration {
    checked.map_or(Duration::ZERO, |ago| BETWEEN_CHECKS.saturating_sub(ago))
}

/// The calls to sign that a plugin has broken off since it signed last. They stop nobody's requests, because what one
/// request holds may be why; the Issuer says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaks {
    calls: usize,
    /// Whose they were: as many as matter.
    namespaces: BTreeSet<String>,
    said: Option<String>,
}

impl Breaks {
    /// The plugin broke a call for this namespace off, and this is how. Returns whether the Issuer says something else from
    /// now on. Of one that serves many namespaces, no tenant makes the others read anything alone.
    pub fn add(&mut self, namespace: &str, how: String, is_shared: bool) -> bool {
        self.calls = self.calls.saturating_add(1);
        if self.namespaces.len() < ENOUGH_NAMESPACES {
            self.namespaces.insert(namespace.to_owned());
        }
        let is_enough = self.calls >= ENOUGH && self.namespaces.len() >= namespaces_needed(is_shared);
        let is_news = is_enough && self.said.is_none();
        if is_news {
            self.said = Some(how);
        }
        is_news
    }

    /// The plugin signed, or is another one. Returns the same.
    pub fn end(&mut self) -> bool {
        std::mem::take(self).said.is_some()
    }

    /// How the plugin breaks calls off, if that is all that it does.
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: AfterBlame = AfterBlame::Check(Duration::ZERO);

    fn blamed_by(requests: &[(&str, &str)], is_shared: bool) -> Vec<AfterBlame> {
        let mut blame = Blame::default();
        requests.iter().map(|(namespace, uid)| blame.add(namespace, uid, is_shared, None)).collect()
    }

    #[test]
    fn one_request_that_always_fails_causes_checks_and_nothing_else() {
        let again = blamed_by(&[("a", "1"); 100], false);
        assert!(again.iter().all(|after| *after == CHECK), "{again:?}");
    }

    #[test]
    fn three_requests_are_believed() {
        let three = [("a", "1"), ("a", "2"), ("a", "3")];
        assert_eq!(blamed_by(&three, false), [CHECK, CHECK, AfterBlame::NotReady]);
    }

    #[test]
    fn no_namespace_is_believed_alone_where_others_sign_too() {
        let many: Vec<(&str, String)> = (0..100).map(|n| ("a", n.to_string())).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(namespace, uid)| (*namespace, uid.as_str())).collect();
        let answers = blamed_by(&many, true);
        assert!(answers.iter().all(|after| *after == CHECK));
        let and_another = [many, vec![("b", "1")]].concat();
        assert_eq!(blamed_by(&and_another, true).last(), Some(&AfterBlame::NotReady));
    }

    #[test]
    fn complaints_cause_few_checks() {
        let mut blame = Blame::default();
        let soon = blame.add("a", "1", false, Some(Duration::from_secs(2)));
        assert_eq!(soon, AfterBlame::Check(Duration::from_secs(3)));
        assert_eq!(blame.add("a", "1", false, Some(Duration::from_secs(60))), CHECK);
    }

    #[test]
    fn a_plugin_that_breaks_three_calls_in_a_row_is_told_until_it_signs() {
        let mut breaks = Breaks::default();
        let news: Vec<bool> = (0..5).map(|n| breaks.add("a", n.to_string(), false)).collect();
        assert_eq!(news, [false, false, true, false, false], "one write, whatever comes after");
        assert_eq!(breaks.said(), Some("2"));
        assert!(breaks.end());
        assert_eq!(breaks.said(), None);
        assert!(!breaks.end());
        assert!(!breaks.add("a", "again".to_owned(), false));
    }

    #[test]
    fn no_tenant_alone_writes_on_a_shared_issuer_that_its_plugin_breaks() {
        let mut breaks = Breaks::default();
        assert!((0..50).all(|_| !breaks.add("a", "mine".to_owned(), true)));
        assert!(breaks.add("b", "ours".to_owned(), true));
        assert_eq!(breaks.said(), Some("ours"));
        assert!(!breaks.add("b", "again".to_owned(), true), "one write, whatever comes after");
    }
}
