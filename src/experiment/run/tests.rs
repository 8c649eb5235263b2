use super::*;
use crate::data::DataSpec;
use crate::experiment::EvaluationSpec;
use crate::models::ModelSpec;
use crate::train::TrainSpec;

fn spec(model: &str, seed: u64) -> RunSpec {
    RunSpec {
        experiment: "e".to_owned(),
        data_name: "d".to_owned(),
        data: toml::from_str::<DataSpec>("moons = {}").unwrap(),
        model_name: "m".to_owned(),
        model: toml::from_str::<ModelSpec>(model).unwrap(),
        seed,
        train: TrainSpec {
            points: 50,
            validation_points: 20,
            ..TrainSpec::default()
        },
        evaluation: EvaluationSpec::default(),
    }
}

#[test]
fn models_of_one_seed_share_their_points_and_seeds_do_not() {
    let points = |model: &str, seed: u64| {
        let spec = spec(model, seed);
        let run = Run::new(&spec, &Device::Cpu).unwrap();
        let train = run.train_points.as_ref().unwrap();
        [
            num::to_vec(train).unwrap(),
            num::to_vec(&run.validation).unwrap(),
        ]
    };
    let flow = points("flow = {}", 3);
    assert_eq!(flow, points("rad = {}", 3));
    assert_eq!(flow, points("clusters = { clusters = 2 }", 3));
    assert_ne!(flow, points("flow = {}", 4));
    assert_ne!(flow[0][..40], flow[1][..]);
}

#[test]
fn points_that_single_precision_cannot_hold_are_refused() {
    let mut rng = Rng::new(1);
    let mut rows = |offset: f64| -> Vec<f64> {
        (0..200)
            .map(|i| if i % 2 == 0 { 0.0 } else { offset } + 0.01 * rng.normal())
            .collect()
    };
    assert!(check_single(&rows(1.0), 2).is_ok());
    let why = check_single(&rows(1e6), 2).unwrap_err().to_string();
    assert!(
        why.contains("x2") && why.contains("train.precision=f64"),
        "{why}"
    );
    // A constant coordinate has no spread to lose.
    assert!(check_single(&[5e5, 5e5, 5e5], 1).is_ok());
}
