//! The series of single Issuers. Whoever creates Issuers creates series, so there are only so many: as slots are shared,
//! a namespace leaves as many places as it has. The other Issuers are in the totals alone.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

use super::labels::{SignCall, SignOutcome};
use crate::api::IssuerKey;

/// Fewer than of the total: each Issuer has them.
const BUCKETS: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// What is measured of each Issuer that has a place. Clones are the same one.
#[derive(Clone)]
pub struct IssuerSeries {
    places: Arc<FairSlots>,
    issuers: Arc<Mutex<BTreeMap<IssuerKey, Series>>>,
    is_on: bool,
}

struct Series {
    is_ready: bool,
    /// By [`SignOutcome::ALL`].
    signs: [u64; SignOutcome::ALL.len()],
    seconds: Histogram,
    retries: u64,
    last_success: Option<Timestamp>,
    ca_not_after: Option<Timestamp>,
    _place: FairSlot,
}

impl Series {
    fn new(place: FairSlot) -> Self {
        Self {
            is_ready: false,
            signs: [0; SignOutcome::ALL.len()],
            seconds: Histogram::new(BUCKETS),
            retries: 0,
            last_success: None,
            ca_not_after: None,
            _place: place,
        }
    }
}

impl IssuerSeries {
    /// For so many Issuers at most.
    pub fn new(max: usize) -> Self {
        Self { places: FairSlots::new(max), issuers: Arc::default(), is_on: max > 0 }
    }

    /// A call of an Issuer's plugin ended.
    pub fn signed(&self, issuer: &IssuerKey, call: &SignCall<'_>, outcome: SignOutcome) {
        self.with(issuer, |series| {
            series.signs[outcome as usize] += 1;
            series.seconds.observe(call.took.as_secs_f64());
            series.retries += u64::from(call.is_retry);
        });
    }

    /// An Issuer issued a certificate.
    pub fn issued(&self, issuer: &IssuerKey, now: Timestamp, ca_not_after: Option<Timestamp>) {
        self.with(issuer, |series| {
            series.last_success = Some(now);
            series.ca_not_after = ca_not_after;
        });
    }

    /// These are all Issuers that there are, and whether each can sign. Returns how many of them have no series.
    pub fn set(&self, issuers: &[(IssuerKey, bool)]) -> usize {
        let there: HashSet<&IssuerKey> = issuers.iter().map(|(key, _)| key).collect();
        self.lock().retain(|key, _| there.contains(key));
        let has_series =
            |(key, is_ready): &&(IssuerKey, bool)| self.with(key, |series| series.is_ready = *is_ready);
        issuers.len() - issuers.iter().filter(has_series).count()
    }

    /// False if there is no place for the Issuer.
    fn with(&self, issuer: &IssuerKey, note: impl FnOnce(&mut Series)) -> bool {
        let mut all = self.lock();
        if let Some(series) = all.get_mut(issuer) {
            note(series);
            return true;
        }
        let owner = Owner::new(issuer.namespace.as_deref().unwrap_or_default(), &issuer.name);
        let place = if self.is_on { self.places.try_acquire(&owner) } else { None };
        let Some(place) = place else { return false };
        note(all.entry(issuer.clone()).or_insert(Series::new(place)));
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IssuerKey, Series>> {
        // A panic while the lock was held leaves a whole map behind: every change is one number.
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for IssuerSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerSeries").finish_non_exhaustive()
    }
}

impl Collector for IssuerSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.lock();
        if all.is_empty() {
            return Ok(());
        }
        let mut add =
            |name, help, kind, write: &dyn Fn(&Series, &mut MetricEncoder<'_>, Labels<'_>) -> fmt::Result| {
                let mut family = encoder.encode_descriptor(name, help, None, kind)?;
                all.iter().try_for_each(|(key, series)| write(series, &mut family, Labels(key)))
            };
        add("issuer_ready", "Whether the Issuer can sign.", MetricType::Gauge, &|series, family, labels| {
            ConstGauge::new(i64::from(series.is_ready)).encode(family.encode_family(&labels)?)
        })?;
        add(
            "issuer_signs",
            "Calls of sign for the Issuer by what came of them.",
            MetricType::Counter,
            &|series, family, labels| {
                SignOutcome::ALL.into_iter().try_for_each(|outcome| {
                    let labels = (labels, [("outcome", outcome.as_str())]);
                    ConstCounter::new(series.signs[outcome as usize]).encode(family.encode_family(&labels)?)
                })
            },
        )?;
        add(
            "issuer_sign_duration_seconds",
            "Time from a call of sign for the Issuer to its answer.",
            MetricType::Histogram,
            &|series, family, labels| series.seconds.encode(family.encode_family(&labels)?),
        )?;
        add(
            "issuer_sign_retries",
            "Calls of sign for requests at which the Issuer's plugin had failed before.",
            MetricType::Counter,
            &|series, family, labels| {
                ConstCounter::new(series.retries).encode(family.encode_family(&labels)?)
            },
        )?;
        add(
            "issuer_last_success_timestamp_seconds",
            "When the Issuer issued its last certificate, in seconds since 1970; none before the first since the start.",
            MetricType::Gauge,
            &|series, family, labels| time(series.last_success, family, labels),
        )?;
        add(
            "issuer_ca_expiry_timestamp_seconds",
            "When the first of the CA certificates expires that the Issuer published with its last certificate, in seconds \
             since 1970; none before the first since the start.",
            MetricType::Gauge,
            &|series, family, labels| time(series.ca_not_after, family, labels),
        )
    }
}

fn time(at: Option<Timestamp>, family: &mut MetricEncoder<'_>, labels: Labels<'_>) -> fmt::Result {
    let Some(at) = at else { return Ok(()) };
    ConstGauge::new(at.as_second()).encode(family.encode_family(&labels)?)
}

/// Which Issuer. Prometheus itself adds labels called `namespace` and `pod`, which are the operator's.
#[derive(Clone, Copy)]
struct Labels<'a>(&'a IssuerKey);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let IssuerKey { kind, namespace, name } = self.0;
        EncodeLabel::encode(&("issuer_kind", kind.as_str()), encoder.encode_label())?;
        EncodeLabel::encode(
            &("issuer_namespace", namespace.as_deref().unwrap_or_default()),
            encoder.encode_label(),
        )?;
        EncodeLabel::encode(&("issuer_name", name.as_str()), encoder.encode_label())
    }
}
