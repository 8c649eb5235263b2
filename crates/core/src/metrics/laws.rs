//! Every metric has its known value on a solved case and its null value on a perfect model, and counts
//! points that are not finite.

#[path = "../../../../docs/members/worst.rs"]
mod worst;

mod solved;

use super::constraints::Moments;
use super::{Evaluation, Outcome, METRICS, NO_TRUTH};
use crate::statistics::Statistics;
pub(super) use solved::{case, is, number, value, N};

#[test]
fn known_values_on_solved_cases() {
    let perfect = case(0.25, 0.001, 0.0);
    let off = case(0.40, 0.051, 0.3);
    for metric in METRICS {
        let [null, known] = (metric.solved)();
        is(metric.name, &perfect, null, 1e-9);
        is(metric.name, &off, known, 1e-9);
    }
}

/// The metric that docs/extending.md adds.
#[test]
fn the_metric_of_the_guide_passes_the_same_tests() {
    let metric = worst::WORST_LOG_RATIO;
    let worst = |on: &Evaluation| (metric.evaluate)(on);
    let known = |value: f64, lost: usize| Outcome::of(value, None, N - lost).without(lost);
    let solved = (metric.solved)().into_iter();
    for (on, value) in [case(0.25, 0.001, 0.0), case(0.40, 0.051, 0.3)]
        .iter()
        .zip(solved)
    {
        let near = matches!(worst(on), Outcome::Value { value: v, .. } if (v - value).abs() < 1e-9);
        assert!(near, "{:?}, not {value}", worst(on));
    }
    let mut on = case(0.25, 0.0, 0.25);
    assert_eq!(worst(&on), known(0.25, 0));
    on.log_q.as_mut().unwrap()[0] = f64::NAN;
    assert_eq!(worst(&on), known(0.25, 1));
    on.log_q.as_mut().unwrap()[1] = f64::NEG_INFINITY;
    assert!(matches!(worst(&on), Outcome::NotApplicable { .. }));
    on.known = None;
    assert_eq!(worst(&on), Outcome::none(NO_TRUTH));
}

#[test]
fn lost_modes_and_wrong_parts_show() {
    let lost = case(0.02, 0.0, 0.0);
    assert_eq!(number("modes_covered", &lost), 1.0);
    assert_eq!(number("mode_entropy", &case(0.0, 0.0, 0.0)), 0.0);
    let nowhere = Outcome::none("no sample is in a mode").without(N);
    assert_eq!(value("mode_entropy", &case(0.0, 1.0, 0.0)), nowhere);
    let infinite = Outcome::none("infinite: modes without any sample").without(1);
    assert_eq!(value("mode_worst_ratio", &case(0.0, 0.0, 0.0)), infinite);
    let mut mixed = case(0.25, 0.0, 0.0);
    mixed.part = Some((0..N as u64).map(|i| i % 2).collect());
    assert!(number("nmi", &mixed) < 0.01);
    // Every mode split in two: I = H(mode), H(part) = H(mode) + ln 2.
    let quarters = (0..N as u64).map(|i| u64::from(i >= 250) * 2 + i % 2);
    mixed.part = Some(quarters.collect());
    let h: f64 = [0.25f64, 0.75].iter().map(|p| -p * p.ln()).sum();
    is("nmi", &mixed, h / (h + 0.5 * 2f64.ln()), 1e-9);
}

#[test]
fn what_is_not_finite_is_counted_and_what_does_not_apply_says_so() {
    let mut on = case(0.25, 0.0, 0.1);
    on.log_q.as_mut().unwrap()[..2].fill(f64::NAN);
    for name in ["nll", "kl", "forward_ess", "missed_mass"] {
        let found = value(name, &on);
        let Outcome::Value {
            value,
            std_err,
            n,
            non_finite,
            ..
        } = found
        else {
            panic!("{name}: {found:?}");
        };
        assert_eq!((n, non_finite), (N - 2, 2), "{name}");
        // The effective sample size has no standard error.
        let has_error = std_err.is_some_and(f64::is_finite);
        assert!(has_error == (name != "forward_ess"), "{name}");
        assert!(value.is_finite(), "{name}");
    }
    on.log_q = Some(vec![f64::NAN; N]);
    for name in ["nll", "kl"] {
        let lost = Outcome::none("no point has a finite value").without(N);
        assert_eq!(value(name, &on), lost, "{name}");
    }
    // Of a model that is not trained on data, about which nothing else is known.
    let mut on = Evaluation {
        samples: N,
        own_log_q: on.own_log_q,
        cost: on.cost,
        ..Evaluation::default()
    };
    on.cost.multiply_adds = None;
    on.cost.validation_kl = None;
    on.cost.target_evaluations = None;
    let left = "entropy parameters steps seconds search_seconds steps_per_second";
    for metric in METRICS {
        let found = matches!((metric.evaluate)(&on), Outcome::Value { .. });
        let is_left = left.split(' ').any(|name| name == metric.name);
        assert_eq!(found, is_left, "{}", metric.name);
    }
}

/// Points where the model has no density are an answer, not a failure: they make KL infinite, count in
/// full for the divergences that are bounded, and are never left out of a mean.
#[test]
fn points_that_the_model_cannot_make_are_not_dropped() {
    let mut on = case(0.25, 0.0, 0.0);
    on.log_q.as_mut().unwrap()[..250].fill(f64::NEG_INFINITY);
    for name in ["nll", "kl"] {
        let why = "infinite: held-out points where the model's density is 0";
        assert_eq!(value(name, &on), Outcome::none(why).without(250), "{name}");
    }
    for (name, want) in [
        ("missed_mass", 0.25),
        ("forward_ess", 0.0),
        ("tv", 0.125),
        ("js", 0.125 * 2f64.ln()),
        ("recall", 0.749),
    ] {
        is(name, &on, want, 1e-12);
    }
}

