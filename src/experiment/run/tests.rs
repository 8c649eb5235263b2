use super::*;
use crate::experiment::{EvaluationSpec, Task};
use candle_core::Device;
use mdn_core::data::DataSpec;
use mdn_core::models::ModelSpec;
use mdn_core::num;
use mdn_core::train::TrainSpec;

fn spec(model: &str, seed: u64) -> RunSpec {
    RunSpec {
        experiment: "e".to_owned(),
        data_name: "d".to_owned(),
        task: Task::Data(toml::from_str::<DataSpec>("moons = {}").unwrap()),
        model_name: "m".to_owned(),
        model: toml::from_str::<ModelSpec>(model).unwrap(),
        seed,
        train: TrainSpec {
            points: 50,
            validation_points: 20,
            ..TrainSpec::default()
        },
        budget: Default::default(),
        search: Default::default(),
        evaluation: EvaluationSpec::default(),
    }
}

#[test]
fn models_of_one_seed_share_their_points_and_seeds_do_not() {
    let points = |model: &str, seed: u64| {
        let spec = spec(model, seed);
        let compute = Compute {
            device: Device::Cpu,
            kernels: Default::default(),
        };
        let run = Run::new(&spec, &compute).unwrap();
        let train = run.train_points.as_ref().unwrap();
        [
            num::to_vec(train).unwrap(),
            num::to_vec(run.validation.as_ref().unwrap()).unwrap(),
        ]
    };
    let flow = points("flow = {}", 3);
    assert_eq!(flow, points("rad = {}", 3));
    assert_eq!(flow, points("clusters = { clusters = 2 }", 3));
    assert_ne!(flow, points("flow = {}", 4));
    assert_ne!(flow[0][..40], flow[1][..]);
}

#[test]
fn data_that_single_precision_cannot_hold_is_refused() {
    let check = |text: &str| {
        let data = toml::from_str::<DataSpec>(text).unwrap().build().unwrap();
        let points = data.sample(500, &mut Rng::new(1)).unwrap();
        check_single(data.as_ref(), &points)
    };
    for (_, example) in DataSpec::examples() {
        let data = example.build().unwrap();
        let points = data.sample(500, &mut Rng::new(1)).unwrap();
        assert!(check_single(data.as_ref(), &points).is_ok(), "{example:?}");
    }
    for far in [
        "mixture = { weights = [1.0], means = [[1e6]], std_devs = [0.01] }",
        "grid = { spacing = 1e6, std = 1e-3 }",
    ] {
        let why = check(far).unwrap_err().to_string();
        assert!(why.contains("train.precision=f64"), "{far}: {why}");
    }
}
