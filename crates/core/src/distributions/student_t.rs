//! Independent Student t distributions with trainable degrees of freedom: a base for data with heavy
//! tails.

use candle_core::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Distribution, Draws, Settings};
use crate::error::BadValue;
use crate::nn::{Extent, Params};
use crate::num;
use crate::rng::Rng;
use crate::Result;

/// Training keeps the degrees of freedom between these.
const DEGREES: (f64, f64) = (0.5, 1e4);

/// `base.student_t = { degrees = 10 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudentTSpec {
    /// Degrees of freedom of every coordinate at the start; training moves each.
    pub degrees: f64,
}

impl Default for StudentTSpec {
    fn default() -> Self {
        Self { degrees: 10.0 }
    }
}

impl Settings for StudentTSpec {
    fn check(&self) -> Result<(), BadValue> {
        BadValue::within("degrees", self.degrees, DEGREES.0, DEGREES.1)
    }

    fn extent(&self, dim: usize, _drawn: Option<usize>) -> Extent {
        Extent::layer(dim, dim as f64)
    }

    fn build(
        &self,
        params: &Params,
        dim: usize,
        _points: Option<&Tensor>,
    ) -> Result<Box<dyn Distribution>> {
        Ok(Box::new(StudentT::new(params, dim, self.degrees)?))
    }
}

/// Every coordinate has a Student t distribution of its own with n degrees of freedom (Jaini et al.
/// 2020; Laszkiewicz et al. 2022):
///
/// log p(z) = sum_d ln G((n_d + 1) / 2) - ln G(n_d / 2) - ln(pi n_d) / 2
///          - (n_d + 1) / 2 ln(1 + z_d^2 / n_d), G the gamma function.
///
/// A point far out costs the logarithm of its distance, not the square.
pub struct StudentT {
    /// ln n: (1, D).
    log_degrees: Tensor,
}

impl StudentT {
    /// Over `dim` coordinates, with the same degrees of freedom at the start.
    pub fn new(params: &Params, dim: usize, degrees: f64) -> Result<Self> {
        let log_degrees = params.param("log_degrees", (1, dim), true, |_| {
            Ok(Tensor::from_vec(
                vec![degrees.ln(); dim],
                (1, dim),
                &Device::Cpu,
            )?)
        })?;
        Ok(Self { log_degrees })
    }

    /// n: (1, D).
    fn degrees(&self) -> Result<Tensor> {
        Ok(self
            .log_degrees
            .clamp(DEGREES.0.ln(), DEGREES.1.ln())?
            .exp()?)
    }
}

/// ln G(v + 1/2) - ln G(v) for v > 0, without the difference of large numbers: G(v + 1) = v G(v) leads
/// to y = v + 8, where the series in 1 / y (exact to 1e-10) begins.
fn log_gamma_step(v: &Tensor) -> Result<Tensor> {
    const SHIFT: usize = 8;
    let y = (v + SHIFT as f64)?;
    let u = y.recip()?;
    let square = u.sqr()?;
    // -1/8, 1/192, -1/640, 17/14336 times y^-1, y^-3, y^-5, y^-7.
    let mut series = square.affine(17.0 / 14336.0, -1.0 / 640.0)?;
    for coefficient in [1.0 / 192.0, -1.0 / 8.0] {
        series = ((series * &square)? + coefficient)?;
    }
    let mut sum = ((y.log()? * 0.5)? + (series * u)?)?;
    for k in 0..SHIFT {
        let ratio = ((v + k as f64)?.recip()? * 0.5)?;
        sum = (sum - (ratio + 1.0)?.log()?)?;
    }
    Ok(sum)
}

impl Distribution for StudentT {
    fn dim(&self) -> usize {
        self.log_degrees.elem_count()
    }

    fn log_prob(&self, z: &Tensor) -> Result<Tensor> {
        num::expect_points("student_t", z, self.dim())?;
        let degrees = self.degrees()?;
        let log_scale = ((&degrees * std::f64::consts::PI)?.log()? * 0.5)?;
        let constant = (log_gamma_step(&(&degrees * 0.5)?)? - log_scale)?;
        let distance = (z.sqr()?.broadcast_div(&degrees)? + 1.0)?.log()?;
        let falls = distance.broadcast_mul(&degrees.affine(0.5, 0.5)?)?;
        num::row_sum(&falls.neg()?.broadcast_add(&constant)?)
    }

    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        let degrees = num::to_vec(&self.degrees()?)?;
        let rows = (0..n).flat_map(|_| degrees.iter());
        let rows: Vec<f64> = rows.map(|degrees| rng.student_t(*degrees)).collect();
        let like = &self.log_degrees;
        num::from_rows(&rows, self.dim(), like.dtype(), like.device())
    }

    /// The degrees of freedom have no path through z: they are scored.
    fn draws(&self, n: usize, _progress: f64, rng: &mut Rng) -> Result<Draws> {
        let z = self.sample(n.max(2), rng)?;
        let log_prob = self.log_prob(&z)?;
        Draws::scored(z, log_prob.clone(), &log_prob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::testing::{tensor, values};
    use statrs::distribution::{Continuous, StudentsT};

    #[test]
    fn densities_are_those_of_an_independent_library_up_to_the_far_tails() {
        let z = [0.0, 0.3, -1.7, 12.0, -1e5];
        for degrees in [0.5, 1.0, 3.0, 10.0, 200.0, 1e4] {
            let params = Params::seeded(Rng::new(0), candle_core::DType::F64, &Device::Cpu);
            let base = StudentT::new(&params, 1, degrees).unwrap();
            let own = values(&base.log_prob(&tensor(&z, 1)).unwrap());
            let known = StudentsT::new(0.0, 1.0, degrees).unwrap();
            for (z, own) in z.iter().zip(own) {
                let right = known.ln_pdf(*z);
                let near = (own - right).abs() < 1e-8 * right.abs().max(1.0);
                assert!(near, "{degrees} degrees at {z}: {own}, not {right}");
            }
        }
    }
}
