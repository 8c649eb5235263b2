//! The schema that `mdn schema` prints: every shipped file is valid under it, wrong ones are not.

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use mdn::experiment::plan::Plan;
use mdn::experiment::schema;
use serde_json::Value;

/// The experiment files in a folder of the project.
fn shipped(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
    let paths = entries.map(|e| e.expect("an entry").path());
    paths
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect()
}

fn validator(schema: &Value) -> Validator {
    let draft = schema["$schema"].as_str().expect("a draft");
    assert!(draft.contains("2020-12"), "{draft}");
    jsonschema::draft202012::new(schema).expect("a valid schema")
}

/// As an editor sees it.
fn json(text: &str) -> Value {
    let table: toml::Table = text.parse().expect("TOML");
    serde_json::to_value(table).expect("JSON")
}

#[track_caller]
fn valid(validator: &Validator, what: &str, text: &str) {
    let file = json(text);
    let faults: Vec<_> = validator
        .iter_errors(&file)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn every_shipped_file_is_valid_as_it_stands_and_with_every_default() {
    let experiment = validator(&schema::experiment().to_value());
    let files = shipped("experiments");
    assert!(files.len() >= 10, "{}", files.len());
    for path in &files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).expect("a shipped file");
        valid(&experiment, &name, &text);
        let plan = Plan::load(path, &[]).expect("a shipped file");
        let resolved = plan.resolved().expect("TOML");
        valid(&experiment, &format!("{name} --resolved"), &resolved);
    }
    let study = validator(&schema::study().to_value());
    for path in shipped("experiments/studies") {
        let text = std::fs::read_to_string(&path).expect("a shipped file");
        valid(&study, &path.display().to_string(), &text);
    }
}

const GOOD: &str = r#"name = "good"
seeds = [0, 1]

[train]
steps = 100
schedule.cosine = { warmup = 0.1 }

[search.train]
learning_rate = [1e-3, 3e-3]

[data.ring]
ring = { modes = 8 }

[data.known]
benchmark = "pinwheel"

[data.own.mixture]
weights = [0.5, 0.5]
means = [[0.0, 0.0], [1.0, 1.0]]
std_devs = [0.5, [0.5, 0.25]]

[data.mine.file]
path = "points.csv"
columns = ["x", 2]

[models.flow.flow]
bijection.chain = [{ linear = {} }, { affine_coupling = { hidden = [8] } }]
base.mixture = { components = 2, draws = "score" }

[models.rad.rad]
gates = "edge"
"#;

#[test]
fn what_is_wrong_is_not_valid() {
    let validator = validator(&schema::experiment().to_value());
    valid(&validator, "the good file", GOOD);
    let wrong = [
        ("steps = 100", "stepz = 100"),
        ("steps = 100", "steps = \"many\""),
        ("steps = 100", "steps = -5"),
        ("steps = 100", "steps = 0.5"),
        ("[train]", "[trian]"),
        ("schedule.cosine = { warmup = 0.1 }", "schedule = \"cosin\""),
        ("learning_rate = [1e-3, 3e-3]", "learning_rate = 1e-3"),
        ("learning_rate = [1e-3, 3e-3]", "steps = [1, 2]"),
        ("ring = { modes = 8 }", "rings_of = { modes = 8 }"),
        ("ring = { modes = 8 }", "ring = { modes = 8, depth = 1 }"),
        ("ring = { modes = 8 }", ""),
        ("\"pinwheel\"", "\"pinweel\""),
        ("weights = [0.5, 0.5]\n", ""),
        ("[0.5, 0.25]]", "\"wide\"]"),
        ("[\"x\", 2]", "[\"x\", -2]"),
        ("[models.rad.rad]\ngates = \"edge\"", "[models.rad]"),
        ("[models.rad.rad]", "[models.rad.radd]"),
        ("[models.rad.rad]", "[models.\"../rad\".rad]"),
        ("\"edge\"", "\"edges\""),
        ("components = 2, ", ""),
        ("draws = \"score\"", "draws = \"scores\""),
        ("{ linear = {} }", "{ linear = {}, planar = {} }"),
        ("hidden = [8]", "hidden = 8"),
    ];
    for (good, bad) in wrong {
        assert_eq!(GOOD.matches(good).count(), 1, "{good}");
        let text = GOOD.replace(good, bad);
        assert!(!validator.is_valid(&json(&text)), "{bad}");
    }
    assert!(!validator.is_valid(&json("seeds = [0]")), "no models");
}
