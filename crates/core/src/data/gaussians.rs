//! Mixtures of Gaussians: `ring`, `grid` and `mixture`, the last also of Student t components.

use std::f64::consts::TAU;

use nalgebra::DMatrix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{self, MAX_MODES};
use super::law::{hull, square, Mixture, Modes, Piece, Settings, Truth};
use super::student_t::StudentT;
use super::Entropy;
use crate::bijections::PerCoordinate;
use crate::error::BadValue;
use crate::num::LN_2PI;
use crate::rng::Rng;

const MAX_SIDE: usize = 300;
const MAX_DIM: usize = 10_000;

/// `ring = { modes = 8, radius = 2.828854314002829, std = 0.3536067892503536 }`
///
/// p(x) = sum_k w_k N(x; r (cos(2 pi k / K), sin(2 pi k / K)), s^2 I), x in R^2. The defaults are
/// the "8gaussians" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367) as released: 4 and 0.5
/// divided by 1.414.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RingSpec {
    /// K, the number of Gaussians. Mode k stands at the angle 2 pi k / K.
    pub modes: usize,
    /// r, the radius of the circle.
    pub radius: f64,
    /// s, the standard deviation of every Gaussian.
    pub std: f64,
    /// w_k, one per mode; equal if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
}

impl Default for RingSpec {
    fn default() -> Self {
        Self {
            modes: 8,
            radius: 4.0 / 1.414,
            std: 0.5 / 1.414,
            weights: None,
        }
    }
}

impl Settings for RingSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("modes", self.modes, 1, MAX_MODES)?;
        checks::length("radius", self.radius)?;
        checks::length("std", self.std)?;
        checks::optional_weights(self.weights.as_ref(), self.modes, "modes")?;
        let mean = |k: usize| {
            let (sin, cos) = (TAU * k as f64 / self.modes as f64).sin_cos();
            [self.radius * cos, self.radius * sin]
        };
        let weights = self.weights.as_deref();
        Ok(round(weights, self.std, (0..self.modes).map(mean)))
    }
}

/// `grid = { side = 5, spacing = 1.0, std = 0.1 }`
///
/// p(x) = K^-2 sum_ij N(x; d (i - c, j - c), s^2 I) with i, j in 0..K and c = (K - 1) / 2, x in
/// R^2: at the defaults the 25 Gaussians, ten standard deviations apart, with which mode
/// dropping is commonly shown (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761). Their
/// published spacing is 40 standard deviations: `spacing = 2.0, std = 0.05`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GridSpec {
    /// K, the number of Gaussians along each side. Mode i K + j stands in column i, row j.
    pub side: usize,
    /// d, the distance between neighbours.
    pub spacing: f64,
    /// s, the standard deviation of every Gaussian.
    pub std: f64,
}

impl Default for GridSpec {
    fn default() -> Self {
        Self {
            side: 5,
            spacing: 1.0,
            std: 0.1,
        }
    }
}

impl Settings for GridSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("side", self.side, 1, MAX_SIDE)?;
        checks::length("spacing", self.spacing)?;
        checks::length("std", self.std)?;
        let middle = (self.side as f64 - 1.0) / 2.0;
        let at = |i: usize| self.spacing * (i as f64 - middle);
        let mean = |k: usize| [at(k / self.side), at(k % self.side)];
        Ok(round(None, self.std, (0..self.side * self.side).map(mean)))
    }
}

/// Gaussians of one width in the plane, equal ones where no weights are given.
fn round(weights: Option<&[f64]>, std: f64, means: impl Iterator<Item = [f64; 2]>) -> Truth {
    let gaussian = |mean: [f64; 2]| Gaussian::diagonal(mean.into(), vec![std; 2]);
    let gaussians: Vec<_> = means.map(gaussian).collect();
    mixture(Modes::or_equal(weights, gaussians.len()), gaussians)
}

