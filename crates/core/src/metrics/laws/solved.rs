//! A model of a law of two modes whose every metric is known by hand.

use crate::data::{Density, Entropy, Level, Truth};
use crate::metrics::conditioning::Conditioning;
use crate::metrics::constraints::Moments;
use crate::metrics::distances::Distances;
use crate::metrics::evaluation::{Relaxed, TargetValues};
use crate::metrics::isoperimetry::Isoperimetry;
use crate::metrics::known::{Known, LowDensity, ModeShares};
use crate::metrics::mass::Mass;
use crate::metrics::memberships::Memberships;
use crate::metrics::neighbours::Neighbours;
use crate::metrics::pairs::{Estimate, Pairs};
use crate::metrics::{Cost, Evaluation, Outcome, METRICS};
use crate::rng::Rng;

pub(in crate::metrics) const N: usize = 1000;

/// Two modes of weight 1/4 and 3/4 on a line: log p is 0 on [0, 1) (the first) and [1, 2) (the
/// second), -20 on [2, 3) (the second), and nothing elsewhere.
struct Steps;

impl Density for Steps {
    fn draw(&self, _rng: &mut Rng, _x: &mut [f64]) -> usize {
        0
    }
    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        match x[0].floor() as i64 {
            0 => out[0] = 0.0,
            1 => out[1] = 0.0,
            2 => out[1] = -20.0,
            _ => {}
        }
    }
    fn gradient(&self, _x: &[f64], _out: &mut [f64]) {}
}

/// `first` of N points in the first mode, `outside` in none, `low` in the second mode's tail.
fn rows(first: usize, outside: usize, low: usize) -> Vec<f64> {
    (0..N)
        .map(|i| match i {
            _ if i < first => 0.5,
            _ if i < first + outside => 9.0,
            _ if i < first + outside + low => 2.5,
            _ => 1.5,
        })
        .collect()
}

