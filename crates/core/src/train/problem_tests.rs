//! Training in rounds, without data.

use super::tests::{queued, Case, Make};
use super::*;
use crate::models::testing::bytes;
use crate::num;

const MODEL: &str = "[flow]\nbijection.chain = [{ linear = {} }, { elementwise = {} }]\n\
                     base.mixture = { components = 2, init = 'random', spread = 0.3, std = 1.0 }";

/// Trains `model` without data.
fn run(model: &str, problem: &str, spec: &TrainSpec) -> (Curves, Vec<(String, Vec<f64>)>) {
    let case = Case {
        problem: Some(problem),
        ..Case::of(model, spec)
    };
    let (mut curves, weights) = case.run();
    curves.seconds = 0.0;
    (curves, bytes(&weights))
}

/// Validations count only once annealing is over; where nothing is learnt, training ends at the
/// `patience`-th that counts.
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
        let (out, _) = run(MODEL, &text, &spec);
        let waited = (over * 60.0) as usize;
        let wanted = waited + 2..=waited + 12;
        assert!(wanted.contains(&out.steps), "{anneal}: {}", out.steps);
    }
}

/// Of a base with independent draws there are as many points as the batch has. Validations do not count, and
/// outcomes that come late have the counts of their own steps.
#[test]
fn evaluations_of_the_target_are_counted() {
    let spec = TrainSpec {
        steps: 30,
        batch_size: 32,
        validate_every: 7,
        validation_points: 50,
        ..TrainSpec::default()
    };
    let model = "[flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }";
    let problem = "[reverse_kl]\ntarget.energy = { potential = 'u1' }\n";
    for make in [steps::for_device as Make, queued] {
        let case = Case {
            problem: Some(problem),
            make,
            ..Case::of(model, &spec)
        };
        let (out, _) = case.run();
        assert_eq!(out.target_evaluations, Some(30 * 32));
        for row in &out.history {
            let count = 32 * row.step as u64;
            assert_eq!(row.target_evaluations, Some(count), "{row:?}");
        }
    }
    let (out, _) = Case::of(model, &spec).run();
    assert_eq!(out.target_evaluations, None);
    let nothing = |row: &HistoryRow| row.target_evaluations.is_none();
    assert!(out.history.iter().all(nothing));
}

/// Not the model's fault: NaN or a density of 0 beyond x = 6, where samples of the start lie, and a
/// statistic that is not defined there.
#[test]
fn a_target_or_statistic_that_is_not_finite_ends_training_with_the_point() {
    let spec = TrainSpec {
        steps: 60,
        batch_size: 500,
        validation_points: 50,
        ..TrainSpec::default()
    };
    let wide =
        "[flow]\nbase.mixture = { components = 2, init = 'random', spread = 0.1, std = 6.0 }";
    let target = |more: &str| {
        format!(
            "reverse_kl.target.expression = {{ log_density = '-(x^2 + y^2)/2 + {more}', \
             box = {{ low = [-6, -6], high = [5.9, 6] }} }}"
        )
    };
    let constrained = "[maximum_entropy]\nstatistics = ['sqrt(6 - x)', 'x^2', 'y^2']\n\
                       moments = [2.4, 1.0, 1.0]\nrounds = 2\nsamples = 2000";
    for (problem, said) in [
        (target("0*sqrt(6 - x)"), "target: log density NaN at ["),
        (
            target("log((6 - x + abs(6 - x))/2)"),
            "target: 0 density at [",
        ),
        (constrained.to_owned(), "statistic `sqrt(6-x)` NaN at ["),
    ] {
        let (out, _) = run(wide, &problem, &spec);
        let why = out.diverged.unwrap_or_default();
        let point = why
            .strip_prefix(said)
            .unwrap_or_else(|| panic!("{problem}: {why}"));
        let x: f64 = point.split(',').next().unwrap().parse().unwrap();
        assert!(x >= 6.0 && point.contains("] in step 1 ("), "{why}");
        let row = out.history.last().unwrap();
        assert!(row.non_finite > 0 && row.non_finite < 500, "{row:?}");
    }
}

