//! `mdn schema`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::output::{print_or_write, written};
use super::Exit;
use crate::experiment::config::Config;
use crate::study::StudySpec;
use crate::{Error, Result};

/// Print the JSON Schema of experiment files, for editors
///
/// An editor that knows it shows every key with its meaning and default while a file is typed, and
/// underlines what is not one. It has the names, types and choices; ranges of values, and what
/// hangs together, are told by `mdn check FILE` alone. With the taplo language server (in VS Code
/// the extension Even Better TOML) write it to a file, and name that in the first line of yours, as
/// in `#:schema ./mdn.schema.json`.
#[derive(Debug, Clone, Args)]
pub(super) struct SchemaArgs {
    /// Which kind of file it describes: that of an experiment, or that of `mdn study`
    #[arg(value_name = "KIND", value_enum, default_value_t = Kind::Experiment)]
    kind: Kind,
    /// Write it to this file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print {"file": ...} once it is written; the schema itself is JSON anyway
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Experiment,
    Study,
}

pub(super) fn run(args: &SchemaArgs) -> Result<Exit> {
    let schema = match args.kind {
        Kind::Experiment => schema_of::<Config>("mdn experiment file"),
        Kind::Study => schema_of::<StudySpec>("mdn study file"),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|e| Error::failed(format!("could not write the schema: {e}")))?;
    print_or_write(&(text + "\n"), args.output.as_deref())?;
    if let (Some(file), true) = (&args.output, args.json) {
        written(std::slice::from_ref(file), true)?;
    }
    Ok(Exit::FINE)
}

/// The schema (draft 2020-12) of the type that serde reads.
pub(super) fn schema_of<T: JsonSchema>(title: &str) -> Schema {
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
    fn the_schema_has_meanings_defaults_and_choices_and_nothing_that_toml_has_not() {
        let schema = schema_of::<Config>("x").to_value();
        let train = &schema["$defs"]["TrainSpec"];
        assert_eq!(train["additionalProperties"], false);
        let rate = &train["properties"]["learning_rate"];
        assert_eq!(rate["description"], "Highest learning rate of Adam.");
        assert_eq!(rate["default"], 1e-3);
        assert_eq!(rate["type"], "number");
        let name = &schema["properties"]["name"];
        assert_eq!(name["type"], "string", "{name}");
        let kinds = schema["$defs"]["ModelSpec"]["oneOf"].as_array().unwrap();
        assert_eq!(kinds.len(), 5);
        assert!(kinds.iter().all(|k| k["additionalProperties"] == false));
        let text = schema.to_string();
        for left in ["null", "\"format\"", "[`", "\\\\["] {
            assert!(!text.contains(left), "{left}");
        }
    }
}
