//! Shapes in the plane: area, a uniform point, membership.

use std::f64::consts::{PI, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::checks;
use crate::error::BadValue;

/// A set of points of the plane with an area.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// `{ rectangle = { low = [-1.0, -1.0], high = [1.0, 1.0] } }`
    Rectangle {
        /// The lower left corner.
        low: [f64; 2],
        /// The upper right corner.
        high: [f64; 2],
    },
    /// `{ disc = { centre = [0.0, 0.0], radius = 1.0 } }`
    Disc {
        /// Its middle.
        centre: [f64; 2],
        /// Its radius.
        radius: f64,
    },
    /// `{ annulus = { centre = [0.0, 0.0], inner = 1.0, outer = 2.0 } }`
    Annulus {
        /// Its middle.
        centre: [f64; 2],
        /// The radius of the hole.
        inner: f64,
        /// The radius of the whole.
        outer: f64,
    },
    /// `{ triangle = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]] }`
    Triangle([[f64; 2]; 3]),
}

impl Shape {
    /// What is wrong with the shape called `place`.
    pub(super) fn check(&self, place: &str) -> Result<(), BadValue> {
        const KEY: &str = "shapes";
        let at = |point: &[f64; 2]| {
            point
                .iter()
                .try_for_each(|v| checks::coordinate(KEY, place, *v))
        };
        let length = |name: &str, value: f64| {
            checks::length(name, value).map_err(|fault| BadValue {
                key: KEY.to_owned(),
                got: format!("{value} in {place}"),
                ..fault
            })
        };
        match self {
            Self::Rectangle { low, high } => {
                at(low).and_then(|()| at(high))?;
                BadValue::unless(
                    high[0] - low[0] >= 1e-6 && high[1] - low[1] >= 1e-6,
                    KEY,
                    "a `high` above `low` in both coordinates",
                    format_args!("{low:?} and {high:?} in {place}"),
                )
            }
            Self::Disc { centre, radius } => at(centre).and_then(|()| length("radius", *radius)),
            Self::Annulus {
                centre,
                inner,
                outer,
            } => {
                at(centre)?;
                length("inner", *inner)?;
                length("outer", *outer)?;
                BadValue::unless(
                    outer - inner >= 1e-6,
                    KEY,
                    "an `outer` radius above the `inner` one",
                    format_args!("{outer} and {inner} in {place}"),
                )
            }
            Self::Triangle(corners) => {
                corners.iter().try_for_each(at)?;
                BadValue::unless(
                    self.area() >= 1e-12,
                    KEY,
                    "a triangle with an area",
                    format_args!("{corners:?} in {place}"),
                )
            }
        }
    }

    pub(super) fn area(&self) -> f64 {
        match self {
            Self::Rectangle { low, high } => (high[0] - low[0]) * (high[1] - low[1]),
            Self::Disc { radius, .. } => PI * radius * radius,
            Self::Annulus { inner, outer, .. } => PI * (outer - inner) * (outer + inner),
            Self::Triangle([a, b, c]) => 0.5 * cross(a, b, c).abs(),
        }
    }

    /// The smallest box around it.
    pub(super) fn bounds(&self) -> [(f64, f64); 2] {
        let around = |centre: &[f64; 2], r: f64| centre.map(|c| (c - r, c + r));
        match self {
            Self::Rectangle { low, high } => [0, 1].map(|d| (low[d], high[d])),
            Self::Disc { centre, radius } => around(centre, *radius),
            Self::Annulus { centre, outer, .. } => around(centre, *outer),
            Self::Triangle([a, b, c]) => {
                [0, 1].map(|d| (a[d].min(b[d]).min(c[d]), a[d].max(b[d]).max(c[d])))
            }
        }
    }

    /// Writes a point to `x` that is uniform on the shape if `u` is uniform on the unit square.
    pub(super) fn place(&self, u: [f64; 2], x: &mut [f64]) {
        let polar = |centre: &[f64; 2], inner: f64, outer: f64| {
            let r = (inner * inner + u[0] * (outer - inner) * (outer + inner)).sqrt();
            let (sin, cos) = (TAU * u[1]).sin_cos();
            [centre[0] + r * cos, centre[1] + r * sin]
        };
        let point = match self {
            Self::Rectangle { low, high } => [0, 1].map(|d| low[d] + u[d] * (high[d] - low[d])),
            Self::Disc { centre, radius } => polar(centre, 0.0, *radius),
            Self::Annulus {
                centre,
                inner,
                outer,
            } => polar(centre, *inner, *outer),
            Self::Triangle([a, b, c]) => {
                let s = u[0].sqrt();
                [0, 1].map(|d| a[d] + s * (b[d] - a[d]) + s * u[1] * (c[d] - b[d]))
            }
        };
        x.copy_from_slice(&point);
    }

    /// Whether `x` belongs to it, widened by one rounding to f32 at its farthest coordinate: a
    /// sample that was stored in f32 must not fall off. Not for NaN.
    pub(super) fn holds(&self, x: &[f64]) -> bool {
        let farthest = |(low, high): (f64, f64)| low.abs().max(high.abs());
        let reach = self.bounds().map(farthest);
        let slack = f64::from(f32::EPSILON) * reach[0].max(reach[1]);
        let polar = |centre: &[f64; 2]| (x[0] - centre[0]).hypot(x[1] - centre[1]);
        match self {
            Self::Rectangle { low, high } => {
                (0..2).all(|d| x[d] >= low[d] - slack && x[d] <= high[d] + slack)
            }
            Self::Disc { centre, radius } => polar(centre) <= radius + slack,
            Self::Annulus {
                centre,
                inner,
                outer,
            } => {
                let r = polar(centre);
                r >= inner - slack && r <= outer + slack
            }
            Self::Triangle(corners) => {
                let [a, b, c] = corners;
                let side = cross(a, b, c).signum();
                let at = [x[0], x[1]];
                [(a, b), (b, c), (c, a)].iter().all(|(from, to)| {
                    let length = (to[0] - from[0]).hypot(to[1] - from[1]);
                    side * cross(from, to, &at) >= -slack * length
                })
            }
        }
    }
}

/// Twice the area of the triangle a, b, c, positive if they go anticlockwise.
fn cross(a: &[f64; 2], b: &[f64; 2], c: &[f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}