/// The solution is N((0.5, -1), [[1.5, 0.6], [0.6, 0.8]]), which a linear layer and a scale and shift
/// reach exactly.
#[test]
fn rounds_meet_the_constraints_and_find_the_multipliers() {
    let problem = "[maximum_entropy]\nstatistics = ['x', 'y', 'x^2', 'x*y', 'y^2']\n\
                   moments = [0.5, -1.0, 1.75, 0.1, 1.8]\nrounds = 8\nsamples = 20000";
    let spec = TrainSpec {
        steps: 1600,
        batch_size: 128,
        learning_rate: 0.02,
        schedule: Schedule::Cosine {
            warmup: 0.0,
            floor: 0.02,
        },
        ..TrainSpec::default()
    };
    let (out, weights) = run(MODEL, problem, &spec);
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
    assert_eq!(run(MODEL, problem, &spec), (out, weights));
}

/// T = x^6 at a learning rate that throws the samples out of what f32 holds.
#[test]
fn statistics_that_are_not_finite_end_training_with_a_reason() {
    let problem = "[maximum_entropy]\nstatistics = ['x^6+y^6']\nmoments = [15.0]\nrounds = 8\n\
                   samples = 20000";
    let spec = TrainSpec {
        steps: 50,
        batch_size: 64,
        learning_rate: 1e3,
        clip_norm: 0.0,
        ..TrainSpec::default()
    };
    let (out, weights) = run("[flow]\nbijection.elementwise = {}", problem, &spec);
    let why = out.diverged.unwrap();
    assert!(why.contains("not finite"), "{why}");
    for (name, values) in weights {
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
    }
}

const NINE: &str = "[reverse_kl]\ntarget.grid = { side = 3, spacing = 5.0, std = 0.5477 }\n\
                    gradient = 'path'\n";

/// The modes of nine Gaussians, at -5, 0 and 5 in each coordinate, with a weight within 10 % of 1/9
/// in components near them.
fn modes_of_nine(problem: &str) -> usize {
    let spec = TrainSpec {
        steps: 160,
        batch_size: 128,
        learning_rate: 1e-3,
        validate_every: 40,
        validation_points: 500,
        ..TrainSpec::default()
    };
    let model = "[flow]\nbijection.elementwise = {}\n\
                 base.mixture = { components = 16, init = 'random' }";
    let (out, weights) = run(model, problem, &spec);
    assert_eq!(out.diverged, None);
    let of = |name: &str| &weights.iter().find(|w| w.0 == name).unwrap().1;
    let shares: Vec<f64> = of("base.logits").iter().map(|l| l.exp()).collect();
    let total: f64 = shares.iter().sum();
    let mut modes = [0.0; 9];
    for (mean, share) in of("base.means").chunks(2).zip(shares) {
        let [i, j] = [0, 1].map(|d| (mean[d] / 5.0).round().clamp(-1.0, 1.0));
        let apart = (mean[0] - 5.0 * i).hypot(mean[1] - 5.0 * j);
        if apart < 0.5 {
            modes[((i + 1.0) * 3.0 + j + 1.0) as usize] += share / total;
        }
    }
    let found = modes.iter().filter(|w| (*w - 1.0 / 9.0).abs() < 0.1 / 9.0);
    found.count()
}

#[test]
fn a_growing_base_finds_all_modes() {
    let grown = format!("{NINE}grow = {{ width = 6.0, candidates = 2000, every = 2 }}");
    assert_eq!(modes_of_nine(&grown), 9);
    let still = modes_of_nine(NINE);
    assert!(still < 5, "{still} without growth");
}

/// b rises with the samples that stay effective and reaches 1; the exact solution has log Z = 0.
#[test]
fn fab_and_annealing_by_effective_samples_reach_two_modes() {
    let two = "target.mixture = { weights = [0.3, 0.7], means = [[-3.0, 0.0], [3.0, 0.0]], std_devs = [1.0, 1.0] }";
    let spec = TrainSpec {
        steps: 400,
        batch_size: 128,
        learning_rate: 0.02,
        validate_every: 100,
        ..TrainSpec::default()
    };
    let model = "[flow]\nbijection.elementwise = {}\n\
                 base.mixture = { components = 4, init = 'random', spread = 1.0, std = 2.0 }";
    for how in [
        "anneal = { from = 0.05, ess = 0.8 }",
        "fab = { step = 1.0 }",
        "fab = { transition = 'metropolis', step = 1.0, every = 2 }",
    ] {
        let (out, _) = run(model, &format!("[reverse_kl]\n{two}\n{how}"), &spec);
        let kl = out.validation_loss().unwrap();
        assert!(kl.abs() < 0.03, "{how}: {kl}");
    }
}
