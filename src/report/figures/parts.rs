//! A map of the parts of a model, in light colours with borders.

use std::collections::{BTreeMap, BTreeSet};

use super::pixels::byte;
use crate::experiment::store::Picture;

/// Light colours that colour-blind readers can tell apart (Paul Tol's "light" scheme, without its grey).
const LIGHT: [[u8; 3]; 8] = [
    [0x77, 0xaa, 0xdd],
    [0xee, 0x88, 0x66],
    [0xee, 0xdd, 0x88],
    [0xff, 0xaa, 0xbb],
    [0x99, 0xdd, 0xff],
    [0x44, 0xbb, 0x99],
    [0xbb, 0xcc, 0x33],
    [0xaa, 0xaa, 0x00],
];

/// The colour of the `i`-th of some classes.
pub fn class_colour(i: u32) -> [u8; 3] {
    LIGHT[i as usize % LIGHT.len()]
}

const BORDER: [u8; 3] = [0x2b, 0x31, 0x3c];

/// Colours for the parts of a grid.
pub struct Parts<'a> {
    side: usize,
    part: &'a [u32],
    /// Of every cell.
    colours: Vec<[u8; 3]>,
    /// Of every part.
    by_part: BTreeMap<u32, [u8; 3]>,
}

impl<'a> Parts<'a> {
    /// Of the grid of a picture; `None` where it has no parts.
    pub fn of(picture: &'a Picture) -> Option<Self> {
        Self::new(picture.side, picture.part.as_ref()?)
    }

    /// `None` where the number of cells does not fit. A part's colour follows from its rank;
    /// where a neighbour has it already, the part gets the next one.
    fn new(side: usize, part: &'a [u32]) -> Option<Self> {
        if side < 2 || part.len() != side * side {
            return None;
        }
        let mut beside: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (i, &own) in part.iter().enumerate() {
            beside.entry(own).or_default();
            let right = part.get(i + 1).filter(|_| i % side + 1 < side);
            let neighbours = right.into_iter().chain(part.get(i + side));
            for &other in neighbours.filter(|p| **p != own) {
                beside.entry(own).or_default().insert(other);
                beside.entry(other).or_default().insert(own);
            }
        }
        let mut chosen: BTreeMap<u32, usize> = BTreeMap::new();
        for (start, (&own, near)) in beside.iter().enumerate() {
            let taken: BTreeSet<&usize> = near.iter().filter_map(|p| chosen.get(p)).collect();
            let mut colours = (0..LIGHT.len()).map(|k| (start + k) % LIGHT.len());
            let free = colours.find(|k| !taken.contains(k));
            chosen.insert(own, free.unwrap_or(start % LIGHT.len()));
        }
        Some(Self {
            side,
            part,
            colours: part.iter().map(|p| LIGHT[chosen[p]]).collect(),
            by_part: chosen.iter().map(|(p, k)| (*p, LIGHT[*k])).collect(),
        })
    }

    /// How many parts are in view.
    pub fn count(&self) -> usize {
        self.by_part.len()
    }

    /// The colour of a part; of one that is not in view, one that follows from its number.
    pub fn colour_of(&self, part: u32) -> [u8; 3] {
        let known = self.by_part.get(&part).copied();
        known.unwrap_or(class_colour(part))
    }

    /// The colour at 0 <= u, v < 1, white to full by `strength`; `border` is a share of the width.
    pub fn colour(&self, u: f64, v: f64, strength: f64, border: f64) -> [u8; 3] {
        let index = |t: f64| ((t * self.side as f64) as usize).min(self.side - 1);
        let cell = |u: f64, v: f64| index(v) * self.side + index(u);
        let (own, h) = (cell(u, v), 0.5 * border);
        let around = [(-h, 0.0), (h, 0.0), (0.0, -h), (0.0, h)];
        let mut around = around.iter().map(|(du, dv)| cell(u + du, v + dv));
        let (rgb, amount) = if around.any(|other| self.part[other] != self.part[own]) {
            (BORDER, 0.22 + 0.6 * strength)
        } else {
            (self.colours[own], 0.12 + 0.88 * strength)
        };
        rgb.map(|c| byte(255.0 - (255.0 - f64::from(c)) * amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_in_colour_and_are_parted_by_a_border() {
        let part: Vec<u32> = (0..64u32).map(|i| 1000 * (i % 8 / 2) + i / 16).collect();
        let parts = Parts::new(8, &part).unwrap();
        assert_eq!(parts.count(), 16);
        let at = |i: usize, j: usize| {
            let centre = |k: usize| (2.0 * k as f64 + 1.0) / 8.0;
            parts.colour(centre(i), centre(j), 1.0, 0.01)
        };
        for j in 0..4 {
            for i in 0..3 {
                assert_ne!(at(i, j), at(i + 1, j));
            }
        }
        let border = parts.colour(0.25, 0.1, 1.0, 0.01);
        assert!(border[0] < 100, "{border:?}");
        assert!(Parts::new(8, &part[1..]).is_none());
    }
}
