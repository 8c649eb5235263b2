//! Laws around circles: `moons`, `many_moons`, `circles` and `rings`.

use std::f64::consts::{SQRT_2, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc;

use super::arc::{Curve, Place};
use super::checks;
use super::law::{centred, hull, square, Mixture, Modes, Piece, Settings, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

const MOST: usize = 1000;

/// `moons = { noise = 0.2 }`
///
/// With t uniform on (0, pi) and e standard normal, X = m_j(t) + s e for j = 0 or 1, equally
/// often: m_0 = (2 cos t - 1, 2 sin t - 0.2), m_1 = (1 - 2 cos t, 0.8 - 2 sin t). These are the
/// "moons" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367): scikit-learn's `make_moons` with
/// noise 0.1, times 2, minus (1, 0.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MoonsSpec {
    /// s, the standard deviation of the blur.
    pub noise: f64,
}

impl Default for MoonsSpec {
    fn default() -> Self {
        Self { noise: 0.2 }
    }
}

impl Settings for MoonsSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::length("noise", self.noise)?;
        let places = [half([-1.0, -0.2], 2.0, 1.0), half([1.0, 0.8], 2.0, -1.0)];
        Ok(blurred(self.noise, Modes::integers(2), &places))
    }
}

/// `many_moons = { moons = 8, noise = 0.08 }`
///
/// A row of interleaved half circles: X = 0.8 (m_j(t) - ((K - 1) / 2, 1/4)) + s e for j in 0..K,
/// equally often, with t uniform on (0, pi), e standard normal, m_j = (j + cos t, sin t) for even j
/// and (j + cos t, 1/2 - sin t) for odd j. After the "many moons" of Dinh et al. 2019
/// (arXiv:1903.07714), whose numbers are not published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManyMoonsSpec {
    /// K, the number of half circles.
    pub moons: usize,
    /// s, the standard deviation of the blur.
    pub noise: f64,
}

impl Default for ManyMoonsSpec {
    fn default() -> Self {
        Self {
            moons: 8,
            noise: 0.08,
        }
    }
}

impl Settings for ManyMoonsSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("moons", self.moons, 1, MOST)?;
        checks::length("noise", self.noise)?;
        const SCALE: f64 = 0.8;
        let middle = 0.5 * (self.moons as f64 - 1.0);
        let places = (0..self.moons).map(|j| {
            let turn = if j % 2 == 0 { 1.0 } else { -1.0 };
            let centre = [SCALE * (j as f64 - middle), SCALE * -0.25 * turn];
            half(centre, SCALE, turn)
        });
        let places: Vec<_> = places.collect();
        Ok(blurred(self.noise, Modes::integers(self.moons), &places))
    }
}

/// The upper half of a circle (`turn` = 1) or the lower one (-1).
fn half(centre: [f64; 2], radius: f64, turn: f64) -> Place {
    Place {
        centre,
        radius,
        half: Some(turn),
    }
}

fn blurred(std: f64, modes: Modes, places: &[Place]) -> Truth {
    let view = square(hull(places.iter().map(|place| place.range(4.0 * std))));
    Mixture::new(modes, Curve::all(std, places)).in_plane(view)
}

/// `circles = { radii = [3.0, 1.5], std = 0.24 }`
///
/// X = c_j + R_j (cos t, sin t) + s e with t uniform, e standard normal, circle j with probability
/// w_j: log p_j(x) = -(r - R_j)^2 / (2 s^2) + log(exp(-k) I0(k)) - log(2 pi s^2) with r = |x - c_j|
/// and k = r R_j / s^2. The defaults are the "circles" of Grathwohl et al. 2019 (FFJORD,
/// arXiv:1810.01367).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CirclesSpec {
    /// R_j, the radius of each circle.
    pub radii: Vec<f64>,
    /// c_j, one per circle; all at 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centres: Option<Vec<[f64; 2]>>,
    /// s, the standard deviation of the blur.
    pub std: f64,
    /// w_j, one per circle; equal if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
}

impl Default for CirclesSpec {
    fn default() -> Self {
        Self {
            radii: vec![3.0, 1.5],
            centres: None,
            std: 0.24,
            weights: None,
        }
    }
}

