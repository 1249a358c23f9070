//! What plugins in several languages cost: measured by the example `languages` of host/wasm-issuer, one component at a time.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::plot;
use crate::table::digits;

/// What one plugin costs. Times are seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// `Go`
    #[serde(default)]
    pub language: String,
    bytes: f64,
    packed_bytes: f64,
    compile_seconds: f64,
    compile_bytes: f64,
    instantiate_seconds: f64,
    check_seconds: f64,
    sign_seconds: f64,
    call_bytes: f64,
}

/// Something that is told of each language.
struct Measure {
    what: &'static str,
    unit: &'static str,
    of: fn(&Costs) -> f64,
}

const MIB: f64 = 1_048_576.0;
const MEASURES: [Measure; 8] = [
    Measure { what: "component", unit: "KiB", of: |costs| costs.bytes / 1024.0 },
    Measure { what: "with gzip", unit: "KiB", of: |costs| costs.packed_bytes / 1024.0 },
    Measure { what: "compile", unit: "s", of: |costs| costs.compile_seconds },
    Measure { what: "memory to compile", unit: "MiB", of: |costs| costs.compile_bytes / MIB },
    Measure { what: "instantiate", unit: "ms", of: |costs| costs.instantiate_seconds * 1e3 },
    Measure { what: "check", unit: "ms", of: |costs| costs.check_seconds * 1e3 },
    Measure { what: "sign", unit: "ms", of: |costs| costs.sign_seconds * 1e3 },
    Measure { what: "memory of a call", unit: "MiB", of: |costs| costs.call_bytes / MIB },
];

/// Measure one plugin. `program` is the example, `operator` the binary that compiles plugins.
pub fn measure(program: &Path, operator: &Path, language: &str, component: &Path) -> Costs {
    eprintln!("{language}");
    let output = Command::new(program).arg(operator).arg(component).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{} failed: {}", program.display(), output.status);
    let costs: Costs = serde_json::from_slice(&output.stdout).expect("a JSON document");
    Costs { language: language.to_owned(), ..costs }
}

/// A table, a row for each language.
pub fn markdown(all: &[Costs]) -> String {
    let heads: Vec<String> = MEASURES.iter().map(Measure::title).collect();
    let mut text = format!("| | {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len()));
    for costs in all {
        let cells: Vec<String> = MEASURES.iter().map(|measure| digits((measure.of)(costs))).collect();
        text += &format!("| {} | {} |\n", costs.language, cells.join(" | "));
    }
    text
}

/// A picture with a panel for each measure; its axis is logarithmic, for Python's component is a thousand times C's.
pub fn svg(all: &[Costs]) -> String {
    let panel = |measure: &Measure| {
        let bars = all.iter().map(|costs| (costs.language.as_str(), (measure.of)(costs)));
        plot::log_bars(measure.what, measure.unit, &bars.collect::<Vec<_>>())
    };
    plot::picture(&MEASURES.iter().map(panel).collect::<Vec<_>>())
}

impl Measure {
    fn title(&self) -> String {
        format!("{}, {}", self.what, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(language: &str, bytes: f64) -> Costs {
        let costs = serde_json::json!({
            "language": language, "bytes": bytes, "packedBytes": 1024, "compileSeconds": 2.5, "compileBytes": MIB,
            "instantiateSeconds": 0.001, "checkSeconds": 0.002, "signSeconds": 0.003, "callBytes": 2.0 * MIB,
        });
        serde_json::from_value(costs).unwrap()
    }

    #[test]
    fn a_language_is_a_row_and_a_bar_in_each_panel() {
        let all = [costs("C", 20_480.0), costs("Python", 20_480_000.0)];
        assert_eq!(
            markdown(&all).lines().nth(2).unwrap(),
            "| C | 20.0 | 1.00 | 2.50 | 1.00 | 1.00 | 2.00 | 3.00 | 2.00 |"
        );
        let svg = svg(&all);
        assert_eq!(svg.matches("<g ").count(), MEASURES.len());
        assert_eq!(svg.matches(">Python<").count(), MEASURES.len());
    }
}
