//! Uniform laws in the plane: `uniform` and `checkerboard`.

use std::f64::consts::{PI, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{self, MAX_MODES};
use super::law::{centred, hull, square, Mixture, Modes, Piece, Settings, Truth, View};
use super::{Entropy, Support};
use crate::error::BadValue;
use crate::rng::Rng;

const MAX_SQUARES: usize = 200;

/// How much wider than the shapes a figure is.
const ROOM: f64 = 1.2;

/// `uniform = { shapes = [{ disc = { centre = [0.0, 0.0], radius = 1.0 } }] }`
///
/// p(x) = sum_j w_j / |S_j| over the shapes S_j that hold x, x in R^2, with |S_j| the area; every
/// [`Shape`] is a mode. Shapes may overlap; the entropy is exact where no two of their bounding boxes
/// do, and otherwise estimated. Modes with edges are what partitions of the plane can follow and
/// continuous flows cannot (Cornish et al. 2020, arXiv:1909.13833).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniformSpec {
    /// S_j.
    pub shapes: Vec<Shape>,
    /// w_j, one per shape; equal if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<f64>>,
}

impl Settings for UniformSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        checks::list("shapes", self.shapes.len(), MAX_MODES)?;
        for (j, shape) in self.shapes.iter().enumerate() {
            shape.check(&format!("shapes[{j}]"))?;
        }
        checks::optional_weights(self.weights.as_ref(), self.shapes.len(), "shapes")?;
        let modes = Modes::or_equal(self.weights.as_deref(), self.shapes.len());
        let wider = |(low, high): (f64, f64)| {
            let (centre, half) = (0.5 * (low + high), 0.5 * ROOM * (high - low));
            (centre - half, centre + half)
        };
        let view = square(hull(self.shapes.iter().map(Shape::bounds))).map(wider);
        let law = uniform(modes, &self.shapes, view, self.apart());
        Ok(Truth {
            support: Support::Part("the shapes"),
            ..law
        })
    }
}

/// p(x) = sum_j w_j / |S_j| over the shapes that hold x; `apart` if no two of them overlap.
fn uniform(modes: Modes, shapes: &[Shape], view: View, apart: bool) -> Truth {
    let areas = shapes.iter().map(Shape::area);
    let heights = modes.weights.iter().zip(areas).map(|(w, a)| (w / a).ln());
    let heights: Vec<f64> = heights.collect();
    let surprise = modes.weights.iter().zip(&heights).map(|(w, h)| w * h);
    let entropy = -surprise.sum::<f64>();
    let mixture = Mixture {
        log_factors: heights,
        ..Mixture::new(modes, shapes.iter().map(Patch::new).collect())
    };
    let law = mixture.in_plane(view);
    law.with_entropy(apart.then(|| Entropy::exact(entropy)))
}

impl UniformSpec {
    /// Whether no two bounding boxes share an area.
    fn apart(&self) -> bool {
        let mut boxes: Vec<_> = self.shapes.iter().map(Shape::bounds).collect();
        boxes.sort_by(|a, b| a[0].0.total_cmp(&b[0].0));
        boxes.iter().enumerate().all(|(i, a)| {
            let mut beside = boxes[i + 1..].iter().take_while(|b| b[0].0 < a[0].1);
            beside.all(|b| b[1].0 >= a[1].1 || a[1].0 >= b[1].1)
        })
    }
}

/// `checkerboard = { squares = 4, half_width = 4.0 }`
///
/// Uniform on the squares (i, j) with i + j even of a board of n x n squares that covers
/// [-h, h]^2: log p(x) = -log(M (2 h / n)^2) on these M = ceil(n^2 / 2) squares, -inf elsewhere.
/// The defaults are the "checkerboard" of Grathwohl et al. 2019 (FFJORD, arXiv:1810.01367): 8
/// squares of side 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckerboardSpec {
    /// n, the number of squares along each side of the board. Every dark square is a mode; they
    /// are counted upwards, column by column from the left.
    pub squares: usize,
    /// h, half the width of the board.
    pub half_width: f64,
}

impl Default for CheckerboardSpec {
    fn default() -> Self {
        Self {
            squares: 4,
            half_width: 4.0,
        }
    }
}

impl Settings for CheckerboardSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        BadValue::within("squares", self.squares, 1, MAX_SQUARES)?;
        checks::length("half_width", self.half_width)?;
        let n = self.squares;
        let side = 2.0 * self.half_width / n as f64;
        let dark = (0..n * n)
            .map(|k| (k / n, k % n))
            .filter(|(i, j)| (i + j) % 2 == 0);
        let squares = dark.map(|(i, j)| {
            let low = [i, j].map(|i| i as f64 * side - self.half_width);
            let high = low.map(|v| v + side);
            Shape::Rectangle { low, high }
        });
        let squares: Vec<_> = squares.collect();
        let modes = Modes::integers(squares.len());
        let law = uniform(modes, &squares, centred(1.125 * self.half_width), true);
        Ok(Truth {
            support: Support::Part("the dark squares"),
            ..law
        })
    }
}

/// A shape, widened by `slack`.
struct Patch {
    shape: Shape,
    /// One rounding to f32 at its farthest coordinate: a sample that was stored in f32 must not fall off
    /// its shape.
    slack: f64,
}

