use super::*;
use crate::experiment::config::tests::assert_faults;
use crate::experiment::plan::Plan;

const FILE: &str = r#"seeds = [0, 1]

[budget]
parameters = 3000

[search.train]
learning_rate = [1e-3, 3e-3]
schedule = ["constant", { cosine = { warmup = 0.1 } }]

[data.ring]
ring = {}

[models.plain.flow]
bijection.affine_coupling = { layers = 4 }

[models.rad.rad]
layers = 3
"#;

fn plan(text: &str) -> mdn_core::Result<Plan> {
    Plan::parse(text, "fair")
}

#[test]
fn every_combination_is_a_trial_and_nothing_else_changes() {
    let plan = plan(FILE).unwrap();
    for run in &plan.runs {
        let trials = run.trials().unwrap();
        let settings: Vec<_> = trials.iter().map(|(t, _)| t.settings.join("; ")).collect();
        let cosine = "train.schedule={ cosine = { warmup = 0.1 } }";
        assert_eq!(
            settings,
            [
                "train.learning_rate=0.001; train.schedule=\"constant\"".to_owned(),
                format!("train.learning_rate=0.001; {cosine}"),
                "train.learning_rate=0.003; train.schedule=\"constant\"".to_owned(),
                format!("train.learning_rate=0.003; {cosine}"),
            ]
        );
        let (_, last) = &trials[3];
        assert_eq!(last.train.learning_rate, 3e-3);
        assert_ne!(last.train.schedule, run.train.schedule);
        let mut same = last.clone();
        (same.train, same.search) = (run.train.clone(), run.search.clone());
        assert_eq!(same, *run);
    }
}

/// The settings of a trial, used as overrides of the file, give that trial.
#[test]
fn settings_are_overrides() {
    let plan = plan(FILE).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fair.toml");
    std::fs::write(&path, FILE).unwrap();
    for (trial, alone) in plan.runs[0].trials().unwrap() {
        let typed = [trial.settings, vec!["search.train={}".to_owned()]].concat();
        let again = Plan::load(&path, &typed).unwrap();
        assert_eq!(again.runs[0].train, alone.train);
    }
}

#[test]
fn a_model_may_search_its_own_settings_if_all_have_as_many_trials() {
    let own =
        "[search.models.plain]\nflow.bijection.affine_coupling.activation = [\"relu\", \"tanh\"]\n\
               [search.models.rad]\nrad.fold_width = [0.25, 0.5]\n[data.ring]";
    let both = FILE.replace("[data.ring]", own);
    let plan = plan(&both).unwrap();
    for run in &plan.runs {
        assert_eq!(run.trials().unwrap().len(), 8);
        assert_eq!(run.search.models.len(), 1, "only its own");
    }
    let (trial, alone) = &plan.runs[2].trials().unwrap()[1];
    let set = "models.rad.rad.fold_width=0.5";
    assert_eq!(trial.settings.last().map(String::as_str), Some(set));
    let ModelSpec::Rad(rad) = &alone.model else {
        panic!("{:?}", alone.model)
    };
    assert_eq!((rad.fold_width, rad.layers), (0.5, 3));
}

/// Pairs of lines: what is replaced in the good file by what, and the beginning of the message.
const FAULTS: &str = r#"
learning_rate = [1e-3, 3e-3] => learning_rate = 1e-3
    7: search.train: expected a list of values of `learning_rate`, as in `[1e-3, 3e-3]`; got 0.001
[1e-3, 3e-3] => [1e-3, -3e-3]
    7: search.train: expected `learning_rate` > 0; got -0.003
[1e-3, 3e-3] => [1e-3, "fast"]
    7: search.train: expected a value that may stand there; got "fast" (
[1e-3, 3e-3] => []
    7: search.train: expected at least one value; got []
[1e-3, 3e-3] => [1e-3, 1e-3]
    7: search.train: expected every value once; got 0.001 twice
learning_rate = [1e-3, 3e-3] => steps = [10, 20]
    7: search.train: expected one of `learning_rate`, `schedule`, `weight_decay`, `clip_norm` (all trials have the same points, steps and batches); got `steps`
[data.ring] => [search.models.raad]\nrad.layers = [1]\n[data.ring]
    10: search.models: expected one of `plain`, `rad`; got `raad` (did you mean `rad`?)
[data.ring] => [search.models.rad]\nrad.fold_width = [0.25, 0.5, 1.0]\n[data.ring]
    10: search: expected as many trials of every model; got 4 of `plain`, 12 of `rad`
[data.ring] => [search.models.rad]\nrad.fold_wdth = [0.25]\n[data.ring]
    11: search.models.rad.rad: expected a value that may stand there; got 0.25 (unknown field `fold_wdth`
[search.train] => [search]\ngrid = [1]\n[search.train]
    7: search: unknown key `grid`; expected one of `models`, `train`
[data.ring]\nring = {} => [problems.wells]\nmaximum_entropy = { problem = "double_well_tilted" }
    6: expected no search in a file with a `maximum_entropy` problem
parameters = 3000 => parameters = 64
    16: models.rad: expected widths that give 63 to 65 parameters in 2 dimensions
parameters = 3000 => parameters = 0
    4: budget: expected 1 <= `parameters` <= 10000000; got 0
parameters = 3000 => seconds = -1
    4: budget: expected 0.01 <= `seconds` <= 1e7; got -1
[budget]\nparameters = 3000 => budget = [3000]
    3: expected `budget` to be a table of settings by name
"#;

#[test]
fn every_fault_says_where_and_what() {
    assert_faults(FILE, FAULTS, |text| match plan(text) {
        Ok(_) => "it was taken".to_owned(),
        Err(e) => e.to_string().replacen("fair:", "", 1),
    });
}
