//! d log p / dx against finite differences of log p.

use super::{fine, for_every_example, sample, truth};
use crate::data::{log_density, Support};

/// Fourth order (Abramowitz and Stegun 25.3.6).
fn slope(f: impl Fn(f64) -> f64, step: f64) -> f64 {
    (8.0 * (f(step) - f(-step)) - f(2.0 * step) + f(-2.0 * step)) / (12.0 * step)
}

#[test]
fn gradients_agree_with_finite_differences() {
    for_every_example(|data| {
        let truth = truth(data);
        let mut points = sample(data, 60, 21);
        // Away from the data too, where a model's samples may lie.
        let around: Vec<Vec<f64>> = points.iter().take(30).cloned().collect();
        points.extend(around.into_iter().enumerate().map(|(i, mut x)| {
            let far = [0.3, 1.0, 4.0][i % 3];
            x.iter_mut().for_each(|v| *v = far * (1.7 * *v + 0.3));
            x
        }));
        let (mut got, mut checked) = (vec![f64::NAN; data.dim()], 0);
        for x in &points {
            truth.gradient(x, &mut got);
            let log_p = log_density(truth, x);
            if log_p == f64::NEG_INFINITY {
                fine(got.iter().all(|g| *g == 0.0), || {
                    format!("{got:?} at {x:?}, where p = 0")
                })?;
                continue;
            }
            for d in 0..x.len() {
                let step = 2e-4 * x[d].abs().max(1.0);
                let at = |by: f64| {
                    let mut x = x.clone();
                    x[d] += by;
                    log_density(truth, &x)
                };
                let reach = [-4.0, -2.0, -1.0, 1.0, 2.0, 4.0].map(|k| at(k * step));
                if reach.contains(&f64::NEG_INFINITY) {
                    continue;
                }
                let (want, coarser) = (slope(at, step), slope(at, 2.0 * step));
                // The second term is the rounding of log p.
                let bound = 1e-6 * want.abs().max(1.0) + 4e-16 * log_p.abs() / step * 10.0;
                // Across an edge, or where log p bends within the step, the difference is no slope.
                if (want - coarser).abs() > bound {
                    continue;
                }
                fine((got[d] - want).abs() < bound, || {
                    format!("{} for coordinate {d} at {x:?}, not {want}", got[d])
                })?;
                checked += 1;
            }
        }
        fine(checked > 50 * data.dim(), || format!("{checked} checked"))
    });
}

#[test]
fn gradients_are_finite_everywhere_and_the_support_is_said() {
    for_every_example(|data| {
        let truth = truth(data);
        let mut out = vec![0.0; data.dim()];
        for v in [0.0, 50.0, -1e3, 1e8, -1e20, 1e150, f64::INFINITY, f64::NAN] {
            for at in 0..data.dim() {
                let mut x = vec![0.0; data.dim()];
                x[at] = v;
                out.fill(f64::NAN);
                truth.gradient(&x, &mut out);
                fine(out.iter().all(|g| g.is_finite()), || {
                    format!("{out:?} at {x:?}")
                })?;
                let everywhere = truth.support() == Support::Everywhere;
                let log_p = log_density(truth, &x);
                fine(
                    log_p.is_finite() || !everywhere || v.abs() > 1e100 || v.is_nan(),
                    || format!("log p = {log_p} at {x:?}, support {}", truth.support()),
                )?;
            }
        }
        Ok(())
    });
}
