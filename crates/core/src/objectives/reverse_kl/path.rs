//! Path gradients of the reverse KL ("sticking the landing").

use candle_core::{Tensor, Var};

use super::grow::LogTarget;
use crate::distributions::Draws;
use crate::models::Model;
use crate::num;
use crate::Result;

/// sum_i w_i (log q(x_i) - b log p(x_i)) whose gradient flows through x_i and w_i alone, not through the
/// density log q at fixed points, whose score has mean 0 (Roeder et al. 2017; Vaitl et al. 2022): at
/// q = p every sample's gradient is 0. Costs one more pass of `model`, from data to base. The loss, and
/// log p of the draws (n,).
pub(super) fn path_loss(
    model: &dyn Model,
    draws: &Draws,
    (log_p, b): (&LogTarget<'_>, f64),
) -> Result<[Tensor; 2]> {
    let x = Var::from_tensor(&draws.x.detach())?;
    let log_p = log_p(&x)?;
    let cost = (model.log_prob(&x)? - (&log_p * b)?)?;
    let gradients = cost.sum_all()?.backward()?;
    let weight = draws.log_weight.exp()?;
    let by_weight = (&weight * cost.detach())?.sum_all()?;
    let Some(slope) = gradients.get(&x) else {
        return Ok([by_weight, log_p]);
    };
    let along = num::row_sum(&(&draws.x * slope.detach())?)?;
    let by_path = (weight.detach() * along)?.sum_all()?;
    // The value of the first term with the gradient of both.
    let by_path = (&by_path - by_path.detach())?;
    Ok([(by_weight + by_path)?, log_p])
}
