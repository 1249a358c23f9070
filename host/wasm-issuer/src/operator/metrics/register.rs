//! Under which names the metrics are told, and what is known from the start.

use super::*;

impl Metrics {
    /// What is known from the start.
    pub(super) fn begin(&self) {
        self.set_shards_held(1);
        self.build.get_or_create(&VersionLabel { version: env!("CARGO_PKG_VERSION") }).set(1);
        for outcome in SignOutcome::ALL {
            drop(self.signs.get_or_create(&Outcome::of(outcome)));
        }
        for reason in Breakage::LABELS {
            drop(self.breakages.get_or_create(&Reason { reason }));
        }
        for reason in DenialReason::ALL {
            drop(self.denials.get_or_create(&Reason { reason: reason.label() }));
        }
        for load in PluginLoad::ALL {
            drop(self.plugin_loads.get_or_create(&FoundIn::of(load)));
        }
        for resource in WatchedResource::ALL {
            drop(self.watch_restarts.get_or_create(&ResourceLabel::of(resource)));
        }
        for labels in WriteLabels::all() {
            drop(self.writes.get_or_create(&labels));
        }
        self.set_unfinished(&[], Timestamp::UNIX_EPOCH);
    }

    pub(super) fn register_issuing(&mut self) {
        let r = &mut self.registry;
        r.register("signs", "Calls of a plugin's sign by what came of them", self.signs.clone());
        r.register(
            "sign_duration_seconds",
            "Time from a call of a plugin's sign to its answer",
            self.sign_seconds.clone(),
        );
        r.register(
            "sign_retries",
            "Calls of sign for a request at which the plugin had failed before",
            self.sign_retries.clone(),
        );
        r.register(
            "certificate_mismatches",
            "Certificates that differed from their request, by field; the enforced ones were refused",
            self.mismatches.clone(),
        );
        r.register(
            "requests_unfinished",
            "Requests that are not finished, by what they wait for; counted every 5 s",
            self.unfinished.clone(),
        );
        r.register(
            "requests_oldest_age_seconds",
            "Time since the creation of the oldest request in each state; 0 where there is none",
            self.oldest.clone(),
        );
        r.register("requests_in_flight", "Requests being worked on", self.in_flight.clone());
        r.register(
            "request_queue_duration_seconds",
            "Time that a request waited for its turn each time that it was due",
            self.queue_seconds.clone(),
        );
        r.register("issuers", "Issuers", self.issuers_count.clone());
        r.register("issuers_ready", "Issuers that can sign", self.issuers_ready.clone());
        r.register(
            "issuers_without_series",
            "Issuers that are left out of the metrics with issuer_name, because there are too many",
            self.issuers_without_series.clone(),
        );
        r.register_collector(Box::new(self.issuers.clone()));
    }

    pub(super) fn register_plugins(&mut self) {
        let r = &mut self.registry;
        r.register(
            "plugin_breakages",
            "Calls of sign and check that a plugin did not survive, by how",
            self.breakages.clone(),
        );
        r.register("http_denials", "Outgoing requests of plugins that were denied", self.denials.clone());
        r.register(
            "plugin_loads",
            "Plugins that were looked for, by where they were found; failed are those that were not",
            self.plugin_loads.clone(),
        );
        r.register(
            "plugin_load_duration_seconds",
            "Time to read a plugin's bytes and to find its machine code, without compiling",
            self.load_seconds.clone(),
        );
        r.register(
            "plugin_compile_duration_seconds",
            "Time to compile a plugin, without the wait for its turn",
            self.compile_seconds.clone(),
        );
    }

    pub(super) fn register_process(&mut self) {
        let r = &mut self.registry;
        r.register("api_writes", "Writes to the API server by what came of them", self.writes.clone());
        r.register("audit_records", "Records of the audit by what came of them", self.audit_records.clone());
        r.register(
            "watch_restarts",
            "Watches that broke and were begun anew, by what they watched",
            self.watch_restarts.clone(),
        );
        r.register(
            "events_dropped",
            "Kubernetes Events dropped because too many waited",
            self.events_dropped.clone(),
        );
        r.register(
            "log_records_dropped",
            "Log records dropped because nobody read stderr",
            self.log_records_dropped.clone(),
        );
        r.register(
            "policy_errors",
            "Changes of the policy file that made it no policy; the one before holds on",
            self.policy_errors.clone(),
        );
        r.register(
            "leader",
            "1 where this process issues certificates, 0 where it stands by for another one",
            self.leader.clone(),
        );
        r.register("shards_held", "Shards whose Issuers this process works for", self.shards_held.clone());
        r.register("build_info", "1, with the version of the operator", self.build.clone());
    }
}
