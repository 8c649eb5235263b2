//! One folded layer of RAD: a coupling whose transformer folds the line onto itself.

use std::ops::Range;

use candle_core::{DType, Tensor};

use super::{Gates, RadSpec};
use crate::bijections::coupling::{halves, join};
use crate::nn::mlp::{LastLayer, Mlp};
use crate::nn::Params;
use crate::num;
use crate::rng::Rng;
use crate::Result;
use mdn_kernels::fold;

const LOG_SLOPE_BOUND: f64 = fold::LOG_SLOPE_BOUND as f64;
const LOG_WIDTH_BOUND: f64 = fold::LOG_WIDTH_BOUND as f64;
const LOG_SCALE_BOUND: f64 = fold::LOG_SCALE_BOUND as f64;
const GATE_BOUND: f64 = fold::GATE_BOUND as f64;

/// N-fold coupling layer after Dinh et al. 2019. The kept coordinates c = x_a give every other
/// coordinate its own fold: a zig-zag of three parts (left, middle, right) that is continuous and
/// onto the line, with slopes e^a1, -1, e^a3 between the folds and e^A1, e^A3 outside them:
///
/// | where, u = (x - m) e^-b | v | part |
/// |---|---|---|
/// | u < u_L = -1 - 2 e^-a1 | -1 + e^A1 (u - u_L) | left |
/// | u_L <= u < -1 | 1 + e^a1 (u + 1) | left |
/// | -1 <= u <= 1 | -u | middle |
/// | 1 < u <= u_R = 1 + 2 e^-a3 | -1 + e^a3 (u - 1) | right |
/// | u > u_R | 1 + e^A3 (u - u_R) | right |
///
/// and z = v e^g + d. A value v in \[-1, 1\] has three pre-images, which the gates share out:
/// with t = (v + 1) / 2, s_left = -a1 + (1 - t) h1, s_middle = 0, s_right = -a3 + t h3 and
/// l = log softmax(s), log p(part | z) = l_part there and 0 outside. With A1 = a1 + l_left(0) and
/// A3 = a3 + l_right(1) the density is continuous across every fold for any gates, so gradients
/// include the effect of moving a fold.
pub struct Fold {
    conditioner: Mlp,
    gates: GateNets,
    kept: Range<usize>,
    transformed: Range<usize>,
}

enum GateNets {
    Flat,
    Edge,
    // One network per transformed coordinate, of (c, 2 t - 1).
    Net(Vec<Mlp>),
}

/// The parameters of the folds, each (n, folds).
struct Shape {
    centre: Tensor,
    log_width: Tensor,
    slope_left: Tensor,
    slope_right: Tensor,
    log_scale: Tensor,
    shift: Tensor,
    gates: Option<(Tensor, Tensor)>,
}

/// Left, middle, right as they stand in a code.
pub const PARTS: u8 = 3;

impl Fold {
    /// Folded layer number `layer` of a stack over `dim` coordinates.
    pub fn new(params: &Params, dim: usize, layer: usize, spec: &RadSpec) -> Result<Self> {
        let (kept, transformed) = halves(dim, layer);
        let folds = transformed.len();
        let outputs = if spec.gates == Gates::Edge { 8 } else { 6 };
        // Folds that start at the same place would stay together.
        let mut bias = vec![0.0; outputs * folds];
        if !params.is_loading() {
            let mut rng = params.stream("centres")?;
            for centre in &mut bias[..folds] {
                *centre = spec.fold_spread * rng.normal();
            }
        }
        for log_width in &mut bias[folds..2 * folds] {
            *log_width = inverse_bounded(spec.fold_width.ln(), LOG_WIDTH_BOUND);
        }
        let width = spec.hidden.last().copied().unwrap_or(1) as f64;
        let net = |at: &Params, inputs: usize, bias: Vec<f64>| {
            let std = 0.05 / width.sqrt();
            let last = LastLayer { std, bias };
            Mlp::new(at, inputs, &spec.hidden, spec.activation, last)
        };
        let conditioner = net(&params.at("conditioner"), kept.len(), bias)?;
        let gate = |j| net(&params.at("gate").at(j), kept.len() + 1, vec![0.0; 2]);
        let gates = match spec.gates {
            Gates::Flat => GateNets::Flat,
            Gates::Edge => GateNets::Edge,
            Gates::Net => GateNets::Net((0..folds).map(gate).collect::<Result<_>>()?),
        };
        Ok(Self {
            conditioner,
            gates,
            kept,
            transformed,
        })
    }

    /// The layer as the fused kernels know it; `None` with gate networks.
    pub fn kernel(&self) -> Option<mdn_kernels::Layer<Tensor>> {
        let gates = match self.gates {
            GateNets::Flat => false,
            GateNets::Edge => true,
            GateNets::Net(_) => return None,
        };
        Some(mdn_kernels::Layer::Coupling {
            transformer: mdn_kernels::Transformer::Fold { gates },
            kept: self.kept.clone(),
            moved: self.transformed.clone(),
            conditioner: self.conditioner.kernel()?,
        })
    }

