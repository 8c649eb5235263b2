//! Data from files, from outside: what is read, what is refused, and what a run records.

use crate::common::Place;

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
        let (kind, by) = if i % 2 == 0 {
            ("cat", 0.0)
        } else {
            ("dog", 30.0)
        };
        let length = 40.0 + by + f64::from(i * i % 17) / 3.0;
        let weight = 4000.0 + 500.0 * by + f64::from(i * i * i % 23) * 90.0;
        text += &format!("\"no. {i}, of us\",{length:.3},{weight},{kind}\n");
    }
    text
}

fn place() -> Place {
    let place = Place::new();
    place.write("experiments/pets.toml", FILE);
    place.write("experiments/animals/pets.csv", &pets());
    place
}

const RUN: &str = "results/pets/pets/flow/seed-0";

#[test]
fn every_verb_works_on_a_file() {
    let place = place();
    let said = place.mdn(&["check", "experiments/pets.toml"]).fine();
    let line =
        "pets: 40 points of `length`, `weight`; 2 classes (cat 20, dog 20); 28 to train on, \
                6 to choose by, 6 to measure on; 0 bad rows left out";
    assert!(said.contains(line), "{said}");

    place.mdn(&["compare", "experiments/pets.toml"]).fine();
    let metrics = place.read(&format!("{RUN}/metrics.csv"));
    let row = |name: &str| {
        let mut lines = metrics.lines();
        let line = lines.find(|l| l.starts_with(&format!("{name},")));
        line.expect(name).to_owned()
    };
    assert!(row("nll").contains(",6,0,"), "{metrics}");
    assert!(row("kl").contains(",,,0,0,"), "{metrics}");
    let record = place.read(&format!("{RUN}/data.toml"));
    for line in [
        "rows = 40",
        "train = 28",
        "classes = [\"cat\", \"dog\"]",
        "bad_rows = 0",
    ] {
        assert!(record.contains(line), "{line}\n{record}");
    }
    let config = place.read(&format!("{RUN}/config.toml"));
    let path = "path = \"../../../../../experiments/animals/pets.csv\"";
    assert!(
        config.contains(path) && config.contains("sha256 = "),
        "{config}"
    );

    // The record of a run is an experiment file in its own place.
    let again = place.mdn(&["train", &format!("{RUN}/config.toml"), "--out", "again"]);
    again.fine();
    assert_eq!(
        place.read("again/pets/pets/flow/seed-0/metrics.csv"),
        metrics
    );
    // As is what `check --resolved` prints, beside the file that it was printed from.
    let resolved = place
        .mdn(&["check", "experiments/pets.toml", "--resolved"])
        .fine();
    assert!(
        resolved.contains("path = \"animals/pets.csv\""),
        "{resolved}"
    );
    place.write("experiments/resolved.toml", &resolved);
    let said = place
        .mdn(&["train", "experiments/resolved.toml", "--dry-run"])
        .fine();
    assert_eq!(said.matches("skip (done)").count(), 2, "{said}");

    // Neither samples nor densities need the file.
    std::fs::remove_file(place.path("experiments/animals/pets.csv")).expect("it is there");
    place.mdn(&["sample", RUN, "-n", "5", "-o", "s.csv"]).fine();
    let density = place.mdn(&["density", RUN, "s.csv"]).fine();
    assert_eq!(density.lines().count(), 6, "{density}");
    let figures = place.mdn(&["plot", RUN]).fine();
    assert!(figures.contains("density.png"), "{figures}");
    let said = place.mdn(&["train", "experiments/pets.toml"]);
    said.refused("pets.toml:13: data.pets.file: expected a file that can be read; got `");
}

