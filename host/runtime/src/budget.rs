//! What a component may ask of the host, counted from its bytes before anything is compiled.
//!
//! A call's limits bound what a plugin does once it runs. What it costs to get that far is in the component itself: how
//! much machine code and how many images it becomes, and how much memory and work of the host an instance is, before
//! its first instruction. All of that can be read off its sections.

mod cost;
mod module;
mod walk;

pub use self::walk::measure;
use super::error::LoadError;

/// What a component asks for. Every number is an upper bound of what wasmtime makes of it.
///
/// "After instantiation" counts a module as often as it is instantiated, through components in components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Components within components: 1 is a component without any.
    pub nesting: u64,
    /// Core modules, those that are never instantiated included: each is compiled.
    pub modules: u64,
    /// Functions that core modules define.
    pub functions: u64,
    /// Bytes of type sections.
    pub type_bytes: u64,
    /// Memories with an initial image. Each costs the process a file.
    pub images: u64,
    /// Bytes of initial images if they are dense: from the first to the last segment of each memory, and four bytes for
    /// each element of each table.
    pub image_bytes: u64,
    /// Definitions of the component model, after instantiation.
    pub definitions: u64,
    /// Core instances, after instantiation.
    pub instances: u64,
    /// Memories, after instantiation.
    pub memories: u64,
    /// Tables, after instantiation.
    pub tables: u64,
    /// Globals, after instantiation.
    pub globals: u64,
    /// Bytes of host memory behind the instances: what the call's memory limit does not count.
    pub instance_bytes: u64,
    /// Bytes that are written to memories and tables to start the instances, by the host and without a pause.
    pub start_bytes: u64,
}

/// The bounds of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The largest component, in bytes.
    pub component_bytes: usize,
    /// The largest compiled component, in bytes.
    pub artifact_bytes: usize,
    /// The bound of each count.
    pub footprint: Footprint,
}

/// What real components ask for, as the reason for the bounds:
///
/// | | bytes | compiled | modules, instances | functions | globals | instance | images | start |
/// |---|---|---|---|---|---|---|---|---|
/// | in-memory-ca (Rust) | 229 KiB | 561 KiB | 3, 3 | 444 | 9 | 14 KiB | 23 KiB | 23 KiB |
/// | JavaScript (componentize-js 0.23) | 11.6 MiB | 26.8 MiB | 4, 4 | 12,724 | 4 | 419 KiB | 8.1 MiB | 2.7 MiB |
/// | Python (componentize-py 0.25) | 17.5 MiB | 30.0 MiB | 14, 14 | 13,382 | 874 | 447 KiB | 11.3 MiB | 10.6 MiB |
///
/// So the largest component that everybody may use costs 64 MiB of code and at most 16 MiB of images while it is
/// loaded, and 1 MiB for each call apart from the call's own memory; with the wide budget it is 192, 64 and 4 MiB. An
/// instance of it takes about 10 ms to make, and about 50 ms with the wide budget, in a debug build on two busy cores.
impl Budget {
    /// What components compile to, in bytes for each of theirs: more than any that is known.
    const ARTIFACT_BYTES: usize = 3;

    /// For everybody: programs of compiled languages, and a few of them composed.
    pub const TENANT: Self = Self {
        component_bytes: 16 << 20,
        artifact_bytes: 64 << 20,
        footprint: Footprint {
            nesting: 8,
            modules: 32,
            functions: 50_000,
            type_bytes: 256 << 10,
            images: 8,
            image_bytes: 16 << 20,
            definitions: 10_000,
            instances: 64,
            memories: 16,
            tables: 32,
            globals: 10_000,
            instance_bytes: 1 << 20,
            start_bytes: 16 << 20,
        },
    };

    /// For those whom an administrator trusts with more: interpreted languages bring their interpreter along. No budget
    /// goes further, for a call's store holds no more instances, memories and tables than these.
    pub const WIDE: Self = Self {
        component_bytes: 64 << 20,
        artifact_bytes: 192 << 20,
        footprint: Footprint {
            nesting: 16,
            modules: 128,
            functions: 200_000,
            type_bytes: 1 << 20,
            images: 32,
            image_bytes: 64 << 20,
            definitions: 40_000,
            instances: 256,
            memories: 32,
            tables: 64,
            globals: 40_000,
            instance_bytes: 4 << 20,
            start_bytes: 64 << 20,
        },
    };

    /// The same with components of at most so many bytes, and with room for what they compile to. The counts stay: an
    /// interpreter brings many bytes along, and few of what is counted.
    pub fn up_to(self, component_bytes: usize) -> Self {
        let artifact_bytes = self.artifact_bytes.max(component_bytes.saturating_mul(Self::ARTIFACT_BYTES));
        Self { component_bytes, artifact_bytes, ..self }
    }
}

impl Footprint {
    /// Each count with its name and what makes it smaller.
    fn rows(&self) -> [(u64, &'static str, &'static str); 13] {
        const COMPOSE: &str = "compose it of fewer components";
        const DATA: &str = "build it with less initialised data, and that in one place";
        const CODE: &str = "build it optimised for size, with fewer dependencies";
        [
            (self.nesting, "levels of components within components", COMPOSE),
            (self.modules, "core modules", COMPOSE),
            (self.functions, "functions", CODE),
            (self.type_bytes, "bytes of types", CODE),
            (self.images, "memories with initial data", COMPOSE),
            (self.image_bytes, "bytes between the first and the last initial data of its memories", DATA),
            (self.definitions, "definitions once instantiated", COMPOSE),
            (self.instances, "core instances once instantiated", COMPOSE),
            (self.memories, "memories once instantiated", COMPOSE),
            (self.tables, "tables once instantiated", COMPOSE),
            (self.globals, "globals once instantiated", CODE),
            (self.instance_bytes, "bytes of host memory for an instance", CODE),
            (self.start_bytes, "bytes to write for an instance to start", DATA),
        ]
    }

    /// Each count with its name for people.
    pub fn counts(&self) -> [(&'static str, u64); 13] {
        self.rows().map(|(count, what, _)| (what, count))
    }

    /// Whether it is within these bounds, each by itself. The first that is not is the error, [`LoadError::OverBudget`].
    pub fn within(&self, bounds: &Self) -> Result<(), LoadError> {
        for ((found, what, mend), (bound, ..)) in self.rows().into_iter().zip(bounds.rows()) {
            if found > bound {
                return Err(LoadError::OverBudget { what, found, bound, mend });
            }
        }
        Ok(())
    }
}
