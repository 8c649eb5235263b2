//! A finite mixture of Gaussians in any dimension: what `ring`, `grid` and `mixture` build.

mod entropy;

use std::f64::consts::PI;
use std::sync::OnceLock;

use super::sampling::{square_view, Frame, Modes, Sampler};
use super::truth::normalise;
use super::{Entropy, Support, Truth};
use crate::rng::Rng;

/// N(m, L L^T), with L lower triangular.
#[derive(Debug)]
pub(super) struct Component {
    mean: Vec<f64>,
    scale: Scale,
    /// -log det L - D/2 log(2 pi)
    log_norm: f64,
}

#[derive(Debug)]
enum Scale {
    /// Standard deviations and their reciprocals.
    Diagonal { std: Vec<f64>, inverse: Vec<f64> },
    /// L and its inverse, row by row without the zeros: row i begins at i (i + 1) / 2.
    Full { factor: Vec<f64>, inverse: Vec<f64> },
}

impl Component {
    /// Independent coordinates with these standard deviations.
    pub(super) fn diagonal(mean: Vec<f64>, std: &[f64]) -> Self {
        Self {
            log_norm: log_norm(std.iter().copied()),
            scale: Scale::Diagonal {
                std: std.to_vec(),
                inverse: std.iter().map(|s| 1.0 / s).collect(),
            },
            mean,
        }
    }

    /// Covariance L L^T for a `factor` L from [`cholesky`].
    pub(super) fn full(mean: Vec<f64>, factor: Vec<f64>) -> Self {
        let diagonal = (0..mean.len()).map(|i| factor[packed(i, i)]);
        Self {
            log_norm: log_norm(diagonal),
            scale: Scale::Full {
                inverse: invert(&factor, mean.len()),
                factor,
            },
            mean,
        }
    }

    /// log N(x; m, L L^T) = log_norm - |L^-1 (x - m)|^2 / 2
    fn log_density(&self, x: &[f64]) -> f64 {
        self.log_norm - 0.5 * self.distance_squared(x)
    }

    /// |L^-1 (x - m)|^2
    fn distance_squared(&self, x: &[f64]) -> f64 {
        match &self.scale {
            Scale::Diagonal { inverse, .. } => x
                .iter()
                .zip(&self.mean)
                .zip(inverse)
                .map(|((x, m), w)| ((x - m) * w).powi(2))
                .sum(),
            Scale::Full { inverse, .. } => rows(inverse, self.mean.len())
                .map(|row| {
                    let centred = x.iter().zip(&self.mean).map(|(x, m)| x - m);
                    row.iter().zip(centred).map(|(w, c)| w * c).sum::<f64>()
                })
                .map(|y| y * y)
                .sum(),
        }
    }

    /// Adds r d log N(x; m, L L^T) / dx = -r L^-T L^-1 (x - m) to `out`.
    fn add_gradient(&self, x: &[f64], r: f64, out: &mut [f64]) {
        match &self.scale {
            Scale::Diagonal { inverse, .. } => {
                for (((out, x), m), w) in out.iter_mut().zip(x).zip(&self.mean).zip(inverse) {
                    *out -= r * ((x - m) * w) * w;
                }
            }
            Scale::Full { inverse, .. } => {
                for row in rows(inverse, self.mean.len()) {
                    let centred = x.iter().zip(&self.mean).map(|(x, m)| x - m);
                    let y: f64 = row.iter().zip(centred).map(|(w, c)| w * c).sum();
                    for (out, w) in out.iter_mut().zip(row) {
                        *out -= r * y * w;
                    }
                }
            }
        }
    }

    /// Replaces z by x = m + L z.
    fn place(&self, z: &mut [f64]) {
        match &self.scale {
            Scale::Diagonal { std, .. } => {
                for ((z, m), s) in z.iter_mut().zip(&self.mean).zip(std) {
                    *z = m + s * *z;
                }
            }
            Scale::Full { factor, .. } => {
                // From the last row upwards: each needs the z of its own and of earlier rows.
                for i in (0..z.len()).rev() {
                    let row = &factor[packed(i, 0)..=packed(i, i)];
                    z[i] = self.mean[i] + row.iter().zip(&*z).map(|(l, z)| l * z).sum::<f64>();
                }
            }
        }
    }

