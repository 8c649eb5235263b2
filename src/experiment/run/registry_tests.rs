//! Every registered model from training to what is read back, in both precisions.

use candle_core::Device;

use super::*;
use crate::experiment::trained::Trained;
use crate::experiment::{EvaluationSpec, Task};
use mdn_core::data::DataSpec;
use mdn_core::models::{log_q, ModelSpec};
use mdn_core::num;
use mdn_core::objectives::ProblemSpec;
use mdn_core::train::{train, Curves, NoCheckpoints, Precision, TrainSpec};
use mdn_kernels::Choice;

/// Nats that training may end apart after the same few steps in another precision, which differ by
/// rounding alone: 8e-5 were seen.
const APART: f64 = 2e-3;

fn spec(task: Task, model: &ModelSpec, precision: Precision) -> RunSpec {
    RunSpec {
        experiment: "e".to_owned(),
        data_name: "d".to_owned(),
        task,
        model_name: "m".to_owned(),
        model: model.clone(),
        seed: 5,
        train: TrainSpec {
            steps: 30,
            batch_size: 64,
            learning_rate: 5e-3,
            points: 200,
            validation_points: 200,
            validate_every: 10,
            precision,
            ..TrainSpec::default()
        },
        budget: Default::default(),
        search: Default::default(),
        evaluation: EvaluationSpec::default(),
    }
}

fn trained(spec: &RunSpec, compute: &Compute) -> (Run, Curves) {
    let run = Run::new(spec, compute).unwrap();
    let curves = run
        .with_training(|task| train(task, None, &mut NoCheckpoints, &mut |_| {}))
        .unwrap();
    (run, curves)
}

/// Whether the model that is read from what `run` saves has the densities of the one in memory, bit
/// for bit, and its parts.
fn reads_back(run: &Run, curves: &Curves, compute: &Compute) -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let place = RunDir(folder.path().to_owned());
    place
        .write(CONFIG, run.spec.to_toml(&place.0).unwrap().as_bytes())
        .unwrap();
    run.save(&place, curves).unwrap();
    place.write_status(&Status::of(State::Done)).unwrap();
    // Among the points, between them and far away from them.
    let rng = &mut Rng::new(8);
    let rows: Vec<Vec<f64>> = (0..40)
        .map(|i| vec![f64::from(i) * 0.1 * rng.normal(), rng.normal()])
        .collect();
    let device = &compute.device;
    let x = num::from_rows(&rows.concat(), 2, run.params.dtype(), device).unwrap();
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let expected = bits(log_q(run.model(), &x).unwrap());
    let parts = run.model().part(&x).unwrap();
    for time in ["first", "second"] {
        let read = Trained::load(&place, |_| Ok(compute.clone())).map_err(|e| e.to_string())?;
        if bits(read.log_density(&rows).unwrap()) != expected {
            return Err(format!("another density when it is read the {time} time"));
        }
        if read.parts(&rows).unwrap() != parts {
            return Err(format!("other parts when it is read the {time} time"));
        }
    }
    Ok(())
}

#[test]
fn every_registered_model_trains_alike_in_both_precisions_and_reads_back_bit_for_bit() {
    let mut all = Vec::new();
    let (mut compared, mut moved) = (0, 0);
    for (name, model) in ModelSpec::registered() {
        let mut losses = Vec::new();
        for (precision, kernels) in [
            (Precision::F64, Choice::Auto),
            (Precision::F32, Choice::Plain),
            (Precision::F32, Choice::Auto),
        ] {
            let device = Device::Cpu;
            let compute = Compute { device, kernels };
            let moons = toml::from_str::<DataSpec>("moons = {}").unwrap();
            let spec = spec(Task::Data(moons), &model, precision);
            let plain = losses.len() == 2;
            if plain && Run::new(&spec, &compute).unwrap().model.kernels().is_none() {
                continue;
            }
            let how = format!("{name}, {precision:?}, {kernels:?}");
            let (run, curves) = trained(&spec, &compute);
            if let Err(why) = reads_back(&run, &curves, &compute) {
                all.push(format!("{how}: {why}"));
            }
            let fitted = run.model.phases().is_empty();
            let loss = match fitted {
                true => {
                    let x = run.validation.as_ref().unwrap();
                    let q = log_q(run.model(), x).unwrap();
                    Some(-q.iter().sum::<f64>() / q.len() as f64)
                }
                false => curves.validation_loss(),
            };
            let loss = loss.unwrap_or(f64::NAN);
            let start = curves.history.first().map_or(f64::NAN, |row| row.loss);
            moved += usize::from(start - loss > 10.0 * APART);
            losses.push(loss);
            compared += 1;
            if !((loss - losses[0]).abs() <= APART) {
                all.push(format!(
                    "{how}: validation loss {loss}, in f64 {}",
                    losses[0]
                ));
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    // Or else models that stayed where they were have been compared.
    assert!(moved * 2 > compared, "{moved} of {compared} gained");
}

/// The same of what a problem trained, on a support of its own.
#[test]
fn what_a_problem_trained_reads_back_bit_for_bit() {
    let problem: ProblemSpec = toml::from_str(
        "reverse_kl = { target = { energy = { potential = \"u3\", domain = \"box\" } }, \
         support = { box = { low = -4.0, high = 4.0 } } }",
    )
    .unwrap();
    let compute = Compute {
        device: Device::Cpu,
        kernels: Choice::Auto,
    };
    for model in [
        "flow = { base.mixture = { components = 2, init = \"random\" } }",
        "rad = { layers = 2, hidden = [4] }",
    ] {
        let model_spec: ModelSpec = toml::from_str(model).unwrap();
        for precision in [Precision::F32, Precision::F64] {
            let spec = spec(Task::Problem(problem.clone()), &model_spec, precision);
            let (run, curves) = trained(&spec, &compute);
            reads_back(&run, &curves, &compute).unwrap_or_else(|e| panic!("{model}: {e}"));
        }
    }
}
