//! Specifications as text.

use crate::data::DataSpec;

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
        assert!(spec.describe().is_ascii() && text.contains(spec.kind()));
        kinds.push(spec.kind());
    }
    kinds.dedup();
    let listed: Vec<_> = DataSpec::kinds().iter().map(|(key, _)| *key).collect();
    assert_eq!(kinds, listed);
}

#[test]
fn the_listed_settings_are_the_defaults() {
    for (key, settings) in DataSpec::kinds() {
        let read = |text: String| toml::from_str::<DataSpec>(&text).expect("a listed line");
        let spec = read(format!("{key} = {settings}"));
        assert!(spec.check().is_ok(), "{key}");
        if *key != "mixture" {
            assert_eq!(spec, read(format!("{key} = {{}}")));
        }
    }
}
