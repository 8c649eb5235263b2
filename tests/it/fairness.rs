//! Budgets and the choice of settings, from outside.

use crate::common::{assert_contains, Place, RING};

const HEAD: &str = "seeds = [0, 1]
[budget]
parameters = 1500
[search.train]
learning_rate = [1e-3, 1e-2, 1e30]
";

const MODELS: &str = "[models.plain.flow]
bijection.affine_coupling = { layers = 2 }
[models.rad.rad]
layers = 2
[models.clusters.clusters]
bijection.affine_coupling = { layers = 2, hidden = [16] }
[models.planar.flow]
bijection.planar = { layers = 4 }
";

fn place() -> Place {
    let ring = RING.find("[train]").zip(RING.find("[models"));
    let (first, end) = ring.expect("tables");
    Place::with("fair.toml", &format!("{HEAD}{}{MODELS}", &RING[first..end]))
}

fn run(model: &str, seed: usize) -> String {
    format!("results/fair/ring/{model}/seed-{seed}")
}

#[test]
fn models_are_sized_settings_are_chosen_and_the_record_says_so() {
    let place = place();
    let warning = "warning: models.planar: has no widths, so `budget.parameters` leaves it";
    place
        .mdn("compare fair.toml --figures none")
        .fine_with_note(warning);
    for (model, seed) in [("plain", 0), ("plain", 1), ("rad", 0), ("clusters", 0)] {
        let run = run(model, seed);
        let count = place.metric(&run, "parameters").expect("a number");
        assert!((count / 1500.0 - 1.0).abs() <= 0.03, "{run}: {count}");
        let trials = place.read(&format!("{run}/trials.csv"));
        let lines: Vec<_> = trials.lines().collect();
        let header = "trial,settings,validation_loss,parameters,best_step,steps,diverged,chosen";
        assert_eq!((lines[0], lines.len()), (header, 4), "{trials}");
        assert!(lines[1].starts_with("0,train.learning_rate=0.001,"));
        assert_contains(lines[3], &[",loss not finite at step "]);
        let chosen = lines.iter().filter(|l| l.ends_with(",yes"));
        assert_eq!(chosen.count(), 1, "{trials}");
        let typed = place.read(&format!("{run}/config.toml"));
        assert_contains(&typed, &["[search.train]"]);
        let trained = place.read(&format!("{run}/trained.toml"));
        let asked = ["[budget]", "[search"]
            .iter()
            .any(|table| trained.contains(table));
        assert!(!asked, "{trained}");
        let cost = place.metric_row(&run, "search_seconds");
        assert_eq!((&*cost["unit"], &*cost["better"]), ("s", "lower"));
    }
    assert_eq!(place.metric(&run("planar", 0), "parameters"), Some(20.0));
    // Weights are read back at the sizes they were trained at.
    place.ok(&format!("sample {} -n 5", run("clusters", 0)));
    // Finished runs are skipped, but not one without its trained settings.
    let skipped = || {
        let said = place.ok("train fair.toml --dry-run");
        said.matches("skip (done)").count()
    };
    assert_eq!(skipped(), 8);
    place.remove(&format!("{}/trained.toml", run("rad", 0)));
    assert_eq!(skipped(), 7);
    // Other trials are other settings.
    place.refused(
        "train fair.toml search.train.learning_rate=[1e-3]",
        "was made with other settings: search.train.learning_rate was [0.001, 0.01, ",
    );
}

#[test]
fn the_same_run_from_its_own_record_leaves_the_same_bytes() {
    let place = place();
    place.ok("train fair.toml --model clusters --seed 1");
    let run = run("clusters", 1);
    for record in ["config.toml", "trained.toml"] {
        place.ok(&format!("train {run}/{record} --out {record}"));
        let again = run.replace("results", record);
        place.assert_equal("metrics.csv history.csv model.safetensors", [&run, &again]);
    }
}

#[test]
fn check_and_dry_run_show_trials_and_widths() {
    let place = place();
    let words = [
        " parameters, hidden = [",
        "parameters known when it is trained",
        "20 parameters, no widths",
        "(0, 1), 3 trials each, chosen by validation loss, 30 steps of 64 points each",
    ];
    assert_contains(&place.ok("check fair.toml"), &words);
    let said = place.ok("train fair.toml -n --model plain budget.seconds=2");
    assert_eq!(said.matches("3 trials").count(), 2, "{said}");
    assert_eq!(said.matches("hidden = [").count(), 2, "{said}");
    let listed = place.ok("list fairness");
    assert_contains(&listed, &["budget.parameters"]);
    let message = "models.plain: expected widths that give 37 to 39 parameters";
    place.refused("check fair.toml budget.parameters=38", message);
}

#[test]
fn a_budget_of_time_ends_training_and_is_said() {
    let place = place();
    let by = "trained by the clock (budget.seconds = 0.5)";
    place
        .mdn(
            "compare fair.toml --model plain --seed 0 --figures none search.train={} \
             budget.seconds=0.5 train.steps=1000000000 train.patience=0",
        )
        .fine_with_note(&format!("warning: {by}"));
    let run = run("plain", 0);
    let environment = place.read(&format!("{run}/environment.toml"));
    assert_contains(&environment, &[&format!("note = \"{by}")]);
    assert!(place.metric_row(&run, "seconds")["note"].ends_with(by));
    let seconds = place.metric(&run, "seconds").expect("a number");
    assert!((0.4..5.0).contains(&seconds), "{seconds}");
}
