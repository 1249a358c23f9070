//! Reads of objects, and a list of those that were not possible.

use std::cell::RefCell;
use std::fmt::Debug;

use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::cli::doctor::finding::Unseen;

/// How many objects are read at a time, and of a kind at most.
const PAGE: u32 = 500;
const MAX: usize = 20_000;

/// Reads objects.
pub struct Reader {
    pub client: Client,
    unseen: RefCell<Vec<Unseen>>,
}

impl Reader {
    pub fn new(client: Client) -> Self {
        Self { client, unseen: RefCell::default() }
    }

    /// What was not possible.
    pub fn unseen(&self) -> Vec<Unseen> {
        self.unseen.take()
    }

    /// Note, once, that something could not be looked at.
    pub fn miss(&self, what: impl Into<String>, why: impl ToString) {
        let unseen = Unseen { what: what.into(), why: why.to_string() };
        let mut all = self.unseen.borrow_mut();
        if !all.contains(&unseen) {
            all.push(unseen);
        }
    }

    /// An object; the outer none where it cannot be read.
    pub async fn get<K>(&self, api: &Api<K>, name: &str) -> Option<Option<K>>
    where
        K: Clone + Debug + DeserializeOwned + Resource,
    {
        match api.get_opt(name).await {
            Ok(found) => Some(found),
            Err(error) => {
                self.miss(what(api), why(&error));
                None
            }
        }
    }

    /// All objects; of a kind that the API server does not have there are none.
    pub async fn list<K>(&self, api: &Api<K>, params: ListParams) -> Option<Vec<K>>
    where
        K: Clone + Debug + DeserializeOwned + Resource,
    {
        let mut params = params.limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = match api.list(&params).await {
                Ok(page) => page,
                Err(kube::Error::Api(status)) if status.is_not_found() => return Some(all),
                Err(error) => {
                    let is_narrow = api.resource_url().contains("/namespaces/");
                    let hint = if is_narrow { "" } else { "; -n looks at one namespace" };
                    self.miss(what(api), format!("{}{hint}", why(&error)));
                    return None;
                }
            };
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(_) if all.len() >= MAX => {
                    self.miss(
                        what(api),
                        format!("only the first {} were looked at; -n looks at one namespace", all.len()),
                    );
                    return Some(all);
                }
                Some(token) => params = params.continue_token(&token),
                None => return Some(all),
            }
        }
    }

    /// Whether the API server has a resource.
    pub async fn has(&self, group: &str, plural: &str) -> Option<bool> {
        match self.client.list_api_groups().await {
            Ok(groups) if groups.groups.iter().all(|found| found.name != group) => Some(false),
            Ok(_) => match self.client.list_api_group_resources(&format!("{group}/v1")).await {
                Ok(list) => Some(list.resources.iter().any(|resource| resource.name == plural)),
                Err(kube::Error::Api(status)) if status.is_not_found() => Some(false),
                Err(error) => {
                    self.miss(format!("{plural}.{group}"), why(&error));
                    None
                }
            },
            Err(error) => {
                self.miss("the API groups", why(&error));
                None
            }
        }
    }
}

/// The objects of an API as its URL calls them.
fn what<K: Resource>(api: &Api<K>) -> &str {
    api.resource_url().trim_start_matches("/apis/").trim_start_matches("/api/")
}

/// What the API server says, without kube's words around it.
pub fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}
