//! Whether a file has the shape that the JSON Schema of its type describes: keys and choices that
//! exist, values of the right kind.

use std::ops::Range;

use serde_json::Value;
use toml::de::{DeTable, DeValue, Deserializer};
use toml::Spanned;

use super::fault::Fault;
use super::Typed;
use crate::experiment::{not_among, quoted};
use mdn_core::error::did_you_mean;

/// A value of the file.
struct Place {
    /// Keys from the root; an array's element is written `hidden[1]`.
    path: Vec<String>,
    /// Where the value stands. For a table with a header it is the header.
    span: Option<Range<usize>>,
}

impl Place {
    fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    fn below(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Self {
        let path = [self.path.as_slice(), &[key.to_owned()]].concat();
        let span = Some(value.span());
        Self { path, span }
    }

    fn element(&self, index: usize, value: &Spanned<DeValue<'_>>) -> Self {
        let mut place = self.below(&format!("{}[{index}]", self.name()), value);
        place.path.remove(self.path.len() - 1);
        place
    }

    /// A fault of the value, reported for the table that holds it.
    fn wrong(&self, message: String) -> Fault {
        let above = &self.path[..self.path.len().saturating_sub(1)];
        Fault::new(self.span.clone(), above, message)
    }

    /// A fault of the table's content.
    fn wrong_inside(&self, message: String) -> Fault {
        Fault::new(self.span.clone(), &self.path, message)
    }
}

/// Reads and checks a whole file.
pub(super) fn parse<T: Typed>(text: &str) -> Result<T, Fault> {
    let parsed = DeTable::parse(text).map_err(|e| Fault::syntax(text, &e))?;
    let root = parsed.get_ref();
    check(T::schema(), root).map_err(|mut fault| {
        let keys = root.keys().map(|key| key.get_ref().as_ref());
        if let Some(hint) = T::other_kind(&keys.collect::<Vec<&str>>()) {
            fault.message = format!("{} ({hint})", fault.message);
        }
        fault
    })?;
    let config = T::deserialize(Deserializer::from(parsed.clone()))
        .map_err(|e| Fault::new(e.span(), &[], e.message().to_owned()))?;
    config.check().map_err(|bad| Fault::value(root, &bad))?;
    Ok(config)
}

/// The first fault in the shape of the file `table` by the schema `root`.
fn check(root: &Value, table: &DeTable<'_>) -> Result<(), Fault> {
    let place = Place {
        path: Vec::new(),
        span: None,
    };
    Shape { root }.table(root, &place, table)
}

struct Shape<'s> {
    root: &'s Value,
}

impl<'s> Shape<'s> {
    fn value(&self, schema: &'s Value, at: &Place, value: &DeValue<'_>) -> Result<(), Fault> {
        let schema = match schema["$ref"].as_str() {
            // `Search::check` knows more about lists of settings.
            Some(name) if name.ends_with("Axes") => return Ok(()),
            Some(name) => self.root.pointer(name.trim_start_matches('#')),
            None => Some(schema),
        };
        let schema = schema.unwrap_or(&Value::Null);
        if let Some(choices) = choices(schema) {
            return self.choice(&choices, at, value);
        }
        let (name, got) = (at.name(), got(value));
        let wrong =
            |what: &str| Err(at.wrong(format!("expected `{name}` to be {what}; got {got}")));
        if let Some(forms) = schema["anyOf"].as_array() {
            let fits = |form: &'s Value| self.value(form, at, value).is_ok();
            return match schema["description"].as_str() {
                // The first paragraph is a noun phrase: "A number, or a list of numbers ...".
                Some(about) if !forms.iter().any(fits) => {
                    let about = about.split("\n\n").next().unwrap_or_default();
                    wrong(&about.trim_end_matches('.').to_lowercase())
                }
                _ => Ok(()),
            };
        }
        let Some(kind) = schema["type"].as_str() else {
            return Ok(());
        };
        let expected = match (kind, value) {
            ("object", DeValue::Table(table)) => return self.table(schema, at, table),
            ("array", DeValue::Array(items)) => {
                let mut items = items.iter().enumerate();
                return items.try_for_each(|(i, item)| {
                    self.value(&schema["items"], &at.element(i, item), item.get_ref())
                });
            }
            ("integer", DeValue::Integer(i)) if !i.as_str().starts_with('-') => return Ok(()),
            ("integer", DeValue::Integer(_)) if schema["minimum"].is_null() => return Ok(()),
            ("number", DeValue::Integer(_) | DeValue::Float(_)) => return Ok(()),
            ("string", DeValue::String(_)) | ("boolean", DeValue::Boolean(_)) => return Ok(()),
            ("object", _) => "a table of settings by name, as in `{}`",
            ("array", _) => "an array",
            ("integer", _) if !schema["minimum"].is_null() => "a whole number >= 0",
            ("integer", _) => "a whole number",
            ("number", _) => "a number",
            ("boolean", _) => "true or false",
            (other, _) => &format!("a {other}"),
        };
        wrong(expected)
    }

