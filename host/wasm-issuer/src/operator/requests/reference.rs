//! Whether a requester may refer to an Issuer of a namespace, which a CertificateSigningRequest is not in: what cert-manager
//! asks for its own Issuers, in the same words to the API server.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::outcome::Unsignable;
use wasm_issuer_core::issuance::request::Tries;
use wasm_issuer_core::issuance::signer::Requester;

use super::handled::Handled;
use super::observe::Observed;
use super::sign::Signing;
use crate::api::IssuerKey;
use crate::api::cert_manager::GROUP;
use crate::operator::leadership::Fence;
use crate::operator::read::{ReadError, in_time};

/// The delays after a review that did not come about.
const REVIEW_AGAIN: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) };

impl Signing {
    /// Why a request is refused whose requester may not refer to its Issuer. Who may not learns nothing of the Issuer, not
    /// even whether there is one. Asked before each look: the right may be taken back. Else, the API server does not say.
    pub(super) async fn denied_reference(
        &self,
        current: &mut Arc<Observed>,
        fence: &Fence,
        tries: Tries,
    ) -> Result<Option<Unsignable>, Handled> {
        if current.referred().is_none() {
            return Ok(None);
        }
        let requester = self.asked(current, tries).await?.spec.requester();
        // It may be another version by now.
        let Some(issuer) = current.referred().cloned() else { return Ok(None) };
        match self.may_refer(&requester, &issuer).await {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(denied(&issuer))),
            Err(error) => {
                self.report(
                    fence,
                    current,
                    "review whether the requester may refer to the Issuer",
                    &error.words(),
                );
                let tries = Tries { failures: tries.failures.saturating_add(1), ..tries };
                Err(Handled::again(tries, REVIEW_AGAIN.delay(tries.failures, rand::random(), None)))
            }
        }
    }

    /// Whether the requester may refer to the Issuer, by its name or as one of all.
    async fn may_refer(
        &self,
        requester: &Requester,
        issuer: &IssuerKey,
    ) -> Result<bool, ReadError<kube::Error>> {
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        for name in [issuer.name.as_str(), "*"] {
            let review = review(requester, issuer.namespace.as_deref(), name);
            let answer = in_time(api.create(&PostParams::default(), &review)).await?;
            if answer.status.is_some_and(|status| status.allowed) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn review(requester: &Requester, namespace: Option<&str>, name: &str) -> SubjectAccessReview {
    let text = |text: &str| Some(text.to_owned());
    let attributes = ResourceAttributes {
        group: text(GROUP),
        version: text("*"),
        resource: text("signers"),
        verb: text("reference"),
        namespace: namespace.map(str::to_owned),
        name: text(name),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: text(&requester.username),
        uid: text(&requester.uid),
        groups: Some(requester.groups.clone()),
        extra: Some(requester.extra.iter().cloned().collect()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

fn denied(issuer: &IssuerKey) -> Unsignable {
    let (name, namespace) = (&issuer.name, issuer.namespace.as_deref().unwrap_or_default());
    let message = format!(
        "Requester may not reference {issuer}: that takes the verb \"reference\" on signers.{GROUP} named \"{name}\" in the \
         namespace {namespace}"
    );
    Unsignable { reason: "DeniedReference", message }
}
