//! The picture of a run that figures are drawn from: densities on a grid, points and samples.

use candle_core::Tensor;

use super::Run;
use crate::experiment::store::{BaseComponents, Landing, Picture, SHARES};
use mdn_core::data::{log_densities, Target};
use mdn_core::metrics::{evaluation, Evaluation};
use mdn_core::models::{log_q, Model};
use mdn_core::num;
use mdn_core::Result;

const SAMPLES: usize = 4000;
const POINTS: usize = 1000;
const SIDE: usize = 300;

impl Run {
    /// `measured` holds the densities at `points` and `samples`; `None` where there is nothing to show in a plane.
    pub(super) fn picture(
        &self,
        points: &[f64],
        samples: &[f64],
        measured: &Evaluation,
    ) -> Result<Option<Picture>> {
        let view = match &self.law {
            Some(law) => law.view(),
            None if self.model.dim() == 2 => evaluation::view_of(samples),
            None => None,
        };
        let Some(view) = view else {
            return Ok(None);
        };
        // The data's view with a margin, so that all models of a data set share their axes.
        let view = view.map(|(low, high)| {
            let margin = 0.05 * (high - low);
            (low - margin, high + margin)
        });
        let side = self.spec.evaluation.grid.min(SIDE);
        let rows = evaluation::grid_rows(view, side);
        let truth = self.law.as_ref().and_then(|law| law.truth());
        let mut log_p = match (truth, self.objective.target()) {
            (Some(truth), _) => Some(log_densities(truth, &rows, 2)),
            (None, Some(target)) => Some(on_grid(target, &rows, view)?),
            (None, None) => None,
        };
        let known = measured.log_p();
        let known = known.as_deref();
        let own_log_q = &measured.own_log_q[..];
        for (at, log_density) in [(points, known), (samples, measured.own_log_p.as_deref())] {
            if let (Some(cells), Some(values)) = (&mut log_p, log_density) {
                raise(cells, (view, side), at, values);
            }
        }
        let x = num::from_rows(&rows, 2, self.params.dtype(), &self.params.device())?;
        let mut of_model = log_q(self.model.as_ref(), &x)?;
        for (at, log_density) in [
            (points, measured.log_q.as_deref()),
            (samples, Some(own_log_q)),
        ] {
            raise(
                &mut of_model,
                (view, side),
                at,
                log_density.unwrap_or_default(),
            );
        }
        // Parts are numbered in the order in which they appear.
        let mut seen = std::collections::BTreeMap::new();
        let mut number = |part: u64| {
            let next = seen.len() as u32;
            *seen.entry(part).or_insert(next)
        };
        let part = evaluation::parts(self.model.as_ref(), &x)?
            .map(|parts| parts.into_iter().map(&mut number).collect());
        let shown = &points[..points.len().min(2 * POINTS)];
        let at = num::from_rows(shown, 2, self.params.dtype(), &self.params.device())?;
        let landing = match shown {
            [] => None,
            _ => {
                let labels = measured.labels.as_deref();
                at_base(self.model.as_ref(), &at, labels, &mut number)?
            }
        };
        Ok(Some(Picture {
            view,
            side,
            log_p: log_p.map(|p| single(&p)),
            log_q: single(&of_model),
            levels_p: known.and_then(levels),
            levels_q: levels(own_log_q),
            part,
            samples: pairs(&samples[..samples.len().min(2 * SAMPLES)]),
            points: pairs(shown),
            landing,
        }))
    }
}

/// log p of a target at the centres of the cells that fill the view; where its constant is unknown, the mass
/// of the view is 1.
fn on_grid(target: &Target, rows: &[f64], view: [(f64, f64); 2]) -> Result<Vec<f64>> {
    let mut log_p = target.evaluate(rows, false)?.log_p;
    let log_z = target.log_z.unwrap_or_else(|| {
        let area: f64 = view.iter().map(|(low, high)| high - low).product();
        let cells = (rows.len() / 2) as f64;
        let finite: Vec<f64> = log_p.iter().copied().filter(|v| v.is_finite()).collect();
        num::log_sum_exp_slice(&finite) + (area / cells).ln()
    });
    log_p.iter_mut().for_each(|v| *v -= log_z);
    Ok(log_p)
}

/// A narrow density falls between the centres of cells: where a point of a cell has a log-density that is more
/// than a nat above that of the centre, the cell has the highest.
fn raise(
    cells: &mut [f64],
    (view, side): ([(f64, f64); 2], usize),
    points: &[f64],
    log_density: &[f64],
) {
    let centres = cells.to_vec();
    for (point, value) in points.chunks_exact(2).zip(log_density) {
        let part = |d: usize| (point[d] - view[d].0) / (view[d].1 - view[d].0);
        if !(0..2).all(|d| (0.0..1.0).contains(&part(d))) {
            continue;
        }
        let [x, y] = [0, 1].map(|d| ((part(d) * side as f64) as usize).min(side - 1));
        let i = y * side + x;
        if value.is_finite() && *value > centres[i] + 1.0 {
            cells[i] = cells[i].max(*value);
        }
    }
}

