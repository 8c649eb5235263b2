//! Uniform on shapes in the plane.

mod shape;

use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{self, MAX_MODES};
use super::lattice::mean_surprise;
use super::sampling::{square_view, Frame, Modes, Sampler};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

pub use shape::Shape;

/// How much wider than the shapes a figure is.
const ROOM: f64 = 1.2;

/// `uniform = { shapes = [{ disc = { centre = [0.0, 0.0], radius = 1.0 } }] }`
///
/// p(x) = sum_j w_j / |S_j| over the shapes S_j that hold x, x in R^2, with |S_j| the area; every
/// [`Shape`] is a mode. Shapes may overlap; the entropy is exact where no two of their bounding boxes
/// do, and otherwise computed. Modes with edges are what partitions of the plane can follow and
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

impl UniformSpec {
    pub(super) fn check(&self) -> Result<usize, BadValue> {
        BadValue::unless(
            (1..=MAX_MODES).contains(&self.shapes.len()),
            "shapes",
            &format!("between 1 and {MAX_MODES} `shapes`"),
            self.shapes.len(),
        )?;
        for (j, shape) in self.shapes.iter().enumerate() {
            shape.check(&format!("shapes[{j}]"))?;
        }
        if let Some(weights) = &self.weights {
            checks::weights(weights, self.shapes.len(), "shapes")?;
        }
        Ok(2)
    }

    pub(super) fn build(&self) -> Uniform {
        let modes = Modes::or_equal(self.weights.as_deref(), self.shapes.len());
        let areas = self.shapes.iter().map(Shape::area);
        let heights = modes.weights.iter().zip(areas).map(|(w, a)| (w / a).ln());
        Uniform {
            heights: heights.collect(),
            modes,
            shapes: self.shapes.clone(),
            entropy: OnceLock::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Uniform {
    modes: Modes,
    shapes: Vec<Shape>,
    /// log(w_j / |S_j|)
    heights: Vec<f64>,
    entropy: OnceLock<Entropy>,
}

impl Uniform {
    fn bounds(&self) -> [(f64, f64); 2] {
        let empty = [(f64::INFINITY, f64::NEG_INFINITY); 2];
        self.shapes.iter().fold(empty, |all, shape| {
            let own = shape.bounds();
            [0, 1].map(|d| (all[d].0.min(own[d].0), all[d].1.max(own[d].1)))
        })
    }

    /// Whether no two bounding boxes share an area.
    fn apart(&self) -> bool {
        let mut boxes: Vec<_> = self.shapes.iter().map(Shape::bounds).collect();
        boxes.sort_by(|a, b| a[0].0.total_cmp(&b[0].0));
        let clear = |(i, a): (usize, &[(f64, f64); 2])| {
            let beside = boxes[i + 1..].iter().take_while(|b| b[0].0 < a[0].1);
            beside
                .into_iter()
                .all(|b| b[1].0 >= a[1].1 || a[1].0 >= b[1].1)
        };
        boxes.iter().enumerate().all(clear)
    }
}

impl Sampler for Uniform {
    fn frame(&self) -> Frame {
        let wider = |(low, high): (f64, f64)| {
            let (centre, half) = (0.5 * (low + high), 0.5 * ROOM * (high - low));
            (centre - half, centre + half)
        };
        Frame::plane(square_view(self.bounds()).map(wider))
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let j = self.modes.draw(rng);
        let u = [rng.uniform(), rng.uniform()];
        self.shapes[j].place(u, x);
        j
    }
}

impl Truth for Uniform {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        for ((out, shape), height) in out.iter_mut().zip(&self.shapes).zip(&self.heights) {
            *out = if shape.holds(x) {
                *height
            } else {
                f64::NEG_INFINITY
            };
        }
    }

    fn gradient(&self, _x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
    }

    fn support(&self) -> Support {
        Support::Part("the shapes")
    }

    /// -sum_j w_j log(w_j / |S_j|) where shapes stand apart.
    fn entropy(&self) -> Entropy {
        *self.entropy.get_or_init(|| {
            if self.apart() {
                let terms = self.modes.weights.iter().zip(&self.heights);
                return Entropy {
                    value: -terms.map(|(w, h)| w * h).sum::<f64>(),
                    error: 0.0,
                };
            }
            mean_surprise(self, &self.modes, 2, |j, u, x| {
                self.shapes[j].place([u[0], u[1]], x);
                0.0
            })
            .entropy()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, UniformSpec};
    use crate::data::Truth;

    #[test]
    fn overlapping_shapes_have_an_entropy() {
        // [0, 2] x [0, 1] and [1, 3] x [0, 1], equally often: density 1/4 on the outer squares and
        // 1/2 on the middle one, so H = (log 4 + log 2) / 2.
        let square = |from: f64| Shape::Rectangle {
            low: [from, 0.0],
            high: [from + 2.0, 1.0],
        };
        let law = UniformSpec {
            shapes: vec![square(0.0), square(1.0)],
            weights: None,
        }
        .build();
        let (got, want) = (law.entropy(), 0.5 * 8f64.ln());
        assert!((got.value - want).abs() < 4.0 * got.error, "{got:?} {want}");
        assert!(got.error > 0.0 && got.error < 1e-3, "{got:?}");
    }
}
