//! Densities, labels and levels at given points.

use candle_core::DType;

use super::{fine, for_every_example, one, sample, truth};
use crate::data::{log_densities, low_density_level};
use crate::num::to_vec;
use crate::rng::Rng;

#[test]
fn far_and_impossible_points_give_no_nan() {
    for_every_example(|data| {
        for v in [50.0, -1e3, 1e8, 1e150, -1e300, f64::INFINITY, f64::NAN] {
            let mut x = vec![0.0; data.dim()];
            x[0] = v;
            let (log_p, mode, given) = one(truth(data), &x);
            fine(
                log_p < 0.0 && (v.is_finite() || log_p == f64::NEG_INFINITY),
                || format!("log p = {log_p} at {x:?}"),
            )?;
            let given: f64 = given.iter().sum();
            let inside = log_p > f64::NEG_INFINITY;
            let want = if inside { 1.0 } else { 0.0 };
            fine(
                mode.is_some() == inside && (given - want).abs() < 1e-12,
                || {
                    format!(
                        "mode {mode:?}, responsibilities {given} at {x:?} where log p = {log_p:e}"
                    )
                },
            )?;
        }
        Ok(())
    });
}

#[test]
fn many_points_give_what_single_points_give_and_f32_stays_inside() {
    for_every_example(|data| {
        let points = data
            .sample(50, &mut Rng::new(2))
            .expect("a sampler does not fail");
        for dtype in [DType::F64, DType::F32] {
            let rows = to_vec(&points.to_dtype(dtype).expect("a cast")).expect("a matrix");
            let all = log_densities(truth(data), &rows, data.dim());
            fine(all.iter().all(|v| v.is_finite()), || {
                format!("{dtype:?} leaves the support")
            })?;
            for (x, log_p) in rows.chunks_exact(data.dim()).zip(&all) {
                fine(one(truth(data), x).0 == *log_p, || {
                    format!("log p at {x:?}")
                })?;
            }
        }
        Ok(())
    });
}

#[test]
fn the_low_density_level_has_its_share() {
    for_every_example(|data| {
        let level = |share| low_density_level(data, share, 20_000, &mut Rng::new(1));
        for share in [0.001, 0.05] {
            let found = level(share).expect("a share of known data");
            let level = found.log_level;
            let points = data.sample(20_000, &mut Rng::new(2)).expect("a sampler");
            let rows = to_vec(&points).expect("a matrix");
            let log_p = log_densities(truth(data), &rows, data.dim());
            let share_of = |under: &dyn Fn(f64) -> bool| {
                log_p.iter().filter(|v| under(**v)).count() as f64 / log_p.len() as f64
            };
            // A law with plateaus has many points at the level: then its share lies between those
            // below and those up to it. Two samples of the same share.
            let below = share_of(&|v| v < level - 1e-12);
            let up_to = share_of(&|v| v <= level + 1e-12);
            let error = 4.0 * (2.0 * share / 20_000.0f64).sqrt();
            fine(below < share + error && up_to > share - error, || {
                format!("{below} below and {up_to} up to the level of {share}")
            })?;
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
