//! Deterministic integrals over boxes in one and two dimensions.

use std::f64::consts::PI;

use rayon::prelude::*;

use super::truth::log_density;
use super::{Entropy, Truth};

/// A number computed by quadrature, and how well it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) error: f64,
}

impl Estimate {
    /// As an entropy; the rounding of a sum is added to the error.
    pub(super) fn entropy(self) -> Entropy {
        Entropy {
            value: self.value,
            error: self.error + 1e-11,
        }
    }
}

/// Gauss-Legendre rule on [0, 1]: int_0^1 f ~ sum_i weights[i] f(nodes[i]), exact for
/// polynomials of degree 2 n - 1.
#[derive(Debug)]
pub(crate) struct GaussLegendre {
    pub(crate) nodes: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

impl GaussLegendre {
    /// The roots of the Legendre polynomial P_n, by Newton's method from
    /// cos(pi (i + 3/4) / (n + 1/2)) (Abramowitz and Stegun 22.16.6).
    pub(crate) fn new(n: usize) -> Self {
        let (nodes, weights) = (0..n)
            .map(|i| {
                let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
                for _ in 0..10 {
                    let (value, slope) = legendre(n, x);
                    x -= value / slope;
                }
                let slope = legendre(n, x).1;
                ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
            })
            .unzip();
        Self { nodes, weights }
    }
}

/// P_n(x) and its derivative, by the three-term recurrence.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (
            value,
            ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k,
        );
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

/// What to do with a cell.
#[derive(Debug, Clone)]
pub(super) enum Step<T> {
    /// The integrand vanishes there.
    Skip,
    /// It varies too fast: halve the longest side.
    Split,
    /// It is smooth at this size. One value costs `cost` units of work; `with` is handed to it.
    Sum { cost: usize, with: T },
}

/// What an integral may cost, beyond which it is given up before any value is computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Cells that are looked at.
    pub(super) visits: usize,
    /// Units of work for all values.
    pub(super) work: usize,
}

/// int f over the box, cut into cells as `plan(centre, half sides)` says; each cell gets the
/// tensor product of a 12-point Gauss-Legendre rule, and the error is the difference to an
/// 8-point one. `None` beyond the budget.
pub(super) fn integrate<const D: usize, T>(
    low: [f64; D],
    high: [f64; D],
    budget: Budget,
    plan: impl Fn(&[f64; D], &[f64; D]) -> Step<T>,
    mut f: impl FnMut(&T, &[f64; D]) -> f64,
) -> Option<Estimate> {
    let rules = [GaussLegendre::new(12), GaussLegendre::new(8)];
    let values: usize = rules.iter().map(|r| r.nodes.len().pow(D as u32)).sum();
    let (mut visits, mut work) = (0, 0);
    let mut cells = Vec::new();
    let mut stack = vec![(low, high)];
    while let Some((low, high)) = stack.pop() {
        visits += 1;
        if visits > budget.visits || work > budget.work {
            return None;
        }
        let centre = std::array::from_fn(|d| (low[d] + high[d]) / 2.0);
        let half: [f64; D] = std::array::from_fn(|d| (high[d] - low[d]) / 2.0);
        match plan(&centre, &half) {
            Step::Skip => {}
            Step::Split => {
                let longest = (0..D).fold(0, |a, b| if half[b] > half[a] { b } else { a });
                let (mut left_high, mut right_low) = (high, low);
                left_high[longest] = centre[longest];
                right_low[longest] = centre[longest];
                stack.push((low, left_high));
                stack.push((right_low, high));
            }
            Step::Sum { cost, with } => {
                work += cost * values;
                cells.push((low, half, with));
            }
        }
    }
    let mut sums = [0.0; 2];
    for (low, half, with) in &cells {
        for (sum, rule) in sums.iter_mut().zip(&rules) {
            *sum += cell(rule, low, half, |x| f(with, x));
        }
    }
    Some(Estimate {
        value: sums[0],
        error: (sums[0] - sums[1]).abs(),
    })
}

/// Points that [`trapezoid`] looks at, and values that it computes.
const LOOKED_AT: f64 = 2e7;
const COMPUTED: usize = 400_000;

