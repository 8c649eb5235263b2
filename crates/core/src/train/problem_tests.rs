//! Training in rounds, without data.

use candle_core::{DType, Device};

use super::tests::bytes;
use super::*;
use crate::models::ModelSpec;
use crate::nn::params::Snapshot;
use crate::num;

/// A maximum-entropy problem whose solution is N((0.5, -1), [[1.5, 0.6], [0.6, 0.8]]), which a
/// linear layer and a scale and shift reach exactly.
fn normal_problem(statistics: &str, moments: &str) -> Box<dyn Objective> {
    let text = format!(
        "[maximum_entropy]\nstatistics = {statistics}\nmoments = {moments}\nrounds = 8\n\
         samples = 20000"
    );
    let spec: crate::objectives::ProblemSpec = toml::from_str(&text).unwrap();
    assert_eq!(spec.check(), Ok(2));
    spec.build().unwrap()
}

fn run_problem(objective: &dyn Objective, steps: usize) -> (Curves, Snapshot) {
    let spec = TrainSpec {
        steps,
        batch_size: 128,
        learning_rate: 0.02,
        schedule: Schedule::Cosine {
            warmup: 0.0,
            floor: 0.02,
        },
        ..TrainSpec::default()
    };
    run_by(objective, &spec)
}

fn run_by(objective: &dyn Objective, spec: &TrainSpec) -> (Curves, Snapshot) {
    let rng = Rng::new(3);
    let params = Params::seeded(rng.fork("init"), DType::F32, &Device::Cpu);
    let model: ModelSpec = toml::from_str(
        "[flow]\nbijection.chain = [{ linear = {} }, { elementwise = {} }]\n\
         base.mixture = { components = 2, init = 'random', spread = 0.3, std = 1.0 }",
    )
    .unwrap();
    let model = model.build(&params, 2, None).unwrap();
    let task = Training {
        model: model.as_ref(),
        params: &params,
        objective,
        points: &Points::Nothing,
        validation: None,
        spec,
        seconds: None,
        rng: &rng,
    };
    let out = train(&task, None, &mut NoCheckpoints, &mut |_| {}).unwrap();
    (out, params.snapshot().unwrap())
}

/// A validation is that of the end; where nothing is learnt, training ends at the first one that counts.
#[test]
fn early_stopping_waits_for_the_end_of_annealing() {
    let spec = TrainSpec {
        steps: 60,
        batch_size: 32,
        learning_rate: 1e-12,
        validate_every: 1,
        validation_points: 50,
        patience: 3,
        ..TrainSpec::default()
    };
    for (anneal, over) in [("", 0.0), ("anneal = { from = 0.1, over = 0.5 }", 0.5)] {
        let text = format!("[reverse_kl]\ntarget.energy = {{ potential = 'u1' }}\n{anneal}\n");
        let problem: crate::objectives::ProblemSpec = toml::from_str(&text).unwrap();
        assert_eq!(problem.check(), Ok(2));
        let (out, _) = run_by(problem.build().unwrap().as_ref(), &spec);
        let waited = (over * 60.0) as usize;
        let wanted = waited + 2..=waited + 12;
        assert!(wanted.contains(&out.steps), "{anneal}: {}", out.steps);
    }
}

#[test]
fn rounds_meet_the_constraints_and_find_the_multipliers() {
    let statistics = "['x', 'y', 'x^2', 'x*y', 'y^2']";
    let moments = "[0.5, -1.0, 1.75, 0.1, 1.8]";
    let objective = normal_problem(statistics, moments);
    let (out, weights) = run_problem(objective.as_ref(), 1600);
    assert_eq!(out.diverged, None);
    let steps: Vec<usize> = out.rounds.iter().map(|r| r.0).collect();
    assert_eq!(steps, (1..=8).map(|i| 200 * i).collect::<Vec<_>>());
    assert!(steps.contains(&out.best_step), "{}", out.best_step);
    let (_, last) = out.rounds.last().unwrap();
    assert!(last.accepted, "{last:?}");
    // Precision matrix of the covariance: lambda of x^2 is P_xx / 2, of x*y P_xy.
    let det = 1.5 * 0.8 - 0.36;
    let (pxx, pxy, pyy) = (0.8 / det, -0.6 / det, 1.5 / det);
    let exact = [
        -(pxx * 0.5 - pxy),
        -(pxy * 0.5 - pyy),
        pxx / 2.0,
        pxy,
        pyy / 2.0,
    ];
    for (c, exact) in last.constraints.iter().zip(exact) {
        let off = (c.mean - c.target) / c.std_dev;
        assert!(off.abs() < 0.1, "{c:?}");
        assert!(
            (c.multiplier - exact).abs() * c.std_dev < 0.4,
            "{c:?} against {exact}"
        );
    }
    // H = 1 + ln 2 pi + (1/2) ln det
    let entropy = 1.0 + num::LN_2PI + 0.5 * f64::ln(det);
    assert!(
        (last.entropy - entropy).abs() < 0.05,
        "{last:?} against {entropy}"
    );
    let again = run_problem(normal_problem(statistics, moments).as_ref(), 1600);
    assert_eq!(bytes(&again.1), bytes(&weights));
    assert_eq!(again.0.rounds, out.rounds);
}

/// T = x^6 at a learning rate that throws the samples out of what f32 holds.
#[test]
fn statistics_that_are_not_finite_end_training_with_a_reason() {
    let objective = normal_problem("['x^6+y^6']", "[15.0]");
    let rng = Rng::new(3);
    let params = Params::seeded(rng.fork("init"), DType::F32, &Device::Cpu);
    let model: ModelSpec = toml::from_str("[flow]\nbijection.elementwise = {}").unwrap();
    let model = model.build(&params, 2, None).unwrap();
    let spec = TrainSpec {
        steps: 50,
        batch_size: 64,
        learning_rate: 1e3,
        clip_norm: 0.0,
        ..TrainSpec::default()
    };
    let task = Training {
        model: model.as_ref(),
        params: &params,
        objective: objective.as_ref(),
        points: &Points::Nothing,
        validation: None,
        spec: &spec,
        seconds: None,
        rng: &rng,
    };
    let out = train(&task, None, &mut NoCheckpoints, &mut |_| {}).unwrap();
    let why = out.diverged.unwrap();
    assert!(why.contains("not finite"), "{why}");
    for (name, values) in bytes(&params.snapshot().unwrap()) {
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
    }
}
