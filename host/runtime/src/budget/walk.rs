//! One pass over a component's sections, in time linear in its size.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef,
    Encoding, Instance, Parser, Payload,
};

use super::Footprint;
use super::cost::Cost;
use super::module::Module;
use crate::error::LoadError;

/// A function that crosses the border of a component: its trampoline and what refers to it, in bytes.
const CANONICAL: u64 = 64;
/// An instance of a component: its table of handles.
const COMPONENT: u64 = 512;

/// What a component asks for, unless it is over these bounds: then the walk ends where that shows. The bytes need not
/// be valid; [`LoadError::Invalid`] if they cannot even be read.
pub fn measure(wasm: &[u8], bounds: &Footprint) -> Result<Footprint, LoadError> {
    let mut walk = Walk { bounds, found: Footprint::default(), heaviest: Cost::default(), open: vec![] };
    for payload in Parser::new(0).parse_all(wasm) {
        walk.visit(payload?)?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    bounds: &'a Footprint,
    found: Footprint,
    /// No module costs more, in any way.
    heaviest: Cost,
    open: Vec<Scope>,
}

/// What is being read: a component and, within it, others or a module.
enum Scope {
    Module(Module),
    Component(Component),
}

/// What was read of a component so far. `None` is the cost of what is given to it from outside.
#[derive(Default)]
struct Component {
    modules: Vec<Option<Cost>>,
    components: Vec<Option<Cost>>,
    cost: Cost,
}

impl Component {
    fn module(&self, index: u32) -> Option<Cost> {
        self.modules.get(usize::try_from(index).ok()?).copied().flatten()
    }

    fn component(&self, index: u32) -> Option<Cost> {
        self.components.get(usize::try_from(index).ok()?).copied().flatten()
    }

    fn add(&mut self, cost: Cost) {
        self.cost = self.cost.plus(cost);
    }
}

impl Walk<'_> {
    fn visit(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => {
                self.found.modules += 1;
                self.open.push(Scope::Module(Module::default()));
                self.check()
            }
            Payload::Version { encoding: Encoding::Component, .. } => {
                self.open.push(Scope::Component(Component::default()));
                self.found.nesting = self.found.nesting.max(self.open.len() as u64);
                self.check()
            }
            Payload::End(_) => self.close(),
            payload => match self.open.last_mut() {
                Some(Scope::Module(_)) => self.in_module(payload),
                Some(Scope::Component(_)) => self.in_component(payload),
                None => Ok(()),
            },
        }
    }

    fn check(&self) -> Result<(), LoadError> {
        self.found.within(self.bounds)
    }

    /// A module or a component ends.
    fn close(&mut self) -> Result<(), LoadError> {
        let ended = self.open.pop();
        match (ended, self.open.last_mut()) {
            (Some(Scope::Module(module)), Some(Scope::Component(parent))) => {
                let cost = module.cost();
                let (images, bytes) = module.images();
                self.found.images += images;
                self.found.image_bytes = self.found.image_bytes.saturating_add(bytes);
                self.heaviest = self.heaviest.max(cost);
                parent.modules.push(Some(cost));
            }
            (Some(Scope::Component(component)), Some(Scope::Component(parent))) => {
                parent.components.push(Some(component.cost));
            }
            (Some(Scope::Component(root)), None) => {
                let cost = root.cost.resolved(self.heaviest);
                self.found = Footprint {
                    definitions: cost.definitions.max(self.found.definitions),
                    instances: cost.instances,
                    memories: cost.memories,
                    tables: cost.tables,
                    globals: cost.globals,
                    instance_bytes: cost.bytes,
                    start_bytes: cost.start,
                    ..self.found
                };
            }
            _ => {}
        }
        self.check()
    }

    fn in_module(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        match &payload {
            Payload::FunctionSection(section) => self.found.functions += u64::from(section.count()),
            Payload::TypeSection(section) => self.found.type_bytes += section.range().len() as u64,
            _ => {}
        }
        self.check()?;
        let Some(Scope::Module(module)) = self.open.last_mut() else { return Ok(()) };
        match payload {
            Payload::ImportSection(section) => module.imports(section)?,
            Payload::FunctionSection(section) => module.functions += u64::from(section.count()),
            Payload::TableSection(section) => module.tables(section)?,
            Payload::MemorySection(section) => module.memories(section)?,
            Payload::GlobalSection(section) => module.globals(section.count()),
            Payload::ExportSection(section) => module.exports(section.count()),
            Payload::ElementSection(section) => module.elements(section)?,
            Payload::DataSection(section) => module.data(section)?,
            _ => {}
        }
        Ok(())
    }

    fn in_component(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        if let Payload::ComponentTypeSection(_) | Payload::CoreTypeSection(_) = &payload {
            let range = payload.as_section().map_or(0..0, |(_, range)| range);
            self.found.type_bytes += range.len() as u64;
            self.check()?;
        }
        // Before anything is kept for them: how many there are is what the first bytes say.
        self.define(match &payload {
            Payload::InstanceSection(section) => section.count(),
            Payload::ComponentInstanceSection(section) => section.count(),
            Payload::ComponentAliasSection(section) => section.count(),
            Payload::ComponentTypeSection(section) => section.count(),
            Payload::CoreTypeSection(section) => section.count(),
            Payload::ComponentCanonicalSection(section) => section.count(),
            Payload::ComponentImportSection(section) => section.count(),
            Payload::ComponentExportSection(section) => section.count(),
            _ => 0,
        })?;
        if let Payload::ComponentAliasSection(section) = payload {
            for alias in section {
                self.alias(&alias?);
            }
            return Ok(());
        }
        let Some(Scope::Component(component)) = self.open.last_mut() else { return Ok(()) };
        component.read(payload)?;
        Ok(())
    }

    /// Definitions of the innermost component.
    fn define(&mut self, count: u32) -> Result<(), LoadError> {
        self.found.definitions += u64::from(count);
        self.check()?;
        if let Some(Scope::Component(component)) = self.open.last_mut() {
            component.add(Cost { definitions: count.into(), ..Cost::default() });
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        use ComponentExternalKind as Kind;
        let (modules, components) = match *alias {
            ComponentAlias::InstanceExport { kind: Kind::Module, .. } => (Some(None), None),
            ComponentAlias::InstanceExport { kind: Kind::Component, .. } => (None, Some(None)),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
                (Some(self.outer(count).and_then(|outer| outer.module(index))), None)
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                (None, Some(self.outer(count).and_then(|outer| outer.component(index))))
            }
            _ => (None, None),
        };
        if let Some(Scope::Component(component)) = self.open.last_mut() {
            component.modules.extend(modules);
            component.components.extend(components);
        }
    }

    /// The component that many levels further out.
    fn outer(&self, count: u32) -> Option<&Component> {
        let level = self.open.len().checked_sub(1)?.checked_sub(usize::try_from(count).ok()?)?;
        match self.open.get(level)? {
            Scope::Component(component) => Some(component),
            Scope::Module(_) => None,
        }
    }
}

impl Component {
    fn read(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.add(self.module(module_index).unwrap_or(Cost::UNKNOWN));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        // What is passed in as a component may be any, with instances of what is passed to it.
                        self.add(self.component(component_index).unwrap_or(Cost::ENDLESS));
                        self.add(Cost { bytes: COMPONENT, ..Cost::default() });
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                self.add(Cost { bytes: CANONICAL * u64::from(section.count()), ..Cost::default() });
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
            }
            // An export is a definition of its own.
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Module => self.modules.push(self.module(export.index)),
                        ComponentExternalKind::Component => {
                            self.components.push(self.component(export.index));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
