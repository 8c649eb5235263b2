//! Energies of Rezende and Mohamed 2015 and their kin, normalised.

use std::f64::consts::{FRAC_PI_2, TAU};
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::erf::erf;

use super::cells::Cells;
use super::law::{Frame, Law, Modes, Settings};
use super::quadrature::{integrate, panels};
use super::{Entropy, Support};
use crate::error::BadValue;
use crate::num::log_sum_exp_slice;
use crate::rng::Rng;

/// Half the width of the box, the strip and what lies between the soft walls.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnergySpec {
    /// U.
    pub potential: Potential,
    /// Where; if absent `plane` for `u1` and `dual_moon`, and `soft_wall` for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
}

impl Default for EnergySpec {
    fn default() -> Self {
        Self {
            potential: Potential::U1,
            domain: None,
        }
    }
}

impl EnergySpec {
    fn domain(&self) -> Domain {
        self.domain.unwrap_or(match self.potential.ring() {
            Some(_) => Domain::Plane,
            None => Domain::SoftWall,
        })
    }
}

impl Settings for EnergySpec {
    fn check(&self) -> Result<usize, BadValue> {
        let name = self.potential.name();
        BadValue::unless(
            self.potential.ring().is_some() || self.domain() != Domain::Plane,
            "domain",
            &format!(
                "`soft_wall`, `box` or `strip` for `{name}`, whose exp(-U) does not fall off along \
                 z1 and has infinite mass on the plane"
            ),
            format_args!("`{}`", self.domain().name()),
        )?;
        Ok(2)
    }

    fn build(&self) -> Result<Box<dyn Law>, BadValue> {
        let (potential, domain) = (self.potential, self.domain());
        let mut energy = Energy {
            potential,
            domain,
            log_z: 0.0,
            modes: Modes::new(&[1.0]),
            cells: OnceLock::new(),
        };
        let masses = match potential.ridges() {
            [] => vec![0.5 * energy.integral(|log_height| log_height.exp()); 2],
            ridges => ridges.iter().map(|r| r.mass(domain)).collect(),
        };
        energy.log_z = masses.iter().sum::<f64>().ln();
        energy.modes = Modes::new(&masses);
        Ok(Box::new(energy))
    }
}

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

/// A ridge z2 = c(z1) with exp(-U) = exp(-((z2 - c(z1)) / s)^2 / 2).
#[derive(Debug, Clone, Copy)]
struct Ridge {
    /// Subtracts w2 or w3 from w1.
    dip: Dip,
    /// s
    std: f64,
}

#[derive(Debug, Clone, Copy)]
enum Dip {
    None,
    Bump,
    Step,
}

impl Ridge {
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

    /// Mass below the ridge: across it a Gaussian integral, along it the length of the domain.
    fn mass(&self, domain: Domain) -> f64 {
        let across = self.std * TAU.sqrt();
        let along = match domain {
            Domain::Plane => f64::INFINITY,
            Domain::Strip => 2.0 * HALF_WIDTH,
            Domain::SoftWall => 2.0 * HALF_WIDTH + WALL * TAU.sqrt(),
            Domain::Box => {
                let inside = |(z1, weight): (f64, f64)| {
                    let centre = self.centre(z1).0;
                    let below = |v: f64| 0.5 * erf((v - centre) / (self.std * 2f64.sqrt()));
                    weight * (below(HALF_WIDTH) - below(-HALF_WIDTH))
                };
                let nodes = panels((-HALF_WIDTH, HALF_WIDTH), 0.25);
                nodes.into_iter().map(inside).sum()
            }
        };
        across * along
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
    fn ring(self) -> Option<[f64; 2]> {
        match self {
            Self::U1 => Some([0.4, 0.6]),
            Self::DualMoon => Some([0.2, 0.3]),
            Self::U2 | Self::U3 | Self::U4 => None,
        }
    }

    /// The ridges whose exp(-U) sum to this one's; none for a ring.
    fn ridges(self) -> &'static [Ridge] {
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
        let mut heights = [f64::NEG_INFINITY; 2];
        self.log_heights(z, &mut heights);
        -log_sum_exp_slice(&heights)
    }

