//! The law of a relaxed sample on a grid, by quadrature over relaxed weights.

use std::f64::consts::PI;

use statrs::function::gamma::{digamma, ln_gamma};

use super::{RelaxedRow, StudyMixture};
use crate::data::quadrature::GaussLegendre;
use crate::num::{log_sum_exp_slice, LN_2PI};
use crate::{Error, Result};

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Standard deviations beyond the outermost means that the grid reaches.
const REACH: f64 = 9.5;

/// Grid points to the smallest standard deviation.
const FINENESS: f64 = 20.0;

/// Largest log ratio of shares: beyond, a component's share is 0 to double precision.
const FAR: f64 = 40.0;

/// Quadrature nodes of a panel.
const NODES: usize = 12;

/// p(z) = E_c\[N(z; c.mu, c.sigma)\] at one temperature, by quadrature over c on equal steps of z, and
/// what follows from it by sums over the steps (which converge faster than any power).
#[derive(Debug, Clone)]
pub struct RelaxedLaw {
    low: f64,
    step: f64,
    log_p: Vec<f64>,
    /// The law in numbers.
    pub row: RelaxedRow,
}

impl RelaxedLaw {
    /// # Errors
    /// If the mass is not 1 to 1e-7: components too far apart for the quadrature.
    pub fn new(mixture: &StudyMixture, temperature: f64) -> Result<Self> {
        let (low, high) = mixture.ends(REACH);
        let step = mixture.narrowest() / FINENESS;
        let cells = ((high - low) / step).ceil() as usize + 1;
        // p and E_c[p(z | c)^2].
        let mut p = vec![[0.0; 2]; cells];
        let (mut log_sums, mut log_stds) = (0.0, 0.0);
        over_weights(mixture, temperature, |weight, c, log_sum| {
            let dot = |v: &[f64]| c.iter().zip(v).map(|(c, v)| c * v).sum::<f64>();
            let (mean, std) = (dot(&mixture.means), dot(&mixture.std_devs));
            log_sums += weight * log_sum;
            log_stds += weight * std.ln();
            if weight > 1e-40 {
                let at = ((mean - low) / step, std / step);
                add_gaussian(&mut p, weight, at, step);
            }
        });
        let (p, p_squared): (Vec<f64>, Vec<f64>) = p.into_iter().map(|[p, q]| (p, q)).unzip();
        let mass = p.iter().sum::<f64>() * step;
        if !((mass - 1.0).abs() < 1e-7) {
            return Err(Error::failed(format!(
                "the relaxed mixture at temperature {temperature}: expected mass 1 by quadrature; \
                 got {mass} (try means nearer to each other, or other temperatures)"
            )));
        }
        let log_p: Vec<f64> = p.iter().map(|p| p.ln()).collect();
        let z = |i: usize| low + step * i as f64;
        let log_m: Vec<f64> = (0..cells).map(|i| log_mixture(mixture, z(i))).collect();
        let over = |f: &dyn Fn(usize) -> f64| step * (0..cells).map(f).sum::<f64>();
        // Where p = 0, its terms vanish.
        let inside = |f: &dyn Fn(usize) -> f64| over(&|i| if p[i] > 0.0 { f(i) } else { 0.0 });
        let entropy = inside(&|i| -p[i] * log_p[i]);
        let exact_mixture = over(&|i| -p[i] * log_m[i]);
        let mean = over(&|i| p[i] * z(i));
        let k = mixture.weights.len() as f64;
        let sum_log_alpha: f64 = mixture.weights.iter().map(|w| w.ln()).sum();
        // Entropy of the log ratios, and E sum_k log c_k, which leads to the simplex.
        let log_ratios = -ln_gamma(k) - (k - 1.0) * temperature.ln() + k * (EULER + digamma(k));
        let weights = log_ratios + sum_log_alpha / temperature - k * log_sums;
        let joint_entropy = weights + 0.5 * (LN_2PI + 1.0) + log_stds;
        let row = RelaxedRow {
            temperature,
            entropy,
            exact_mixture,
            kl_to_mixture: exact_mixture - entropy,
            kl_from_mixture: inside(&|i| log_m[i].exp() * (log_m[i] - log_p[i])),
            total_variation: 0.5 * over(&|i| (p[i] - log_m[i].exp()).abs()),
            mean,
            variance: over(&|i| p[i] * (z(i) - mean).powi(2)),
            joint_entropy,
            conditional_entropy: joint_entropy - entropy,
            chi2: inside(&|i| p_squared[i] / p[i]) - 1.0,
        };
        Ok(Self {
            low,
            step,
            log_p,
            row,
        })
    }

    /// log p(z), nats, by the cubic through the four nearest grid points; constant beyond the grid.
    pub fn log_p(&self, z: f64) -> f64 {
        let last = self.log_p.len() - 1;
        let at = ((z - self.low) / self.step).clamp(0.0, last as f64);
        let first = (at.floor() as usize).clamp(1, last - 2) - 1;
        let t = at - first as f64;
        let near = &self.log_p[first..first + 4];
        let (a, b, c, d) = (t, t - 1.0, t - 2.0, t - 3.0);
        near[0] * (b * c * d / -6.0)
            + near[1] * (a * c * d / 2.0)
            + near[2] * (a * b * d / -2.0)
            + near[3] * (a * b * c / 6.0)
    }
}

