//! The keys of a member that its printed settings do not show.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::experiment::schema::schema_of;

/// A key that may be left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Key {
    /// Its name.
    key: String,
    /// What it says.
    what: String,
    /// Its value if it is left out; `None` where that is no value.
    default: Option<Value>,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.default {
            Some(value) => {
                // As a file has it.
                let typed = toml::Value::try_from(value).map(|v| v.to_string());
                let typed = typed.unwrap_or_else(|_| value.to_string());
                write!(f, "{} = {typed}: {}", self.key, self.what)
            }
            None => write!(f, "optional {}: {}", self.key, self.what),
        }
    }
}

/// The keys of the member `name` of the externally tagged enum `T` that can be left out and are not in
/// `settings`, with what its schema says of them.
pub(super) fn keys<T: JsonSchema>(name: &str, settings: &str) -> Vec<Key> {
    let shown: Option<toml::Table> = toml::from_str(&format!("all = {settings}")).ok();
    let shown = |key: &str| {
        let all = shown.as_ref().and_then(|s| s.get("all"));
        all.is_some_and(|all| all.get(key).is_some())
    };
    let schema = schema_of::<T>(name).to_value();
    let Some(member) = member(&schema, name) else {
        return Vec::new();
    };
    let required = member.get("required").and_then(Value::as_array);
    let needed = |key: &str| required.is_some_and(|r| r.iter().any(|k| k == key));
    let properties = member.get("properties").and_then(Value::as_object);
    let left = properties.into_iter().flatten();
    left.filter(|(key, _)| !shown(key) && !needed(key))
        .map(|(key, about)| Key {
            key: key.clone(),
            what: first_paragraph(about),
            default: about.get("default").cloned(),
        })
        .collect()
}

/// The settings of a member, wherever the schema keeps them.
fn member<'s>(schema: &'s Value, name: &str) -> Option<&'s Map<String, Value>> {
    let choices = schema.get("oneOf")?.as_array()?;
    let found = choices.iter().find_map(|c| c.get("properties")?.get(name));
    let found = found?.as_object()?;
    match found.get("$ref").and_then(Value::as_str) {
        Some(place) => schema.pointer(place.strip_prefix('#')?)?.as_object(),
        None => Some(found),
    }
}

fn first_paragraph(about: &Value) -> String {
    let text = about.get("description").and_then(Value::as_str);
    let text = text.unwrap_or_default().split("\n\n").next();
    text.unwrap_or_default().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdn_core::distributions::BaseSpec;
    use mdn_core::models::ModelSpec;
    use mdn_core::objectives::ProblemSpec;

    #[test]
    fn keys_without_a_default_are_told_and_those_that_are_shown_or_needed_are_not() {
        let names = |keys: Vec<Key>| keys.into_iter().map(|k| k.key).collect::<Vec<_>>();
        let em = keys::<ModelSpec>("gaussian_mixture", "{ max_components = 30 }");
        assert!(!names(em.clone()).contains(&"max_components".to_owned()));
        let k = em.iter().find(|k| k.key == "components").unwrap();
        assert_eq!(
            k.to_string(),
            "optional components: K; chosen by BIC between 1 and `max_components` if absent."
        );
        let given = keys::<ModelSpec>("gaussian_mixture", "{ components = 3 }");
        assert!(!names(given).contains(&"components".to_owned()));
        let floor = em.iter().find(|k| k.key == "restarts").unwrap();
        assert!(floor.to_string().starts_with("restarts = 5: "), "{floor}");
        assert!(!names(keys::<BaseSpec>("mixture", "{}")).contains(&"components".to_owned()));
        assert!(!names(keys::<ProblemSpec>("reverse_kl", "{}")).contains(&"target".to_owned()));
        assert_eq!(keys::<BaseSpec>("normal", "{}"), []);
        assert_eq!(keys::<BaseSpec>("norm", "{}"), []);
    }
}