    /// The log of what every mode adds to exp(-U): the ridges, or the sides z1 < 0 and z1 >= 0 of
    /// a ring.
    fn log_heights(self, z: &[f64; 2], out: &mut [f64]) {
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

#[derive(Debug)]
struct Energy {
    potential: Potential,
    domain: Domain,
    log_z: f64,
    modes: Modes,
    cells: OnceLock<Cells>,
}

impl Energy {
    /// -U - wall
    fn log_height(&self, z: &[f64; 2]) -> f64 {
        -self.potential.energy(z) - self.domain.wall(z[0]).0
    }

    /// A box with all the mass; walls and kinks lie on edges of the panels that [`integral`] cuts.
    ///
    /// [`integral`]: Self::integral
    fn hold(&self) -> [(f64, f64); 2] {
        let (along, below, above) = match self.potential {
            Potential::U1 => (6.0, -6.0, 6.0),
            Potential::DualMoon => (4.0, -4.0, 4.0),
            Potential::U2 => (8.0, -6.0, 6.0),
            Potential::U3 | Potential::U4 => (8.0, -8.0, 6.0),
        };
        match self.domain {
            Domain::Plane | Domain::SoftWall => [(-along, along), (below, above)],
            Domain::Strip => [(-HALF_WIDTH, HALF_WIDTH), (below, above)],
            Domain::Box => [(-HALF_WIDTH, HALF_WIDTH); 2],
        }
    }

    /// int f(log exp(-U)) over the domain.
    fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        integrate(self.hold(), 0.25, |z| f(self.log_height(z)))
    }

    /// z1 of a point on a ridge: uniform between the walls, half a Gaussian beyond each.
    fn draw_along(&self, rng: &mut Rng) -> f64 {
        let flat = 2.0 * HALF_WIDTH;
        let whole = match self.domain {
            Domain::SoftWall => flat + WALL * TAU.sqrt(),
            _ => flat,
        };
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

    /// The envelope of a ring, from which it is sampled.
    fn envelope(&self, [across, side]: [f64; 2]) -> Cells {
        let reach = RING + REACH * across;
        let hold = self.hold();
        let hold = hold.map(|(low, high)| (low.max(-reach), high.min(reach)));
        // Above every eigenvalue of d^2 U / dz^2, and of a wall's.
        let mut curvature = across.powi(-2) + side.powi(-2);
        if self.domain == Domain::SoftWall {
            curvature += WALL.powi(-2);
        }
        Cells::new(hold, curvature, |z| self.log_height(z))
    }
}

impl Law for Energy {
    fn frame(&self) -> Frame {
        Frame::centred(match (self.potential, self.domain) {
            (Potential::DualMoon, _) => 3.0,
            (Potential::U1, _) | (_, Domain::Box) => 4.5,
            _ => 6.0,
        })
    }

    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        if let Some(ring) = self.potential.ring() {
            let cells = self.cells.get_or_init(|| self.envelope(ring));
            cells.draw(rng, x, |z| self.log_height(z));
            return usize::from(x[0] >= 0.0);
        }
        let ridges = self.potential.ridges();
        let k = self.modes.draw(rng);
        loop {
            x[0] = self.draw_along(rng);
            x[1] = ridges[k].centre(x[0]).0 + ridges[k].std * rng.normal();
            if self.domain.holds(x) {
                return k;
            }
        }
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        if !self.domain.holds(x) {
            out.fill(f64::NEG_INFINITY);
            return;
        }
        self.potential.log_heights(&[x[0], x[1]], out);
        let less = self.domain.wall(x[0]).0 + self.log_z;
        out.iter_mut().for_each(|v| *v -= less);
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let z = [x[0], x[1]];
        if self.domain.holds(x) && self.log_height(&z).is_finite() {
            let slope = self.potential.gradient(&z);
            out[0] = -slope[0] - self.domain.wall(x[0]).1;
            out[1] = -slope[1];
        }
    }

    fn support(&self) -> Support {
        match self.domain {
            Domain::Plane | Domain::SoftWall => Support::Everywhere,
            Domain::Box => Support::Part("the box [-4, 4]^2"),
            Domain::Strip => Support::Part("the strip -4 <= z1 <= 4"),
        }
    }

    fn log_z(&self) -> Option<f64> {
        Some(self.log_z)
    }

    /// log Z + E[U], good to 1e-9.
    fn entropy(&self) -> Option<Entropy> {
        let mean = self.integral(|log_height| match (log_height - self.log_z).exp() {
            // 0 log 0 = 0
            0.0 => 0.0,
            p => -p * log_height,
        });
        Some(Entropy {
            value: self.log_z + mean,
            error: 1e-9,
        })
    }
}