/// Adds weight N(z; mean, std) to the first of each `cells` and weight N(z; mean, std)^2 to the second;
/// mean and std are in steps.
fn add_gaussian(cells: &mut [[f64; 2]], weight: f64, (mean, std): (f64, f64), step: f64) {
    let top = 1.0 / (std * step * (2.0 * PI).sqrt());
    let first = (mean - REACH * std).max(0.0) as usize;
    let last = (mean + REACH * std).max(0.0) as usize;
    for (i, [p, p_squared]) in cells.iter_mut().enumerate().take(last + 1).skip(first) {
        let x = (i as f64 - mean) / std;
        let density = top * (-0.5 * x * x).exp();
        *p += weight * density;
        *p_squared += weight * density * density;
    }
}

/// log sum_k alpha_k N(z; mu_k, sigma_k).
fn log_mixture(mixture: &StudyMixture, z: f64) -> f64 {
    let terms = mixture
        .weights
        .iter()
        .zip(&mixture.means)
        .zip(&mixture.std_devs);
    let terms = terms.map(|((w, m), s)| {
        let x = (z - m) / s;
        w.ln() - s.ln() - 0.5 * (x * x + LN_2PI)
    });
    log_sum_exp_slice(&terms.collect::<Vec<_>>())
}

/// A node of the quadrature over u = ln(c_j / c_k), where k has the largest share; or one for all u below
/// -[`FAR`] at once.
struct Node {
    /// c_j / c_k.
    ratio: f64,
    /// log(alpha_j (c_k / c_j)^tau), at the near end of all u below -[`FAR`].
    log_a: f64,
    /// Log of the quadrature weight; none for all u below -[`FAR`].
    log_step: Option<f64>,
}

/// Nodes for one component beside the largest. The panels are narrow enough for the mixed Gaussian,
/// whose mean moves by at most `steepness` standard deviations per unit of the ratio.
fn nodes(log_alpha: f64, tau: f64, steepness: f64, rule: &GaussLegendre) -> Vec<Node> {
    let widest = f64::min(2.0, 2.0 / tau);
    let node = |below: f64, ratio, log_step| Node {
        ratio,
        log_a: log_alpha + tau * below,
        log_step,
    };
    let mut all = vec![node(FAR, 0.0, None)];
    let mut depth = 0.0;
    while depth < FAR && log_alpha.is_finite() {
        let width = f64::min(widest, 6.0 / steepness * f64::exp(depth)).min(FAR - depth);
        for (at, weight) in rule.nodes.iter().zip(&rule.weights) {
            let below = depth + width * at;
            all.push(node(below, (-below).exp(), Some((weight * width).ln())));
        }
        depth += width;
    }
    all
}

/// Calls `visit` with the weight, the shares c and log sum_j c_j / max c of every node of a
/// quadrature of E_c\[h(c)\], c ~ Concrete(alpha, tau), K = 2 or 3.
///
/// By sectors, in each of which one share is the largest: with u_j = ln(c_j / c_k) < 0 and
/// a_j = alpha_j e^(-tau u_j), a_k = alpha_k, the density of the K - 1 ratios is
/// Gamma(K) tau^(K-1) prod_j a_j / (sum_j a_j)^K. Where u_j is so low that c_j is 0, it is
/// integrated away: of m ratios left the density is Gamma(m + 1) tau^m prod_j a_j / (sum_j a_j)^(m+1).
pub(super) fn over_weights(
    mixture: &StudyMixture,
    tau: f64,
    mut visit: impl FnMut(f64, &[f64], f64),
) {
    let rule = GaussLegendre::new(NODES);
    let (low, high) = mixture.ends(0.0);
    let steepness = f64::max(1.0, (high - low) / mixture.narrowest());
    let k = mixture.weights.len();
    // Of two components, the third has weight 0.
    let log_alpha = |j: usize| mixture.weights.get(j).map_or(f64::NEG_INFINITY, |w| w.ln());
    for largest in 0..k {
        let own = log_alpha(largest);
        let others = [usize::from(largest == 0), 2 - usize::from(largest == 2)];
        let [first, second] = others.map(|j| nodes(log_alpha(j), tau, steepness, &rule));
        let pairs = first
            .iter()
            .flat_map(|a| second.iter().map(move |b| [a, b]));
        for chosen in pairs {
            let free = chosen.iter().filter(|p| p.log_step.is_some()).count();
            let top = chosen.iter().map(|p| p.log_a).fold(own, f64::max);
            let rest: f64 = chosen.iter().map(|p| (p.log_a - top).exp()).sum();
            let log_sum = top + (rest + (own - top).exp()).ln();
            let near = chosen.iter().filter_map(|p| Some(p.log_a + p.log_step?));
            let log_weight =
                own + near.sum::<f64>() + free as f64 * tau.ln() - (free + 1) as f64 * log_sum;
            // Gamma(m + 1) is 1 for fewer than two ratios.
            let weight = log_weight.exp() * if free == 2 { 2.0 } else { 1.0 };
            let sum = 1.0 + chosen.iter().map(|p| p.ratio).sum::<f64>();
            let mut c = [0.0; 3];
            c[largest] = 1.0 / sum;
            for (j, place) in others.iter().zip(chosen) {
                c[*j] = place.ratio / sum;
            }
            visit(weight, &c[..k], sum.ln());
        }
    }
}
