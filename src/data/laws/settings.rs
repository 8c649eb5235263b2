//! Specifications as text.

use crate::data::{DataSpec, KINDS};

#[test]
fn every_example_survives_a_toml_file() {
    let mut kinds = Vec::new();
    for (name, spec) in DataSpec::examples() {
        let text = toml::to_string(&spec).expect("a table");
        assert_eq!(
            toml::from_str::<DataSpec>(&text).as_ref(),
            Ok(&spec),
            "{name}\n{text}"
        );
        let dim = spec.build().expect("an example is fine").dim();
        assert_eq!(spec.check(), Ok(dim), "{name}");
        let kind = KINDS
            .iter()
            .find(|k| text.contains(&format!("[{}]", k.name)));
        kinds.push(kind.expect("a listed kind").name);
    }
    // Files are no examples: they have no known law.
    kinds.push("file");
    kinds.dedup();
    let listed: Vec<_> = KINDS.iter().map(|k| k.name).collect();
    assert_eq!(kinds, listed);
}

#[test]
fn the_listed_settings_are_the_defaults() {
    for kind in KINDS {
        let (key, settings) = (kind.name, kind.settings);
        let read = |text: String| toml::from_str::<DataSpec>(&text).expect("a listed line");
        let spec = read(format!("{key} = {settings}"));
        assert!(spec.check().is_ok(), "{key}");
        let least = match key {
            "mixture" => continue,
            "file" => {
                settings
                    .split(", on_bad_rows")
                    .next()
                    .expect("a part")
                    .to_owned()
                    + " }"
            }
            _ => "{}".to_owned(),
        };
        assert_eq!(spec, read(format!("{key} = {least}")));
    }
}
