//! Records a case against real servers. What is written was replayed before, with the case's own values of the Secret, and came
//! to the same.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use wasm_issuer_core::x509::pem;
use wasm_issuer_runtime::egress::{HttpGrant, Recorder, Traffic};
use wasm_issuer_runtime::{Plugin, Rehearsal};

use super::super::http::HttpArgs;
use super::super::input::{self, quoted};
use super::super::policy::AppliedPolicy;
use super::super::secret::SecretValues;
use super::case::{Asked, Case, KEPT};
use super::difference::Difference;
use super::leak::{self, MIN_SECRET, Secret};
use super::outcome::Outcome;
use super::recording::{self, Recording, Seed};
use super::run::{self, Replayed};
use super::take::{Hidden, Take};

/// What it takes to call real servers.
pub struct Live {
    /// The values of the Secret that they accept. Without, the cases' own.
    pub secret: Option<SecretValues>,
    pub ca_bundle: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    /// What bounds what the cases' Issuers grant.
    pub policy: AppliedPolicy,
}

/// A recording that may be written.
pub struct Recorded {
    /// What came of the case with real servers.
    pub outcome: Outcome,
    /// What came of it without.
    pub replayed: Outcome,
    /// None where nothing was asked of a server.
    pub recording: Option<Recording>,
}

/// Why there is no recording.
pub struct Refusal {
    /// What came of the case.
    pub outcome: Outcome,
    pub why: String,
    /// How a replay differed.
    pub differences: Vec<Difference>,
}

impl Live {
    /// The values of a case's Secret, and what of them may stand nowhere: all but what stands in the case.
    fn secret(&self, case: &Case) -> anyhow::Result<(Option<SecretValues>, Vec<Secret>)> {
        let (Some(real), Some(made_up)) = (&self.secret, &case.secret) else {
            return Ok((case.secret.clone(), Vec::new()));
        };
        let mut values = SecretValues::new();
        let mut secrets = Vec::new();
        for (key, made_up) in made_up {
            let value = real.get(key).with_context(|| {
                format!("--secret has no key {key:?}, which the case {:?} lends its plugin", case.name)
            })?;
            if value != made_up {
                ensure!(
                    value.trim_ascii().len() >= MIN_SECRET,
                    "the value of {key:?} in --secret is too short to be looked for in a recording: if it is no secret, put \
                     it into the case {:?} itself",
                    case.name
                );
                secrets.push(Secret { name: format!("the value of `{key}`"), value: value.to_vec() });
            }
            values.insert(key.clone(), value.clone());
        }
        Ok((Some(values), secrets))
    }

    fn grant(&self, case: &Case) -> anyhow::Result<HttpGrant> {
        let args = HttpArgs {
            allow_host: Vec::new(),
            ca_bundle: self.ca_bundle.clone(),
            client_cert: self.client_cert.clone(),
        };
        let tls =
            args.read(&mut case.spec.http.clone()).with_context(|| format!("the case {:?}", case.name))?;
        let addresses = self.policy.addresses(case.issuer.kind);
        Ok(HttpGrant { allowed: case.allowed.clone(), addresses, ..tls })
    }
}

