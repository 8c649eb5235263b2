//! The shape of the table `[search]`, for editors: lists of values below the file's own keys.

use std::borrow::Cow;

use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::TRAIN;

/// A table whose values are lists of settings, or such tables again.
pub(super) struct Axes;

/// The same for the settings of `[train]` that may differ between trials.
pub(super) struct TrainAxes;

/// A list of settings, or a table of such lists.
fn axis(generator: &mut SchemaGenerator) -> Value {
    let deeper = generator.subschema_for::<Axes>();
    serde_json::json!({ "anyOf": [{ "type": "array", "minItems": 1 }, deeper] })
}

impl JsonSchema for Axes {
    fn schema_name() -> Cow<'static, str> {
        "Axes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The keys of the table itself, with a list of values in place of each value",
            "type": "object",
            "additionalProperties": axis(generator),
        })
    }
}

impl JsonSchema for TrainAxes {
    fn schema_name() -> Cow<'static, str> {
        "TrainAxes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = TRAIN.map(|key| (key.to_owned(), axis(generator)));
        json_schema!({
            "type": "object",
            "properties": Map::from_iter(keys),
            "additionalProperties": false,
        })
    }
}
