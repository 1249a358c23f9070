//! How long certificates may last, by what a provisioner says.

use wasm_issuer_sdk::Failure;

use crate::api::Provisioner;

/// step-ca's own limits, in seconds, where neither the CA's configuration nor the provisioner has others.
const MIN: u64 = 5 * 60;
const MAX: u64 = 24 * 3600;

/// The lifetime that is nearest to what is wanted, in seconds, by step-ca's rules (`Claimer` in its sources). `ca_max` is
/// the limit of the CA's configuration, which no client sees.
pub fn nearest(wanted: u64, provisioner: &Provisioner, ca_max: Option<u64>) -> Result<u64, Failure> {
    let [min, max, default] = ["min", "max", "default"].map(|limit| {
        let text = provisioner.claim(&format!("{limit}TLSCertDuration"))?;
        Some(seconds(text).ok_or_else(|| {
            Failure::issuer(format!("a limit of the CA's provisioner is no duration: {text:?}"))
        }))
    });
    let default = default.transpose()?;
    // A default beyond a limit that the provisioner does not have itself is the limit.
    let max = max.transpose()?.unwrap_or_else(|| default.unwrap_or(0).max(ca_max.unwrap_or(MAX)));
    let min = min.transpose()?.unwrap_or_else(|| default.unwrap_or(MIN).min(MIN));
    Ok(wanted.max(min).min(max))
}

/// A duration as Go writes it, `24h0m0s`: whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let parts = text.split_inclusive(['h', 'm', 's']);
    parts.map(part).reduce(|total, part| total?.checked_add(part?)).flatten()
}

fn part(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(claims: Value) -> Provisioner {
        Provisioner(json!({"claims": claims}))
    }

    #[test]
    fn limits_are_the_provisioners_then_the_cas_then_step_cas() {
        let range = |claims: Value, ca_max| {
            [1, u64::MAX].map(|wanted| nearest(wanted, &with(claims.clone()), ca_max).unwrap())
        };
        assert_eq!(range(Value::Null, None), [300, 86400]);
        assert_eq!(range(Value::Null, Some(3600)), [300, 3600]);
        let both = json!({"minTLSCertDuration": "1h0m0s", "maxTLSCertDuration": "2160h0m0s"});
        assert_eq!(range(both, Some(60)), [3600, 2160 * 3600]);
        let less = json!({"minTLSCertDuration": "1h30m5s", "maxTLSCertDuration": "1m0s"});
        assert_eq!(range(less, None), [60, 60]);
        // MinTLSCertDuration and MaxTLSCertDuration in authority/provisioner/claims.go.
        assert_eq!(range(json!({"defaultTLSCertDuration": "48h0m0s"}), None), [300, 48 * 3600]);
        assert_eq!(range(json!({"defaultTLSCertDuration": "1m0s"}), None), [60, 86400]);
        assert_eq!(nearest(7200, &with(json!({})), None), Ok(7200));
    }

    #[test]
    fn a_limit_that_is_no_duration_is_an_error() {
        for text in ["", "1", "h", "1d", "-1h", "1ms", "1.5s", "1h5", "1µ", "99999999999999999h"] {
            let provisioner = with(json!({"minTLSCertDuration": text}));
            assert!(nearest(1, &provisioner, None).is_err(), "{text}");
        }
    }
}
