//! One core module.

use wasmparser::{
    ConstExpr, DataKind, DataSectionReader, ElementItems, ElementKind, ElementSectionReader,
    ImportSectionReader, MemorySectionReader, Operator, Result, TableInit, TableSectionReader, TypeRef,
};

use super::cost::Cost;

/// wasmtime's structures for an instance, in bytes: its own, and what the store and the component keep about it.
const INSTANCE: u64 = 1024;
/// An import of any kind: `VMFunctionImport` is the largest.
const IMPORT: u64 = 32;
/// `VMFuncRef`, for each function that can be referred to.
const FUNC_REF: u64 = 32;
/// `VMGlobalDefinition`, large enough for a vector.
const GLOBAL: u64 = 16;
/// `VMTableDefinition` and the host's side of it.
const TABLE: u64 = 256;
/// `VMMemoryDefinition`, a pointer to it, and the host's side of it.
const MEMORY: u64 = 512;
/// Where a data segment is, and how long.
const DATA: u64 = 16;
/// A passive element segment, and an element of it.
const PASSIVE: u64 = 64;
const PASSIVE_ITEM: u64 = 16;
/// An element of a table, as a pointer and in an image.
const ELEMENT: u64 = 8;
const ELEMENT_IMAGE: u64 = 4;

/// The initial contents of a memory or a table: where they begin and end.
#[derive(Clone, Copy)]
struct Span(u64, u64);

impl Span {
    const EMPTY: Self = Self(u64::MAX, 0);

    fn cover(&mut self, start: u64, len: u64) {
        if len > 0 {
            *self = Self(self.0.min(start), self.1.max(start.saturating_add(len)));
        }
    }

    fn len(self) -> u64 {
        self.1.saturating_sub(self.0)
    }
}

/// What was read of a module so far.
#[derive(Default)]
pub struct Module {
    imports: u64,
    pub functions: u64,
    exports: u64,
    element_items: u64,
    /// Of each table and memory in index order. Imported ones have no image here.
    tables: Vec<Option<Span>>,
    memories: Vec<Option<Span>>,
    cost: Cost,
}

impl Module {
    pub fn imports(&mut self, section: ImportSectionReader<'_>) -> Result<()> {
        for import in section.into_imports() {
            self.imports += 1;
            match import?.ty {
                TypeRef::Table(_) => keep(&mut self.tables, None),
                TypeRef::Memory(_) => keep(&mut self.memories, None),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn exports(&mut self, count: u32) {
        self.exports += u64::from(count);
    }

    pub fn globals(&mut self, count: u32) {
        self.cost.globals += u64::from(count);
    }

    pub fn memories(&mut self, section: MemorySectionReader<'_>) -> Result<()> {
        for memory in section {
            memory?;
            self.cost.memories += 1;
            keep(&mut self.memories, Some(Span::EMPTY));
        }
        Ok(())
    }

    pub fn tables(&mut self, section: TableSectionReader<'_>) -> Result<()> {
        for table in section {
            let table = table?;
            let mut image = Span::EMPTY;
            if matches!(table.init, TableInit::Expr(_)) {
                image.cover(0, table.ty.initial);
                self.cost.start = self.cost.start.saturating_add(table.ty.initial.saturating_mul(ELEMENT));
                self.element_items += 1;
            }
            self.cost.tables += 1;
            keep(&mut self.tables, Some(image));
        }
        Ok(())
    }

    pub fn elements(&mut self, section: ElementSectionReader<'_>) -> Result<()> {
        for element in section {
            let element = element?;
            let items = u64::from(match &element.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            });
            self.element_items += items;
            match element.kind {
                ElementKind::Active { table_index, offset_expr } => {
                    self.cost.start += items * ELEMENT;
                    let table = self.tables.get_mut(index(table_index.unwrap_or(0)));
                    if let (Some(Some(image)), Some(start)) = (table, constant(&offset_expr)?) {
                        image.cover(start, items);
                    }
                }
                ElementKind::Passive | ElementKind::Declared => {
                    self.cost.bytes += PASSIVE + items * PASSIVE_ITEM;
                }
            }
        }
        Ok(())
    }

    pub fn data(&mut self, section: DataSectionReader<'_>) -> Result<()> {
        for segment in section {
            let segment = segment?;
            self.cost.bytes += DATA;
            if let DataKind::Active { memory_index, offset_expr } = segment.kind {
                let len = segment.data.len() as u64;
                self.cost.start += len;
                let memory = self.memories.get_mut(index(memory_index));
                if let (Some(Some(image)), Some(start)) = (memory, constant(&offset_expr)?) {
                    image.cover(start, len);
                }
            }
        }
        Ok(())
    }

    /// How many memories have an image, and how large all images are.
    pub fn images(&self) -> (u64, u64) {
        let spans = |all: &[Option<Span>]| -> Vec<u64> {
            all.iter().flatten().map(|span| span.len()).filter(|len| *len > 0).collect()
        };
        let (memories, tables) = (spans(&self.memories), spans(&self.tables));
        let sum = |lens: &[u64]| lens.iter().fold(0_u64, |sum, len| sum.saturating_add(*len));
        let bytes = sum(&memories).saturating_add(sum(&tables).saturating_mul(ELEMENT_IMAGE));
        (memories.len() as u64, bytes)
    }

    /// The cost of one instance.
    pub fn cost(&self) -> Cost {
        let Cost { memories, tables, globals, .. } = self.cost;
        // Each of these refers to one function at most, and so may the start function and wasmtime's own.
        let named = self.exports + self.element_items + globals + 2;
        let referable = named.min(self.functions + self.imports + 2);
        let bytes = [
            INSTANCE,
            self.imports * IMPORT,
            referable * FUNC_REF,
            globals * GLOBAL,
            tables * TABLE,
            memories * MEMORY,
        ];
        Cost { instances: 1, bytes: self.cost.bytes + bytes.iter().sum::<u64>(), ..self.cost }
    }
}

/// A module may have 100 memories and 100 tables; that it has more is found when it is compiled.
fn keep(spans: &mut Vec<Option<Span>>, span: Option<Span>) {
    if spans.len() < 100 {
        spans.push(span);
    }
}

/// The value of an offset that is a constant. Any other is known when the module is instantiated: there is no image.
fn constant(offset: &ConstExpr<'_>) -> Result<Option<u64>> {
    let mut operators = offset.get_operators_reader();
    let start = match operators.read()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        _ => return Ok(None),
    };
    Ok(matches!(operators.read()?, Operator::End).then_some(start))
}

fn index(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
