//! Data from files, from outside: what is read, what is refused, and what a run records.

use crate::common::{assert_contains, cases, Place};

const FILE: &str = r#"seeds = [0]

[train]
steps = 20
batch_size = 16
validate_every = 10

[evaluation]
points = 200
grid = 16

[data.pets.file]
path = "animals/pets.csv"
columns = ["length", "weight"]
label = "kind"

[models.flow.flow]
bijection.affine_coupling = { layers = 2, hidden = [4] }

[models.clusters.clusters]
clusters = 2
bijection.affine_coupling = { layers = 1, hidden = [4] }
"#;

/// Forty cats and dogs, two of them not weighed.
fn pets() -> String {
    let mut text = "name,length,weight,kind\n".to_owned();
    for i in 0..40 {
        let (kind, by) = [("cat", 0.0), ("dog", 30.0)][i as usize % 2];
        let length = 40.0 + by + f64::from(i * i % 17) / 3.0;
        let weight = 4000.0 + 500.0 * by + f64::from(i * i * i % 23) * 90.0;
        text += &format!("\"no. {i}, of us\",{length:.3},{weight},{kind}\n");
    }
    text
}

fn place() -> Place {
    let place = Place::with("experiments/pets.toml", FILE);
    place.write(PETS, pets());
    place
}

const PETS: &str = "experiments/animals/pets.csv";
const RUN: &str = "results/pets/pets/flow/seed-0";
const CHECK: &str = "check experiments/pets.toml";
const TRAIN: &str = "train experiments/pets.toml --model flow";

#[test]
fn every_verb_works_on_a_file() {
    let place = place();
    let line =
        "pets: 40 points of `length`, `weight`; 2 classes (cat 20, dog 20); 28 to train on, \
                6 to choose by, 6 to measure on; 0 bad rows left out";
    assert_contains(&place.ok(CHECK), &[line]);

    place.ok("compare experiments/pets.toml --figures none");
    let nll = place.metric_row(RUN, "nll");
    assert_eq!((nll["n"].as_str(), nll["non_finite"].as_str()), ("6", "0"));
    assert_eq!(place.metric(RUN, "kl"), None);
    let record = place.read(&format!("{RUN}/data.toml"));
    let lines = [
        "rows = 40",
        "train = 28",
        "classes = [\"cat\", \"dog\"]",
        "bad_rows = 0",
    ];
    assert_contains(&record, &lines);
    let config = place.read(&format!("{RUN}/config.toml"));
    let path = "path = \"../../../../../experiments/animals/pets.csv\"";
    assert_contains(&config, &[path, "sha256 = "]);

    // The record of a run is an experiment file in its own place.
    place.ok(&format!("train {RUN}/config.toml --out again"));
    let [metrics, again] =
        [RUN, "again/pets/pets/flow/seed-0"].map(|run| place.read(&format!("{run}/metrics.csv")));
    assert_eq!(metrics, again);
    // So is the output of `check --resolved`, beside the file that it was printed from.
    let resolved = place.ok(&format!("{CHECK} --resolved"));
    assert_contains(&resolved, &["path = \"animals/pets.csv\""]);
    place.write("experiments/resolved.toml", &resolved);
    let said = place.ok("train experiments/resolved.toml --dry-run");
    assert_eq!(said.matches("skip (done)").count(), 2, "{said}");

    // Neither samples nor densities need the file.
    place.remove(PETS);
    place.ok(&format!("sample {RUN} -n 5 -o s.csv"));
    let density = place.ok(&format!("density {RUN} s.csv"));
    assert_eq!(density.lines().count(), 6, "{density}");
    let figures = place.ok(&format!("plot {RUN}"));
    assert_contains(&figures, &["density.png"]);
    let message = "pets.toml:13: data.pets.file: expected a file that can be read; got `";
    place.refused(TRAIN, message);
}

#[test]
fn a_file_that_has_changed_is_no_finished_run() {
    let place = place();
    place.ok(TRAIN);
    let preview = |more: &str| place.ok(&format!("{TRAIN} --dry-run {more}"));
    assert_contains(&preview(""), &["skip (done)"]);
    // The same content somewhere else is the same data.
    place.write("experiments/moved.csv", pets());
    assert_contains(&preview("data.pets.file.path=moved.csv"), &["skip (done)"]);

    place.write(PETS, pets() + "new,50,5000,cat\n");
    let message = "was made with other settings: data.pets.file.sha256 was";
    place.refused(TRAIN, message);
    place.refused(&format!("train {RUN}/config.toml"), "it has changed");
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let place = place();
    let bad = pets().replace(",70.000,", ",seventy,");
    place.write(PETS, bad + "odd,1\nodd,2,NaN,cat\n");
    let said = place.mdn(CHECK);
    said.refused("experiments/pets.toml:13: data.pets.file: expected a number in every column and row of pets.csv; got");
    said.refused("line 42: 2 values for 4 columns; line 43: `NaN` in `weight` is not a number");
    said.refused("on_bad_rows = \"skip\"");
    let skip = "data.pets.file.on_bad_rows=skip";
    let said = place.mdn(&format!("{CHECK} {skip}"));
    let out = said.fine_with_note("warning: data.pets: ");
    assert_contains(&out, &["bad rows left out"]);
    place.ok(&format!("{TRAIN} {skip}"));
    let record = place.read(&format!("{RUN}/data.toml"));
    assert!(!record.contains("bad_rows = 0"), "{record}");
    assert_contains(&record, &["line 42: 2 values"]);

    place.write(PETS, pets());
    let table = "
        train.points=0 => expected `points` >= 1 with the file of `data.pets`, which has no fresh points
        data.pets.file.columns=[\"lenght\"] => (did you mean `length`?)
        data.pets.file.split.train=0.5 => expected `train`, `validation` and `test` that sum to 1
        data.pets.file.split=[0.7,0.15,0.15] => expected `split` to be a table of settings by name
        data.pets.file.path=nowhere.csv => expected a file that can be read
        models.clusters.clusters.clusters=29 => expected `clusters` <= 28, the number of points that training starts from; got 29
        data.pets.file.colums=[0] => unknown key `colums` (did you mean `columns`?)
    ";
    for (change, message) in cases(table) {
        place.refused(&format!("{CHECK} {change}"), message);
    }
    let target = "seeds = [0]\n[problems.p.reverse_kl]\ntarget.file = { path = \"x.csv\" }\n[models.m.flow]\n";
    place.write("target.toml", target);
    let message = "expected a target with a known density; got points from a file";
    place.refused("check target.toml", message);
}

/// A pipe would be empty for the second run, and a pipe without a writer would be waited for.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_before_it_is_opened() {
    let place = place();
    place.remove(PETS);
    let made = place.command("mkfifo", PETS).status();
    assert!(made.expect("mkfifo").success());
    place.refused(CHECK, "expected a file that can be read more than once");
}
