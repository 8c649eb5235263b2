//! `mdn schema` as a process.

use serde_json::Value;

use crate::common::Place;

#[test]
fn the_schema_goes_to_a_file_and_every_key_says_what_it_means() {
    let place = Place::new();
    let out = place.mdn(&["schema", "-o", "mdn.schema.json"]).fine();
    assert_eq!(out, "");
    let schema: Value = serde_json::from_str(&place.read("mdn.schema.json")).expect("JSON");
    let types = schema["$defs"].as_object().expect("types");
    let mut silent = Vec::new();
    for (name, of) in types {
        let Some(keys) = of["properties"].as_object() else {
            continue;
        };
        for (key, value) in keys {
            let said = value["description"].as_str().unwrap_or_default();
            if said.is_empty() && name != "TrainAxes" {
                silent.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(silent.is_empty(), "no description: {}", silent.join(", "));
    place
        .mdn(&["schema", "other"])
        .refused("invalid value 'other'");
}
