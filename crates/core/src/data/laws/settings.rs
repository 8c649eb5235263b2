//! Specifications as text.

use crate::data::{DataSpec, BENCHMARKS, KINDS};
use crate::rng::Rng;

#[test]
fn every_example_survives_a_toml_file() {
    for (name, spec) in DataSpec::examples() {
        let text = toml::to_string(&spec).expect("a table");
        assert_eq!(
            toml::from_str::<DataSpec>(&text).as_ref(),
            Ok(&spec),
            "{name}\n{text}"
        );
        let dim = spec.build().expect("an example is fine").dim();
        assert_eq!(spec.check(), Ok(dim), "{name}");
    }
}

#[test]
fn benchmarks_go_by_their_names() {
    for benchmark in BENCHMARKS {
        let read = format!("benchmark = \"{}\"", benchmark.name);
        let named: DataSpec = toml::from_str(&read).expect("a name");
        let sample = |spec: &DataSpec| {
            let data = spec.build().expect("a benchmark is fine");
            let points = data.sample(20, &mut Rng::new(1)).expect("a sampler");
            points.to_vec2::<f64>().expect("a matrix")
        };
        assert_eq!(sample(&named), sample(&(benchmark.spec)()), "{read}");
        let same = BENCHMARKS.iter().filter(|b| b.name == benchmark.name);
        assert_eq!(same.count(), 1, "{read}");
    }
}

#[test]
fn the_listed_settings_are_the_defaults() {
    for kind in KINDS {
        let (key, settings) = (kind.name, kind.settings);
        let read = |text: String| toml::from_str::<DataSpec>(&text).expect("a listed line");
        let spec = read(format!("{key} = {settings}"));
        assert!(spec.check().is_ok(), "{key}");
        let least = match key {
            "benchmark" | "uniform" | "mixture" => continue,
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
