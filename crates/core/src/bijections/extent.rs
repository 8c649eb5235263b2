//! How large a bijection is, from its settings.

use super::{BijectionSpec, Mixing};
use crate::nn::extent::Extent;

/// Of a point, a layer keeps what came in, what went out, and scales and shifts: four numbers a
/// coordinate.
const KEPT: f64 = 4.0;

impl BijectionSpec {
    /// Its size over `dim` coordinates, not below what it will be by more than a few percent.
    pub fn extent(&self, dim: usize) -> Extent {
        let d = dim as f64;
        let (kept, moved) = ((d / 2.0).floor(), (d / 2.0).ceil());
        let state = Extent {
            parameters: 0.0,
            per_point: KEPT * d,
        };
        let matrix = Extent {
            parameters: d * d,
            ..state
        };
        let coupling = |layers: usize, hidden: &[usize], outputs: f64, mixing| {
            let layer = Extent::net(kept, hidden, outputs * moved) + state;
            let between = match mixing {
                Mixing::None => Extent::default(),
                Mixing::Linear => matrix.times(layers as f64 - 1.0),
            };
            layer.times(layers as f64) + between
        };
        let masked = |layers: usize, hidden: &[usize], outputs: f64| {
            (Extent::net(d, hidden, outputs * d) + state).times(layers as f64)
        };
        // Widths, heights and slopes at the knots.
        let spline = |bins: usize| 3.0 * bins as f64 + 1.0;
        let vectors = |layers: usize| {
            let layer = Extent {
                parameters: 2.0 * d + 1.0,
                ..state
            };
            layer.times(layers as f64)
        };
        match self {
            Self::AffineCoupling(s) => coupling(s.layers, &s.hidden, 2.0, s.mixing),
            Self::SplineCoupling(s) => coupling(s.layers, &s.hidden, spline(s.bins), s.mixing),
            Self::MaskedAutoregressive(s) => masked(s.layers, &s.hidden, 2.0),
            Self::MaskedAutoregressiveSpline(s) => masked(s.layers, &s.hidden, spline(s.bins)),
            Self::Elementwise(_) => vectors(1),
            Self::Linear(_) => matrix,
            Self::Permutation(_) => state,
            Self::Planar(s) => vectors(s.layers),
            Self::Radial(s) => vectors(s.layers),
            Self::Chain(members) => members
                .iter()
                .map(|m| m.extent(dim))
                .fold(Extent::default(), |a, b| a + b),
        }
    }
}