impl Settings for CirclesSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::radii(&self.radii, MOST)?;
        if let Some(centres) = &self.centres {
            BadValue::unless(
                centres.len() == self.radii.len(),
                "centres",
                &format!("{} `centres`, one for each of the radii", self.radii.len()),
                centres.len(),
            )?;
            for (j, centre) in centres.iter().enumerate() {
                checks::coordinates("centres", &format!("centres[{j}]"), centre)?;
            }
        }
        checks::length("std", self.std)?;
        checks::optional_weights(self.weights.as_ref(), self.radii.len(), "radii")?;
        let place = |(j, radius): (usize, &f64)| Place {
            centre: self.centres.as_ref().map_or([0.0; 2], |c| c[j]),
            radius: *radius,
            half: None,
        };
        let places: Vec<_> = self.radii.iter().enumerate().map(place).collect();
        let modes = Modes::or_equal(self.weights.as_deref(), places.len());
        Ok(blurred(self.std, modes, &places))
    }
}

/// `rings = { radii = [1.0, 2.0], std = 0.125 }`
///
/// p(x) = sum_j exp(-(r - R_j)^2 / (2 s^2)) / Z with r = |x|: the density is equally high on every
/// ring, so that a ring weighs about R_j / sum_i R_i. Unlike `circles`, whose points are blurred in
/// the plane, it has no closed form but its normaliser. The defaults are the "two rings" of Stimper
/// et al. 2022 (arXiv:2110.15828), Z = 5.9061.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RingsSpec {
    /// R_j, the radius of each ring; every ring is a mode.
    pub radii: Vec<f64>,
    /// s, the standard deviation of the radius.
    pub std: f64,
}

impl Default for RingsSpec {
    fn default() -> Self {
        Self {
            radii: vec![1.0, 2.0],
            std: 0.125,
        }
    }
}

impl Settings for RingsSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::radii(&self.radii, MOST)?;
        checks::length("std", self.std)?;
        let ring = |radius: &f64| Ring {
            radius: *radius,
            std: self.std,
        };
        let rings: Vec<_> = self.radii.iter().map(ring).collect();
        let masses: Vec<f64> = rings.iter().map(Ring::mass).collect();
        let log_z = masses.iter().sum::<f64>().ln();
        let reach = self.radii.iter().copied().fold(0.0, f64::max);
        let mixture = Mixture {
            log_factors: vec![-log_z; masses.len()],
            ..Mixture::new(Modes::new(&masses), rings)
        };
        Ok(mixture.in_plane(centred(reach + 4.5 * self.std)))
    }
}

/// exp(-(r - R)^2 / (2 s^2)) with r = |x|.
#[derive(Debug)]
struct Ring {
    radius: f64,
    std: f64,
}

impl Ring {
    /// int_0^inf 2 pi r exp(-(r - R)^2 / (2 s^2)) dr
    fn mass(&self) -> f64 {
        let u = self.radius / self.std;
        let above = 0.5 * erfc(-u / SQRT_2);
        TAU * self.std * self.std * ((-0.5 * u * u).exp() + u * TAU.sqrt() * above)
    }

    /// A radius with density r exp(-(r - R)^2 / (2 s^2)) up to a constant, on r > 0. As
    /// log r <= log m + (r - m) / m, it lies below a multiple of N(m, s^2) where m, its mode, has
    /// m = R + s^2 / m.
    fn draw_radius(&self, rng: &mut Rng) -> f64 {
        let mode = 0.5 * (self.radius + self.radius.hypot(2.0 * self.std));
        loop {
            let r = mode + self.std * rng.normal();
            let u = r / mode;
            if r > 0.0 && rng.uniform() < u * (1.0 - u).exp() {
                return r;
            }
        }
    }
}

impl Piece for Ring {
    fn log_height(&self, x: &[f64]) -> f64 {
        let off = (x[0].hypot(x[1]) - self.radius) / self.std;
        -0.5 * off * off
    }

    /// (R - r) / s^2 along x / r; 0 at the centre, where log p has a kink.
    fn add_gradient(&self, x: &[f64], share: f64, out: &mut [f64]) {
        let r = x[0].hypot(x[1]);
        if r > 0.0 {
            let pull = share * (self.radius - r) / (self.std * self.std);
            out[0] += pull * (x[0] / r);
            out[1] += pull * (x[1] / r);
        }
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        let (sin, cos) = (TAU * rng.uniform()).sin_cos();
        let r = self.draw_radius(rng);
        x[0] = r * cos;
        x[1] = r * sin;
    }
}
