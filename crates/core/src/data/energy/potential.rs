//! The four energies of Rezende and Mohamed 2015, and the domains that make their mass finite.

use std::f64::consts::{FRAC_PI_2, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::num::log_sum_exp_slice;

/// Half the width of the box, the strip and what lies between the soft walls.
pub(super) const HALF_WIDTH: f64 = 4.0;
/// How soft the walls are.
pub(super) const WALL: f64 = 0.4;
/// The radius of the rings of U1 and of the dual moon.
pub(super) const RING: f64 = 2.0;

/// An energy U(z), z in R^2, of Rezende and Mohamed 2015 (Variational inference with normalizing
/// flows, arXiv:1505.05770, table 1), or U1 with narrower moons; the density is exp(-U(z)) / Z. With
/// w1 = sin(2 pi z1 / 4), w2 = 3 exp(-((z1 - 1) / 0.6)^2 / 2), w3 = 3 / (1 + exp(-(z1 - 1) / 0.3)):
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Potential {
    /// ((|z| - 2) / 0.4)^2 / 2 - log(exp(-((z1 - 2) / 0.6)^2 / 2) + exp(-((z1 + 2) / 0.6)^2 / 2))
    U1,
    /// ((z2 - w1) / 0.4)^2 / 2
    U2,
    /// -log(exp(-((z2 - w1) / 0.35)^2 / 2) + exp(-((z2 - w1 + w2) / 0.35)^2 / 2))
    U3,
    /// -log(exp(-((z2 - w1) / 0.4)^2 / 2) + exp(-((z2 - w1 + w3) / 0.35)^2 / 2))
    U4,
    /// U1 with 0.2 for 0.4 and 0.3 for 0.6: the "dual moon" of Stimper et al. 2022
    /// (arXiv:2110.15828).
    DualMoon,
}

/// Where an energy is considered. U2, U3 and U4 do not grow along z1, so that exp(-U) has infinite
/// mass on the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// All of R^2.
    Plane,
    /// R^2 with ((|z1| - 4)_+ / 0.4)^2 / 2 added to the energy.
    SoftWall,
    /// -4 <= z1, z2 <= 4, the density 0 outside.
    Box,
    /// -4 <= z1 <= 4, the density 0 outside.
    Strip,
}

impl Domain {
    /// The name in an experiment file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plane => "plane",
            Self::SoftWall => "soft_wall",
            Self::Box => "box",
            Self::Strip => "strip",
        }
    }

    pub(super) fn holds(self, z: &[f64]) -> bool {
        let within = |v: f64| v.abs() <= HALF_WIDTH;
        match self {
            Self::Plane | Self::SoftWall => z[0].is_finite() && z[1].is_finite(),
            Self::Box => within(z[0]) && within(z[1]),
            Self::Strip => within(z[0]) && z[1].is_finite(),
        }
    }

    /// What the domain adds to the energy, and the slope of that along z1.
    pub(super) fn wall(self, z1: f64) -> (f64, f64) {
        let beyond = (z1.abs() - HALF_WIDTH) / WALL;
        if self == Self::SoftWall && beyond > 0.0 {
            (0.5 * beyond * beyond, z1.signum() * beyond / WALL)
        } else {
            (0.0, 0.0)
        }
    }
}

/// A ridge z2 = c(z1) with exp(-U) = exp(-((z2 - c(z1)) / s)^2 / 2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Ridge {
    /// Subtracts w2 or w3 from w1.
    dip: Dip,
    /// s
    pub(super) std: f64,
}

#[derive(Debug, Clone, Copy)]
enum Dip {
    None,
    Bump,
    Step,
}

impl Ridge {
    /// c(z1) and its slope.
    pub(super) fn centre(&self, z1: f64) -> (f64, f64) {
        let (sin, cos) = (TAU * z1 / 4.0).sin_cos();
        let u = z1 - 1.0;
        let (dip, slope) = match self.dip {
            Dip::None => (0.0, 0.0),
            Dip::Bump => {
                let w = 3.0 * (-0.5 * (u / 0.6) * (u / 0.6)).exp();
                (w, -w * (u / 0.36))
            }
            Dip::Step => {
                let share = 1.0 / (1.0 + (-u / 0.3).exp());
                (3.0 * share, 3.0 * share * (1.0 - share) / 0.3)
            }
        };
        // 0 times an infinite u would be NaN.
        let slope = if dip == 0.0 { 0.0 } else { slope };
        (sin - dip, FRAC_PI_2 * cos - slope)
    }

