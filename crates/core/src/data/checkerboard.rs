//! Uniform on the dark squares of a checkerboard.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks;
use super::sampling::{Frame, Modes, Sampler};
use super::{Entropy, Support, Truth};
use crate::error::BadValue;
use crate::rng::Rng;

const MAX_SQUARES: usize = 200;

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

impl CheckerboardSpec {
    pub(super) fn check(&self) -> std::result::Result<usize, BadValue> {
        BadValue::unless(
            (1..=MAX_SQUARES).contains(&self.squares),
            "squares",
            &format!("1 <= `squares` <= {MAX_SQUARES}"),
            self.squares,
        )?;
        checks::length("half_width", self.half_width)?;
        Ok(2)
    }

    pub(super) fn build(&self) -> Checkerboard {
        let n = self.squares;
        let side = 2.0 * self.half_width / n as f64;
        let dark = (0..n * n)
            .map(|k| (k / n, k % n))
            .filter(|(i, j)| (i + j) % 2 == 0);
        let corners: Vec<[f64; 2]> = dark
            .map(|(i, j)| [i, j].map(|i| i as f64 * side - self.half_width))
            .collect();
        Checkerboard {
            n,
            half_width: self.half_width,
            side,
            modes: Modes::or_equal(None, corners.len()),
            entropy: (corners.len() as f64 * side * side).ln(),
            corners,
        }
    }
}

#[derive(Debug)]
pub(super) struct Checkerboard {
    n: usize,
    half_width: f64,
    side: f64,
    modes: Modes,
    /// Lower left corners of the dark squares.
    corners: Vec<[f64; 2]>,
    entropy: f64,
}

impl Checkerboard {
    /// The dark square that holds `x`, widened by one rounding to f32 of the board's width: a
    /// sample that was stored in f32 must not fall off its square. Of two dark squares that meet
    /// at a corner the right one is given.
    fn square(&self, x: &[f64]) -> Option<usize> {
        let slack = self.n as f64 * f64::from(f32::EPSILON) / 2.0;
        let [columns, rows] = [x[0], x[1]].map(|v| {
            let place = (v + self.half_width) / self.side;
            [place + slack, place - slack]
        });
        let at = |place: f64| {
            let index = place.floor();
            (0.0..self.n as f64)
                .contains(&index)
                .then_some(index as usize)
        };
        columns
            .into_iter()
            .filter_map(at)
            .flat_map(|i| rows.into_iter().filter_map(at).map(move |j| (i, j)))
            .find(|(i, j)| (i + j) % 2 == 0)
            .map(|(i, j)| (i * self.n + j) / 2)
    }
}

impl Sampler for Checkerboard {
    fn frame(&self) -> Frame {
        let half = 1.125 * self.half_width;
        Frame::plane([(-half, half); 2])
    }

    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let k = rng.below(self.corners.len());
        for (x, corner) in x.iter_mut().zip(self.corners[k]) {
            *x = corner + self.side * rng.uniform();
        }
        k
    }
}

impl Truth for Checkerboard {
    fn weights(&self) -> &[f64] {
        &self.modes.weights
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        out.fill(f64::NEG_INFINITY);
        if let Some(k) = self.square(x) {
            out[k] = -self.entropy;
        }
    }

    fn gradient(&self, _x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
    }

    fn support(&self) -> Support {
        Support::Part("the dark squares")
    }

    fn entropy(&self) -> Entropy {
        Entropy {
            value: self.entropy,
            error: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CheckerboardSpec;

    #[test]
    fn squares_of_even_and_odd_boards() {
        for squares in [1, 3, 4, 7] {
            let board = CheckerboardSpec {
                squares,
                half_width: 0.7,
            }
            .build();
            let side = 1.4 / squares as f64;
            let mut next = 0;
            for i in 0..squares {
                for j in 0..squares {
                    let centre = [i, j].map(|i| (i as f64 + 0.5) * side - 0.7);
                    let dark = (i + j) % 2 == 0;
                    assert_eq!(
                        board.square(&centre),
                        dark.then_some(next),
                        "{squares} {i} {j}"
                    );
                    next += usize::from(dark);
                }
            }
            assert_eq!(next, board.corners.len());
        }
    }

    #[test]
    fn a_sample_rounded_to_f32_keeps_its_square() {
        for (squares, half_width) in [(4, 4.0), (3, 0.1), (7, 1234.5)] {
            let board = CheckerboardSpec {
                squares,
                half_width,
            }
            .build();
            for (k, corner) in board.corners.iter().enumerate() {
                for u in [1e-12, 0.5, 1.0 - 1e-12] {
                    let x = corner.map(|c| f64::from((c + board.side * u) as f32));
                    let got = board.square(&x);
                    assert!(got.is_some(), "{squares} {half_width} {k} {u}");
                    assert!(u != 0.5 || got == Some(k));
                }
            }
            let out = half_width * 1.001;
            assert_eq!(board.square(&[out, out]), None);
            assert_eq!(board.square(&[f64::NAN, 0.0]), None);
        }
    }
}