    fn table(&self, schema: &'s Value, at: &Place, table: &DeTable<'_>) -> Result<(), Fault> {
        let known = schema["properties"].as_object();
        let others = &schema["additionalProperties"];
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match known.and_then(|known| known.get(name)) {
                Some(next) => self.value(next, &at.below(name, value), value.get_ref())?,
                None if others == false => {
                    let known = known.into_iter().flat_map(|k| k.keys().map(String::as_str));
                    let message = unknown("key", name, &known.collect::<Vec<_>>());
                    return Err(Fault::new(Some(key.span()), &at.path, message));
                }
                None => self.value(others, &at.below(name, value), value.get_ref())?,
            }
        }
        // `Typed::check` reports what the whole file lacks.
        let required = schema["required"]
            .as_array()
            .filter(|_| !at.path.is_empty());
        let mut names = required.into_iter().flatten().filter_map(Value::as_str);
        match names.find(|name| !table.contains_key(*name)) {
            Some(name) => Err(at.wrong_inside(format!("missing key `{name}`"))),
            None => Ok(()),
        }
    }

    /// One of several names, some of them with settings of their own.
    fn choice(
        &self,
        choices: &[(&'s str, Option<&'s Value>)],
        at: &Place,
        value: &DeValue<'_>,
    ) -> Result<(), Fault> {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let find = |name: &str| choices.iter().find(|(known, _)| *known == name);
        let table = match value {
            DeValue::String(name) => match find(name) {
                Some((_, None)) => return Ok(()),
                Some(_) => {
                    return Err(at.wrong(format!(
                        "expected `{0}` to be a table, as in `{0}.{name} = {{}}`; got \"{name}\"",
                        at.name()
                    )))
                }
                None => return Err(at.wrong(unknown("choice", name, &names))),
            },
            DeValue::Table(table) => table,
            other => {
                let (name, names, got) = (at.name(), quoted(names), got(other));
                return Err(at.wrong(format!("expected `{name}` to be one of {names}; got {got}")));
            }
        };
        let mut entries = table.iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else {
            let got = match table.is_empty() {
                true => "none".to_owned(),
                false => quoted(table.keys().map(|k| k.get_ref().as_ref())),
            };
            let message = format!("expected exactly one of {}; got {got}", quoted(names));
            let mut fault = at.wrong_inside(message);
            fault.ambiguous = (!table.is_empty()).then(|| at.path.clone());
            return Err(fault);
        };
        let name = key.get_ref().as_ref();
        match find(name) {
            Some((_, Some(settings))) => {
                self.value(settings, &at.below(name, value), value.get_ref())
            }
            Some((_, None)) => Ok(()),
            None => {
                let message = unknown("choice", name, &names);
                Err(Fault::new(Some(key.span()), &at.path, message))
            }
        }
    }
}

/// The names that may stand at a place, each with the schema of its settings where it has some;
/// `None` where it is not a choice between names.
fn choices(schema: &Value) -> Option<Vec<(&str, Option<&Value>)>> {
    let members = match schema["oneOf"].as_array() {
        Some(members) => members.as_slice(),
        None if schema["enum"].is_array() => std::slice::from_ref(schema),
        None => return None,
    };
    let mut all = Vec::new();
    for member in members {
        let names = member["enum"].as_array().into_iter().flatten();
        let names = names.chain(member.get("const")).filter_map(Value::as_str);
        all.extend(names.map(|name| (name, None)));
        let tables = member["properties"].as_object().into_iter().flatten();
        all.extend(tables.map(|(name, settings)| (name.as_str(), Some(settings))));
    }
    Some(all)
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> String {
    let known = match known {
        [] => format!("`{name}`; this table has no keys"),
        [only] => format!("`{name}`{}; expected `{only}`", did_you_mean(name, [*only])),
        _ => not_among(name, known),
    };
    format!("unknown {kind} {known}")
}

fn got(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("string {text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
