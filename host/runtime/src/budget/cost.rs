//! What instances cost, added up without instantiating anything.

/// The cost of instantiating something once. Sums saturate: whatever does is over every bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Definitions of the component model.
    pub definitions: u64,
    /// Core instances.
    pub instances: u64,
    pub memories: u64,
    pub tables: u64,
    pub globals: u64,
    /// Host memory.
    pub bytes: u64,
    /// Bytes written at the start.
    pub start: u64,
    /// Instances of modules that are not known here, such as imported ones. Each is taken for the heaviest there is.
    pub unknown: u64,
}

impl Cost {
    /// Of what may be anything.
    pub const ENDLESS: Self = Self {
        definitions: u64::MAX,
        instances: u64::MAX,
        memories: u64::MAX,
        tables: u64::MAX,
        globals: u64::MAX,
        bytes: u64::MAX,
        start: u64::MAX,
        unknown: 0,
    };

    /// Of a module that is not known.
    pub const UNKNOWN: Self = Self {
        definitions: 0,
        instances: 0,
        memories: 0,
        tables: 0,
        globals: 0,
        bytes: 0,
        start: 0,
        unknown: 1,
    };

    /// Field by field.
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            definitions: f(self.definitions, other.definitions),
            instances: f(self.instances, other.instances),
            memories: f(self.memories, other.memories),
            tables: f(self.tables, other.tables),
            globals: f(self.globals, other.globals),
            bytes: f(self.bytes, other.bytes),
            start: f(self.start, other.start),
            unknown: f(self.unknown, other.unknown),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// A cost that is no less than either in any way.
    pub fn max(self, other: Self) -> Self {
        self.zip(other, u64::max)
    }

    /// With the heaviest module in place of every unknown one.
    pub fn resolved(self, heaviest: Self) -> Self {
        let unknown = self.zip(heaviest, |_, heaviest| heaviest.saturating_mul(self.unknown));
        Self { unknown: 0, ..self.plus(unknown) }
    }
}
