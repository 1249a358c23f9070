//! What a request sees of its Issuer, and when a change of the Issuer is its concern.

use super::condition::{self, Condition, RESUME};
use super::plan::{Next, RequestStatus};

/// What is observed of the Issuer.
#[derive(Clone, Debug)]
pub enum IssuerView {
    /// The request names an Issuer that does not exist.
    Missing,
    /// The Issuer exists; whether it can sign is another matter.
    Present {
        /// `metadata.generation`.
        generation: i64,
        /// Its Ready condition.
        ready: Option<Condition>,
        /// Whether a plugin is loaded and checked in this process.
        serving: bool,
    },
}

impl IssuerView {
    /// Whether requests may be looked at otherwise than by this older view.
    pub fn is_news_after(&self, older: &Self) -> bool {
        let seen = |view: &Self| match view {
            Self::Missing => None,
            Self::Present { generation, ready, serving } => {
                let ready = ready.as_ref().map(|r| (r.status.clone(), r.observed_generation));
                Some((*generation, ready, *serving))
            }
        };
        seen(self) != seen(older)
    }
}

/// The Issuer that a plugin was called for, as its object was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedIssuer {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// How often the operator's policy has taken back what it was granted.
    pub revocations: u64,
}

/// What has happened to an Issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerNews {
    /// It became ready or stopped being so, or something else serves.
    Changed,
    /// Somebody did something about it: a new spec, an annotation, a Ready condition that was taken away.
    Touched,
}

/// Whether to look at a request because of its Issuer. `next` is what was decided last, `is_running` whether it is being
/// handled, maybe by what the Issuer was before.
///
/// One that waits because the CA asked for it comes early only if somebody did something about the Issuer.
pub fn is_woken_by_issuer(next: Next, is_running: bool, news: IssuerNews) -> bool {
    is_running
        || match next {
            Next::Settled => false,
            Next::WithIssuer | Next::WithIssuerOrAfter(_) => true,
            Next::After(_) => news == IssuerNews::Touched,
        }
}

/// Whether what a plugin answered may be published: the Issuer is still the one that was asked. `now` is none where there
/// is no such Issuer.
///
/// An order at a CA is kept although the spec has changed, because another order would be one too many; it is not handed
/// to another Issuer of the same name.
pub fn is_publishable(status: &RequestStatus, asked: &AskedIssuer, now: Option<&AskedIssuer>) -> bool {
    let is_order = status.certificate.is_none() && condition::find(&status.conditions, RESUME).is_some();
    now.is_some_and(|now| now == asked || (is_order && now.uid == asked.uid))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::condition::TRUE;
    use super::super::testing::condition;
    use super::*;

    #[test]
    fn an_issuers_change_wakes_who_waits_for_it_and_nobody_else() {
        let minutes = Duration::from_secs(300);
        for news in [IssuerNews::Changed, IssuerNews::Touched] {
            assert!(is_woken_by_issuer(Next::WithIssuer, false, news));
            assert!(is_woken_by_issuer(Next::WithIssuerOrAfter(minutes), false, news), "in back-off");
            assert!(!is_woken_by_issuer(Next::Settled, false, news));
            assert!(
                is_woken_by_issuer(Next::Settled, true, news),
                "it may have looked at it before the change"
            );
        }
        assert!(
            !is_woken_by_issuer(Next::After(minutes), false, IssuerNews::Changed),
            "a Retry-After is honoured"
        );
        assert!(
            is_woken_by_issuer(Next::After(minutes), false, IssuerNews::Touched),
            "unless somebody mends it"
        );
    }

    #[test]
    fn an_answer_is_published_for_the_issuer_that_was_asked_and_no_other() {
        let issuer = |uid: &str, generation| AskedIssuer { uid: uid.into(), generation, revocations: 0 };
        let certificate = RequestStatus { certificate: Some("leaf".into()), ..RequestStatus::default() };
        let asked = issuer("a", 1);
        assert!(is_publishable(&certificate, &asked, Some(&issuer("a", 1))));
        assert!(!is_publishable(&certificate, &asked, Some(&issuer("a", 2))), "its grants may be fewer now");
        assert!(!is_publishable(&certificate, &asked, Some(&issuer("b", 1))), "made anew");
        assert!(!is_publishable(&certificate, &asked, None), "deleted");
        let revoked = AskedIssuer { revocations: 1, ..asked.clone() };
        assert!(!is_publishable(&certificate, &asked, Some(&revoked)), "the policy is narrower now");

        let conditions = vec![condition(RESUME, TRUE, "Pending", "order-7")];
        let order = RequestStatus { conditions, ..RequestStatus::default() };
        assert!(is_publishable(&order, &asked, Some(&issuer("a", 2))), "a second order is one too many");
        assert!(!is_publishable(&order, &asked, Some(&issuer("b", 1))));
    }
}