/// int f over the points of `range` that are `near`: the sum over a square lattice, whose error for an
/// analytic f that vanishes at the border falls as exp(-2 pi^2 s^2 / step^2) with s the width of
/// its features (Trefethen and Weideman 2014, The exponentially convergent trapezoidal rule). The
/// error is the difference to the lattice that is shifted by half a step. `None` where this would
/// take more than about a second.
pub(super) fn trapezoid(
    range: [(f64, f64); 2],
    step: f64,
    near: impl Fn(&[f64; 2]) -> bool + Sync,
    f: impl Fn(&[f64; 2]) -> f64 + Sync,
) -> Option<Estimate> {
    let counts = range.map(|(low, high)| ((high - low) / step).ceil());
    if !(counts[0] * counts[1] < LOOKED_AT) {
        return None;
    }
    let [rows, columns] = counts.map(|c| c as usize);
    let at = |i: usize, j: usize, shift: f64| {
        let place = |d: usize, k: usize| range[d].0 + step * (k as f64 + shift);
        [place(0, i), place(1, j)]
    };
    let row = |i: usize| (0..columns).filter(|j| near(&at(i, *j, 0.25))).count();
    let within: usize = (0..rows).into_par_iter().map(row).sum();
    if within > COMPUTED / 2 {
        return None;
    }
    // Rows are summed side by side, their sums one after the other: always the same bits.
    let sums: Vec<[f64; 2]> = (0..rows)
        .into_par_iter()
        .map(|i| {
            let mut sums = [0.0; 2];
            for j in (0..columns).filter(|j| near(&at(i, *j, 0.25))) {
                sums[0] += f(&at(i, j, 0.0));
                sums[1] += f(&at(i, j, 0.5));
            }
            sums
        })
        .collect();
    let [a, b] = [0, 1].map(|k| step * step * sums.iter().map(|s| s[k]).sum::<f64>());
    Some(Estimate {
        value: 0.5 * (a + b),
        error: (a - b).abs(),
    })
}

/// -int p log p by [`trapezoid`].
pub(super) fn plane_entropy(
    law: &dyn Truth,
    range: [(f64, f64); 2],
    step: f64,
    near: impl Fn(&[f64; 2]) -> bool + Sync,
) -> Option<Estimate> {
    trapezoid(range, step, near, |x| match log_density(law, x) {
        // 0 log 0 = 0
        f64::NEG_INFINITY => 0.0,
        log_p => -log_p.exp() * log_p,
    })
}

fn cell<const D: usize>(
    rule: &GaussLegendre,
    low: &[f64; D],
    half: &[f64; D],
    mut f: impl FnMut(&[f64; D]) -> f64,
) -> f64 {
    let n = rule.nodes.len();
    let volume: f64 = half.iter().map(|h| 2.0 * h).product();
    let mut sum = 0.0;
    for index in 0..n.pow(D as u32) {
        let (mut rest, mut weight, mut x) = (index, 1.0, *low);
        for d in 0..D {
            let i = rest % n;
            rest /= n;
            weight *= rule.weights[i];
            x[d] += 2.0 * half[d] * rule.nodes[i];
        }
        sum += weight * f(&x);
    }
    sum * volume
}

#[cfg(test)]
mod tests {
    use super::{integrate, Budget, GaussLegendre, Step};

    #[test]
    fn gauss_legendre_is_exact_for_polynomials() {
        for n in [1, 2, 5, 24, 32] {
            let rule = GaussLegendre::new(n);
            for degree in 0..2 * n as i32 {
                let got: f64 = rule
                    .nodes
                    .iter()
                    .zip(&rule.weights)
                    .map(|(x, w)| w * x.powi(degree))
                    .sum();
                let want = 1.0 / f64::from(degree + 1);
                assert!((got - want).abs() < 1e-14, "n={n} degree={degree}: {got}");
            }
        }
    }

    #[test]
    fn cells_cover_the_box_once_and_the_budget_holds() {
        let plan = |_: &[f64; 2], half: &[f64; 2]| {
            if half[0].max(half[1]) > 0.2 {
                Step::Split
            } else {
                Step::Sum { cost: 1, with: 2.0 }
            }
        };
        let f = |scale: &f64, x: &[f64; 2]| scale * (x[0] + 2.0 * x[1]).exp();
        let over = |work| {
            let budget = Budget { visits: 100, work };
            integrate([0.0, 0.0], [1.0, 3.0], budget, plan, f)
        };
        let want = (1f64.exp() - 1.0) * (6f64.exp() - 1.0);
        let got = over(100_000).expect("within the budget");
        assert!(
            (got.value - want).abs() < 1e-10 && got.error < 1e-9,
            "{got:?}"
        );
        assert!(over(1000).is_none());
    }
}