    /// Number of folds: one for each transformed coordinate.
    pub fn folds(&self) -> usize {
        self.transformed.len()
    }

    fn split(&self, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let kept = v.narrow(1, self.kept.start, self.kept.len())?;
        let moved = v.narrow(1, self.transformed.start, self.transformed.len())?;
        Ok((kept.contiguous()?, moved.contiguous()?))
    }

    fn shape(&self, kept: &Tensor) -> Result<Shape> {
        let raw = self.conditioner.forward(kept)?;
        let folds = self.folds();
        let part = |i: usize| raw.narrow(1, i * folds, folds)?.contiguous();
        let log_width = num::bounded(&part(1)?, LOG_WIDTH_BOUND)?;
        let slope_left = num::bounded(&part(2)?, LOG_SLOPE_BOUND)?;
        let slope_right = num::bounded(&part(3)?, LOG_SLOPE_BOUND)?;
        // This scale makes flat gates leave the density as it is at the start.
        let pieces = ((slope_left.neg()?.exp()? + slope_right.neg()?.exp()?)? + 1.0)?.log()?;
        let free = num::bounded(&part(4)?, LOG_SCALE_BOUND)?;
        let gates = match &self.gates {
            GateNets::Edge => Some((
                num::bounded(&part(6)?, GATE_BOUND)?,
                num::bounded(&part(7)?, GATE_BOUND)?,
            )),
            _ => None,
        };
        Ok(Shape {
            centre: part(0)?,
            log_scale: ((&log_width + pieces)? + free)?,
            log_width,
            slope_left,
            slope_right,
            shift: part(5)?,
            gates,
        })
    }

    /// log p(part | place t) for left, middle and right, each (n, folds), at t (n, folds) in [0, 1].
    fn log_gates(&self, kept: &Tensor, shape: &Shape, t: &Tensor) -> Result<[Tensor; 3]> {
        let gates = match (&self.gates, &shape.gates) {
            (GateNets::Net(nets), _) => {
                let mut columns = (Vec::new(), Vec::new());
                for (j, net) in nets.iter().enumerate() {
                    let place = t.narrow(1, j, 1)?.affine(2.0, -1.0)?;
                    let input = match self.kept.len() {
                        0 => place,
                        _ => Tensor::cat(&[kept, &place], 1)?,
                    };
                    let h = num::bounded(&net.forward(&input)?, GATE_BOUND)?;
                    columns.0.push(h.narrow(1, 0, 1)?);
                    columns.1.push(h.narrow(1, 1, 1)?);
                }
                Some((Tensor::cat(&columns.0, 1)?, Tensor::cat(&columns.1, 1)?))
            }
            (_, gates) => gates.clone(),
        };
        let mut left = shape.slope_left.neg()?;
        let mut right = shape.slope_right.neg()?;
        if let Some((h1, h3)) = gates {
            left = (left + (t.affine(-1.0, 1.0)? * h1)?)?;
            right = (right + (t * h3)?)?;
        }
        let max = left.maximum(&right)?.relu()?;
        let sum = (((&left - &max)?.exp()? + (&right - &max)?.exp()?)? + max.neg()?.exp()?)?;
        let norm = (sum.log()? + max)?;
        Ok([(left - &norm)?, norm.neg()?, (right - &norm)?])
    }

    /// The log slopes A1 = a1 + l_left(0) and A3 = a3 + l_right(1) outside the folds, and the knots
    /// u_L and u_R where they begin.
    fn tails(&self, kept: &Tensor, s: &Shape) -> Result<[Tensor; 4]> {
        let [left, ..] = self.log_gates(kept, s, &s.centre.zeros_like()?)?;
        let [.., right] = self.log_gates(kept, s, &s.centre.ones_like()?)?;
        Ok([
            (&s.slope_left + left)?,
            (&s.slope_right + right)?,
            s.slope_left.neg()?.exp()?.affine(-2.0, -1.0)?,
            s.slope_right.neg()?.exp()?.affine(2.0, 1.0)?,
        ])
    }