    /// log exp(-U) of this ridge alone.
    fn log_height(&self, z: &[f64]) -> f64 {
        let off = (z[1] - self.centre(z[0]).0) / self.std;
        -0.5 * off * off
    }
}

const fn ridge(dip: Dip, std: f64) -> Ridge {
    Ridge { dip, std }
}

const U2: &[Ridge] = &[ridge(Dip::None, 0.4)];
const U3: &[Ridge] = &[ridge(Dip::None, 0.35), ridge(Dip::Bump, 0.35)];
const U4: &[Ridge] = &[ridge(Dip::None, 0.4), ridge(Dip::Step, 0.35)];

impl Potential {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::U1, Self::U2, Self::U3, Self::U4, Self::DualMoon];

    /// The name in an experiment file.
    pub fn name(self) -> &'static str {
        match self {
            Self::U1 => "u1",
            Self::U2 => "u2",
            Self::U3 => "u3",
            Self::U4 => "u4",
            Self::DualMoon => "dual_moon",
        }
    }

    /// The standard deviations of a ring, across it and of the two Gaussians along z1; `None` for
    /// ridges.
    pub(super) fn ring(self) -> Option<[f64; 2]> {
        match self {
            Self::U1 => Some([0.4, 0.6]),
            Self::DualMoon => Some([0.2, 0.3]),
            Self::U2 | Self::U3 | Self::U4 => None,
        }
    }

    /// The ridges whose exp(-U) sum to this one's; none for a ring.
    pub(super) fn ridges(self) -> &'static [Ridge] {
        match self {
            Self::U1 | Self::DualMoon => &[],
            Self::U2 => U2,
            Self::U3 => U3,
            Self::U4 => U4,
        }
    }

    /// U(z) on the plane, without any wall.
    ///
    /// ```
    /// use mdn_core::data::Potential;
    /// assert!((Potential::U2.energy(&[1.0, 0.6]) - 0.5).abs() < 1e-12);
    /// ```
    pub fn energy(self, z: &[f64; 2]) -> f64 {
        if let Some([across, side]) = self.ring() {
            let off = (z[0].hypot(z[1]) - RING) / across;
            let sides = [RING, -RING].map(|at| {
                let off = (z[0] - at) / side;
                -0.5 * off * off
            });
            return 0.5 * off * off - log_sum_exp_slice(&sides);
        }
        match self.ridges() {
            [one] => -one.log_height(z),
            ridges => {
                let mut heights = [f64::NEG_INFINITY; 2];
                for (height, ridge) in heights.iter_mut().zip(ridges) {
                    *height = ridge.log_height(z);
                }
                -log_sum_exp_slice(&heights)
            }
        }
    }

    /// The log of what every mode adds to exp(-U): the ridges, or the sides z1 < 0 and z1 >= 0 of
    /// a ring.
    pub(super) fn log_heights(self, z: &[f64; 2], out: &mut [f64]) {
        match self.ridges() {
            [] => {
                out.fill(f64::NEG_INFINITY);
                out[usize::from(z[0] >= 0.0)] = -self.energy(z);
            }
            ridges => {
                for (out, ridge) in out.iter_mut().zip(ridges) {
                    *out = ridge.log_height(z);
                }
            }
        }
    }

    /// dU/dz; at the origin, where rings have a kink, the kinked part counts as 0.
    pub fn gradient(self, z: &[f64; 2]) -> [f64; 2] {
        if let Some([across, side]) = self.ring() {
            let r = z[0].hypot(z[1]);
            let pull = (r - RING) / (across * across);
            let radial = if r > 0.0 {
                z.map(|v| pull * (v / r))
            } else {
                [0.0; 2]
            };
            // log cosh(a z1), the two Gaussians' sum without their common factor.
            let variance = side * side;
            let between = (z[0] - RING * (RING * z[0] / variance).tanh()) / variance;
            return [radial[0] + between, radial[1]];
        }
        let ridges = self.ridges();
        let mut shares = [f64::NEG_INFINITY; 2];
        self.log_heights(z, &mut shares);
        let total = log_sum_exp_slice(&shares);
        let mut slope = [0.0; 2];
        for (ridge, height) in ridges.iter().zip(shares) {
            let share = (height - total).exp();
            let (centre, tilt) = ridge.centre(z[0]);
            let push = share * (z[1] - centre) / (ridge.std * ridge.std);
            slope[0] -= push * tilt;
            slope[1] += push;
        }
        slope
    }
}
