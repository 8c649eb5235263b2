use candle_core::Device;

use super::*;
use crate::experiment::Task;
use mdn_core::data::DataSpec;
use mdn_core::models::ModelSpec;
use mdn_core::num;
use mdn_core::train::{train, Curves, NoCheckpoints, TrainSpec};
use mdn_kernels::Choice;

mod registered;
mod scales;

fn compute(kernels: Choice) -> Compute {
    let device = Device::Cpu;
    Compute { device, kernels }
}

fn model(text: &str) -> ModelSpec {
    toml::from_str(text).unwrap()
}

fn data(text: &str) -> DataSpec {
    toml::from_str(text).unwrap()
}

fn spec(task: Task, model: &ModelSpec, seed: u64, train: TrainSpec) -> RunSpec {
    RunSpec {
        experiment: "e".to_owned(),
        data_name: "d".to_owned(),
        task,
        model_name: "m".to_owned(),
        model: model.clone(),
        seed,
        train,
        budget: Default::default(),
        search: Default::default(),
        evaluation: Default::default(),
    }
}

fn trained(spec: &RunSpec, compute: &Compute) -> Result<(Run, Curves)> {
    let run = Run::new(spec, compute)?;
    let curves = run.with_training(|task| train(task, None, &mut NoCheckpoints, &mut |_| {}))?;
    Ok((run, curves))
}

#[test]
fn models_of_one_seed_share_their_points_and_seeds_do_not() {
    let points = |text: &str, seed: u64| {
        let sizes = TrainSpec {
            points: 50,
            validation_points: 20,
            ..TrainSpec::default()
        };
        let spec = spec(Task::Data(data("moons = {}")), &model(text), seed, sizes);
        let run = Run::new(&spec, &compute(Choice::Auto)).unwrap();
        [&run.train_points, &run.validation].map(|x| num::to_vec(x.as_ref().unwrap()).unwrap())
    };
    let flow = points("flow = {}", 3);
    assert_eq!(flow, points("rad = {}", 3));
    assert_eq!(flow, points("clusters = { clusters = 2 }", 3));
    assert_ne!(flow, points("flow = {}", 4));
    assert_ne!(flow[0][..40], flow[1][..]);
}

#[test]
fn data_that_single_precision_cannot_hold_is_refused() {
    let check = |spec: &DataSpec| {
        let data = spec.build().unwrap();
        let points = data.sample(500, &mut Rng::new(1)).unwrap();
        check_single(data.as_ref(), &points)
    };
    for (_, example) in DataSpec::examples() {
        assert!(check(&example).is_ok(), "{example:?}");
    }
    for far in [
        "mixture = { weights = [1.0], means = [[1e6]], std_devs = [0.01] }",
        "grid = { spacing = 1e6, std = 1e-3 }",
    ] {
        let why = check(&data(far)).unwrap_err().to_string();
        assert!(why.contains("train.precision=f64"), "{far}: {why}");
    }
}
