//! Wells in a row: FAB's many-well.

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::law::{centred, Density, Settings, Truth};
use super::Entropy;
use crate::error::BadValue;
use crate::rng::Rng;

/// Two for each of ten pairs.
const MOST_MODES: usize = 1 << 10;
const MAX_DIM: usize = 1000;

/// Of one pair, each a quadrature good to 1e-12, which a test repeats: log of the integral of exp(-E), its
/// entropy, where the energy is highest between the wells, and the probability below that.
const LOG_Z: f64 = 10.293_479_707_073_868;
const ENTROPY: f64 = 1.718_576_066_841_003;
const SADDLE: f64 = -0.041_690_821_280_395_85;
const LEFT: f64 = 0.155_689_390_499_057_78;

/// All but 1e-18 of a pair, and above every eigenvalue of d^2 E there: 12 x^2 - 12 at x = 3.3.
const HOLD: [(f64, f64); 2] = [(-3.3, 3.3), (-9.0, 9.0)];
const CURVATURE: f64 = 119.0;

/// `many_well = { dim = 32 }`
///
/// p(x) = exp(-E(x1, x2) - E(x3, x4) - ...) / Z with E(x, y) = x^4 - 6 x^2 - x / 2 + y^2 / 2, of Midgley et al.
/// 2023 (FAB, arXiv:2208.01893) after Noe et al. 2019; log Z = 10.29348 D / 2. Every pair has a left well of
/// weight 0.15569 and a right one. Up to D = 20 each of the 2^(D/2) combinations is a mode (bit i of its
/// number: pair i is right; the first pair is bit 0). A law of more dimensions counts as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManyWellSpec {
    /// D, an even number.
    pub dim: usize,
}

impl Default for ManyWellSpec {
    fn default() -> Self {
        Self { dim: 32 }
    }
}

impl Settings for ManyWellSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("dim", self.dim, 2, MAX_DIM)?;
        let expected = "an even `dim`, two for each well";
        BadValue::unless(self.dim.is_multiple_of(2), "dim", expected, self.dim)?;
        let pairs = self.dim / 2;
        let modes = match pairs < MOST_MODES.ilog2() as usize + 1 {
            true => 1 << pairs,
            false => 1,
        };
        let share = |mode: usize, pair: usize| match mode >> pair & 1 {
            0 => LEFT,
            _ => 1.0 - LEFT,
        };
        let weight = |mode: usize| match modes {
            1 => 1.0,
            _ => (0..pairs).map(|pair| share(mode, pair)).product(),
        };
        let weights: Vec<f64> = (0..modes).map(weight).collect();
        let law = ManyWell {
            modes,
            cells: OnceLock::new(),
        };
        let view = (self.dim == 2).then(|| centred(4.5));
        let truth = Truth::new(self.dim, weights, law);
        let entropy = Entropy {
            value: pairs as f64 * ENTROPY,
            error: pairs as f64 * 1e-12,
        };
        Ok(Truth { view, ..truth }.with_entropy(Some(entropy)))
    }
}

struct ManyWell {
    modes: usize,
    /// Of one pair.
    cells: OnceLock<Cells>,
}

/// -E
fn log_height(pair: &[f64; 2]) -> f64 {
    let [x, y] = pair;
    let square = x * x;
    -(square * (square - 6.0) - 0.5 * x + 0.5 * y * y)
}

impl ManyWell {
    fn mode_of(&self, x: &[f64]) -> usize {
        let right = x.iter().step_by(2).map(|x| usize::from(*x >= SADDLE));
        match self.modes {
            1 => 0,
            _ => right.rev().fold(0, |mode, right| 2 * mode + right),
        }
    }

    fn log_density(x: &[f64]) -> f64 {
        let pairs = x.chunks_exact(2).map(|p| log_height(&[p[0], p[1]]) - LOG_Z);
        pairs.sum()
    }
}

impl Density for ManyWell {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let cells = self
            .cells
            .get_or_init(|| Cells::new(HOLD, CURVATURE, log_height));
        x.chunks_exact_mut(2)
            .for_each(|pair| cells.draw(rng, pair, log_height));
        self.mode_of(x)
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        out[self.mode_of(x)] = Self::log_density(x);
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        if !Self::log_density(x).is_finite() {
            return;
        }
        for (out, pair) in out.chunks_exact_mut(2).zip(x.chunks_exact(2)) {
            let [x, y] = [pair[0], pair[1]];
            out[0] = 0.5 - 4.0 * x * (x * x - 3.0);
            out[1] = -y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::quadrature::GaussLegendre;

    /// int f over [low, high] by 40 nodes in each of 200 panels.
    fn integral(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
        let rule = GaussLegendre::new(40);
        let step = (high - low) / 200.0;
        let panel = |i: usize| {
            let nodes = rule.nodes.iter().zip(&rule.weights);
            let terms = nodes.map(|(u, w)| w * f(low + step * (i as f64 + u)));
            step * terms.sum::<f64>()
        };
        (0..200).map(panel).sum()
    }

    #[test]
    fn constants_of_a_pair_by_quadrature() {
        let along = |x: f64| log_height(&[x, 0.0]);
        let z = integral(-4.0, 4.0, |x| along(x).exp());
        let normal = 0.5 * crate::num::LN_2PI;
        assert!((z.ln() + normal - LOG_Z).abs() < 1e-12);
        let mean = integral(-4.0, 4.0, |x| -along(x) * along(x).exp()) / z;
        assert!((mean + z.ln() + normal + 0.5 - ENTROPY).abs() < 1e-12);
        assert!((4.0 * SADDLE * (SADDLE * SADDLE - 3.0) - 0.5).abs() < 1e-12);
        let left = integral(-4.0, SADDLE, |x| along(x).exp()) / z;
        assert!((left - LEFT).abs() < 1e-12, "{left}");
    }

    #[test]
    fn modes_are_combinations_of_wells() {
        let truth = ManyWellSpec { dim: 6 }.law().unwrap();
        let mut joint = [0.0; 8];
        truth.log_joint(&[1.7, 0.0, -1.7, 0.0, 1.7, 0.0], &mut joint);
        let finite = joint.map(f64::is_finite);
        assert_eq!(finite.iter().position(|f| *f), Some(0b101));
        let want = (1.0 - LEFT) * LEFT * (1.0 - LEFT);
        assert!((truth.weights()[0b101] - want).abs() < 1e-15);
        for (dim, modes) in [(20, 1024), (22, 1)] {
            assert_eq!(ManyWellSpec { dim }.law().unwrap().weights().len(), modes);
        }
    }
}