/// `mixture = { weights = [0.3, 0.7], means = [[-1.0, 0.0], [1.0, 0.5]], std_devs = [0.2, 0.4] }`
///
/// p(x) = sum_k w_k N(x; m_k, C_k), x in R^D for any D >= 1. Either `std_devs` or `covariances`
/// says how wide the components are. With `degrees` = n the coordinates of a component are independent and
/// (x_d - m_kd) / s_kd is Student t.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixtureSpec {
    /// w_k > 0, one per component; they sum to one.
    pub weights: Vec<f64>,
    /// m_k, D coordinates each.
    pub means: Vec<Vec<f64>>,
    /// Standard deviations: one number per component for all its coordinates, or D numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std_devs: Option<Vec<PerCoordinate>>,
    /// C_k, symmetric and positive definite, D rows of D numbers each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariances: Option<Vec<Vec<Vec<f64>>>>,
    /// n, degrees of freedom of Student t components whose scales are the `std_devs`; normal if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrees: Option<f64>,
}

impl Settings for MixtureSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        let dim = self.check_means()?;
        checks::weights(&self.weights, self.means.len(), "means")?;
        let wrong = |key: &str, got: &str| BadValue::new(key, "`std_devs` or `covariances`", got);
        if let Some(degrees) = self.degrees {
            return self.student_t(dim, degrees);
        }
        let gaussians = match (&self.std_devs, &self.covariances) {
            (Some(typed), None) => self.per_mean("std_devs", typed, |mean, std, name| {
                Ok(Gaussian::diagonal(mean, std_devs(name, dim, std)?))
            }),
            (None, Some(typed)) => self.per_mean("covariances", typed, |mean, matrix, name| {
                Ok(Gaussian::full(mean, cholesky(name, dim, matrix)?))
            }),
            (None, None) => Err(wrong("std_devs", "neither")),
            (Some(_), Some(_)) => Err(wrong("covariances", "both")),
        };
        Ok(mixture(Modes::new(&self.weights), gaussians?))
    }
}

impl MixtureSpec {
    fn check_means(&self) -> Result<usize, BadValue> {
        const KEY: &str = "means";
        checks::list(KEY, self.means.len(), MAX_MODES)?;
        let dim = self.means[0].len();
        BadValue::unless(
            (1..=MAX_DIM).contains(&dim),
            KEY,
            &format!("between 1 and {MAX_DIM} coordinates in each of the `means`"),
            format_args!("{dim} in means[0]"),
        )?;
        for (k, mean) in self.means.iter().enumerate() {
            BadValue::unless(
                mean.len() == dim,
                KEY,
                &format!("{dim} coordinates in each of the `means`, as in the first"),
                format_args!("{} in means[{k}]", mean.len()),
            )?;
            checks::coordinates(KEY, &format!("means[{k}]"), mean)?;
        }
        Ok(dim)
    }

    fn student_t(&self, dim: usize, degrees: f64) -> Result<Truth, BadValue> {
        checks::between("degrees", degrees, 1e-1, 1e6)?;
        let (Some(typed), None) = (&self.std_devs, &self.covariances) else {
            let expected = "`std_devs` alone beside `degrees`";
            return Err(BadValue::new(
                "degrees",
                expected,
                "`covariances`, or neither",
            ));
        };
        let pieces = self.per_mean("std_devs", typed, |mean, scale, name| {
            Ok(StudentT::new(mean, std_devs(name, dim, scale)?, degrees))
        })?;
        Ok(StudentT::mixture(Modes::new(&self.weights), pieces))
    }

    /// One component for each mean and `typed` width; `build` gets the name of the width too.
    fn per_mean<T, P>(
        &self,
        key: &str,
        typed: &[T],
        build: impl Fn(Vec<f64>, &T, &str) -> Result<P, BadValue>,
    ) -> Result<Vec<P>, BadValue> {
        let n = self.means.len();
        let expected = format!("{n} `{key}`, one for each of the means");
        BadValue::unless(typed.len() == n, key, &expected, typed.len())?;
        let pairs = self.means.iter().zip(typed).enumerate();
        pairs
            .map(|(k, (mean, width))| build(mean.clone(), width, &format!("{key}[{k}]")))
            .collect()
    }
}

