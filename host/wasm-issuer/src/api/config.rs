//! The configuration of a plugin.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};

/// A free-form object, in memory as compact JSON: as values it takes ten to thirty times as much, and every Issuer has one.
/// Clones share the text.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginConfig(Arc<str>);

impl PluginConfig {
    /// The object as JSON.
    pub fn json(&self) -> &Arc<str> {
        &self.0
    }
}

impl From<Map<String, Value>> for PluginConfig {
    fn from(object: Map<String, Value>) -> Self {
        Self(Value::Object(object).to_string().into())
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        Map::new().into()
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from).map_err(de::Error::custom)
    }
}

impl Serialize for PluginConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object: Map<String, Value> = serde_json::from_str(&self.0).map_err(ser::Error::custom)?;
        object.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_and_nothing_else_is_kept_as_its_json() {
        let object = json!({"b": [1, 2.5, null, "x\u{7}"], "a": {"nested": {"deep": true}}});
        let config: PluginConfig = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(&**config.json(), r#"{"a":{"nested":{"deep":true}},"b":[1,2.5,null,"x\u0007"]}"#);
        assert_eq!(serde_json::to_value(&config).unwrap(), object);
        assert_eq!(&**PluginConfig::default().json(), "{}");
        for other in [json!([]), json!("{}"), json!(null), json!(1)] {
            assert!(serde_json::from_value::<PluginConfig>(other).is_err());
        }
    }
}
