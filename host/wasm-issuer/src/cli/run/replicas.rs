//! Several replicas: who works for which Issuers.

use anyhow::{Context, bail};
use clap::{ArgAction, Args};
use wasm_issuer_core::lease::Terms;

use crate::api::GoDuration;
use crate::operator::ElectionConfig;

/// The most shards: each is a Lease that is written every retry period.
const MAX_SHARDS: usize = 64;

#[derive(Args)]
pub struct Replicas {
    /// Agree with the other replicas, by a Lease, on who works: one does, and the others are ready to take over
    /// (docs/replicas.md). Needed wherever two processes may run at the same time.
    #[arg(long, env = "WASM_ISSUER_LEADER_ELECT", default_value_t = false, num_args = 0..=1,
          default_missing_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    leader_elect: bool,
    /// Divide the Issuers into so many shards, each with a Lease of its own, which the replicas share: they all work, and each
    /// Issuer is worked for by one of them. The same number for all replicas, and not more than 64. With more than one,
    /// --leader-elect is needed.
    #[arg(long, env = "WASM_ISSUER_SHARDS", default_value_t = 1, value_name = "N")]
    shards: usize,
    /// The namespace of the Leases. In a cluster the default is the operator's own namespace.
    #[arg(long, env = "WASM_ISSUER_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// The name of the Lease, or how the names of all of them begin. Operators that do not share their Issuers need different
    /// ones.
    #[arg(long, env = "WASM_ISSUER_LEASE_NAME", default_value = "wasm-issuer", value_name = "NAME")]
    lease_name: String,
    /// How long the others wait before they take over from a replica that died, in whole seconds.
    #[arg(long, default_value = "15s", value_name = "DURATION")]
    lease_duration: GoDuration,
    /// How long a replica works on that cannot renew its Lease. Shorter than --lease-duration.
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    renew_deadline: GoDuration,
    /// How often a Lease is renewed. Shorter than --renew-deadline.
    #[arg(long, default_value = "2s", value_name = "DURATION")]
    retry_period: GoDuration,
    /// A label selector, as `team=a,tier in (prod,test)`: Issuers that it does not select, and their requests, are left alone.
    /// Each operator then needs a --lease-name of its own. Default: all Issuers.
    #[arg(long, env = "WASM_ISSUER_ISSUER_SELECTOR", value_name = "SELECTOR")]
    pub issuer_selector: Option<String>,
}

impl Replicas {
    /// How replicas agree, if there are several. `instance` is the pod's name, or what stands for it; `own_namespace` is where
    /// the Leases are by default.
    pub fn election(
        &self,
        instance: &str,
        own_namespace: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<Option<ElectionConfig>> {
        let terms = Terms::new(self.lease_duration.0, self.renew_deadline.0, self.retry_period.0)?;
        if !(1..=MAX_SHARDS).contains(&self.shards) {
            bail!("--shards {} is not a number from 1 to {MAX_SHARDS}", self.shards);
        }
        if !self.leader_elect {
            if self.shards > 1 {
                bail!("--shards {} needs --leader-elect: each shard is held by a Lease", self.shards);
            }
            return Ok(None);
        }
        check_name(&self.lease_name)?;
        let namespace = match &self.lease_namespace {
            Some(namespace) => namespace.clone(),
            None => own_namespace().context(
                "outside a cluster, --leader-elect needs --lease-namespace: the namespace of the Leases",
            )?,
        };
        Ok(Some(ElectionConfig {
            namespace,
            name: self.lease_name.clone(),
            // Nobody is called as the container before it in the same pod.
            identity: format!("{instance}_{:016x}", rand::random::<u64>()),
            terms,
            shards: self.shards,
        }))
    }
}

/// It is a label's value too, and the names of shards are longer.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_fine = (1..=50).contains(&name.len())
        && name.chars().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !is_fine {
        bail!(
            "--lease-name {name:?} is no name: 1 to 50 lower-case letters, digits and hyphens, with a letter or a digit at \
             both ends"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        replicas: Replicas,
    }

    fn election(args: &str) -> Result<Option<ElectionConfig>, String> {
        let line = Line::try_parse_from(["run"].into_iter().chain(args.split_whitespace())).unwrap();
        line.replicas.election("pod-1", || Ok("own".to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn one_replica_needs_no_lease_and_several_agree_on_one() {
        assert!(election("").unwrap().is_none());
        assert!(election("--leader-elect=false").unwrap().is_none());
        let config = election("--leader-elect").unwrap().unwrap();
        assert_eq!(
            (config.namespace.as_str(), config.name.as_str(), config.shards),
            ("own", "wasm-issuer", 1)
        );
        assert_eq!(config.terms, Terms::default());
        let again = election("--leader-elect=true --lease-namespace there").unwrap().unwrap();
        assert!(config.identity.starts_with("pod-1_") && config.identity != again.identity);
        assert_eq!(again.namespace, "there");
    }

    #[test]
    fn what_cannot_be_is_told_with_its_flag() {
        for (args, message) in [
            ("--shards 2", "--shards 2 needs --leader-elect: each shard is held by a Lease"),
            ("--leader-elect --shards 0", "--shards 0 is not a number from 1 to 64"),
            (
                "--leader-elect --renew-deadline 20s",
                "--renew-deadline 20s must be shorter than --lease-duration 15s",
            ),
            (
                "--leader-elect --lease-name A",
                "--lease-name \"A\" is no name: 1 to 50 lower-case letters, digits and hyphens, with a letter or a digit \
                 at both ends",
            ),
        ] {
            assert_eq!(election(args).unwrap_err(), message);
        }
    }
}