/// The standard deviations of one component.
fn std_devs(name: &str, dim: usize, typed: &PerCoordinate) -> Result<Vec<f64>, BadValue> {
    const KEY: &str = "std_devs";
    let each = typed.to_vec(dim);
    BadValue::unless(
        each.len() == dim,
        KEY,
        &format!("one number or {dim} for each component"),
        format_args!("{} in {name}", each.len()),
    )?;
    for s in &each {
        checks::length_in(KEY, KEY, name, *s)?;
    }
    Ok(each)
}

/// The lower triangular L with L L^T = `matrix`, if this is a covariance: no pivot may be below
/// 1e-12 of its variance.
fn cholesky(name: &str, dim: usize, matrix: &[Vec<f64>]) -> Result<DMatrix<f64>, BadValue> {
    let fault = |expected: String, got: String| BadValue::new("covariances", expected, got);
    let shape = format!("{dim} rows of {dim} numbers in {name}");
    if matrix.len() != dim {
        return Err(fault(shape, format!("{} rows", matrix.len())));
    }
    for (i, row) in matrix.iter().enumerate() {
        if row.len() != dim {
            return Err(fault(shape, format!("{} numbers in row {i}", row.len())));
        }
        if !(1e-12..=1e12).contains(&row[i]) {
            return Err(fault(
                format!("variances between 1e-12 and 1e12 on the diagonal of {name}"),
                format!("{} in row {i}", row[i]),
            ));
        }
        for (j, other) in matrix.iter().enumerate().take(i) {
            let scale = (row[i] * matrix[j][j]).sqrt();
            let apart = (row[j] - other[i]).abs();
            if apart.is_nan() || apart > 1e-9 * scale {
                return Err(fault(
                    format!("a symmetric matrix in {name}"),
                    format!("{} at [{i}][{j}] and {} at [{j}][{i}]", row[j], other[i]),
                ));
            }
        }
    }
    let typed = DMatrix::from_fn(dim, dim, |i, j| matrix[i][j]);
    let factor = typed.clone().cholesky().map(|found| found.unpack());
    let sound = |l: &DMatrix<f64>| (0..dim).all(|i| l[(i, i)] * l[(i, i)] > 1e-12 * typed[(i, i)]);
    factor.filter(sound).ok_or_else(|| {
        let smallest = typed.symmetric_eigenvalues().min();
        fault(
            format!("a positive definite matrix in {name}"),
            format!("one whose smallest eigenvalue is {smallest:e}"),
        )
    })
}

/// N(m, L L^T), with L lower triangular.
struct Gaussian {
    mean: Vec<f64>,
    scale: Scale,
    /// -log det L - D/2 log(2 pi)
    log_norm: f64,
}

enum Scale {
    /// Standard deviations and their reciprocals.
    Diagonal { std: Vec<f64>, inverse: Vec<f64> },
    /// L and its inverse.
    Full {
        factor: DMatrix<f64>,
        inverse: DMatrix<f64>,
    },
}

/// Row `i` of a lower triangular matrix, up to the diagonal.
fn row(matrix: &DMatrix<f64>, i: usize) -> impl Iterator<Item = f64> + '_ {
    (0..=i).map(move |j| matrix[(i, j)])
}

impl Gaussian {
    /// Independent coordinates with these standard deviations.
    fn diagonal(mean: Vec<f64>, std: Vec<f64>) -> Self {
        Self {
            log_norm: log_norm(std.iter().copied()),
            scale: Scale::Diagonal {
                inverse: std.iter().map(|s| 1.0 / s).collect(),
                std,
            },
            mean,
        }
    }

