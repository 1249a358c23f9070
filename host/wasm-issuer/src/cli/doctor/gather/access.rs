//! What a ServiceAccount may do, by the API server's own word: access reviews, which are stored nowhere.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::OnceCell;

use super::reader::{Reader, why};

/// Asks about one ServiceAccount.
pub struct Access<'a> {
    reader: &'a Reader,
    namespace: String,
    account: String,
    /// Whether this user may not ask about others, and is that ServiceAccount or not.
    myself: OnceCell<bool>,
}

impl<'a> Access<'a> {
    /// About the ServiceAccount of this namespace and name.
    pub fn new(reader: &'a Reader, (namespace, account): (String, String)) -> Self {
        Self { reader, namespace, account, myself: OnceCell::new() }
    }

    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.account)
    }

    /// Whether it may. An empty namespace is all, an empty name too. None where this user may not ask.
    pub async fn may(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Option<bool> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let attributes = ResourceAttributes {
            verb: text(verb),
            group: text(group),
            resource: text(resource),
            subresource: text(subresource),
            namespace: text(namespace),
            name: text(name),
            ..ResourceAttributes::default()
        };
        if self.myself.get().is_none() {
            match self.of_others(attributes.clone()).await {
                Ok(may) => return Some(may),
                Err(kube::Error::Api(status)) if status.is_forbidden() => {}
                Err(error) => {
                    self.reader.miss(self.what(), why(&error));
                    return None;
                }
            }
        }
        if !*self.myself.get_or_init(|| self.is_me()).await {
            let why = "this user may not create subjectaccessreviews.authorization.k8s.io, which a cluster's administrator may";
            self.reader.miss(self.what(), why);
            return None;
        }
        self.of_me(attributes).await.map_err(|error| self.reader.miss(self.what(), why(&error))).ok()
    }

    fn what(&self) -> String {
        format!("the rights of ServiceAccount {}/{}", self.namespace, self.account)
    }

    async fn of_others(&self, attributes: ResourceAttributes) -> kube::Result<bool> {
        let groups = [
            "system:serviceaccounts",
            &format!("system:serviceaccounts:{}", self.namespace),
            "system:authenticated",
        ];
        let spec = SubjectAccessReviewSpec {
            user: Some(self.user()),
            groups: Some(groups.map(str::to_owned).to_vec()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = Api::all(self.reader.client.clone()).create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    async fn of_me(&self, attributes: ResourceAttributes) -> kube::Result<bool> {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            non_resource_attributes: None,
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = Api::all(self.reader.client.clone()).create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// Whether this user is the ServiceAccount: inside its pod, or with `--as`.
    async fn is_me(&self) -> bool {
        let api: Api<SelfSubjectReview> = Api::all(self.reader.client.clone());
        let answer = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
        let me = answer.ok().and_then(|review| review.status?.user_info?.username);
        me.is_some_and(|me| me == self.user())
    }
}
