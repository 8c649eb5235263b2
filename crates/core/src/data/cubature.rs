//! Integrals of exp(f) over a box in one to three dimensions, and exact draws from it.

use rayon::prelude::*;

use super::law::Modes;
use super::quadrature::GaussLegendre;
use super::Entropy;
use crate::num::largest;
use crate::rng::Rng;

/// Gauss-Legendre nodes along each side of a cell.
const NODES: usize = 4;
/// Cells along each side at the start, by D: a mode much narrower than a cell may be missed.
const START: [usize; 3] = [512, 48, 12];
/// A cell is done when halving its sides moves its integral by less than this share of the whole.
const TOLERANCE: f64 = 1e-9;
/// The largest relative error of an integral that counts as known.
const KNOWN: f64 = 1e-4;
/// The largest difference of f between the nodes of a cell that points are drawn from.
const FLAT: f64 = 5.0;
/// Cells at whose nodes f is lower than its largest value by this much are empty.
const EMPTY: f64 = 100.0;
/// Share of the mass below which a cell is neither refined for drawing nor drawn from.
const NEGLIGIBLE: f64 = 1e-10;
/// The largest number of cells.
const MAX_CELLS: usize = 1 << 18;
/// Sides are halved at most so often: then they are near the spacing of f64.
const MAX_HALVINGS: usize = 40;
/// Share of the mass that may lie outside a box that is found.
const OUTSIDE: f64 = 1e-6;
/// A box is doubled at most so often, from the side 2.
const DOUBLINGS: i32 = 24;

/// A box: its lower corner and its sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub low: [f64; 3],
    pub size: [f64; 3],
}

impl Place {
    pub(super) fn new(low: &[f64], high: &[f64]) -> Self {
        let mut place = Self {
            low: [0.0; 3],
            size: [0.0; 3],
        };
        for (d, (low, high)) in low.iter().zip(high).enumerate() {
            place.low[d] = *low;
            place.size[d] = high - low;
        }
        place
    }

    /// Equal parts, `sides` along each of D sides.
    fn parts(&self, dim: usize, sides: usize) -> impl Iterator<Item = Self> + '_ {
        (0..sides.pow(dim as u32)).map(move |k| {
            let mut part = *self;
            let mut k = k;
            for d in 0..dim {
                part.size[d] /= sides as f64;
                part.low[d] += part.size[d] * (k % sides) as f64;
                k /= sides;
            }
            part
        })
    }
}

/// f: R^D -> R.
pub(super) type Function<'a> = &'a (dyn Fn(&[f64]) -> f64 + Sync);

/// Why an integral is not known.
#[derive(Debug)]
pub(super) struct Unknown {
    pub expected: String,
    pub got: String,
}

fn unknown(expected: &str, got: impl Into<String>) -> Unknown {
    Unknown {
        expected: expected.to_owned(),
        got: got.into(),
    }
}

/// A cell with what the nodes say of it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    place: Place,
    /// int exp(f - top), and int f exp(f - top).
    mass: f64,
    moment: f64,
    /// Smallest and largest f at the nodes.
    least: f64,
    most: f64,
}

/// exp(f) / Z over cells.
#[derive(Debug)]
pub(super) struct Cubature {
    dim: usize,
    cells: Vec<Cell>,
    modes: Modes,
    log_z: f64,
    entropy: Entropy,
}

/// The rule on a cell: its nodes in \[0, 1\]^D with their weights.
struct Rule(Vec<([f64; 3], f64)>);

impl Rule {
    fn new(dim: usize) -> Self {
        let line = GaussLegendre::new(NODES);
        let node = |k: usize| {
            let mut at = ([0.0; 3], 1.0);
            let mut k = k;
            for d in 0..dim {
                at.0[d] = line.nodes[k % NODES];
                at.1 *= line.weights[k % NODES];
                k /= NODES;
            }
            at
        };
        Self((0..NODES.pow(dim as u32)).map(node).collect())
    }

