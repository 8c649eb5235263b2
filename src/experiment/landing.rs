//! Where a run's held-out points land at the base, for its picture.

use candle_core::Tensor;

use super::store::{BaseComponents, Landing};
use mdn_core::metrics::evaluation;
use mdn_core::models::Model;
use mdn_core::num;
use mdn_core::Result;

/// Of the points x (n, 2); `number` gives the parts of the grid the same small numbers. `None` for a
/// model without a base.
pub(super) fn landing(
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
        let flat = num::to_vec(&landed.detach())?;
        z.extend(flat.chunks_exact(2).map(|p| [p[0] as f32, p[1] as f32]));
        share = match (share, model.responsibilities(&chunk)?) {
            (Some(mut all), Some(r)) => {
                let largest = num::to_vec(&r.detach().max(1)?)?;
                all.extend(largest.into_iter().map(|v| v as f32));
                Some(all)
            }
            _ => None,
        };
    }
    let part = evaluation::parts(model, x)?;
    let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
    let pairs = |values: &[f64]| single(values).as_chunks::<2>().0.to_vec();
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
