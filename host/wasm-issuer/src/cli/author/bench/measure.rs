//! Measures components and their calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure};
use serde::Serialize;
use wasm_issuer_runtime::{Meter, Plugin, Spent};

use super::super::cases::case::Case;
use super::super::cases::run::{self, Subject};
use super::super::host::{self, PluginFile};
use super::super::problem::Problem;
use super::super::progress::Progress;
use super::figures::{Compared, Figure, Unit, round};

/// Calls that warm up, before others are timed.
const WARM_UP: u32 = 10;
/// Calls whose instructions are counted, an odd number: the middle one is taken.
const COUNTED: usize = 5;

/// What was measured of one component or two.
pub struct Measured {
    pub component: Vec<Compared>,
    pub cases: Vec<CaseFigures>,
}

/// The figures of one case.
#[derive(Serialize)]
pub struct CaseFigures {
    pub name: String,
    pub figures: Vec<Compared>,
}

/// A component in two runtimes.
struct Component {
    name: String,
    /// As an operator runs it.
    fast: Arc<Plugin>,
    /// Counting instructions.
    counting: Arc<Plugin>,
    compile: Duration,
}

/// Measure each component with each case, the calls of all taking turns.
pub async fn measure(files: Vec<PluginFile>, cases: &[Case], runs: u32) -> anyhow::Result<Measured> {
    let mut measured = Measured { component: Vec::new(), cases: Vec::new() };
    let Some(first) = cases.first() else { return Ok(measured) };
    let mut components = Vec::new();
    for file in files {
        components.push(Component::load(file, first).await?);
    }
    measured.component = Compared::all(&components.iter().map(Component::figures).collect::<Vec<_>>());
    for case in cases {
        let figures = of_calls(&components, case, runs).await?;
        measured.cases.push(CaseFigures { name: case.name.clone(), figures: Compared::all(&figures) });
    }
    Ok(measured)
}

impl Component {
    async fn load(file: PluginFile, case: &Case) -> anyhow::Result<Self> {
        let name = file.text();
        let file = Arc::new(file);
        let unusable = |problem: Box<Problem>| anyhow!("{name}: {}", problem.message);
        let fast = Subject::new(host::runtime()?, file.clone());
        let (fast, compile) = fast.load(case).await.map_err(unusable)?;
        let counting = Subject::new(host::counting_runtime()?, file);
        let (counting, _) = counting.load(case).await.map_err(unusable)?;
        Ok(Self { name, fast, counting, compile })
    }

    fn figures(&self) -> Vec<Figure> {
        let bytes = |name, value: usize| Figure { name, unit: Unit::Bytes, value: value as f64 };
        vec![
            bytes("bytes", self.fast.inspection().size),
            bytes("compiled", self.fast.code_bytes()),
            Figure { name: "compile", unit: Unit::Milliseconds, value: millis(self.compile) },
        ]
    }

    /// One call as an operator runs it.
    async fn timed(&self, case: &Case) -> anyhow::Result<Duration> {
        let replayer = run::replayer(case.recording.as_ref());
        let session = run::metered(case, replayer.clone(), None);
        let began = Instant::now();
        // One that fails is measured too: that may be what the case is about.
        let _ = run::ask(&self.fast, case, &session).await;
        let took = began.elapsed();
        match replayer.differences().first() {
            None => Ok(took),
            Some(difference) => bail!(
                "{}: the case {:?} does not send what was recorded ({}); `plugin test` tells more",
                self.name,
                case.name,
                difference.place
            ),
        }
    }

    /// What calls spend: the instructions of the middle one, the most memory of any.
    async fn spent(&self, case: &Case) -> anyhow::Result<Spent> {
        let mut instructions = Vec::new();
        let mut memory = 0;
        for _ in 0..COUNTED {
            let meter = Arc::new(Meter::default());
            let session = run::metered(case, run::replayer(case.recording.as_ref()), Some(meter.clone()));
            let _ = run::ask(&self.counting, case, &session).await;
            let spent = meter.spent();
            instructions.push(spent.instructions);
            memory = memory.max(spent.memory);
        }
        instructions.sort();
        let instructions = instructions.get(COUNTED / 2).copied().flatten();
        ensure!(instructions.is_some(), "{}: the case {:?} does not begin to run", self.name, case.name);
        Ok(Spent { instructions, memory })
    }
}

/// The figures of each component's calls.
async fn of_calls(components: &[Component], case: &Case, runs: u32) -> anyhow::Result<Vec<Vec<Figure>>> {
    let mut times = vec![Vec::new(); components.len()];
    let mut progress = Progress::new(case.name.clone());
    for run in 0..WARM_UP + runs {
        progress.show(&format!(": call {run} of {runs}"));
        for (component, times) in components.iter().zip(&mut times) {
            let took = component.timed(case).await?;
            if run >= WARM_UP {
                times.push(took);
            }
        }
    }
    drop(progress);
    let mut figures = Vec::new();
    for (component, times) in components.iter().zip(times) {
        figures.push(of_one(times, component.spent(case).await?));
    }
    Ok(figures)
}

fn of_one(mut times: Vec<Duration>, spent: Spent) -> Vec<Figure> {
    times.sort();
    let latency =
        |name, percent| Figure { name, unit: Unit::Milliseconds, value: millis(percentile(&times, percent)) };
    let instructions = spent.instructions.unwrap_or_default() as f64;
    vec![
        latency("latency p50", 50),
        latency("latency p99", 99),
        Figure { name: "instructions", unit: Unit::Instructions, value: instructions },
        Figure { name: "memory", unit: Unit::Bytes, value: spent.memory as f64 },
    ]
}

/// The least of these, which are sorted, that so many percent of them are not above.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1000.0, 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times = |count: u64| (1..=count).map(Duration::from_millis).collect::<Vec<_>>();
        let at = |count, percent| percentile(&times(count), percent).as_millis();
        assert_eq!(
            [at(100, 50), at(100, 99), at(1, 99), at(3, 50), at(200, 99), at(0, 50)],
            [50, 99, 1, 2, 198, 0]
        );
    }
}
