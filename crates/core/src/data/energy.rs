//! Energies of Rezende and Mohamed 2015 and their kin, normalised.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::law::{centred, Density, Mixture, Modes, Piece, Settings, Truth};
use super::Support;
use crate::error::BadValue;
use crate::num::log_sum_exp_slice;
use crate::rng::Rng;

/// Half the width of the box, of the strip and of the space between the soft walls.
const HALF_WIDTH: f64 = 4.0;
/// How soft the walls are.
const WALL: f64 = 0.4;
/// The radius of the rings of U1 and of the dual moon.
const RING: f64 = 2.0;
/// Far enough from a ring for all but 1e-18 of the mass, in standard deviations.
const REACH: f64 = 9.0;

/// `energy = { potential = "u1" }`
///
/// p(z) = exp(-U(z)) / Z on the domain; see [`Potential`] and [`Domain`]. Modes: the sides z1 < 0
/// and z1 >= 0 of U1 and the dual moon; U2 is one mode; U3 and U4 are mixtures of two ridges, of equal weights and of
/// weights 0.4 : 0.35 unless the box cuts them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnergySpec {
    /// U.
    pub potential: Potential,
    /// Where; if absent `plane` for `u1` and `dual_moon`, and `soft_wall` for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
}

impl Settings for EnergySpec {
    fn law(&self) -> Result<Truth, BadValue> {
        let has_moons = matches!(self.potential, Potential::U1 | Potential::DualMoon);
        let usual = if has_moons {
            Domain::Plane
        } else {
            Domain::SoftWall
        };
        let domain = self.domain.unwrap_or(usual);
        let name = format!("{:?}", self.potential).to_lowercase();
        BadValue::unless(
            has_moons || domain != Domain::Plane,
            "domain",
            &format!(
                "`soft_wall`, `box` or `strip` for `{name}`, whose exp(-U) does not fall off along \
                 z1 and has infinite mass on the plane"
            ),
            "`plane`",
        )?;
        let ridges = |ridges: &[(Dip, f64, f64)]| {
            let ridge = |&(dip, std, mass_in_box)| Ridge {
                dip,
                std,
                mass_in_box,
                domain,
            };
            Ridge::law(ridges.iter().map(ridge).collect())
        };
        // The masses are quadratures good to 1e-12, which a test repeats.
        let narrow = (Dip::None, 0.35, 7.018_559_168_966_8);
        let wide = (Dip::None, 0.4, 8.021_210_478_819_16);
        let u1_masses = [
            6.537_152_192_800_608,
            6.537_152_192_765_678,
            6.537_152_131_925_336,
            6.537_152_190_623_967,
        ];
        let law = match self.potential {
            Potential::U1 => Moons::law([0.4, 0.6], domain, 4.5, u1_masses),
            // No mass to speak of lies beyond the walls.
            Potential::DualMoon => {
                Moons::law([0.2, 0.3], domain, 3.0, [2.234_940_148_767_718_5; 4])
            }
            Potential::U2 => ridges(&[wide]),
            Potential::U3 => ridges(&[narrow, (Dip::Bump, 0.35, 7.018_559_167_741_93)]),
            Potential::U4 => ridges(&[wide, (Dip::Step, 0.35, 6.630_655_094_481_68)]),
        };
        let support = match domain {
            Domain::Plane | Domain::SoftWall => Support::Everywhere,
            Domain::Box => Support::Part("the box [-4, 4]^2"),
            Domain::Strip => Support::Part("the strip -4 <= z1 <= 4"),
        };
        Ok(Truth { support, ..law })
    }
}

/// An energy U(z), z in R^2, of Rezende and Mohamed 2015 (Variational inference with normalizing
/// flows, arXiv:1505.05770, table 1), or U1 with narrower moons; the density is exp(-U(z)) / Z. With
/// w1 = sin(2 pi z1 / 4), w2 = 3 exp(-((z1 - 1) / 0.6)^2 / 2), w3 = 3 / (1 + exp(-(z1 - 1) / 0.3)):
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Potential {
    /// ((|z| - 2) / 0.4)^2 / 2 - log(exp(-((z1 - 2) / 0.6)^2 / 2) + exp(-((z1 + 2) / 0.6)^2 / 2))
    #[default]
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
    /// Whether the point `z`, which is finite, belongs to it.
    fn holds(self, z: &[f64]) -> bool {
        let within = |v: f64| v.abs() <= HALF_WIDTH;
        match self {
            Self::Plane | Self::SoftWall => true,
            Self::Box => within(z[0]) && within(z[1]),
            Self::Strip => within(z[0]),
        }
    }

    /// What the domain adds to the energy, and the slope of that along z1.
    fn wall(self, z1: f64) -> (f64, f64) {
        let beyond = (z1.abs() - HALF_WIDTH) / WALL;
        if self == Self::SoftWall && beyond > 0.0 {
            (0.5 * beyond * beyond, z1.signum() * beyond / WALL)
        } else {
            (0.0, 0.0)
        }
    }
}

/// exp(-U) of two moons, a ring cut to its sides by two Gaussians along z1.
struct Moons {
    /// The standard deviation across the ring.
    across: f64,
    /// Of the two Gaussians.
    side: f64,
    domain: Domain,
    log_z: f64,
    cells: OnceLock<Cells>,
}

