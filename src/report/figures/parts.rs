//! Which part of a model each place belongs to, as a map in light colours with borders.

use std::collections::{BTreeMap, BTreeSet};

/// Light colours that colour-blind eyes tell apart (Paul Tol's "light" scheme, without its grey).
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

const BORDER: [u8; 3] = [0x2b, 0x31, 0x3c];

/// Colours for the parts of a grid.
pub struct Parts<'a> {
    side: usize,
    part: &'a [u32],
    colours: BTreeMap<u32, [u8; 3]>,
}

impl<'a> Parts<'a> {
    /// `None` where the number of cells does not fit. A part's colour follows from its number,
    /// and moves on where a neighbour has it already.
    pub fn new(side: usize, part: &'a [u32]) -> Option<Self> {
        if side < 2 || part.len() != side * side {
            return None;
        }
        let mut beside: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (i, &own) in part.iter().enumerate() {
            let right = (i % side + 1 < side).then(|| part[i + 1]);
            let above = part.get(i + side).copied();
            let set = beside.entry(own).or_default();
            set.extend([right, above].into_iter().flatten().filter(|p| *p != own));
            for other in [right, above].into_iter().flatten().filter(|p| *p != own) {
                beside.entry(other).or_default().insert(own);
            }
        }
        let few = beside.len() <= LIGHT.len();
        let mut chosen: BTreeMap<u32, usize> = BTreeMap::new();
        for (rank, (&own, near)) in beside.iter().enumerate() {
            let start = if few { rank } else { mixed(own) };
            let taken: BTreeSet<usize> =
                near.iter().filter_map(|p| chosen.get(p).copied()).collect();
            let free = (0..LIGHT.len()).map(|k| (start + k) % LIGHT.len());
            let colour = free.clone().find(|k| !taken.contains(k));
            chosen.insert(own, colour.unwrap_or(start % LIGHT.len()));
        }
        let colours = chosen.into_iter().map(|(p, k)| (p, LIGHT[k])).collect();
        Some(Self {
            side,
            part,
            colours,
        })
    }

    /// How many parts are in view.
    pub fn count(&self) -> usize {
        self.colours.len()
    }

    /// The colour at 0 <= u, v < 1, between white and full by `strength`.
    pub fn colour(&self, u: f64, v: f64, strength: f64) -> [u8; 3] {
        let cell = |t: f64| ((t * self.side as f64) as usize).min(self.side - 1);
        let (i, j) = (cell(u), cell(v));
        let own = self.part[j * self.side + i];
        let differs = |i: usize, j: usize| {
            i < self.side && j < self.side && self.part[j * self.side + i] != own
        };
        let (rgb, amount) = if differs(i + 1, j) || differs(i, j + 1) {
            (BORDER, 0.25 + 0.6 * strength)
        } else {
            let own = self.colours.get(&own).copied();
            (own.unwrap_or(LIGHT[0]), 0.12 + 0.88 * strength)
        };
        rgb.map(|c| (255.0 - (255.0 - f64::from(c)) * amount).round() as u8)
    }
}

/// Spreads neighbouring numbers over all colours (the finaliser of MurmurHash3).
fn mixed(mut h: u32) -> usize {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    (h ^ (h >> 16)) as usize % LIGHT.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_in_colour_and_are_parted_by_a_border() {
        let part: Vec<u32> = (0..64u32).map(|i| 1000 * (i % 8 / 2) + i / 16).collect();
        let parts = Parts::new(8, &part).unwrap();
        assert_eq!(parts.count(), 16);
        for j in 0..4 {
            for i in 0..3 {
                let at = |i: i32, j: i32| {
                    parts.colour(
                        (f64::from(i) * 2.0 + 0.5) / 8.0,
                        (f64::from(j) * 2.0 + 0.5) / 8.0,
                        1.0,
                    )
                };
                assert_ne!(at(i, j), at(i + 1, j));
            }
        }
        assert!(parts.colour(0.2, 0.01, 1.0)[0] < 100, "a border");
        assert!(Parts::new(8, &part[1..]).is_none());
    }
}
