// The name is the generated bindings', which the plugin's own package is one of.
module wit_component

go 1.25

require go.bytecodealliance.org/pkg v0.2.3