impl Moons {
    /// `masses` are the integrals of exp(-U) on the plane, between soft walls, in the box and in the strip.
    fn law([across, side]: [f64; 2], domain: Domain, view: f64, masses: [f64; 4]) -> Truth {
        let moons = Self {
            across,
            side,
            domain,
            log_z: masses[domain as usize].ln(),
            cells: OnceLock::new(),
        };
        Truth::plane(centred(view), vec![0.5; 2], moons)
    }

    /// -U - wall
    fn log_height(&self, z: &[f64]) -> f64 {
        let off = (z[0].hypot(z[1]) - RING) / self.across;
        let sides = [RING, -RING].map(|at| {
            let off = (z[0] - at) / self.side;
            -0.5 * off * off
        });
        log_sum_exp_slice(&sides) - 0.5 * off * off - self.domain.wall(z[0]).0
    }

    /// The envelope to sample from.
    fn cells(&self) -> Cells {
        let reach = RING + REACH * self.across;
        let inside = |walled| if walled { HALF_WIDTH.min(reach) } else { reach };
        let [along, up] = match self.domain {
            Domain::Box => [true, true],
            Domain::Strip => [true, false],
            Domain::Plane | Domain::SoftWall => [false, false],
        }
        .map(inside);
        // Above every eigenvalue of d^2 U / dz^2, and of a wall's.
        let mut curvature = self.across.powi(-2) + self.side.powi(-2);
        if self.domain == Domain::SoftWall {
            curvature += WALL.powi(-2);
        }
        Cells::new([(-along, along), (-up, up)], curvature, |z| {
            self.log_height(z)
        })
    }
}

impl Density for Moons {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let cells = self.cells.get_or_init(|| self.cells());
        cells.draw(rng, x, |z| self.log_height(z));
        usize::from(x[0] >= 0.0)
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        if self.domain.holds(x) {
            out[usize::from(x[0] >= 0.0)] = self.log_height(x) - self.log_z;
        }
    }

    /// At the origin, where the ring has a kink, its part counts as 0.
    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        if !(self.domain.holds(x) && self.log_height(x).is_finite()) {
            return;
        }
        let r = x[0].hypot(x[1]);
        if r > 0.0 {
            let pull = (r - RING) / (self.across * self.across);
            out[0] = -pull * (x[0] / r);
            out[1] = -pull * (x[1] / r);
        }
        // log cosh(a z1), the two Gaussians' sum without their common factor.
        let variance = self.side * self.side;
        let between = (x[0] - RING * (RING * x[0] / variance).tanh()) / variance;
        out[0] -= between + self.domain.wall(x[0]).1;
    }
}

/// What is subtracted from w1.
#[derive(Clone, Copy)]
enum Dip {
    None,
    /// w2
    Bump,
    /// w3
    Step,
}

/// A ridge z2 = c(z1) with exp(-U) = exp(-((z2 - c(z1)) / s)^2 / 2).
struct Ridge {
    dip: Dip,
    /// s
    std: f64,
    mass_in_box: f64,
    domain: Domain,
}

impl Ridge {
    fn law(ridges: Vec<Self>) -> Truth {
        // Across a ridge a Gaussian integral, along it the length of the domain.
        let mass = |ridge: &Self| match ridge.domain {
            Domain::Box => ridge.mass_in_box,
            _ => ridge.std * TAU.sqrt() * ridge.length(),
        };
        let masses: Vec<f64> = ridges.iter().map(mass).collect();
        let view = centred(if ridges[0].domain == Domain::Box {
            4.5
        } else {
            6.0
        });
        let log_z = masses.iter().sum::<f64>().ln();
        let mixture = Mixture {
            log_factors: vec![-log_z; masses.len()],
            ..Mixture::new(Modes::new(&masses), ridges)
        };
        mixture.in_plane(view)
    }

    fn length(&self) -> f64 {
        match self.domain {
            Domain::SoftWall => 2.0 * HALF_WIDTH + WALL * TAU.sqrt(),
            _ => 2.0 * HALF_WIDTH,
        }
    }

    /// c(z1) and its slope.
    fn centre(&self, z1: f64) -> (f64, f64) {
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

    /// z1 of a point on the ridge: uniform between the walls, half a Gaussian beyond each.
    fn draw_along(&self, rng: &mut Rng) -> f64 {
        let (flat, whole) = (2.0 * HALF_WIDTH, self.length());
        let at = rng.uniform() * whole;
        if at < flat {
            return at - HALF_WIDTH;
        }
        let beyond = HALF_WIDTH + WALL * rng.normal().abs();
        if at < 0.5 * (flat + whole) {
            -beyond
        } else {
            beyond
        }
    }
}

impl Piece for Ridge {
    fn log_height(&self, z: &[f64]) -> f64 {
        if !self.domain.holds(z) {
            return f64::NEG_INFINITY;
        }
        let off = (z[1] - self.centre(z[0]).0) / self.std;
        -0.5 * off * off - self.domain.wall(z[0]).0
    }

    fn add_gradient(&self, z: &[f64], share: f64, out: &mut [f64]) {
        let (centre, tilt) = self.centre(z[0]);
        let push = share * (z[1] - centre) / (self.std * self.std);
        out[0] += push * tilt - share * self.domain.wall(z[0]).1;
        out[1] -= push;
    }

    fn draw(&self, rng: &mut Rng, z: &mut [f64]) {
        loop {
            z[0] = self.draw_along(rng);
            z[1] = self.centre(z[0]).0 + self.std * rng.normal();
            if self.domain.holds(z) {
                return;
            }
        }
    }
}