    /// x (n, dim) -> z, lambda = log|det dz/dx| + log p(parts | z) (n,), and the part of every
    /// fold (n, folds) u8: 0 left, 1 middle, 2 right.
    pub fn fold(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let (kept, moved) = self.split(x)?;
        let s = self.shape(&kept)?;
        let [outer_left, outer_right, knot_left, knot_right] = self.tails(&kept, &s)?;
        let u = ((&moved - &s.centre)? * s.log_width.neg()?.exp()?)?;
        let minus = s.centre.ones_like()?.neg()?;
        let one = s.centre.ones_like()?;
        // Every branch is linear in u, so those that are not selected stay finite.
        let far_left = (outer_left.exp()? * (&u - &knot_left)?)?.affine(1.0, -1.0)?;
        let left = (s.slope_left.exp()? * (&u + 1.0)?)?.affine(1.0, 1.0)?;
        let middle = u.neg()?;
        let right = (s.slope_right.exp()? * (&u - 1.0)?)?.affine(1.0, -1.0)?;
        let far_right = (outer_right.exp()? * (&u - &knot_right)?)?.affine(1.0, 1.0)?;
        let is_left = u.lt(&minus)?;
        let is_right = u.gt(&one)?;
        let v = u.lt(&knot_left)?.where_cond(
            &far_left,
            &is_left.where_cond(
                &left,
                &u.gt(&knot_right)?
                    .where_cond(&far_right, &is_right.where_cond(&right, &middle)?)?,
            )?,
        )?;
        let t = v.affine(0.5, 0.5)?.clamp(0.0, 1.0)?;
        let [gate_left, gate_middle, gate_right] = self.log_gates(&kept, &s, &t)?;
        // One formula for all five pieces: beyond the folds t is 0 or 1, where slope and gate add up
        // to the outer slope.
        let own = is_left.where_cond(
            &(&s.slope_left + gate_left)?,
            &is_right.where_cond(&(&s.slope_right + gate_right)?, &gate_middle)?,
        )?;
        let lambda = ((own - &s.log_width)? + &s.log_scale)?;
        let z = ((v * s.log_scale.exp()?)? + &s.shift)?;
        let part =
            (is_right.to_dtype(DType::U8)?.affine(1.0, 1.0)? - is_left.to_dtype(DType::U8)?)?;
        Ok((join(&kept, &z, &self.kept)?, num::row_sum(&lambda)?, part))
    }

    /// The place v of transformed coordinates of z on their folds.
    fn place(moved: &Tensor, s: &Shape) -> Result<Tensor> {
        Ok(((moved - &s.shift)? * s.log_scale.neg()?.exp()?)?)
    }

    /// x from its kept coordinates, and the pre-images of the places v in these parts.
    fn unfold_part(&self, kept: &Tensor, s: &Shape, v: &Tensor, part: &Tensor) -> Result<Tensor> {
        let [outer_left, outer_right, knot_left, knot_right] = self.tails(kept, s)?;
        let one = v.ones_like()?;
        let far_left = (((v + 1.0)? * outer_left.neg()?.exp()?)? + knot_left)?;
        let left = ((v - 1.0)? * s.slope_left.neg()?.exp()?)?.affine(1.0, -1.0)?;
        let right = ((v + 1.0)? * s.slope_right.neg()?.exp()?)?.affine(1.0, 1.0)?;
        let far_right = (((v - 1.0)? * outer_right.neg()?.exp()?)? + knot_right)?;
        let left = v.lt(&one.neg()?)?.where_cond(&far_left, &left)?;
        let right = v.gt(&one)?.where_cond(&far_right, &right)?;
        let u = part
            .eq(0u8)?
            .where_cond(&left, &part.eq(1u8)?.where_cond(&v.neg()?, &right)?)?;
        let x = ((u * s.log_width.exp()?)? + &s.centre)?;
        join(kept, &x, &self.kept)
    }

    /// z (n, dim) and the part of every fold (n, folds) u8 -> x. Where z has no pre-image in that
    /// part, folding the result gives another z.
    pub fn unfold(&self, z: &Tensor, part: &Tensor) -> Result<Tensor> {
        let (kept, moved) = self.split(z)?;
        let s = self.shape(&kept)?;
        self.unfold_part(&kept, &s, &Self::place(&moved, &s)?, part)
    }

    /// z (n, dim) -> x with every part drawn from its gate: beyond a fold there is one part alone.
    pub fn sample(&self, z: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let (kept, moved) = self.split(z)?;
        let s = self.shape(&kept)?;
        let v = Self::place(&moved, &s)?;
        let t = v.affine(0.5, 0.5)?.clamp(0.0, 1.0)?;
        let gates = self.log_gates(&kept, &s, &t)?;
        let [left, middle, right] = gates.map(|gate| num::to_vec(&gate));
        let (left, middle, right) = (left?, middle?, right?);
        let chances = |i: usize, v: f64| match v {
            v if v < -1.0 => [1.0, 0.0, 0.0],
            v if v > 1.0 => [0.0, 0.0, 1.0],
            _ => [left[i], middle[i], right[i]].map(f64::exp),
        };
        let places = num::to_vec(&v)?.into_iter().enumerate();
        let parts: Vec<u8> = places
            .map(|(i, v)| rng.categorical(&chances(i, v)) as u8)
            .collect();
        let part = Tensor::from_vec(parts, moved.shape(), moved.device())?;
        self.unfold_part(&kept, &s, &v, &part)
    }
}

fn inverse_bounded(value: f64, bound: f64) -> f64 {
    bound * (value / bound).atanh()
}
