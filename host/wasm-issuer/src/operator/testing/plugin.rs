//! Plugins that answer as a test says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, SignRequest, Signed};
use wasm_issuer_runtime::{
    Account, Breakage, Cache, CallError, ComponentBytes, FairSlot, FairSlots, LoadError, Owner, SessionInit,
};

use super::certificates::{certificate, certificate_in_text, certificate_with_another_ca, forgery};
use crate::operator::signer::{Found, InUse, Loaded, Loader, Signer};

/// One answer of `sign` or `check`.
pub struct Answer {
    /// What makes the certificate, or why there is none.
    result: Result<fn() -> Signed, CallError>,
    after: Duration,
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

impl Answer {
    /// A new certificate, or a check that passed.
    pub fn good() -> Self {
        Self { result: Ok(certificate), after: Duration::ZERO, meanwhile: None }
    }

    /// A certificate for a name that nobody asked for.
    pub fn forged() -> Self {
        Self { result: Ok(forgery), ..Self::good() }
    }

    /// A new certificate, and with its CA another one.
    pub fn with_another_ca() -> Self {
        Self { result: Ok(certificate_with_another_ca), ..Self::good() }
    }

    /// A new certificate, in so much text that it takes long to verify.
    pub fn long() -> Self {
        Self { result: Ok(certificate_in_text), ..Self::good() }
    }

    /// The CA works on it; `resume` is to be handed back.
    pub fn pending(resume: &str) -> Self {
        Self::failure(FailureKind::Pending { resume: Some(resume.to_owned()), poll_after: None })
    }

    /// It failed, with the message `scripted`.
    pub fn failure(kind: FailureKind) -> Self {
        let failure = Failure { kind, message: "scripted".to_owned(), condition: None };
        Self { result: Err(CallError::Failed(failure)), ..Self::good() }
    }

    /// There is no memory left for it in this process.
    pub fn no_room() -> Self {
        Self { result: Err(Breakage::MemoryExhausted { limit: 1 }.into()), ..Self::good() }
    }

    /// The plugin broke off.
    pub fn broken() -> Self {
        Self { result: Err(Breakage::StackOverflow.into()), ..Self::good() }
    }

    /// The same after so long.
    pub fn after(self, delay: Duration) -> Self {
        Self { after: delay, ..self }
    }

    /// The same, and while the plugin is at it something happens.
    pub fn meanwhile(self, act: impl FnOnce() + Send + 'static) -> Self {
        Self { meanwhile: Some(Box::new(act)), ..self }
    }

    async fn give(self) -> Result<Signed, CallError> {
        if let Some(act) = self.meanwhile {
            act();
        }
        sleep(self.after).await;
        self.result.map(|make| make())
    }
}

/// A plugin with what an Issuer lends it. Clones are the same one. Where nothing is scripted, all is good.
#[derive(Clone, Default)]
pub struct ScriptedSigner(Arc<Script>);

#[derive(Default)]
struct Script {
    signs: Mutex<VecDeque<Answer>>,
    fails: Mutex<HashMap<String, FailureKind>>,
    checks: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<(Instant, SignRequest)>>,
    checked: Mutex<usize>,
    configs: Mutex<Vec<String>>,
}

impl ScriptedSigner {
    /// What the next `sign` answers that nothing was scripted for.
    pub fn signs(&self, answer: Answer) {
        self.0.signs.lock().unwrap().push_back(answer);
    }

    /// Every `sign` of a request of that name fails.
    pub fn fails(&self, request: &str, kind: FailureKind) {
        self.0.fails.lock().unwrap().insert(request.to_owned(), kind);
    }

    /// What the next `check` answers that nothing was scripted for.
    pub fn checks(&self, answer: Answer) {
        self.0.checks.lock().unwrap().push_back(answer);
    }

    /// The requests that it was asked to sign.
    pub fn asked(&self) -> Vec<SignRequest> {
        self.0.asked.lock().unwrap().iter().map(|(_, request)| request.clone()).collect()
    }

    /// When it was asked to sign.
    pub fn times(&self) -> Vec<Instant> {
        self.0.asked.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// The tokens that it was asked with.
    pub fn tokens(&self) -> Vec<Option<String>> {
        self.asked().into_iter().map(|request| request.resume).collect()
    }

    /// The configurations that it was given.
    pub fn configs(&self) -> Vec<String> {
        self.0.configs.lock().unwrap().clone()
    }

    /// How often it was checked.
    pub fn checked(&self) -> usize {
        *self.0.checked.lock().unwrap()
    }
}

impl Signer for ScriptedSigner {
    fn check(&self) -> BoxFuture<'_, Result<(), CallError>> {
        async {
            *self.0.checked.lock().unwrap() += 1;
            let answer = self.0.checks.lock().unwrap().pop_front();
            answer.unwrap_or_else(Answer::good).give().await.map(|_| ())
        }
        .boxed()
    }

