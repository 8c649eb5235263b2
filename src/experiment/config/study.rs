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

#[cfg(test)]
mod tests {
    use super::*;

    const STUDY: &str = "seed = 3
[mixture]
weights = [0.5, 0.5]
means = [0.0, 4.0]
std_devs = [1.0, 1.0]
[gradients]
strategies = [\"score\", { gumbel_softmax = { temperature = 0.2 } }]
";

    fn load_text(text: &str, overrides: &[&str]) -> Result<StudySpec> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("two.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<_> = overrides.iter().map(|o| (*o).to_owned()).collect();
        load(&path, &overrides)
    }

    #[test]
    fn a_study_is_read_overridden_and_written() {
        let spec = load_text(STUDY, &["seed=4", "entropy.inner=[2, 3]"]).unwrap();
        assert_eq!((spec.name.as_deref(), spec.seed), (Some("two"), 4));
        assert_eq!(spec.entropy.inner, [2, 3]);
        assert_eq!(spec.gradients.strategies.len(), 2);
        assert_eq!(load_text(&to_toml(&spec).unwrap(), &[]).unwrap(), spec);
    }

    #[test]
    fn every_shipped_study_is_sound_and_asks_a_question() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/studies");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(!files.is_empty());
        for path in files.into_iter().map(|f| f.unwrap().path()) {
            let text = std::fs::read_to_string(&path).unwrap();
            let asks = text.lines().take(2).any(|l| l.contains('?'));
            assert!(asks, "{}", path.display());
            load(&path, &[]).unwrap();
        }
    }

    #[test]
    fn faults_are_reported_at_their_line() {
        let cases = [
            ("seed = 3", "sed = 3", "two.toml:1: unknown key `sed` (did you mean `seed`?)"),
            ("means = [0.0,", "means = [\"a\",", "two.toml:4: mixture: expected `means[0]` to be a number; got string \"a\""),
            ("weights = [0.5,", "weights = [0.6,", "two.toml:3: mixture: expected `weights` that sum to 1; got 1.1"),
            ("temperature = 0.2", "temperature = 0", "two.toml:7: gradients.strategies[1].gumbel_softmax: expected 1e-4 <= `temperature` <= 1000; got 0"),
            ("{ temperature = 0.2 }", "[0.2]", "two.toml:7: gradients.strategies[1]: expected `gumbel_softmax` to be a table of settings by name"),
            ("\"score\"", "\"scores\"", "two.toml:7: gradients: unknown choice `scores` (did you mean `score`?)"),
            ("[gradients]", "[models]\n[gradients]", "unknown key `models`; expected one of `entropy`, "),
            ("[gradients]", "[models]\n[gradients]", "(for an experiment try `mdn compare`)"),
        ];
        for (from, to, message) in cases {
            let text = STUDY.replace(from, to);
            assert_ne!(text, STUDY, "{from}");
            let got = load_text(&text, &[]).unwrap_err().to_string();
            assert!(got.contains(message), "expected {message}\ngot {got}");
        }
    }
}