/// The variance of the linearised sum against its direct value: with shares 0.4 and 0.549 and 0.051
/// outside, the terms are 1/2, -1/2 and 1/2.
#[test]
fn the_error_of_mode_weights_by_hand() {
    let on = case(0.40, 0.051, 0.0);
    let mean = 0.5 * (0.4 + 0.051 - 0.549);
    let total = ((0.25 - mean * mean) / N as f64).sqrt();
    // log of a share of 0.4: sqrt(0.6 / 0.4 / n).
    let ratio = (1.5 / N as f64).sqrt();
    // The entropy of a, b = 0.4, 0.549 over their sum changes by -(log a + H) with each point of a.
    let [a, b] = [0.4, 0.549].map(|w| w / 0.949f64);
    let h = -a * a.ln() - b * b.ln();
    let [first, second] = [a, b].map(|w| -(w.ln() + h) / 0.949);
    let mean = 0.4 * first + 0.549 * second;
    let square = 0.4 * first * first + 0.549 * second * second - mean * mean;
    let best = -0.25 * 0.25f64.ln() - 0.75 * 0.75f64.ln();
    let entropy = (square / N as f64).sqrt() / best;
    for (name, expected) in [
        ("mode_tv", total),
        ("mode_worst_ratio", ratio),
        ("mode_entropy", entropy),
    ] {
        let found = value(name, &on);
        let near = |e: f64| (e - expected).abs() < 1e-12;
        let fine = matches!(found, Outcome::Value { std_err: Some(e), .. } if near(e));
        assert!(fine, "{name}: {found:?}, not {expected}");
    }
}

#[test]
fn a_constant_label_agrees_with_nothing() {
    let mut on = case(0.25, 0.0, 0.0);
    on.part = Some(vec![3; N]);
    assert_eq!(number("nmi", &on), 0.0);
    assert_eq!(number("ari", &on), 0.0);
    assert_eq!(number("accuracy", &on), 0.75);
    on.labels = Some(vec![1; N]);
    assert!(matches!(value("nmi", &on), Outcome::NotApplicable { .. }));
}

/// A mode as faint as the density level is covered by a model that is the truth.
#[test]
fn a_mode_below_the_level_can_be_covered() {
    let mut on = case(0.25, 0.0, 0.0);
    let known = on.known.as_mut().unwrap();
    known.dense[0] = 0.0;
    known.of_samples.dense[0] = 0.0;
    assert_eq!(number("modes_covered", &on), 2.0);
}

/// Weights 1 and 3 on half of the samples each: (4 / 2)^2 / ((1 + 9) / 2) = 0.8.
#[test]
fn the_effective_sample_size_by_hand() {
    let mut on = case(0.25, 0.0, 0.0);
    let odd = on.own_log_q.iter().enumerate();
    let log_p = odd.map(|(i, q)| q + if i % 2 == 0 { 0.0 } else { 3f64.ln() });
    on.own_log_p = Some(log_p.collect());
    is("ess", &on, 0.8, 1e-12);
}

/// Mass where the truth has none makes the reverse KL infinite; it is no mean over the rest.
#[test]
fn samples_outside_the_truth_are_not_dropped() {
    let mut on = case(0.25, 0.0, 0.0);
    on.own_log_p.as_mut().unwrap()[0] = f64::NEG_INFINITY;
    let why = "infinite: samples where the true density is 0";
    assert_eq!(value("reverse_kl", &on), Outcome::none(why).without(1));
    // Its weight is 0, not unknown.
    is("ess", &on, (N - 1) as f64 / N as f64, 1e-12);
}

#[test]
fn moments_by_hand() {
    let statistics = Statistics::parse(&["x".to_owned(), "x^2".to_owned()], 1).unwrap();
    let rows = [1.0, 2.0, 3.0, f64::NAN, 6.0];
    let moments = Moments::of(&statistics, &[3.0, 10.0], &rows, 1);
    assert_eq!(moments.non_finite, 1);
    assert_eq!(moments.mean, [3.0, 12.5]);
    let var = (4.0 + 1.0 + 0.0 + 9.0) / 3.0f64;
    assert!((moments.std_dev[0] - var.sqrt()).abs() < 1e-12);
    assert!((moments.std_err[0] - (var / 4.0).sqrt()).abs() < 1e-12);
    let mut on = case(0.25, 0.0, 0.0);
    let want = 2.5 / moments.std_dev[1];
    on.moments = Some(moments);
    is("constraint_error", &on, want, 1e-12);
}

/// A statistic without a finite mean is the worst, not the best; without any there is no error.
#[test]
fn statistics_that_are_not_finite_are_not_met() {
    let mut on = case(0.25, 0.0, 0.0);
    for name in ["constraint_error", "multiplier_error"] {
        let moments = on.moments.as_mut().unwrap();
        moments.std_dev = vec![0.4, f64::NAN];
        moments.non_finite = 3;
        assert!(number(name, &on).is_nan(), "{name}");
        on.moments.as_mut().unwrap().std_dev = vec![f64::NAN; 2];
        let none = Outcome::none("no statistic has a finite mean").without(3);
        assert_eq!(value(name, &on), none, "{name}");
    }
}
