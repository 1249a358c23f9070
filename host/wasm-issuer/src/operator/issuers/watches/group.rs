//! The objects of one kind in one namespace: how they are watched, and what is known of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::version::Version;

/// How many objects have a watch each before one of the whole namespace takes their place.
const BY_NAME: usize = 4;

/// What a watch covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One object.
    Name(Arc<str>),
    /// All objects of the group's kind in its namespace.
    Namespace,
}

/// What a watch tells.
#[derive(Debug)]
pub enum Heard {
    /// An object is at this version, or absent.
    Is(Arc<str>, Version),
    /// All that there is has been listed, without these; what changes from now on will be told.
    Listed { absent: HashSet<Arc<str>> },
    /// It is broken; `forbidden`: the API server does not let the operator watch that.
    Broken { forbidden: bool },
}

/// A watch's task. It ends when this is dropped.
pub struct Task(pub JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What covers the objects of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cover {
    /// A watch each: there are few of them.
    #[default]
    Names,
    /// One watch, which is to begin, or to begin again.
    Opening,
    /// One watch.
    Whole,
    /// A watch each, because the one of all is forbidden. That is tried again from time to time.
    Forbidden,
}

/// The objects that Issuers name.
#[derive(Default)]
pub struct Group {
    names: HashMap<Arc<str>, Named>,
    cover: Cover,
    /// The watch of the whole namespace. Once begun it stays until nobody names anything: going back and forth would
    /// cost more.
    whole: Option<Task>,
}

struct Named {
    /// How many subscriptions there are.
    subscriptions: usize,
    version: watch::Sender<Version>,
    /// The watch of this object alone.
    task: Option<Task>,
}

impl Named {
    fn set(&self, new: Version) {
        self.version.send_if_modified(|old| {
            let is_new = *old != new;
            *old = new;
            is_new
        });
    }
}

impl Group {
    /// One more subscription to an object. Returns its version, and the watches that are to begin.
    pub fn add(&mut self, name: &str) -> (watch::Receiver<Version>, Vec<Scope>) {
        if let Some(named) = self.names.get_mut(name) {
            named.subscriptions += 1;
            return (named.version.subscribe(), vec![]);
        }
        let first = if self.cover == Cover::Whole { Version::Unchanged } else { Version::Unknown };
        let (sender, version) = watch::channel(first);
        let name: Arc<str> = name.into();
        self.names.insert(name.clone(), Named { subscriptions: 1, version: sender, task: None });
        let begin = match self.cover {
            Cover::Names if self.names.len() > BY_NAME => {
                self.cover = Cover::Opening;
                self.end_names();
                self.forget();
                vec![Scope::Namespace]
            }
            Cover::Names | Cover::Forbidden => vec![Scope::Name(name)],
            Cover::Opening | Cover::Whole => vec![],
        };
        (version, begin)
    }

    /// One subscription less. Whether it was the last one of all.
    pub fn release(&mut self, name: &str) -> bool {
        if let Some(named) = self.names.get_mut(name) {
            named.subscriptions -= 1;
            if named.subscriptions == 0 {
                self.names.remove(name);
            }
        }
        self.names.is_empty()
    }

    /// Keep the task of a watch that was to begin.
    pub fn began(&mut self, scope: &Scope, task: Task) {
        match scope {
            Scope::Namespace => self.whole = Some(task),
            Scope::Name(name) => {
                if let Some(named) = self.names.get_mut(name) {
                    named.task = Some(task);
                }
            }
        }
    }

    /// The names that a watch is to tell about.
    pub fn names(&self, scope: &Scope) -> Vec<Arc<str>> {
        match scope {
            Scope::Namespace => self.names.keys().cloned().collect(),
            Scope::Name(name) => vec![name.clone()],
        }
    }

    /// Take note of what a watch has told. Returns the watches that are to begin.
    pub fn hear(&mut self, scope: &Scope, heard: Heard) -> Vec<Scope> {
        if !self.heeds(scope) {
            return vec![];
        }
        match heard {
            Heard::Is(name, version) => {
                if let Some(named) = self.names.get(&name) {
                    named.set(version);
                }
            }
            Heard::Listed { absent } => self.listed(scope, &absent),
            Heard::Broken { forbidden } => return self.broken(scope, forbidden),
        }
        vec![]
    }

    /// Whether a watch is still the one to be heard: it may have been on its way when another one took its place.
    fn heeds(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Namespace => self.whole.is_some(),
            Scope::Name(name) => self.names.get(name).is_some_and(|named| named.task.is_some()),
        }
    }

    fn listed(&mut self, scope: &Scope, absent: &HashSet<Arc<str>>) {
        if *scope == Scope::Namespace {
            self.cover = Cover::Whole;
            self.end_names();
        }
        for name in self.names(scope) {
            let Some(named) = self.names.get(&name) else { continue };
            if absent.contains(&name) {
                named.set(Version::Absent);
            } else if *named.version.borrow() == Version::Unknown {
                // Named while the list was under way, which may have been past it by then.
                named.set(Version::Unchanged);
            }
        }
    }

    fn broken(&mut self, scope: &Scope, forbidden: bool) -> Vec<Scope> {
        let name = match scope {
            Scope::Name(name) => name,
            Scope::Namespace if self.cover == Cover::Forbidden => return vec![],
            Scope::Namespace => {
                self.cover = if forbidden { Cover::Forbidden } else { Cover::Opening };
                self.forget();
                let names = if forbidden { self.names(scope) } else { vec![] };
                return names.into_iter().map(Scope::Name).collect();
            }
        };
        if let Some(named) = self.names.get(name) {
            named.set(Version::Unknown);
        }
        vec![]
    }

    /// Nothing is known any more.
    fn forget(&self) {
        self.names.values().for_each(|named| named.set(Version::Unknown));
    }

    /// End the watches of single objects.
    fn end_names(&mut self) {
        self.names.values_mut().for_each(|named| named.task = None);
    }
}