    fn cell(&self, dim: usize, place: Place, top: f64, f: Function<'_>) -> Result<Cell, Unknown> {
        let volume: f64 = place.size[..dim].iter().product();
        let mut cell = Cell {
            place,
            mass: 0.0,
            moment: 0.0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
        };
        for (node, weight) in &self.0 {
            let mut x = [0.0; 3];
            for d in 0..dim {
                x[d] = place.low[d] + place.size[d] * node[d];
            }
            let value = f(&x[..dim]);
            if value.is_nan() || value == f64::INFINITY {
                let expected = "a log density that is a number or -inf everywhere";
                return Err(unknown(expected, format!("{value} at {:?}", &x[..dim])));
            }
            cell.most = cell.most.max(value);
            if value > f64::NEG_INFINITY {
                cell.least = cell.least.min(value);
            }
            let mass = weight * volume * (value - top).exp();
            cell.mass += mass;
            cell.moment += if mass > 0.0 { mass * value } else { 0.0 };
        }
        Ok(cell)
    }
}

impl Cubature {
    /// Over a cube around 0 that holds nearly all of the mass: another of eight times its sides has no
    /// more.
    pub(super) fn of_all(dim: usize, f: Function<'_>) -> Result<Self, Unknown> {
        let cube = |k: i32| {
            let half = 2f64.powi(k);
            Place::new(&vec![-half; dim], &vec![half; dim])
        };
        let grows =
            |inner: &Self, outer: &Self| !(1.0 - (inner.log_z - outer.log_z).exp() < OUTSIDE);
        let mut before: Option<Self> = None;
        for k in 0..DOUBLINGS {
            let found = match Self::integral(cube(k), f64::INFINITY, f) {
                // The box may be too small to hold anything.
                Err(why) if before.is_none() && k < 8 && why.got == NO_MASS => continue,
                found => found?,
            };
            let complete = before.is_some_and(|before| !grows(&before, &found));
            if complete && !grows(&found, &Self::integral(cube(k + 3), f64::INFINITY, f)?) {
                return Self::over(cube(k), f);
            }
            before = Some(found);
        }
        let expected = "a log density of finite mass, or the `box` that it is meant on";
        Err(unknown(expected, "mass that grows with every box around 0"))
    }

    /// Over `place`.
    pub(super) fn over(place: Place, f: Function<'_>) -> Result<Self, Unknown> {
        Self::integral(place, FLAT, f)
    }

