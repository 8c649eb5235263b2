//! The study file.

use std::path::Path;
use std::sync::LazyLock;

use super::{check_name, name_of, read, schema_of, Typed};
use mdn_core::error::BadValue;
use mdn_core::study::StudySpec;
use mdn_core::{Error, Result};

impl Typed for StudySpec {
    fn check(&self) -> std::result::Result<(), BadValue> {
        if let Some(name) = &self.name {
            check_name("name", name)?;
        }
        Self::check(self)
    }

    fn schema() -> &'static serde_json::Value {
        static SCHEMA: LazyLock<serde_json::Value> =
            LazyLock::new(|| schema_of::<StudySpec>("").to_value());
        &SCHEMA
    }

    fn other_kind(keys: &[&str]) -> Option<&'static str> {
        let experiment = ["models", "data", "train"].iter().any(|k| keys.contains(k));
        experiment.then_some("for an experiment try `mdn compare`")
    }
}

/// Reads and checks a study file, applies overrides (`dotted.key=value`) and sets the `name`.
pub fn load(path: &Path, overrides: &[String]) -> Result<StudySpec> {
    let mut spec: StudySpec = read(path, overrides)?;
    if spec.name.is_none() {
        spec.name = Some(name_of(path)?);
    }
    Ok(spec)
}

/// The same settings as TOML, with every default.
pub fn to_toml(spec: &StudySpec) -> Result<String> {
    toml::to_string(spec).map_err(|e| Error::failed(format!("could not write TOML: {e}")))
}
