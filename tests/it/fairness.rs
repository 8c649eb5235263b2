//! The binary from outside: budgets and the choice of settings.

use crate::common::{Place, Said};

const FILE: &str = r#"seeds = [0, 1]

[budget]
parameters = 1500

[search.train]
learning_rate = [1e-3, 1e-2, 1e30]

[train]
steps = 30
batch_size = 64
points = 500
validation_points = 100
validate_every = 10

[evaluation]
points = 500
grid = 32

[data.ring]
ring = { modes = 4, radius = 3.0, std = 0.3 }

[models.plain.flow]
bijection.affine_coupling = { layers = 2 }

[models.rad.rad]
layers = 2

[models.clusters.clusters]
bijection.affine_coupling = { layers = 2, hidden = [16] }

[models.planar.flow]
bijection.planar = { layers = 4 }
"#;

fn place() -> Place {
    let place = Place::new();
    place.write("fair.toml", FILE);
    place
}

const RUN: &str = "results/fair/ring";

fn parameters(place: &Place, run: &str) -> f64 {
    let metrics = place.read(&format!("{run}/metrics.csv"));
    let line = metrics.lines().find(|l| l.starts_with("parameters,"));
    let value = line.and_then(|l| l.split(',').nth(3)).expect("a value");
    value.parse().expect("a number")
}

#[test]
fn models_are_sized_settings_are_chosen_and_the_record_says_so() {
    let place = place();
    let said = place.mdn(&["compare", "fair.toml"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.err
            .contains("warning: models.planar: has no widths, so `budget.parameters` leaves it"),
        "{said:#?}"
    );
    for model in ["plain", "rad", "clusters"] {
        for seed in [0, 1] {
            let run = format!("{RUN}/{model}/seed-{seed}");
            let count = parameters(&place, &run);
            assert!((count / 1500.0 - 1.0).abs() <= 0.03, "{run}: {count}");
            let trials = place.read(&format!("{run}/trials.csv"));
            let lines: Vec<_> = trials.lines().collect();
            assert_eq!(
                lines[0],
                "trial,settings,validation_loss,parameters,best_step,steps,diverged,chosen"
            );
            assert_eq!(lines.len(), 4, "{trials}");
            assert!(lines[1].starts_with("0,train.learning_rate=0.001,"));
            assert!(lines[3].contains(",loss not finite at step "), "{trials}");
            let chosen = lines.iter().filter(|l| l.ends_with(",yes"));
            assert_eq!(chosen.count(), 1, "{trials}");
            let typed = place.read(&format!("{run}/config.toml"));
            assert!(typed.contains("[search.train]"), "{typed}");
            let trained = place.read(&format!("{run}/trained.toml"));
            assert!(!trained.contains("[budget]"), "{trained}");
            assert!(!trained.contains("[search"), "{trained}");
            let cost = place.read(&format!("{run}/cost.csv"));
            assert!(cost.contains("\nsearch_seconds,s,lower,"), "{cost}");
        }
    }
    assert_eq!(parameters(&place, &format!("{RUN}/planar/seed-0")), 20.0);
    // Weights are read back at the sizes they were trained at.
    let run = format!("{RUN}/clusters/seed-0");
    place.mdn(&["sample", &run, "-n", "5"]).fine();
    // Nothing is done twice; a run without its settings is.
    let again = place.mdn(&["train", "fair.toml", "--dry-run"]).fine();
    assert_eq!(again.matches("skip (done)").count(), 8, "{again}");
    std::fs::remove_file(place.path(&format!("{run}/trained.toml"))).expect("there");
    let again = place.mdn(&["train", "fair.toml", "--dry-run"]).fine();
    assert_eq!(again.matches("skip (done)").count(), 7, "{again}");
    // Other trials are other settings.
    let other = ["train", "fair.toml", "search.train.learning_rate=[1e-3]"];
    place
        .mdn(&other)
        .refused("was made with other settings: search.train.learning_rate was [0.001, 0.01, ");
}

#[test]
fn the_same_run_from_its_own_record_leaves_the_same_bytes() {
    let place = place();
    let one = ["--model", "clusters", "--seed", "1"];
    place
        .mdn(&[&["train", "fair.toml"], &one[..]].concat())
        .fine();
    let run = format!("{RUN}/clusters/seed-1");
    for name in ["config.toml", "trained.toml"] {
        let file = format!("{run}/{name}");
        place.mdn(&["train", &file, "--out", name]).fine();
        let other = format!("{name}/fair/ring/clusters/seed-1");
        for name in ["metrics.csv", "history.csv", "model.safetensors"] {
            let same =
                place.bytes(&format!("{other}/{name}")) == place.bytes(&format!("{run}/{name}"));
            assert!(same, "{other}/{name}");
        }
    }
}

#[test]
fn check_and_dry_run_show_trials_and_widths() {
    let place = place();
    let said = place.mdn(&["check", "fair.toml"]).fine();
    for words in [
        " parameters, hidden = [",
        "parameters known when it is trained",
        "20 parameters, no widths",
        "(0, 1), 3 trials each, chosen by validation loss, 30 steps of 64 points each",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let said = place
        .mdn(&[
            "train",
            "fair.toml",
            "-n",
            "--model",
            "plain",
            "budget.seconds=2",
        ])
        .fine();
    assert_eq!(said.matches("3 trials").count(), 2, "{said}");
    assert_eq!(said.matches("hidden = [").count(), 2, "{said}");
    let said = place.mdn(&["list", "fairness"]).fine();
    assert!(said.contains("budget.parameters"), "{said}");
    place
        .mdn(&["check", "fair.toml", "budget.parameters=38"])
        .refused("models.plain: expected widths that give 37 to 39 parameters");
}

#[test]
fn a_budget_of_time_ends_training_and_is_said() {
    let place = place();
    let typed = [
        "compare",
        "fair.toml",
        "--model",
        "plain",
        "--seed",
        "0",
        "search.train={}",
        "budget.seconds=0.5",
        "train.steps=1000000000",
        "train.patience=0",
    ];
    let said: Said = place.mdn(&typed);
    assert_eq!(said.code, 0, "{said:#?}");
    let by = "trained by the clock (budget.seconds = 0.5)";
    assert!(said.err.contains(&format!("warning: {by}")), "{said:#?}");
    let run = format!("{RUN}/plain/seed-0");
    let environment = place.read(&format!("{run}/environment.toml"));
    assert!(
        environment.contains(&format!("note = \"{by}")),
        "{environment}"
    );
    let cost = place.read(&format!("{run}/cost.csv"));
    let line = cost
        .lines()
        .find(|l| l.starts_with("seconds,"))
        .expect("it");
    assert!(line.ends_with(by), "{line}");
    let seconds: f64 = line
        .split(',')
        .nth(3)
        .expect("a value")
        .parse()
        .expect("it");
    assert!((0.4..5.0).contains(&seconds), "{line}");
}

#[test]
fn commands_carry_the_device_and_the_kernels() {
    let place = place();
    let how = ["--device", "cpu", "--kernels", "plain"];
    let listed = ["runs", "fair.toml", "--index", "3", "--commands"];
    let said = place.mdn(&[&listed[..], &how].concat()).fine();
    assert_eq!(
        said,
        "mdn train fair.toml --index 3 --device cpu --kernels plain\n"
    );
    let wrong = ["--device", "abacus"];
    let said = place.mdn(&[&listed[..], &wrong].concat());
    assert_eq!(said.code, 2, "{said:#?}");
}