    /// With cells in which f varies by less than `flat`.
    fn integral(place: Place, flat: f64, f: Function<'_>) -> Result<Self, Unknown> {
        let dim = place.size.iter().filter(|s| **s > 0.0).count();
        let rule = Rule::new(dim);
        let cells = |places: &[Place], top: f64| {
            let cells = places.par_iter().map(|part| rule.cell(dim, *part, top, f));
            cells.collect::<Result<Vec<_>, _>>()
        };
        let start: Vec<Place> = place.parts(dim, START[dim - 1]).collect();
        let mut active = cells(&start, 0.0)?;
        let top = largest(active.iter().map(|cell| cell.most));
        if top == f64::NEG_INFINITY {
            return Err(unknown("a log density with mass in the box", NO_MASS));
        }
        if top.abs() > EMPTY {
            active = cells(&start, top)?;
        } else {
            let scale = (-top).exp();
            for cell in &mut active {
                cell.mass *= scale;
                cell.moment *= scale;
            }
        }
        active.retain(|cell| cell.most - top > -EMPTY);
        let (mut done, mut error) = (Vec::new(), [0.0, 0.0]);
        let mut halvings = 0;
        while !active.is_empty() {
            let whole: f64 = done.iter().chain(&active).map(|c: &Cell| c.mass).sum();
            let halves: Vec<Place> = active.iter().flat_map(|c| c.place.parts(dim, 2)).collect();
            let parts = cells(&halves, top)?;
            let mut next = Vec::new();
            for (cell, parts) in active.iter().zip(parts.chunks_exact(1 << dim)) {
                let sum = |of: fn(&Cell) -> f64| parts.iter().map(of).sum::<f64>();
                let (mass, moment) = (sum(|c| c.mass), sum(|c| c.moment));
                let off = (mass - cell.mass).abs();
                let is_flat = mass < NEGLIGIBLE * whole || cell.most - cell.least < flat;
                if off < TOLERANCE * whole && is_flat {
                    error[0] += off;
                    error[1] += (moment - cell.moment).abs();
                    done.push(Cell {
                        mass,
                        moment,
                        ..*cell
                    });
                } else {
                    next.extend_from_slice(parts);
                }
            }
            halvings += 1;
            if done.len() + next.len() > MAX_CELLS || halvings > MAX_HALVINGS {
                let expected = format!(
                    "a log density of finite mass that {MAX_CELLS} cells resolve (try a smaller `box`)"
                );
                return Err(unknown(&expected, "one that needs more"));
            }
            active = next;
        }
        let cells = done;
        let total = |of: fn(&Cell) -> f64| cells.iter().map(of).sum::<f64>();
        let mass = total(|c| c.mass);
        let error = error.map(|e| e / mass);
        if !(mass > 0.0 && error[0] < KNOWN) {
            let expected = format!("a mass that is known to {KNOWN:e}");
            return Err(unknown(
                &expected,
                format!("{mass:e} with a relative error of {:e}", error[0]),
            ));
        }
        let log_z = top + mass.ln();
        let mean = total(|c| c.moment) / mass;
        let entropy = Entropy {
            value: log_z - mean,
            error: error[0] * (1.0 + mean.abs()) + error[1] + 1e-9,
        };
        // Draws come from cells under an envelope.
        let weight = |c: &Cell| match c.mass < NEGLIGIBLE * mass {
            true => 0.0,
            false => c.volume(dim) * (c.bound() - top).exp(),
        };
        let weights: Vec<f64> = cells.iter().map(weight).collect();
        let modes = Modes::new(&weights);
        Ok(Self {
            dim,
            cells,
            modes,
            log_z,
            entropy,
        })
    }

    /// log Z.
    pub(super) fn log_z(&self) -> f64 {
        self.log_z
    }

    /// H of exp(f) / Z.
    pub(super) fn entropy(&self) -> Entropy {
        self.entropy
    }

    /// A point, by rejection: a cell by the mass of its envelope, a point uniformly inside, kept with
    /// probability exp(f) / envelope.
    pub(super) fn draw(&self, rng: &mut Rng, x: &mut [f64], f: Function<'_>) {
        loop {
            let cell = &self.cells[self.modes.draw(rng)];
            for (d, x) in x.iter_mut().enumerate() {
                *x = cell.place.low[d] + cell.place.size[d] * rng.uniform();
            }
            if rng.uniform().ln() < f(x) - cell.bound() {
                return;
            }
        }
    }

    /// Cells that hold all but a thousandth of the mass, the densest first.
    pub(super) fn core(&self) -> impl Iterator<Item = Place> + '_ {
        let mut order: Vec<&Cell> = self.cells.iter().collect();
        order.sort_by(|a, b| {
            (b.mass / b.volume(self.dim)).total_cmp(&(a.mass / a.volume(self.dim)))
        });
        let whole: f64 = order.iter().map(|c| c.mass).sum();
        let mut held = 0.0;
        let inside = move |cell: &&Cell| {
            held += cell.mass;
            held < 0.999 * whole
        };
        order.into_iter().take_while(inside).map(|cell| cell.place)
    }
}

const NO_MASS: &str = "none at the nodes";

impl Cell {
    fn volume(&self, dim: usize) -> f64 {
        self.place.size[..dim].iter().product()
    }

    /// Above f in a cell that points are drawn from: no place is more than 0.17 of a side from a node,
    /// nodes are 0.26 to 0.34 apart, and f is smooth on that scale, as its integral shows.
    fn bound(&self) -> f64 {
        self.most + 0.5 * (self.most - self.least)
    }
}
