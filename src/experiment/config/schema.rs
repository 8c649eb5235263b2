//! The JSON Schema (draft 2020-12) of the files that `mdn` reads, derived from their types.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::Config;
use mdn_core::study::StudySpec;

/// The schema of an experiment file.
pub fn experiment() -> Schema {
    schema_of::<Config>("mdn experiment file")
}

/// The schema of a file of `mdn study`.
pub fn study() -> Schema {
    schema_of::<StudySpec>("mdn study file")
}

/// The schema of a type that serde reads.
pub fn schema_of<T: JsonSchema>(title: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(plain).transform(&mut schema);
    schema.insert("title".to_owned(), title.into());
    schema
}

/// TOML has no null, editors do not know the formats of Rust's numbers, and links of the
/// documentation lead nowhere.
fn plain(schema: &mut Schema) {
    schema.remove("format");
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::String(text)) = object.get_mut("description") {
        let words = text.replace("[`", "`").replace("`]", "`");
        *text = words.replace("\\[", "[").replace("\\]", "]");
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|c| c.get("type").is_none_or(|t| t != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_meanings_and_defaults_and_nothing_that_toml_has_not() {
        let schema = experiment().to_value();
        let rate = &schema["$defs"]["TrainSpec"]["properties"]["learning_rate"];
        assert_eq!(rate["description"], "Highest learning rate of Adam.");
        assert_eq!(rate["default"], 1e-3);
        assert_eq!(schema["properties"]["name"]["type"], "string");
        let text = schema.to_string();
        for left in ["null", "\"format\"", "[`", "\\\\["] {
            assert!(!text.contains(left), "{left}");
        }
    }
}
