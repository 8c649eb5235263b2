//! `tests/python/reader.py`, written from docs/formulas.md alone, finds the densities and parts that
//! `mdn density` prints.

use std::process::Command;

use serde_json::Value;

use crate::common::markdown::{page, root};
use crate::common::{files, Place, Said};

const MODELS: &str = include_str!("../python/models.toml");
const SUPPORTS: &str = include_str!("../python/supports.toml");

/// What the schema offers and a formula must say.
const KINDS: &str = "ModelSpec BijectionSpec BaseSpec SupportSpec Activation Covariance Gates \
                     Interleave Mixing Order";

#[test]
fn every_member_of_the_schema_has_a_formula_and_is_read() {
    let schema = Place::new().mdn("schema").fine();
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let page = page("docs/formulas.md");
    let experiments = [MODELS, SUPPORTS].concat();
    let is_read = |name: &str| {
        let mut words = experiments.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.any(|word| word == name)
    };
    for kind in KINDS.split(' ') {
        for member in schema["$defs"][kind]["oneOf"].as_array().expect(kind) {
            let name = member["const"].as_str();
            let name = name.or_else(|| member["required"][0].as_str());
            let name = name.expect("a name");
            let is_named = page.spans.iter().any(|span| span == name);
            assert!(is_named, "docs/formulas.md: no `{name}` of {kind}");
            assert!(is_read(name), "tests/python: no `{name}` of {kind}");
        }
    }
}

/// Points in a file.
const ROWS: u8 = 80;

/// Points as CSV, within `spread` of their number around a centre.
fn points(dim: u8, centre: f64, spread: fn(u8) -> f64) -> String {
    let wave = |i: u8, d: u8| (1.0 + 2.3 * f64::from(i) + 1.7 * f64::from(d * d)).sin();
    let row = |i: u8| {
        let cells = (0..dim).map(|d| (centre + spread(i) * wave(i, d)).to_string());
        cells.collect::<Vec<_>>().join(",") + "\n"
    };
    (0..ROWS).map(row).collect()
}

/// Whether a row that `mdn density` prints, after the point itself, is the row of the reader.
fn agree(cells: &[&str], row: &str, tolerance: f64) -> bool {
    let (value, part) = row.split_once(',').expect("two cells");
    let [want, got] = [cells[0], value].map(|v| v.parse::<f64>().expect("a number"));
    // In single precision rounding may decide the part of a point at an edge.
    let same_part = tolerance > 1e-6 || cells.get(1).is_none_or(|p| *p == part);
    let near = want == got || (want - got).abs() <= tolerance * want.abs().max(1.0);
    near && same_part
}

#[test]
fn the_reader_finds_the_densities_and_parts_of_mdn() {
    let mut python = Command::new("python3");
    let needs = python.args(["-c", "import numpy, tomllib"]).output();
    if !needs.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no python3 (3.11 or newer) with numpy here");
        return;
    }
    let place = Place::with("models.toml", MODELS);
    place.write("supports.toml", SUPPORTS);
    let digits = std::fs::read(root().join("datasets/digits.npy"));
    place.write("digits.npy", digits.expect("a data set"));
    // Double precision shows every digit of a formula, single precision what fused kernels make of it.
    for line in [
        "models.toml --data one --data five train.precision=f64",
        "models.toml --data two --model edge --model spline train.precision=f64",
        "supports.toml train.precision=f64",
        "models.toml --data five --out single",
    ] {
        place.mdn(&format!("train {line}")).fine();
    }
    // To 100 standard deviations from the data; inside and outside of the supports.
    let far: fn(u8) -> f64 = |i| 0.3 * 1.08f64.powi(i.into());
    let near: fn(u8) -> f64 = |_| 0.3;
    let reader = root().join("tests/python/reader.py");
    let mut faults = Vec::new();
    for (folder, dim, centre, spread, tolerance) in [
        ("results/models/one", 1, 0.0, far, 1e-8),
        ("results/models/two", 2, 0.0, far, 1e-8),
        ("results/models/five", 5, 0.0, far, 1e-8),
        ("results/supports/box", 3, 0.25, near, 1e-8),
        ("results/supports/positive", 3, 0.25, near, 1e-8),
        ("results/supports/simplex", 2, 0.25, near, 1e-8),
        ("single/models/five", 5, 0.0, far, 1e-4),
    ] {
        place.write("points.csv", points(dim, centre, spread));
        let mut found = files(&place.path(folder));
        found.retain(|file| file.ends_with("model.safetensors"));
        let runs: Vec<_> = found.iter().filter_map(|f| f.parent()?.to_str()).collect();
        let mut line = vec![reader.to_str().expect("a path"), "points.csv"];
        line.extend(&runs);
        let read = Said::of(&mut place.command("python3", &line)).fine();
        let read: Vec<_> = read.lines().collect();
        assert!(!runs.is_empty() && read.len() == runs.len() * usize::from(ROWS));
        for (run, read) in runs.into_iter().zip(read.chunks(ROWS.into())) {
            let mut line = vec!["density", run, "points.csv"];
            // A model without parts refuses the option.
            line.extend((!read[0].ends_with(',')).then_some("--parts"));
            let said = place.mdn(&line).fine();
            for (said, read) in said.lines().skip(1).zip(read) {
                let cells: Vec<_> = said.split(',').skip(dim.into()).collect();
                if !agree(&cells, read, tolerance) {
                    faults.push(format!("{run}: {said} against {read}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