/// Call the plugin with real servers, and then with what they answered.
pub async fn record(
    plugin: &Arc<Plugin>,
    case: &Case,
    live: &Live,
) -> anyhow::Result<Result<Recorded, Refusal>> {
    if let Some(problem) = live.policy.refusal(case.issuer.kind, &case.spec, None) {
        let why = problem.message.clone();
        return Ok(Err(Refusal { outcome: Outcome::failed(*problem), why, differences: Vec::new() }));
    }
    let (secret, mut secrets) = live.secret(case)?;
    let recorder = Arc::new(Recorder::default());
    let (at, seed) = (Timestamp::now(), Seed(rand::random()));
    let rehearsal = Rehearsal {
        traffic: Traffic::Recorded(recorder.clone()),
        now: case.at.unwrap_or(at).into(),
        seed: seed.0,
        meter: None,
    };
    let outcome = run::run(plugin, case, secret.as_ref(), live.grant(case)?, rehearsal).await?;
    let refused = |why: String| Ok(Err(Refusal { outcome: outcome.clone(), why, differences: Vec::new() }));
    let Take { exchanges, hidden } = match Take::of(&recorder.recorded(), &case.rules) {
        Ok(take) => take,
        Err(error) => return refused(error.to_string()),
    };
    if case.at.is_some() && !exchanges.is_empty() {
        return refused(
            "`at` is another time than the servers have: remove it, a recording keeps its own".to_owned(),
        );
    }
    secrets.extend(hidden.into_iter().map(secret_of));
    if let Some(found) = leak::find(&exchanges, &outcome.json().to_string(), &secrets) {
        return refused(format!("{found}: a recording is for all to see"));
    }
    let recording = (!exchanges.is_empty()).then(|| Recording { at: Some(at), seed, exchanges });
    let Replayed { outcome: replayed, mut differences } =
        run::replay(plugin, case, recording.as_ref()).await?;
    if differences.is_empty() {
        differences = outcome.without_certificates().differences(&replayed);
    }
    if !differences.is_empty() {
        let why =
            "replayed, it comes to something else; what differs from run to run is to be named in `ignore`"
                .to_owned();
        return Ok(Err(Refusal { outcome, why, differences }));
    }
    Ok(Ok(Recorded { outcome, replayed, recording }))
}

fn secret_of(Hidden { name, value }: Hidden) -> Secret {
    Secret { name: format!("what `{name}` stands for"), value: value.into_bytes() }
}

/// Write a recording into the folder of its case, with the CSR if it was made for it; or remove one that is not needed.
pub fn write(case: &Case, recording: Option<&Recording>) -> anyhow::Result<()> {
    let path = case.folder.join(recording::FILE);
    let Some(recording) = recording else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", quoted(&path)))
            }
            _ => Ok(()),
        };
    };
    if let Asked::Sign { request, is_new: true } = &case.asked {
        let pem = pem::encode("CERTIFICATE REQUEST", request.csr.der());
        input::write(&case.folder.join(KEPT), pem.as_bytes())?;
    }
    input::write(&path, recording.yaml()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn what_the_case_says_itself_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("one")).unwrap();
        let text =
            "call: check\nissuer: {spec: {authSecretName: auth}}\nsecret: {user: admin, token: made-up}\n";
        std::fs::write(folder.path().join("one/case.yaml"), text).unwrap();
        let case = Case::all(folder.path(), "", Path::new("a.wasm")).unwrap().remove(0);
        let live = |values: &[(&str, &str)]| {
            let value =
                |(key, value): &(&str, &str)| ((*key).to_owned(), Zeroizing::new(value.as_bytes().to_vec()));
            let secret = Some(values.iter().map(value).collect());
            let policy = AppliedPolicy::default();
            Live { secret, ca_bundle: None, client_cert: None, policy }.secret(&case)
        };
        let (values, secrets) = live(&[("user", "admin"), ("token", "t0k3n"), ("more", "value")]).unwrap();
        assert_eq!(values.unwrap().into_keys().collect::<Vec<_>>(), ["token", "user"]);
        let secrets: Vec<_> = secrets.iter().map(|it| (it.name.as_str(), it.value.as_slice())).collect();
        assert_eq!(secrets, [("the value of `token`", &b"t0k3n"[..])]);
        let error = |values: &[(&str, &str)]| format!("{:#}", live(values).err().unwrap());
        assert!(
            error(&[("user", "admin")])
                .contains("--secret has no key \"token\", which the case \"one\" lends")
        );
        assert!(error(&[("user", "a"), ("token", "t0k3n")]).contains("too short to be looked for"));
    }
}
