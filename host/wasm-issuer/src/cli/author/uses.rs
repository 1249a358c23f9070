//! Which functions a component imports: what it can ask of the host at all, whatever its code does.

use std::collections::BTreeMap;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration, Parser, Payload,
};

/// The names of the functions of each imported interface, `[method]secret.reveal` among them.
pub fn functions(wasm: &[u8]) -> wasmparser::Result<BTreeMap<String, Vec<String>>> {
    // One entry for each type that an index can mean; the functions of those that are instances.
    let mut types: Vec<Vec<String>> = Vec::new();
    let mut imports = BTreeMap::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentTypeSection(section) if depth == 1 => {
                for ty in section {
                    types.push(instance_functions(&ty?));
                }
            }
            Payload::ComponentAliasSection(section) if depth == 1 => {
                for alias in section {
                    if names_a_type(&alias?) {
                        types.push(Vec::new());
                    }
                }
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import?;
                    match import.ty {
                        ComponentTypeRef::Type(_) => types.push(Vec::new()),
                        ComponentTypeRef::Instance(index) => {
                            let functions = usize::try_from(index).ok().and_then(|index| types.get(index));
                            imports
                                .insert(import.name.name.to_owned(), functions.cloned().unwrap_or_default());
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    if export?.kind == ComponentExternalKind::Type {
                        types.push(Vec::new());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(imports)
}

fn instance_functions(ty: &ComponentType<'_>) -> Vec<String> {
    let ComponentType::Instance(declarations) = ty else { return Vec::new() };
    let function = |declaration: &InstanceTypeDeclaration<'_>| match declaration {
        InstanceTypeDeclaration::Export { name, ty: ComponentTypeRef::Func(_) } => Some(name.name.to_owned()),
        _ => None,
    };
    declarations.iter().filter_map(function).collect()
}

fn names_a_type(alias: &ComponentAlias<'_>) -> bool {
    matches!(
        alias,
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_imported_functions_are_listed() {
        let wasm = wat::parse_str(
            r#"(component
                (type (func))
                (import "a:b/types@0.1.0" (instance $types (export "t" (type (sub resource)))))
                (alias export $types "t" (type $t))
                (import "a:b/c@0.1.0" (instance
                    (alias outer 1 $t (type $inner))
                    (export "u" (type (eq $inner)))
                    (export "[method]u.go" (func (param "self" (borrow $inner))))
                    (export "f" (func)))))"#,
        );
        let functions = functions(&wasm.unwrap()).unwrap();
        assert_eq!(functions["a:b/types@0.1.0"], [""; 0]);
        assert_eq!(functions["a:b/c@0.1.0"].last().unwrap(), "f");
    }

    #[test]
    fn what_is_no_component_is_an_error() {
        assert!(functions(b"text").is_err());
    }
}