#[test]
fn a_file_that_has_changed_is_no_finished_run() {
    let place = place();
    let only = ["train", "experiments/pets.toml", "--model", "flow"];
    place.mdn(&only).fine();
    let said = place.mdn(&[&only[..], &["--dry-run"]].concat()).fine();
    assert!(said.contains("skip (done)"), "{said}");
    // The same content somewhere else is the same data.
    place.write("experiments/moved.csv", &pets());
    let moved = [&only[..], &["data.pets.file.path=moved.csv", "--dry-run"]].concat();
    assert!(place.mdn(&moved).fine().contains("skip (done)"));

    place.write(
        "experiments/animals/pets.csv",
        &(pets() + "new,50,5000,cat\n"),
    );
    place
        .mdn(&only)
        .refused("was made with other settings: data.pets.file.sha256 was");
    let recorded = format!("{RUN}/config.toml");
    place.mdn(&["train", &recorded]).refused("it has changed");
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let place = place();
    let bad = pets().replace(",70.000,", ",seventy,");
    let bad = bad + "odd,1\nodd,2,NaN,cat\n";
    place.write("experiments/animals/pets.csv", &bad);
    let check = ["check", "experiments/pets.toml"];
    let said = place.mdn(&check);
    said.refused("experiments/pets.toml:13: data.pets.file: expected a number in every column and row of pets.csv; got");
    said.refused("line 42: 2 values for 4 columns; line 43: `NaN` in `weight` is not a number");
    said.refused("on_bad_rows = \"skip\"");
    let skip = "data.pets.file.on_bad_rows=skip";
    let said = place.mdn(&[&check[..], &[skip]].concat());
    assert!(said.err.contains("warning: data.pets: "), "{said:#?}");
    assert!(said.fine().contains("bad rows left out"));
    place
        .mdn(&["train", "experiments/pets.toml", skip, "--model", "flow"])
        .fine();
    let record = place.read(&format!("{RUN}/data.toml"));
    assert!(
        !record.contains("bad_rows = 0") && record.contains("line 42: 2 values"),
        "{record}"
    );

    place.write("experiments/animals/pets.csv", &pets());
    let cases = [
        (
            "train.points=0",
            "expected `points` >= 1 with the file of `data.pets`, which has no fresh points",
        ),
        (
            "data.pets.file.columns=[\"lenght\"]",
            "(did you mean `length`?)",
        ),
        (
            "data.pets.file.split.train=0.5",
            "expected `train`, `validation` and `test` that sum to 1",
        ),
        (
            "data.pets.file.split=[0.7,0.15,0.15]",
            "expected `split` to be a table of settings by name",
        ),
        (
            "data.pets.file.path=nowhere.csv",
            "expected a file that can be read",
        ),
        (
            "models.clusters.clusters.clusters=29",
            "expected `clusters` <= 28, the number of points that training starts from; got 29",
        ),
        (
            "data.pets.file.colums=[0]",
            "unknown key `colums` (did you mean `columns`?)",
        ),
    ];
    for (change, message) in cases {
        place
            .mdn(&[&check[..], &[change]].concat())
            .refused(message);
    }
    let target = "seeds = [0]\n[problems.p.reverse_kl]\ntarget.file = { path = \"x.csv\" }\n[models.m.flow]\n";
    place.write("target.toml", target);
    place
        .mdn(&["check", "target.toml"])
        .refused("expected a target with a known density; got points from a file");
}

/// Numbers far from 0 beside their spread are refused in single precision and fine in double.
#[test]
fn numbers_that_single_precision_cannot_hold_are_refused() {
    let place = place();
    let far: String = (0..40)
        .map(|i| format!("{},{}\n", 1e9 + f64::from(i), i * i))
        .collect();
    place.write("experiments/far.csv", &far);
    let train = [
        "train",
        "experiments/pets.toml",
        "data.pets.file={path='far.csv'}",
        "--model",
        "flow",
    ];
    place.mdn(&train).failed(1, "try train.precision=f64");
    place
        .mdn(&[&train[..], &["train.precision=f64"]].concat())
        .fine();
}

/// A pipe would be empty for the second run, and one that nobody writes to would be waited for.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_before_it_is_opened() {
    let place = place();
    let pipe = place.path("experiments/animals/pets.csv");
    std::fs::remove_file(&pipe).expect("it was there");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let said = place.mdn(&["check", "experiments/pets.toml"]);
    said.refused("expected a file that can be read more than once");
}