    fn sign<'a>(&'a self, request: &'a SignRequest) -> BoxFuture<'a, Result<Signed, CallError>> {
        async {
            self.0.asked.lock().unwrap().push((Instant::now(), request.clone()));
            let failure = self.0.fails.lock().unwrap().get(&request.name).cloned();
            let answer = match failure {
                Some(kind) => Answer::failure(kind),
                None => self.0.signs.lock().unwrap().pop_front().unwrap_or_else(Answer::good),
            };
            answer.give().await
        }
        .boxed()
    }
}

/// The bytes of a component are the name of a plugin here; `broken` is none, which shows at once, and nor is `invalid`,
/// which shows when it is compiled.
#[derive(Clone)]
pub struct ScriptedLoader(Arc<Plugins>);

struct Plugins {
    signers: Mutex<HashMap<String, ScriptedSigner>>,
    /// The plugins that nobody has compiled yet, and what ends their compilation.
    uncompiled: Mutex<HashMap<String, Arc<Notify>>>,
    /// The plugins whose compilation began, in this order.
    compiling: Mutex<Vec<String>>,
    turns: Arc<FairSlots>,
}

impl Default for ScriptedLoader {
    fn default() -> Self {
        Self(Arc::new(Plugins {
            signers: Mutex::default(),
            uncompiled: Mutex::default(),
            compiling: Mutex::default(),
            turns: FairSlots::new(1),
        }))
    }
}

impl ScriptedLoader {
    /// The plugin of that name.
    pub fn plugin(&self, name: &str) -> ScriptedSigner {
        self.0.signers.lock().unwrap().entry(name.to_owned()).or_default().clone()
    }

    /// The plugin of that name is to be compiled, which takes until somebody says that it is done.
    pub fn uncompiled(&self, name: &str) {
        self.0.uncompiled.lock().unwrap().insert(name.to_owned(), Arc::default());
    }

    /// A plugin is compiled by now, or will be in no time.
    pub fn compiled(&self, name: &str) {
        self.0.uncompiled.lock().unwrap()[name].notify_one();
    }

    /// The plugins whose compilation began, in this order.
    pub fn compiling(&self) -> Vec<String> {
        self.0.compiling.lock().unwrap().clone()
    }

    fn found(&self, name: String) -> Option<Arc<dyn Loaded>> {
        if self.0.uncompiled.lock().unwrap().contains_key(&name) {
            return None;
        }
        let sha256 = ComponentBytes::new(name.clone().into()).sha256().to_owned();
        Some(Arc::new(ScriptedPlugin { sha256, signer: self.plugin(&name) }))
    }
}

fn name(component: &ComponentBytes) -> Result<String, LoadError> {
    match String::from_utf8(component.as_slice().to_vec()).unwrap() {
        name if name == "broken" => Err(LoadError::Empty),
        name => Ok(name),
    }
}

struct ScriptedPlugin {
    sha256: String,
    signer: ScriptedSigner,
}

impl Loader for ScriptedLoader {
    fn in_use(self: Arc<Self>, sha256: String, _: Account) -> BoxFuture<'static, InUse> {
        let is_it = |name: &String| ComponentBytes::new(name.clone().into()).sha256() == sha256;
        let name = self.0.signers.lock().unwrap().keys().find(|name| is_it(name)).cloned();
        async move { Ok(name.and_then(|name| self.found(name))) }.boxed()
    }

    fn find(self: Arc<Self>, component: ComponentBytes, account: Account) -> BoxFuture<'static, Found> {
        let (bytes, limit) = (component.as_slice().len(), account.budget.component_bytes);
        async move {
            if bytes > limit {
                return Err(LoadError::TooLarge { bytes, limit });
            }
            Ok(self.found(name(&component)?).map(|plugin| (plugin, Cache::Memory)))
        }
        .boxed()
    }

    fn turn(self: Arc<Self>, owner: Owner) -> BoxFuture<'static, FairSlot> {
        async move { self.0.turns.acquire(&owner).await }.boxed()
    }

    fn compile(
        self: Arc<Self>,
        component: ComponentBytes,
        _: Account,
        turn: FairSlot,
    ) -> BoxFuture<'static, Result<Arc<dyn Loaded>, LoadError>> {
        async move {
            let _turn = turn;
            let name = name(&component)?;
            let done = self.0.uncompiled.lock().unwrap().get(&name).cloned();
            if let Some(done) = done {
                self.0.compiling.lock().unwrap().push(name.clone());
                done.notified().await;
                if name == "invalid" {
                    return Err(LoadError::Invalid("scripted".to_owned()));
                }
                self.0.uncompiled.lock().unwrap().remove(&name);
            }
            Ok(self.found(name).unwrap())
        }
        .boxed()
    }
}

impl Loaded for ScriptedPlugin {
    fn sha256(&self) -> &str {
        &self.sha256
    }

    fn open(self: Arc<Self>, session: SessionInit) -> Arc<dyn Signer> {
        self.signer.0.configs.lock().unwrap().push(session.config.to_string());
        Arc::new(ScriptedSession { signer: self.signer.clone(), _lent: session })
    }
}

struct ScriptedSession {
    signer: ScriptedSigner,
    _lent: SessionInit,
}

impl Signer for ScriptedSession {
    fn check(&self) -> BoxFuture<'_, Result<(), CallError>> {
        self.signer.check()
    }

    fn sign<'a>(&'a self, request: &'a SignRequest) -> BoxFuture<'a, Result<Signed, CallError>> {
        self.signer.sign(request)
    }
}