    /// Standard deviation of coordinate `d`.
    fn std(&self, d: usize) -> f64 {
        match &self.scale {
            Scale::Diagonal { std, .. } => std[d],
            Scale::Full { factor, .. } => {
                let row = &factor[packed(d, 0)..=packed(d, d)];
                row.iter().map(|l| l * l).sum::<f64>().sqrt()
            }
        }
    }
}

fn log_norm(scales: impl ExactSizeIterator<Item = f64>) -> f64 {
    let constant = -0.5 * scales.len() as f64 * (2.0 * PI).ln();
    constant - scales.map(f64::ln).sum::<f64>()
}

/// Place of L_ij, j <= i, in a factor.
fn packed(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

fn rows(factor: &[f64], dim: usize) -> impl Iterator<Item = &[f64]> {
    (0..dim).map(|i| &factor[packed(i, 0)..=packed(i, i)])
}

/// The lower triangular L with L L^T = `matrix` (symmetric), or the first row whose pivot is not
/// above 1e-12 of its variance, with that pivot.
pub(super) fn cholesky(matrix: &[Vec<f64>]) -> std::result::Result<Vec<f64>, (usize, f64)> {
    let mut factor: Vec<f64> = Vec::with_capacity(packed(matrix.len(), 0));
    for (i, row) in matrix.iter().enumerate() {
        for j in 0..=i {
            let known: f64 = (0..j)
                .map(|k| factor[packed(i, k)] * factor[packed(j, k)])
                .sum();
            let rest = row[j] - known;
            if j < i {
                factor.push(rest / factor[packed(j, j)]);
            } else if rest > 1e-12 * row[i] && rest > 0.0 {
                factor.push(rest.sqrt());
            } else {
                return Err((i, rest));
            }
        }
    }
    Ok(factor)
}

/// L^-1, column by column by forward substitution.
fn invert(factor: &[f64], dim: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; factor.len()];
    for j in 0..dim {
        for i in j..dim {
            let known: f64 = (j..i)
                .map(|k| factor[packed(i, k)] * inverse[packed(k, j)])
                .sum();
            let unit = if i == j { 1.0 } else { 0.0 };
            inverse[packed(i, j)] = (unit - known) / factor[packed(i, i)];
        }
    }
    inverse
}

/// p(x) = sum_k w_k N(x; m_k, L_k L_k^T)
#[derive(Debug)]
pub(super) struct GaussianMixture {
    dim: usize,
    modes: Modes,
    components: Vec<Component>,
    log_weights: Vec<f64>,
    entropy: OnceLock<Entropy>,
}

impl GaussianMixture {
    /// One component per mode, each of `dim` coordinates.
    pub(super) fn new(dim: usize, modes: Modes, components: Vec<Component>) -> Self {
        Self {
            dim,
            log_weights: modes.weights.iter().map(|w| w.ln()).collect(),
            modes,
            components,
            entropy: OnceLock::new(),
        }
    }

    /// The smallest interval that holds `deviations` standard deviations of every component in
    /// coordinate `d`.
    fn range(&self, d: usize, deviations: f64) -> (f64, f64) {
        self.components
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), c| {
                let reach = deviations * c.std(d);
                (low.min(c.mean[d] - reach), high.max(c.mean[d] + reach))
            })
    }
}

impl Sampler for GaussianMixture {
    fn frame(&self) -> Frame {
        Frame {
            dim: self.dim,
            view: (self.dim == 2).then(|| square_view([self.range(0, 4.0), self.range(1, 4.0)])),
        }
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let k = self.modes.draw(rng);
        x.fill_with(|| rng.normal());
        self.components[k].place(x);
        k
    }
}

impl Truth for GaussianMixture {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        if !x.iter().all(|v| v.is_finite()) {
            out.fill(f64::NEG_INFINITY);
            return;
        }
        for ((out, component), w) in out.iter_mut().zip(&self.components).zip(&self.log_weights) {
            *out = w + component.log_density(x);
        }
    }

    /// sum_k P(k | x) d log N_k(x) / dx
    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        let mut shares = vec![0.0; self.components.len()];
        self.log_joint(x, &mut shares);
        normalise(&mut shares);
        for (component, r) in self.components.iter().zip(&shares) {
            if *r > 0.0 {
                component.add_gradient(x, *r, out);
            }
        }
    }

    fn support(&self) -> Support {
        Support::Everywhere
    }

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| entropy::entropy(self))
    }
}
