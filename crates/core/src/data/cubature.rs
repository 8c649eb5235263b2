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
/// Walks that look for mass that the cells do not hold: few while there is some, then many, of which none
/// finds a share of 1e-4 in one case of twenty. Their steps, and how often they are repeated.
const FEW_WALKS: usize = 1 << 11;
const MANY_WALKS: usize = 1 << 15;
const STEPS: usize = 40;
const ROUNDS: usize = 60;
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

    fn volume(&self, dim: usize) -> f64 {
        self.size[..dim].iter().product()
    }

    fn holds(&self, dim: usize, x: &[f64]) -> bool {
        (0..dim).all(|d| (self.low[d]..=self.low[d] + self.size[d]).contains(&x[d]))
    }

    /// The number of the cell of the start in which a point lies.
    fn shelf(&self, dim: usize, x: &[f64]) -> Option<usize> {
        let sides = START[dim - 1];
        let along = |d: usize| ((x[d] - self.low[d]) / self.size[d] * sides as f64) as usize;
        let inside = self.holds(dim, x);
        inside.then(|| {
            (0..dim)
                .rev()
                .fold(0, |at, d| at * sides + along(d).min(sides - 1))
        })
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
    /// By how much both moved when its sides were halved.
    error: [f64; 2],
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
        let volume = place.volume(dim);
        let mut cell = Cell {
            place,
            mass: 0.0,
            moment: 0.0,
            error: [0.0; 2],
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

/// Cells that are being refined.
struct Cells<'a> {
    dim: usize,
    rule: Rule,
    f: Function<'a>,
    flat: f64,
    /// What f is compared with, so that exp(f - top) is a number.
    top: f64,
    done: Vec<Cell>,
}

impl<'a> Cells<'a> {
    /// Over `place`; f varies by less than `flat` in cells that matter.
    fn new(place: Place, flat: f64, f: Function<'a>) -> Result<Self, Unknown> {
        let dim = place.size.iter().filter(|s| **s > 0.0).count();
        let rule = Rule::new(dim);
        let mut cells = Self {
            dim,
            rule,
            f,
            flat,
            top: 0.0,
            done: Vec::new(),
        };
        let start: Vec<Place> = place.parts(dim, START[dim - 1]).collect();
        let mut active = cells.at(&start)?;
        cells.top = largest(active.iter().map(|cell| cell.most));
        if cells.top == f64::NEG_INFINITY {
            return Err(unknown("a log density with mass in the box", NO_MASS));
        }
        if cells.top.abs() > EMPTY {
            active = cells.at(&start)?;
        } else {
            active
                .iter_mut()
                .for_each(|cell| cell.scale((-cells.top).exp()));
        }
        let is_empty = |cell: &Cell| cell.most - cells.top < -EMPTY;
        let (empty, active): (Vec<Cell>, Vec<Cell>) = active.into_iter().partition(is_empty);
        cells.done = empty;
        cells.refine(active)?;
        Ok(cells)
    }

    fn at(&self, places: &[Place]) -> Result<Vec<Cell>, Unknown> {
        let cell = |place: &Place| self.rule.cell(self.dim, *place, self.top, self.f);
        places.par_iter().map(cell).collect()
    }

    /// Halves the sides of cells until each is done.
    fn refine(&mut self, mut active: Vec<Cell>) -> Result<(), Unknown> {
        for _ in 0..MAX_HALVINGS {
            if active.is_empty() {
                return Ok(());
            }
            let whole: f64 = self.done.iter().chain(&active).map(|c| c.mass).sum();
            let halves = active.iter().flat_map(|c| c.place.parts(self.dim, 2));
            let parts = self.at(&halves.collect::<Vec<_>>())?;
            let mut next = Vec::new();
            for (cell, parts) in active.iter().zip(parts.chunks_exact(1 << self.dim)) {
                let sum = |of: fn(&Cell) -> f64| parts.iter().map(of).sum::<f64>();
                let (mass, moment) = (sum(|c| c.mass), sum(|c| c.moment));
                let error = [(mass - cell.mass).abs(), (moment - cell.moment).abs()];
                let is_flat = mass < NEGLIGIBLE * whole || cell.most - cell.least < self.flat;
                if error[0] < TOLERANCE * whole && is_flat {
                    self.done.push(Cell {
                        mass,
                        moment,
                        error,
                        ..*cell
                    });
                } else {
                    next.extend_from_slice(parts);
                }
            }
            if self.done.len() + next.len() > MAX_CELLS {
                break;
            }
            active = next;
        }
        let expected = format!(
            "a log density of finite mass that {MAX_CELLS} cells resolve (try a smaller `box`)"
        );
        Err(unknown(&expected, "one that needs more"))
    }

    /// Refines cells around points with mass that the cells do not show.
    fn refine_at(&mut self, points: &[[f64; 3]]) -> Result<(), Unknown> {
        let dim = self.dim;
        let heights = points.iter().map(|x| (self.f)(&x[..dim]));
        let highest = largest(heights);
        if highest > self.top + EMPTY {
            let factor = (self.top - highest).exp();
            self.done.iter_mut().for_each(|cell| cell.scale(factor));
            self.top = highest;
        }
        let mut active = Vec::new();
        for x in points {
            // An earlier point may have been in the same cell.
            let Some(i) = self.done.iter().position(|cell| cell.place.holds(dim, x)) else {
                continue;
            };
            let mut cell = self.done.swap_remove(i);
            for _ in 0..MAX_HALVINGS {
                if (self.f)(&x[..dim]) - cell.most < 1.0 {
                    break;
                }
                for part in self.at(&cell.place.parts(dim, 2).collect::<Vec<_>>())? {
                    if part.place.holds(dim, x) {
                        cell = part;
                    } else {
                        active.push(part);
                    }
                }
            }
            active.push(cell);
        }
        self.refine(active)
    }

    /// log Z, the mean of f, and the errors of both sums relative to the mass.
    fn sums(&self) -> (f64, f64, [f64; 2]) {
        let total = |of: &dyn Fn(&Cell) -> f64| self.done.iter().map(of).sum::<f64>();
        let mass = total(&|c| c.mass);
        let errors = [0, 1].map(|i| total(&|c| c.error[i]) / mass);
        (self.top + mass.ln(), total(&|c| c.moment) / mass, errors)
    }

    fn finished(&self) -> Result<Cubature, Unknown> {
        let (log_z, mean, error) = self.sums();
        if !(log_z.is_finite() && error[0] < KNOWN) {
            let expected = format!("a mass that is known to {KNOWN:e}");
            let got = format!(
                "a log mass of {log_z} with a relative error of {:e}",
                error[0]
            );
            return Err(unknown(&expected, got));
        }
        // Draws come from cells under an envelope.
        let least = NEGLIGIBLE * (log_z - self.top).exp();
        let weight = |c: &Cell| match c.mass < least {
            true => 0.0,
            false => c.place.volume(self.dim) * (c.bound() - self.top).exp(),
        };
        let weights: Vec<f64> = self.done.iter().map(weight).collect();
        Ok(Cubature {
            dim: self.dim,
            cells: self.done.clone(),
            modes: Modes::new(&weights),
            log_z,
            entropy: Entropy {
                value: log_z - mean,
                error: error[0] * (1.0 + mean.abs()) + error[1] + 1e-9,
            },
        })
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
        let mass =
            |k| -> Result<f64, Unknown> { Ok(Cells::new(cube(k), f64::INFINITY, f)?.sums().0) };
        let grows = |inner: f64, outer: f64| !(1.0 - (inner - outer).exp() < OUTSIDE);
        let mut before = None;
        for k in 0..DOUBLINGS {
            let found = match mass(k) {
                // The box may be too small to hold anything.
                Err(why) if before.is_none() && k < 8 && why.got == NO_MASS => continue,
                found => found?,
            };
            let complete = before.is_some_and(|before| !grows(before, found));
            if complete && !grows(found, mass(k + 3)?) {
                match Self::over(cube(k), f) {
                    Err(why) if why.got == OUT_OF_BOX => {}
                    found => return found,
                }
            }
            before = Some(found);
        }
        let expected = "a log density of finite mass, or the `box` that it is meant on";
        Err(unknown(expected, "mass that grows with every box around 0"))
    }

    /// Over `place`. Random walks from draws leave the law as it is; where they come to places that the
    /// cells take for empty, such as a ridge between nodes, the cells are refined.
    pub(super) fn over(place: Place, f: Function<'_>) -> Result<Self, Unknown> {
        let mut cells = Cells::new(place, FLAT, f)?;
        let root = Rng::new(0).fork("walks");
        let mut walks = FEW_WALKS;
        for round in 0..ROUNDS {
            let found = cells.finished()?;
            let shelves = found.shelves(place);
            let missed = (0..walks).into_par_iter().filter_map(|i| {
                let mut rng = root
                    .fork_at("round", round as u64)
                    .fork_at("walk", i as u64);
                let x = found.walk(place, &mut rng, f);
                let near = place.shelf(found.dim, &x).and_then(|at| shelves.get(at));
                let mut near = near.into_iter().flatten();
                let held = near.any(|i| found.cells[*i].place.holds(found.dim, &x));
                (!held).then_some(x)
            });
            let missed: Vec<[f64; 3]> = missed.collect();
            if missed.iter().any(|x| !place.holds(found.dim, x)) {
                return Err(unknown(
                    "a `box` that holds all but 1e-6 of the mass",
                    OUT_OF_BOX,
                ));
            }
            match (missed.is_empty(), walks) {
                (true, MANY_WALKS) => return Ok(found),
                (true, _) => walks = MANY_WALKS,
                (false, _) => cells.refine_at(&missed)?,
            }
        }
        let expected = "a log density whose mass can be found (try a smaller `box`)";
        Err(unknown(expected, "new mass in every round of the search"))
    }

    /// The cells that points are drawn from, by the cell of the start in which they lie.
    fn shelves(&self, place: Place) -> Vec<Vec<usize>> {
        let mut shelves = vec![Vec::new(); START[self.dim - 1].pow(self.dim as u32)];
        for (i, cell) in self.cells.iter().enumerate() {
            let middle = [0, 1, 2].map(|d| cell.place.low[d] + 0.5 * cell.place.size[d]);
            let shelf = place
                .shelf(self.dim, &middle)
                .and_then(|at| shelves.get_mut(at));
            if let Some(shelf) = shelf.filter(|_| self.modes.weights[i] > 0.0) {
                shelf.push(i);
            }
        }
        shelves
    }

    /// The end of a Metropolis walk from a draw: steps along one coordinate, of all sizes.
    fn walk(&self, place: Place, rng: &mut Rng, f: Function<'_>) -> [f64; 3] {
        let mut x = [0.0; 3];
        self.draw(rng, &mut x[..self.dim], f);
        let mut height = f(&x[..self.dim]);
        for _ in 0..STEPS {
            let d = rng.below(self.dim);
            let size = place.size[d] * 0.5f64.powi(1 + rng.below(20) as i32);
            let mut next = x;
            next[d] += size * rng.normal();
            let there = f(&next[..self.dim]);
            if rng.uniform().ln() < there - height {
                (x, height) = (next, there);
            }
        }
        x
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

    /// Cells that hold all but a hundredth of the mass, the densest first.
    pub(super) fn core(&self) -> impl Iterator<Item = Place> + '_ {
        let mut order: Vec<&Cell> = self.cells.iter().collect();
        order.sort_by(|a, b| {
            (b.mass / b.place.volume(self.dim)).total_cmp(&(a.mass / a.place.volume(self.dim)))
        });
        let whole: f64 = order.iter().map(|c| c.mass).sum();
        let mut held = 0.0;
        let inside = move |cell: &&Cell| {
            held += cell.mass;
            held < 0.99 * whole
        };
        order.into_iter().take_while(inside).map(|cell| cell.place)
    }
}

const NO_MASS: &str = "none at the nodes";
const OUT_OF_BOX: &str = "mass outside";

impl Cell {
    fn scale(&mut self, factor: f64) {
        self.mass *= factor;
        self.moment *= factor;
        self.error = self.error.map(|e| e * factor);
    }

    /// Above f in a cell that points are drawn from: no place is more than 0.17 of a side from a node,
    /// nodes are 0.26 to 0.34 apart, and f is smooth on that scale, as its integral shows.
    fn bound(&self) -> f64 {
        self.most + 0.5 * (self.most - self.least)
    }
}
