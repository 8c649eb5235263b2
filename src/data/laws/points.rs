//! Densities, labels and levels at given points.

use candle_core::DType;

use super::{fine, for_every_example, sample, truth};
use crate::data::{
    log_densities, log_density, low_density_level, mode_of, modes_of, responsibilities,
    responsibilities_of,
};
use crate::rng::Rng;

#[test]
fn far_and_impossible_points_give_no_nan() {
    for_every_example(|data| {
        let truth = truth(data);
        let modes = truth.weights().len() as u32;
        for v in [50.0, -1e3, 1e8, 1e150, -1e300, f64::INFINITY, f64::NAN] {
            let mut x = vec![0.0; data.dim()];
            x[0] = v;
            let log_p = log_density(truth, &x);
            fine(
                log_p < 0.0 && (v.is_finite() || log_p == f64::NEG_INFINITY),
                || format!("log p = {log_p} at {x:?}"),
            )?;
            let mode = mode_of(truth, &x);
            let given: f64 = responsibilities(truth, &x).iter().sum();
            let (want_mode, want_sum) = if log_p == f64::NEG_INFINITY {
                (mode == modes, 0.0)
            } else {
                (mode < modes, 1.0)
            };
            fine(want_mode && (given - want_sum).abs() < 1e-12, || {
                format!("mode {mode}, responsibilities {given} at {x:?} where log p = {log_p:e}")
            })?;
        }
        Ok(())
    });
}

#[test]
fn tensors_give_what_points_give() {
    for_every_example(|data| {
        let truth = truth(data);
        let points = data
            .sample(50, &mut Rng::new(2))
            .expect("a sampler does not fail");
        let single = points.to_dtype(DType::F32).expect("a cast");
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for tensor in [&points, &single] {
            let values = tensor.to_dtype(DType::F64).and_then(|t| t.to_vec2::<f64>());
            rows.clone_from(&values.expect("a matrix"));
            let each = |f: &dyn Fn(&[f64]) -> f64| rows.iter().map(|x| f(x)).collect::<Vec<_>>();
            let got = log_densities(truth, tensor).expect("the right shape");
            fine(got == each(&|x| log_density(truth, x)), || {
                "log p".to_owned()
            })?;
            fine(got.iter().all(|v| v.is_finite()), || {
                "f32 leaves the support".to_owned()
            })?;
            let got: Vec<f64> = modes_of(truth, tensor)
                .expect("the right shape")
                .into_iter()
                .map(f64::from)
                .collect();
            fine(got == each(&|x| f64::from(mode_of(truth, x))), || {
                "modes".to_owned()
            })?;
            let got = responsibilities_of(truth, tensor).expect("the right shape");
            let want: Vec<f64> = rows
                .iter()
                .flat_map(|x| responsibilities(truth, x))
                .collect();
            fine(got == want, || "responsibilities".to_owned())?;
        }
        fine(
            log_densities(truth, &points.flatten_all().expect("flat")).is_err(),
            || "a flat tensor passes".to_owned(),
        )
    });
}

#[test]
fn the_low_density_level_has_its_share() {
    for_every_example(|data| {
        let level = |share| low_density_level(data, share, 20_000, &mut Rng::new(1));
        for share in [0.001, 0.05] {
            let level = level(share).expect("a share of known data");
            let points = data.sample(20_000, &mut Rng::new(2)).expect("a sampler");
            let below = log_densities(truth(data), &points)
                .expect("the right shape")
                .iter()
                .filter(|v| **v < level)
                .count() as f64
                / 20_000.0;
            // Two samples of the same share; a uniform law has nothing below.
            let error = (2.0 * share / 20_000.0f64).sqrt();
            let uniform = (level + truth(data).entropy().value).abs() < 1e-12;
            fine(
                (below - share).abs() < 4.0 * error || (uniform && below == 0.0),
                || format!("share {below} below the level of {share}"),
            )?;
        }
        fine(level(1.5).is_err() && level(f64::NAN).is_err(), || {
            "share 1.5 passes".to_owned()
        })
    });
}

#[test]
fn views_are_square_and_hold_the_points() {
    for_every_example(|data| {
        let Some(view) = data.view() else {
            return fine(data.dim() != 2, || "no view".to_owned());
        };
        let sides = view.map(|(low, high)| high - low);
        fine((sides[0] - sides[1]).abs() < 1e-9 && sides[0] > 0.0, || {
            format!("{view:?}")
        })?;
        let inside = |x: &Vec<f64>| x.iter().zip(view).all(|(v, (a, b))| (a..b).contains(v));
        let out = sample(data, 5000, 8).iter().filter(|x| !inside(x)).count();
        fine(out <= 5, || {
            format!("{out} of 5000 points outside {view:?}")
        })
    });
}