/// The values that shares [`SHARES`] of them are not below; `None` where one is NaN or there are none.
fn levels(values: &[f64]) -> Option<Vec<f32>> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let rank = |share: f64| (share * sorted.len() as f64).ceil() as usize;
    let at = |share: f64| sorted.get(rank(share).max(1) - 1).map(|v| *v as f32);
    let found: Option<Vec<f32>> = SHARES.iter().map(|s| at(*s)).collect();
    found.filter(|_| values.iter().all(|v| !v.is_nan()))
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn pairs(values: &[f64]) -> Vec<[f32; 2]> {
    single(values).as_chunks::<2>().0.to_vec()
}

/// The points x (n, 2) mapped to the base; `number` numbers the parts as on the grid. `None` for a
/// model without a base.
fn at_base(
    model: &dyn Model,
    x: &Tensor,
    labels: Option<&[u32]>,
    number: &mut dyn FnMut(u64) -> u32,
) -> Result<Option<Landing>> {
    let (n, rows) = (x.dim(0)?, num::rows_at_once(x.device()));
    let (mut z, mut share) = (Vec::with_capacity(n), Some(Vec::with_capacity(n)));
    for start in (0..n).step_by(rows) {
        let chunk = x.narrow(0, start, rows.min(n - start))?;
        let Some(landed) = model.to_base(&chunk)? else {
            return Ok(None);
        };
        z.extend(pairs(&num::to_vec(&landed.detach())?));
        match (&mut share, model.responsibilities(&chunk)?) {
            (Some(all), Some(r)) => all.extend(single(&num::to_vec(&r.detach().max(1)?)?)),
            _ => share = None,
        }
    }
    let part = evaluation::parts(model, x)?;
    Ok(Some(Landing {
        z,
        part: part.map(|all| all.into_iter().map(number).collect()),
        share,
        label: labels.map(|all| all.iter().take(n).copied().collect()),
        components: model.components()?.map(|c| BaseComponents {
            weights: single(&c.weights),
            means: pairs(&c.means),
            std_devs: pairs(&c.std_devs),
        }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdn_core::rng::Rng;

    const VIEW: [(f64, f64); 2] = [(-3.0, 3.0); 2];

    /// log density and draws of eleven modes of deviation 1e-3, between whose centres lie many cells.
    fn narrow_modes(rng: &mut Rng, n: usize) -> (Vec<f64>, Vec<f64>) {
        let draws = (0..n).map(|k| {
            let mode = (k % 11) as f64;
            let at = [0.37 * mode - 1.7, 0.29 * mode - 1.3];
            let z = [rng.normal(), rng.normal()];
            let log_density =
                -0.5 * (z[0] * z[0] + z[1] * z[1]) - (11.0 * std::f64::consts::TAU * 1e-6).ln();
            ([at[0] + 1e-3 * z[0], at[1] + 1e-3 * z[1]], log_density)
        });
        let (points, values): (Vec<[f64; 2]>, Vec<f64>) = draws.unzip();
        (points.into_flattened(), values)
    }

    #[test]
    fn levels_hold_their_shares_of_fresh_samples_of_narrow_modes() {
        let rng = &mut Rng::new(3);
        let levels = levels(&narrow_modes(rng, 100_000).1).unwrap();
        let fresh = narrow_modes(rng, 100_000).1;
        for (level, share) in levels.iter().zip(SHARES) {
            let above = fresh.iter().filter(|v| **v >= f64::from(*level)).count();
            let found = above as f64 / fresh.len() as f64;
            assert!((found - share).abs() < 0.01, "{found} instead of {share}");
        }
        assert_eq!(super::levels(&[]), None);
        assert_eq!(super::levels(&[0.0, f64::NAN]), None);
    }

    #[test]
    fn cells_take_the_density_of_a_mode_between_their_centres_and_keep_wide_ones() {
        let (points, values) = narrow_modes(&mut Rng::new(3), 1000);
        let mut cells = vec![f64::NEG_INFINITY; 100];
        raise(&mut cells, (VIEW, 10), &points, &values);
        let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(cells.iter().copied().fold(f64::NEG_INFINITY, f64::max), top);
        // The first mode lies at (-1.7, -1.3): column 2, row 2.
        assert!(cells[22] > 0.9 * top && cells[0] == f64::NEG_INFINITY);
        let mut wide = vec![0.0; 100];
        raise(&mut wide, (VIEW, 10), &[0.1, 0.1, 9.0, 9.0], &[0.9, 50.0]);
        assert_eq!(wide, [0.0; 100]);
    }
}