impl Patch {
    fn new(shape: &Shape) -> Self {
        let reach = shape.bounds().map(|(low, high)| low.abs().max(high.abs()));
        Self {
            shape: shape.clone(),
            slack: f64::from(f32::EPSILON) * reach[0].max(reach[1]),
        }
    }
}

impl Piece for Patch {
    fn log_height(&self, x: &[f64]) -> f64 {
        match self.shape.holds(x, self.slack) {
            true => 0.0,
            false => f64::NEG_INFINITY,
        }
    }

    fn add_gradient(&self, _x: &[f64], _share: f64, _out: &mut [f64]) {}

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        let u = [rng.uniform(), rng.uniform()];
        self.shape.place(u, x);
    }
}

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
    fn check(&self, place: &str) -> Result<(), BadValue> {
        const KEY: &str = "shapes";
        let at = |point: &[f64; 2]| checks::coordinates(KEY, place, point);
        let length = |name: &str, value: f64| checks::length_in(KEY, name, place, value);
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

    fn area(&self) -> f64 {
        match self {
            Self::Rectangle { low, high } => (high[0] - low[0]) * (high[1] - low[1]),
            Self::Disc { radius, .. } => PI * radius * radius,
            Self::Annulus { inner, outer, .. } => PI * (outer - inner) * (outer + inner),
            Self::Triangle([a, b, c]) => 0.5 * cross(a, b, c).abs(),
        }
    }

    /// The smallest box around it.
    fn bounds(&self) -> [(f64, f64); 2] {
        match self {
            Self::Rectangle { low, high } => [0, 1].map(|d| (low[d], high[d])),
            Self::Disc { centre, radius: r }
            | Self::Annulus {
                centre, outer: r, ..
            } => centre.map(|c| (c - r, c + r)),
            Self::Triangle(corners) => hull(corners.map(|corner| corner.map(|v| (v, v)))),
        }
    }

    /// Writes a point to `x` that is uniform on the shape if `u` is uniform on the unit square.
    fn place(&self, u: [f64; 2], x: &mut [f64]) {
        let polar = |centre: &[f64; 2], inner: f64, outer: f64| {
            let r = (inner * inner + u[0] * (outer - inner) * (outer + inner)).sqrt();
            let (sin, cos) = (TAU * u[1]).sin_cos();
            [centre[0] + r * cos, centre[1] + r * sin]
        };
        x.copy_from_slice(&match self {
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
        });
    }

    /// Whether `x` is at most `slack` outside of it.
    fn holds(&self, x: &[f64], slack: f64) -> bool {
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
            } => (inner - slack..=outer + slack).contains(&polar(centre)),
            Self::Triangle([a, b, c]) => {
                let side = cross(a, b, c).signum();
                [(a, b), (b, c), (c, a)].iter().all(|(from, to)| {
                    let length = (to[0] - from[0]).hypot(to[1] - from[1]);
                    side * cross(from, to, &[x[0], x[1]]) >= -slack * length
                })
            }
        }
    }
}

/// Twice the area of the triangle a, b, c, positive if they go anticlockwise.
fn cross(a: &[f64; 2], b: &[f64; 2], c: &[f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

#[cfg(test)]
mod tests {
    use super::{CheckerboardSpec, Settings, Shape, UniformSpec};

    #[test]
    fn overlapping_shapes_have_an_entropy() {
        // [0, 2] x [0, 1] and [1, 3] x [0, 1], equally often: density 1/4 on the outer squares and
        // 1/2 on the middle one, so H = (log 4 + log 2) / 2.
        let square = |from: f64| Shape::Rectangle {
            low: [from, 0.0],
            high: [from + 2.0, 1.0],
        };
        let spec = UniformSpec {
            shapes: vec![square(0.0), square(1.0)],
            weights: None,
        };
        let law = spec.law().expect("fine");
        let (got, want) = (law.entropy(), 0.5 * 8f64.ln());
        assert!((got.value - want).abs() < 4.0 * got.error, "{got:?} {want}");
        assert!(got.error > 0.0 && got.error < 1e-3, "{got:?}");
    }

    #[test]
    fn points_of_any_board_keep_their_square_in_f32() {
        for (squares, half_width) in [(1, 0.7), (3, 0.1), (4, 4.0), (7, 1234.5)] {
            let spec = CheckerboardSpec {
                squares,
                half_width,
            };
            let law = spec.law().expect("fine");
            let side = 2.0 * half_width / squares as f64;
            let mut joint = vec![0.0; law.weights().len()];
            assert_eq!(joint.len(), (squares * squares).div_ceil(2));
            let dark = |k: &usize| (k / squares + k % squares).is_multiple_of(2);
            for (mode, k) in (0..squares * squares).filter(dark).enumerate() {
                for u in [1e-12, 0.5, 1.0 - 1e-12] {
                    let at = |i: usize| f64::from(((i as f64 + u) * side - half_width) as f32);
                    law.log_joint(&[at(k / squares), at(k % squares)], &mut joint);
                    assert!(joint[mode].is_finite(), "{squares} {half_width} {k} {u}");
                    let others = joint.iter().filter(|v| v.is_finite()).count() - 1;
                    assert!(u != 0.5 || others == 0, "{squares} {half_width} {k}");
                }
            }
            law.log_joint(&[1.001 * half_width; 2], &mut joint);
            assert!(joint.iter().all(|v| *v == f64::NEG_INFINITY));
        }
    }
}
