//! What every metric owes: its known value on a solved case, its null value on a perfect model,
//! and a count of what is not finite.

use super::evaluation::{Grid, Known};
use super::{Cost, Evaluation, Outcome, METRICS};
use crate::data::Judged;

const N: usize = 1000;

/// Two modes of weight 1/4 and 3/4 with p = 1 at every point of theirs; `q_share` of the samples in
/// the first, `between` in neither, log q lower than log p by `loss`.
fn case(q_share: f64, between: f64, loss: f64) -> Evaluation {
    let judged = |first: usize, outside: usize| {
        let mut out = Judged::default();
        for i in 0..N {
            let (mode, r) = match i {
                _ if i < outside => (None, [0.0, 0.0]),
                _ if i < outside + first => (Some(0), [1.0, 0.0]),
                _ => (Some(1), [0.0, 1.0]),
            };
            out.mode.push(mode);
            out.log_p.push(if mode.is_some() { 0.0 } else { -20.0 });
            out.responsibilities.extend(r);
        }
        out
    };
    // One held-out point in a thousand lies below the level, as the level's definition wants.
    let mut points = judged(250, 0);
    points.log_p[999] = -20.0;
    let count = |share: f64| (share * N as f64).round() as usize;
    Evaluation {
        log_q: points.log_p.iter().map(|p| p - loss).collect(),
        part: Some(
            points
                .mode
                .iter()
                .map(|m| u64::from(m.unwrap()) + 7)
                .collect(),
        ),
        samples: N,
        known: Some(Known {
            weights: vec![0.25, 0.75],
            low_level: -10.0,
            level_points: 200_000,
            samples: judged(count(q_share), count(between)),
            points,
        }),
        grid: Some(Grid {
            view: [(0.0, 2.0), (0.0, 1.0)],
            side: 10,
            log_q: vec![0.5f64.ln() + (1.0f64 - 0.03).ln(); 100],
            outside: 0.03,
        }),
        cost: Cost {
            parameters: 42,
            steps: 500,
            seconds: 2.0,
        },
    }
}

fn value(name: &str, on: &Evaluation) -> Outcome {
    let metric = METRICS.iter().find(|m| m.name() == name).unwrap();
    metric.evaluate(on)
}

fn number(name: &str, on: &Evaluation) -> f64 {
    match value(name, on) {
        Outcome::Value { value, .. } => value,
        Outcome::NotApplicable(why) => panic!("{name}: {why}"),
    }
}

#[test]
fn known_values_on_solved_cases() {
    let perfect = case(0.25, 0.001, 0.0);
    let off = case(0.40, 0.051, 0.3);
    let cases = [
        ("nll", 0.02, 0.32),
        ("kl", 0.0, 0.3),
        ("mode_tv", 0.001, 0.5 * (0.15 + 0.201 + 0.051)),
        ("modes_covered", 2.0, 2.0),
        ("bridge_mass", 0.0, 0.05),
        ("nmi", 1.0, 1.0),
        ("mass", 1.0, 1.0),
        ("parameters", 42.0, 42.0),
        ("steps", 500.0, 500.0),
        ("seconds", 2.0, 2.0),
        ("steps_per_second", 250.0, 250.0),
    ];
    let names: Vec<&str> = METRICS.iter().map(|m| m.name()).collect();
    assert_eq!(names, cases.map(|c| c.0), "every metric has a solved case");
    for (name, null, known) in cases {
        let got = number(name, &perfect);
        assert!((got - null).abs() < 1e-9, "{name}: {got} against {null}");
        let got = number(name, &off);
        assert!((got - known).abs() < 1e-9, "{name}: {got} against {known}");
    }
}

#[test]
fn lost_modes_and_wrong_parts_show() {
    let lost = case(0.02, 0.0, 0.0);
    assert_eq!(number("modes_covered", &lost), 1.0);
    let mut mixed = case(0.25, 0.0, 0.0);
    mixed.part = Some((0..N as u64).map(|i| i % 2).collect());
    assert!(number("nmi", &mixed) < 0.01);
    // Every mode split in two: I = H(mode), H(part) = H(mode) + ln 2.
    mixed.part = Some(
        (0..N as u64)
            .map(|i| u64::from(i >= 250) * 2 + i % 2)
            .collect(),
    );
    let h: f64 = [0.25f64, 0.75].iter().map(|p| -p * p.ln()).sum();
    let expected = h / (h + 0.5 * std::f64::consts::LN_2);
    assert!((number("nmi", &mixed) - expected).abs() < 1e-9);
}

#[test]
fn what_is_not_finite_is_counted_and_what_does_not_apply_says_so() {
    let mut on = case(0.25, 0.0, 0.1);
    on.log_q[0] = f64::NEG_INFINITY;
    on.log_q[1] = f64::NAN;
    for name in ["nll", "kl"] {
        match value(name, &on) {
            Outcome::Value {
                value,
                std_err,
                n,
                non_finite,
            } => {
                assert!(value.is_finite() && std_err.unwrap().is_finite());
                assert_eq!((n, non_finite), (N - 2, 2), "{name}");
            }
            Outcome::NotApplicable(why) => panic!("{name}: {why}"),
        }
    }
    on.known = None;
    on.grid = None;
    on.part = None;
    for metric in METRICS {
        let applies = matches!(
            metric.name(),
            "nll" | "parameters" | "steps" | "seconds" | "steps_per_second"
        );
        let found = matches!(metric.evaluate(&on), Outcome::Value { .. });
        assert_eq!(found, applies, "{}", metric.name());
    }
}