/// A model with `q_share` of its samples in the first mode and `between` in neither, and log q
/// lower than log p by `loss`.
pub(in crate::metrics) fn case(q_share: f64, between: f64, loss: f64) -> Evaluation {
    let count = |share: f64| (share * N as f64).round() as usize;
    // One held-out point in a thousand lies below the level, as the level's definition wants.
    let points = rows(250, 0, 1);
    let steps = Truth::new(1, vec![0.25, 0.75], Steps);
    let shares = |rows: &[f64]| ModeShares::new(&steps, -10.0, rows, 1, |_| {}).0;
    let log_p = crate::data::log_densities(&steps, &points, 1);
    let mode: Vec<Option<u32>> = points.iter().map(|x| Some(u32::from(*x > 1.0))).collect();
    let own = rows(count(q_share), 0, 0);
    let own_log_p = crate::data::log_densities(&steps, &own, 1);
    // T = 1 on a fifth of the samples, 0 elsewhere: mean 0.2, standard deviation 0.4.
    let moments = |mean: f64| Moments {
        mean: vec![mean, 1.0],
        std_err: vec![0.4 / (N as f64).sqrt(), 0.01],
        std_dev: vec![0.4, 2.0],
        target: vec![0.2, 1.0],
        multipliers: Some((vec![-0.5 + loss, 3.0], vec![0.5, -3.0])),
        non_finite: 0,
    };
    let low = |below: f64, mass: f64| LowDensity {
        level: Level {
            log_level: -10.0,
            below,
            points: 200_000,
        },
        mass,
    };
    let std_err = 0.1;
    let estimate = |value: f64| Estimate { value, std_err };
    let certain = |label: &u32| match label {
        0 => [1.0 - loss, loss],
        _ => [loss, 1.0 - loss],
    };
    let labels: Vec<u32> = mode.iter().map(|m| m.unwrap()).collect();
    Evaluation {
        has_data: true,
        distances: Some(Distances {
            sliced: 0.1 + loss,
            sliced_floor: 0.1,
            n: N / 2,
            pairs: Pairs {
                energy: estimate(loss),
                energy_floor: estimate(0.0),
                mmd: estimate(2.0 * loss),
                mmd_floor: estimate(0.0),
                n: N / 2,
            },
            non_finite: 0,
        }),
        neighbours: Some(Neighbours {
            precision: 1.0 - loss,
            recall: 1.0 - 2.0 * loss,
            n: N,
            non_finite: 0,
        }),
        conditioning: Some(Conditioning {
            log_kappa: (0..=100).map(|i| f64::from(i) * loss).collect(),
            expansion: (0..=100).map(|i| 1.0 + f64::from(i) * loss).collect(),
            inverse_expansion: (0..=100).map(|i| 1.0 + f64::from(2 * i) * loss).collect(),
            round_trip: Some(loss),
            non_finite: 0,
        }),
        isoperimetry: Some(Isoperimetry {
            slope: 0.5 + 2.0 * loss,
            pairs: 100,
            modes: Some(vec![(0.25, 1.0), (0.5, 2.0)]),
        }),
        border_jumps: Some(vec![loss; 10]),
        // Certain of the right mode, up to `loss`.
        memberships: Some(Memberships {
            components: 2,
            rows: labels.iter().flat_map(certain).collect(),
            non_finite: 0,
            place: (0..N).collect(),
        }),
        labels: Some(labels),
        own_log_q: own_log_p.iter().map(|p| p + loss).collect(),
        target: Some(TargetValues {
            log_z: Some(0.0),
            own: own_log_p.clone(),
            points: Some(log_p.clone()),
        }),
        own_log_p: Some(own_log_p),
        entropy: Some(Entropy::exact(0.0)),
        moments: Some(moments(0.2 + loss)),
        relaxed: Some(Relaxed {
            below: vec![1.0 - loss; 10],
            above: vec![1.0 + loss; 10],
            moments: Some(moments(0.2 - 2.0 * loss)),
        }),
        log_q: Some(log_p.iter().map(|p| p - loss).collect()),
        part: Some(mode.iter().map(|m| u64::from(m.unwrap()) + 7).collect()),
        samples: N,
        known: Some(Known {
            weights: vec![0.25, 0.75],
            low: [low(1e-3, between), low(1e-2, between + 0.009)],
            curve: vec![low(0.0, between), low(1e-3, between), low(1.0, 1.0)],
            leak: Some(between),
            log_label: Some(vec![0.0; N]),
            dense: shares(&points).dense,
            bridges: Default::default(),
            of_samples: shares(&rows(count(q_share), count(between), 0)),
            log_p,
            mode,
        }),
        mass: Some(Mass {
            inside: 1.0 - 0.03,
            outside: 0.03,
            evaluations: 100,
            ..Mass::default()
        }),
        cost: Cost {
            parameters: Some(42),
            steps: 500,
            seconds: 2.0,
            search_seconds: Some(5.0),
            multiply_adds: Some(77),
            target_evaluations: Some(64_000),
            validation_kl: Some(vec![(100, 0.2), (200, 0.05 + loss), (300, 0.01)]),
        },
    }
}

pub(in crate::metrics) fn value(name: &str, on: &Evaluation) -> Outcome {
    let metric = METRICS.iter().find(|m| m.name == name).unwrap();
    (metric.evaluate)(on)
}

pub(in crate::metrics) fn number(name: &str, on: &Evaluation) -> f64 {
    match value(name, on) {
        Outcome::Value { value, .. } => value,
        Outcome::NotApplicable { why, .. } => panic!("{name}: {why}"),
    }
}

/// To a tolerance.
pub(in crate::metrics) fn is(name: &str, on: &Evaluation, want: f64, tolerance: f64) {
    let got = number(name, on);
    assert!(
        (got - want).abs() < tolerance,
        "{name}: {got} against {want}"
    );
}
