//! Every registered model from training to what is read back, in both precisions.

use super::*;
use crate::experiment::store::{RunDir, State, Status};
use crate::experiment::trained::Trained;
use mdn_core::models::log_q;
use mdn_core::objectives::ProblemSpec;
use mdn_core::train::Precision;

/// Nats by which the same few steps in another precision may differ, by rounding alone: 8e-5 were
/// seen.
const APART: f64 = 2e-3;

fn spec(task: Task, model: &ModelSpec, precision: Precision) -> RunSpec {
    let short = TrainSpec {
        steps: 30,
        batch_size: 64,
        learning_rate: 5e-3,
        points: 200,
        validation_points: 200,
        validate_every: 10,
        precision,
        ..TrainSpec::default()
    };
    super::spec(task, model, 5, short)
}

/// The model that is read from what `run` saves has the densities and parts of the one in memory, bit for
/// bit, every time.
fn assert_reads_back(run: &Run, curves: &Curves, compute: &Compute, how: &str) {
    let folder = tempfile::tempdir().unwrap();
    let place = RunDir(folder.path().to_owned());
    let settings = run.spec.to_toml(&place.0).unwrap();
    place.write("config.toml", settings.as_bytes()).unwrap();
    run.save(&place, curves).unwrap();
    place.write_status(&Status::of(State::Done)).unwrap();
    // Among the points, between them and far away from them.
    let rng = &mut Rng::new(8);
    let mut row = |i| vec![f64::from(i) * 0.1 * rng.normal(), rng.normal()];
    let rows = (0..40).flat_map(&mut row).collect::<Vec<f64>>();
    let device = &compute.device;
    let x = num::from_rows(&rows, 2, run.params.dtype(), device).unwrap();
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let expected = bits(log_q(run.model(), &x).unwrap());
    let parts = run.model().part(&x).unwrap();
    for time in ["first", "second"] {
        let read = Trained::load(&place, |_| Ok(compute.clone()));
        let read = read.unwrap_or_else(|e| panic!("{how}: {e}"));
        let found = bits(read.log_density(&rows).unwrap());
        assert!(found == expected, "{how}: another density the {time} time");
        let found = read.parts(&rows).unwrap();
        assert!(found == parts, "{how}: other parts the {time} time");
    }
}

#[test]
fn every_registered_model_trains_alike_in_both_precisions_and_reads_back_bit_for_bit() {
    let (mut compared, mut moved) = (0, 0);
    for (name, model) in ModelSpec::registered() {
        let mut losses = Vec::new();
        for (precision, kernels) in [
            (Precision::F64, Choice::Auto),
            (Precision::F32, Choice::Plain),
            (Precision::F32, Choice::Auto),
        ] {
            let compute = compute(kernels);
            let spec = spec(Task::Data(data("moons = {}")), &model, precision);
            let was_plain = losses.len() == 2;
            if was_plain && Run::new(&spec, &compute).unwrap().model.kernels().is_none() {
                continue;
            }
            let how = format!("{name}, {precision:?}, {kernels:?}");
            let (run, curves) = trained(&spec, &compute).unwrap();
            assert_reads_back(&run, &curves, &compute, &how);
            let loss = match run.model.phases().is_empty() {
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
            let (near, first) = ((loss - losses[0]).abs() <= APART, losses[0]);
            assert!(near, "{how}: validation loss {loss}, in f64 {first}");
        }
    }
    // Otherwise untrained models would have been compared.
    assert!(moved * 2 > compared, "{moved} of {compared} gained");
}

/// Also on a support that is not the whole space.
#[test]
fn a_model_trained_on_a_problem_reads_back_bit_for_bit() {
    let problem: ProblemSpec = toml::from_str(
        "reverse_kl = { target = { energy = { potential = \"u3\", domain = \"box\" } }, \
         support = { box = { low = -4.0, high = 4.0 } } }",
    )
    .unwrap();
    let compute = compute(Choice::Auto);
    for text in [
        "flow = { base.mixture = { components = 2, init = \"random\" } }",
        "rad = { layers = 2, hidden = [4] }",
    ] {
        for precision in [Precision::F32, Precision::F64] {
            let spec = spec(Task::Problem(problem.clone()), &model(text), precision);
            let (run, curves) = trained(&spec, &compute).unwrap();
            assert_reads_back(&run, &curves, &compute, text);
        }
    }
}
