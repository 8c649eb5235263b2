//! Entropy of a mixture of Gaussians.
//!
//! With K the component and r_k(x) = P(K = k | x),
//! H(X) = H(X | K) + H(K) - H(K | X) = sum_k w_k (h_k - log w_k) - E[-sum_k r_k(X) log r_k(X)],
//! where h_k = D/2 (1 + log 2 pi) + log det L_k. Only the last term, the overlap, has no closed
//! form: it vanishes where components stand apart, so errors are relative to the overlap and not
//! to H.

use super::{Component, Entropy, GaussianMixture, Scale};
use crate::data::lattice::{normal_quantile, shifted_mean, Lattice};
use crate::data::quadrature::{integrate, Budget, Estimate, Step};
use crate::data::Truth;
use crate::num::log_sum_exp_slice;

/// Beyond this many standard deviations a component is left out: exp(-7.5^2 / 2) = 6e-13.
const REACH: f64 = 7.5;
/// What leaving them out can change, with room for the logarithms it is multiplied by.
const CUT_OFF: f64 = 1e-10;
/// Component densities that may be computed for one entropy: about a second's work.
const WORK: usize = 100_000_000;
/// Where the lattice stops refining.
const TOLERANCE: f64 = 2e-5;

pub(super) fn entropy(mixture: &GaussianMixture) -> Entropy {
    let dim = mixture.dim as f64;
    let apart: f64 = mixture
        .modes
        .weights
        .iter()
        .zip(&mixture.log_weights)
        .zip(&mixture.components)
        .map(|((w, log_w), c)| w * (0.5 * dim - c.log_norm - log_w))
        .sum();
    if mixture.components.len() == 1 {
        return Entropy {
            value: apart,
            error: 0.0,
        };
    }
    let overlap = match mixture.dim {
        1 => by_quadrature::<1>(mixture),
        2 => by_quadrature::<2>(mixture),
        _ => None,
    }
    .unwrap_or_else(|| by_lattice(mixture));
    Entropy {
        value: apart - overlap.value,
        error: overlap.error + CUT_OFF,
    }
}

/// int p(x) (-sum_k r_k log r_k) dx over cells no wider than two of the smallest standard
/// deviation at hand.
fn by_quadrature<const D: usize>(mixture: &GaussianMixture) -> Option<Estimate> {
    let reach: [(f64, f64); D] = std::array::from_fn(|d| mixture.range(d, REACH));
    let sharpness: Vec<f64> = mixture
        .components
        .iter()
        .map(Component::sharpness)
        .collect();
    let plan = |centre: &[f64; D], half: &[f64; D]| {
        let radius = half.iter().map(|h| h * h).sum::<f64>().sqrt();
        let longest = half.iter().copied().fold(0.0, f64::max);
        let (mut near, mut split) = (Vec::new(), false);
        for (k, (component, sharp)) in mixture.components.iter().zip(&sharpness).enumerate() {
            if component.distance_squared(centre).sqrt() < REACH + radius * sharp {
                near.push(k);
                split |= longest * sharp > 1.0;
            }
        }
        if near.len() < 2 {
            Step::Skip
        } else if split {
            Step::Split
        } else {
            Step::Sum {
                cost: near.len(),
                with: near,
            }
        }
    };
    let budget = Budget {
        visits: WORK / mixture.components.len(),
        work: WORK,
    };
    let mut joint = Vec::new();
    let (low, high) = (reach.map(|r| r.0), reach.map(|r| r.1));
    integrate(low, high, budget, plan, |near: &Vec<usize>, x| {
        joint.clear();
        joint.extend(
            near.iter()
                .map(|&k| mixture.log_weights[k] + mixture.components[k].log_density(x)),
        );
        let total = log_sum_exp_slice(&joint);
        total.exp() * uncertainty(&joint, total)
    })
}

/// E[-sum_k r_k log r_k] over a shifted lattice. The components are taken in turn, each for its
/// share of the points: a stretch of the sequence is as even as its beginning.
fn by_lattice(mixture: &GaussianMixture) -> Estimate {
    let dim = mixture.dim;
    let lattice = Lattice::new(dim);
    let mut x = vec![0.0; dim];
    let mut joint = vec![0.0; mixture.components.len()];
    // Refining by doubling costs twice the last step, and each of 16 shifts visits every point.
    let max_n = WORK / (32 * joint.len() * dim);
    shifted_mean(dim + 1, TOLERANCE, max_n, |n, shift| {
        let mut sum = 0.0;
        for i in 0..n {
            let component = mixture.modes.at((i as f64 + shift[0]) / n as f64);
            lattice.point(i, &shift[1..], &mut x);
            x.iter_mut().for_each(|u| *u = normal_quantile(*u));
            mixture.components[component].place(&mut x);
            mixture.log_joint(&x, &mut joint);
            sum += uncertainty(&joint, log_sum_exp_slice(&joint));
        }
        sum / n as f64
    })
}

/// -sum_k r_k log r_k for log r_k = joint_k - total; 0 where the density vanishes.
fn uncertainty(joint: &[f64], total: f64) -> f64 {
    if total == f64::NEG_INFINITY {
        return 0.0;
    }
    joint
        .iter()
        .map(|v| total - v)
        .filter(|gap| gap.is_finite())
        .map(|gap| gap * (-gap).exp())
        .sum()
}

impl Component {
    /// The largest singular value of L^-1, one over the smallest standard deviation of any
    /// direction; exact for D <= 2.
    fn sharpness(&self) -> f64 {
        match &self.scale {
            Scale::Diagonal { inverse, .. } => inverse.iter().copied().fold(0.0, f64::max),
            Scale::Full { inverse, .. } => {
                let trace: f64 = inverse.iter().map(|w| w * w).sum();
                let det: f64 = if self.mean.len() == 2 {
                    inverse[0] * inverse[2]
                } else {
                    0.0
                };
                let root = (trace * trace - 4.0 * det * det).max(0.0).sqrt();
                ((trace + root) / 2.0).sqrt()
            }
        }
    }
}
