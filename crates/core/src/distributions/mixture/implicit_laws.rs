//! Implicit derivatives of samples, against another program's and in the tails.

use super::tests::{gradients, mixture, plane, reference};
use super::*;
use crate::num::testing::{cases, numbers, tensor, Faults};

/// tests/reference/mog.json, `implicit_cases`: checked with TensorFlow Probability 0.24.0; tolerance
/// as stated there.
#[test]
fn golden_implicit_derivatives() {
    let file = reference();
    let mut faults = Faults::default();
    for (i, case) in cases(&file, "implicit_cases").iter().enumerate() {
        let of = |key: &str| numbers(&case[key]);
        let z = of("z");
        let dim = z.len();
        let none = MixtureDraws::default();
        let (params, base) = mixture(dim, &of("logits"), &of("mu"), &of("log_sigma"), none);
        let x = base.attach(&tensor(&z, dim)).unwrap();
        for d in 0..dim {
            let got = gradients(&x.narrow(1, d, 1).unwrap(), &params);
            for (key, got) in ["dz_dlog_sigma", "dz_dlogits", "dz_dmu"]
                .into_iter()
                .zip(got)
            {
                let expected = numbers(&case[key][d]);
                let what = format!("case {i} {key}[{d}]");
                faults.near(&what, &got, &expected, |e| 1e-10 * e.abs() + 1e-13);
            }
        }
    }
    faults.none();
}

/// A common shift or stretch of all components shifts or stretches the samples, however far out
/// they lie.
#[test]
fn implicit_derivatives_are_right_in_the_tails() {
    let (params, base) = plane(MixtureDraws::Implicit);
    let log_stds = num::to_vec(&base.log_stds).unwrap();
    let means = num::to_vec(&base.means).unwrap();
    for z in [[0.3, 0.1], [9.0, -8.0], [-60.0, 45.0], [2.0, 300.0]] {
        let x = Tensor::new(&[z], &Device::Cpu).unwrap();
        let x = base.attach(&x).unwrap();
        for (d, z) in z.into_iter().enumerate() {
            let x_d = x.narrow(1, d, 1).unwrap();
            let [by_log_stds, by_logits, by_means] = gradients(&x_d, &params);
            let all: f64 = by_logits.iter().sum();
            assert!(all.abs() < 1e-9, "{z}: {by_logits:?}");
            for e in 0..2 {
                let shift: f64 = by_means.iter().skip(e).step_by(2).sum();
                let expected = f64::from(u8::from(e == d));
                assert!((shift - expected).abs() < 1e-8, "{z}: shift {shift}");
            }
            let stretch: f64 = (0..log_stds.len())
                .map(|i| by_means[i] * means[i] + by_log_stds[i])
                .sum();
            assert!((stretch / z - 1.0).abs() < 1e-8, "{z}: stretch {stretch}");
        }
    }
}

/// The derivative by the logits 9 to 70 standard deviations out, where the distribution function is 0 or
/// 1 in double precision: finite differences of ln of its upper tail, from the tails' asymptotic series.
#[test]
fn implicit_derivatives_by_the_logits_are_right_in_the_tails() {
    let (params, base) = mixture(
        1,
        &[0.4, -0.3],
        &[-1.0, 0.5],
        &[0.0, 0.1],
        MixtureDraws::Implicit,
    );
    let parts = [(0.4, -1.0, 1.0), (-0.3, 0.5, 0.1f64.exp())];
    let log_upper = |z: f64, by: f64| {
        let logits = [parts[0].0 + by, parts[1].0];
        let total = num::log_sum_exp_slice(&logits);
        let terms = [0, 1].map(|k| {
            let t = (z - parts[k].1) / parts[k].2;
            let series: f64 = 1.0 - t.powi(-2) + 3.0 * t.powi(-4) - 15.0 * t.powi(-6)
                + 105.0 * t.powi(-8)
                - 945.0 * t.powi(-10);
            logits[k] - total - 0.5 * t * t - 0.5 * LN_2PI - t.ln() + series.ln()
        });
        num::log_sum_exp_slice(&terms)
    };
    for z in [12.0, 25.0, 70.0] {
        let h = 1e-4;
        let by_logit = (log_upper(z, h) - log_upper(z, -h)) / (2.0 * h);
        let by_z = (log_upper(z + h, 0.0) - log_upper(z - h, 0.0)) / (2.0 * h);
        let x = Tensor::new(&[[z]], &Device::Cpu).unwrap();
        let x = base.attach(&x).unwrap();
        let [_, by_logits, _] = gradients(&x, &params);
        let (expected, got) = (-by_logit / by_z, by_logits[0]);
        let close = (got / expected - 1.0).abs() < 2e-4 || (got - expected).abs() < 1e-8;
        assert!(close, "{z}: {got} against {expected}");
    }
}