    /// Covariance L L^T for a `factor` L from [`cholesky`], whose diagonal is positive.
    fn full(mean: Vec<f64>, factor: DMatrix<f64>) -> Self {
        let diagonal: Vec<f64> = factor.diagonal().iter().copied().collect();
        let mut inverse = DMatrix::identity(mean.len(), mean.len());
        factor.solve_lower_triangular_unchecked_mut(&mut inverse);
        Self {
            log_norm: log_norm(diagonal.into_iter()),
            scale: Scale::Full { factor, inverse },
            mean,
        }
    }

    /// Calls `each` with the coordinates of L^-1 (x - m) and their numbers.
    fn whiten(&self, x: &[f64], mut each: impl FnMut(usize, f64)) {
        let centred = || x.iter().zip(&self.mean).map(|(x, m)| x - m);
        match &self.scale {
            Scale::Diagonal { inverse, .. } => {
                let scaled = centred().zip(inverse).map(|(c, w)| c * w);
                scaled.enumerate().for_each(|(i, y)| each(i, y));
            }
            Scale::Full { inverse, .. } => {
                for i in 0..x.len() {
                    each(i, row(inverse, i).zip(centred()).map(|(w, c)| w * c).sum());
                }
            }
        }
    }

    /// The interval of `deviations` standard deviations around the mean in coordinate `d`.
    fn range(&self, d: usize, deviations: f64) -> (f64, f64) {
        let std = match &self.scale {
            Scale::Diagonal { std, .. } => std[d],
            Scale::Full { factor, .. } => row(factor, d).map(|l| l * l).sum::<f64>().sqrt(),
        };
        let reach = deviations * std;
        (self.mean[d] - reach, self.mean[d] + reach)
    }
}

fn log_norm(scales: impl ExactSizeIterator<Item = f64>) -> f64 {
    let constant = -0.5 * scales.len() as f64 * LN_2PI;
    constant - scales.map(f64::ln).sum::<f64>()
}

impl Piece for Gaussian {
    /// log N(x; m, L L^T) = log_norm - |L^-1 (x - m)|^2 / 2
    fn log_height(&self, x: &[f64]) -> f64 {
        let mut squares = 0.0;
        self.whiten(x, |_, y| squares += y * y);
        self.log_norm - 0.5 * squares
    }

    /// -L^-T L^-1 (x - m)
    fn add_gradient(&self, x: &[f64], share: f64, out: &mut [f64]) {
        self.whiten(x, |i, y| match &self.scale {
            Scale::Diagonal { inverse, .. } => out[i] -= share * y * inverse[i],
            Scale::Full { inverse, .. } => {
                for (out, w) in out.iter_mut().zip(row(inverse, i)) {
                    *out -= share * y * w;
                }
            }
        });
    }

    /// m + L z for a standard normal z.
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        x.fill_with(|| rng.normal());
        match &self.scale {
            Scale::Diagonal { std, .. } => {
                for ((z, m), s) in x.iter_mut().zip(&self.mean).zip(std) {
                    *z = m + s * *z;
                }
            }
            Scale::Full { factor, .. } => {
                // From the last row upwards: each needs the z of its own and of earlier rows.
                for i in (0..x.len()).rev() {
                    let step: f64 = row(factor, i).zip(&*x).map(|(l, z)| l * z).sum();
                    x[i] = self.mean[i] + step;
                }
            }
        }
    }
}

/// sum_k w_k N(m_k, L_k L_k^T)
fn mixture(modes: Modes, gaussians: Vec<Gaussian>) -> Truth {
    let dim = gaussians[0].mean.len();
    let ranges = gaussians.iter().map(|g| [0, 1].map(|d| g.range(d, 4.0)));
    let view = (dim == 2).then(|| square(hull(ranges)));
    // The entropy of one Gaussian has a closed form, D/2 + D/2 log(2 pi) + log det L.
    let entropy = match gaussians.as_slice() {
        [one] => Some(Entropy::exact(0.5 * dim as f64 - one.log_norm)),
        _ => None,
    };
    let weights = modes.weights.clone();
    let law = Truth::new(dim, weights, Mixture::new(modes, gaussians));
    Truth { view, ..law }.with_entropy(entropy)
}
