//! Energies of Rezende and Mohamed 2015 and their kin, normalised.

mod potential;

use std::f64::consts::TAU;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::erf::erf;

use super::cells::Cells;
use super::quadrature::{integrate, Budget, Estimate, Step};
use super::sampling::{Frame, Modes, Sampler};
use super::truth::log_density;
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

pub use potential::{Domain, Potential};
use potential::{Ridge, HALF_WIDTH, RING, WALL};

/// Far enough from a ring for all but 1e-18 of the mass, in standard deviations.
const REACH: f64 = 9.0;
const NO_LIMIT: Budget = Budget {
    visits: usize::MAX,
    work: usize::MAX,
};

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

    pub(super) fn check(&self) -> std::result::Result<usize, BadValue> {
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

    pub(super) fn build(&self) -> Energy {
        let (potential, domain) = (self.potential, self.domain());
        let masses: Vec<f64> = match potential.ridges() {
            [] => vec![0.5 * ring_mass(potential, domain); 2],
            ridges => ridges.iter().map(|r| ridge_mass(r, domain)).collect(),
        };
        Energy {
            potential,
            domain,
            log_z: masses.iter().sum::<f64>().ln(),
            modes: Modes::new(&masses),
            cells: OnceLock::new(),
            entropy: OnceLock::new(),
        }
    }
}

/// Z of a ring.
fn ring_mass(potential: Potential, domain: Domain) -> f64 {
    let [(a, b), (c, d)] = hold(potential, domain);
    let exp = |(): &(), z: &[f64; 2]| (-potential.energy(z) - domain.wall(z[0]).0).exp();
    integrate([a, c], [b, d], NO_LIMIT, plan(potential), exp).map_or(f64::NAN, |e| e.value)
}

/// Mass below one ridge: across it a Gaussian integral, along it the length of the domain.
fn ridge_mass(ridge: &Ridge, domain: Domain) -> f64 {
    let across = ridge.std * TAU.sqrt();
    match domain {
        Domain::Plane => f64::INFINITY,
        Domain::Strip => across * 2.0 * HALF_WIDTH,
        Domain::SoftWall => across * (2.0 * HALF_WIDTH + WALL * TAU.sqrt()),
        Domain::Box => {
            let plan = |_: &[f64; 1], half: &[f64; 1]| match half[0] > 0.125 {
                true => Step::Split,
                false => Step::Sum { cost: 1, with: () },
            };
            let inside = |(): &(), z: &[f64; 1]| {
                let centre = ridge.centre(z[0]).0;
                let below = |v: f64| 0.5 * erf((v - centre) / (ridge.std * 2f64.sqrt()));
                below(HALF_WIDTH) - below(-HALF_WIDTH)
            };
            let ends = ([-HALF_WIDTH], [HALF_WIDTH]);
            let share = integrate(ends.0, ends.1, NO_LIMIT, plan, inside);
            across * share.map_or(f64::NAN, |e| e.value)
        }
    }
}

/// A box with all the mass; walls, kinks and the middle of the ring lie on edges of its halves.
fn hold(potential: Potential, domain: Domain) -> [(f64, f64); 2] {
    let (along, below, above) = match potential {
        Potential::U1 | Potential::DualMoon => (8.0, -8.0, 8.0),
        Potential::U2 => (8.0, -6.0, 6.0),
        Potential::U3 | Potential::U4 => (8.0, -8.0, 6.0),
    };
    match domain {
        Domain::Plane | Domain::SoftWall => [(-along, along), (below, above)],
        Domain::Strip => [(-HALF_WIDTH, HALF_WIDTH), (below, above)],
        Domain::Box => [(-HALF_WIDTH, HALF_WIDTH); 2],
    }
}

/// Cells for the quadrature: the ring of U1 is smooth on half a unit, the ridges on a quarter.
fn plan(potential: Potential) -> impl Fn(&[f64; 2], &[f64; 2]) -> Step<()> {
    move |centre, half| {
        let (longest, radius) = (half[0].max(half[1]), half[0].hypot(half[1]));
        let off = (centre[0].hypot(centre[1]) - RING).abs();
        let (reach, most) = match potential.ring() {
            Some([across, _]) => (REACH * across, 0.625 * across),
            None => (f64::INFINITY, 0.125),
        };
        if off > reach + radius {
            Step::Skip
        } else if longest > most {
            Step::Split
        } else {
            Step::Sum { cost: 1, with: () }
        }
    }
}

#[derive(Debug)]
pub(super) struct Energy {
    potential: Potential,
    domain: Domain,
    log_z: f64,
    modes: Modes,
    cells: OnceLock<Cells>,
    entropy: OnceLock<Entropy>,
}

impl Energy {
    /// -U - wall
    fn log_height(&self, z: &[f64; 2]) -> f64 {
        -self.potential.energy(z) - self.domain.wall(z[0]).0
    }

    /// z1 of a point on a ridge: uniform between the walls, half a Gaussian beyond each.
    fn place_along(&self, rng: &mut Rng) -> f64 {
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
}

impl Sampler for Energy {
    fn frame(&self) -> Frame {
        let half = match (self.potential, self.domain) {
            (Potential::DualMoon, _) => 3.0,
            (Potential::U1, _) | (_, Domain::Box) => 4.5,
            _ => 6.0,
        };
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        if let Some([across, side]) = self.potential.ring() {
            let reach = RING + REACH * across;
            let within = |(low, high): (f64, f64)| (low.max(-reach), high.min(reach));
            let log_p = |z: &[f64; 2]| self.log_height(z);
            self.cells
                .get_or_init(|| {
                    let hold = hold(self.potential, self.domain).map(within);
                    // Above every eigenvalue of d^2 U / dz^2, and of a wall's.
                    let mut curvature = across.powi(-2) + side.powi(-2);
                    if self.domain == Domain::SoftWall {
                        curvature += WALL.powi(-2);
                    }
                    Cells::new(hold, curvature, log_p)
                })
                .draw(rng, x, log_p);
            return usize::from(x[0] >= 0.0);
        }
        let ridges = self.potential.ridges();
        let k = self.modes.draw(rng);
        loop {
            x[0] = self.place_along(rng);
            x[1] = ridges[k].centre(x[0]).0 + ridges[k].std * rng.normal();
            if self.domain.holds(x) {
                return k;
            }
        }
    }
}

impl Truth for Energy {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
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
        out.fill(0.0);
        let z = [x[0], x[1]];
        if !(self.domain.holds(x) && self.log_height(&z).is_finite()) {
            return;
        }
        let slope = self.potential.gradient(&z);
        out[0] = -slope[0] - self.domain.wall(x[0]).1;
        out[1] = -slope[1];
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

    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| {
            let [(a, b), (c, d)] = hold(self.potential, self.domain);
            let surprise = |(): &(), z: &[f64; 2]| match log_density(self, z) {
                // 0 log 0 = 0
                f64::NEG_INFINITY => 0.0,
                log_p => -log_p.exp() * log_p,
            };
            let found = integrate([a, c], [b, d], NO_LIMIT, plan(self.potential), surprise);
            let Estimate { value, error } = found.unwrap_or(Estimate {
                value: f64::NAN,
                error: f64::INFINITY,
            });
            Entropy {
                value,
                error: error + 1e-11,
            }
        })
    }
}
