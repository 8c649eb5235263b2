//! Points in a k-d tree (Bentley 1975): their nearest neighbours, and sums of Gaussian kernels over them.

use crate::kmeans::distance2;

/// The most points in a leaf.
const LEAF: usize = 24;

/// Terms this many nats below the largest are left out: with n points, less than 1.3e-14 n of the sum.
const NOTHING: f64 = 32.0;

enum Node {
    /// Rows `from..to`.
    Leaf { from: usize, to: usize },
    /// Places of the two halves.
    Inner { first: usize, second: usize },
}

/// Points, halved recursively along the widest side.
pub(crate) struct Tree {
    dim: usize,
    /// The points, leaf by leaf.
    rows: Vec<f64>,
    /// The place of each row among the points that were given.
    order: Vec<usize>,
    nodes: Vec<Node>,
    /// Lowest and highest coordinates of each node's points: 2 D numbers per node.
    boxes: Vec<f64>,
}

impl Tree {
    /// The tree of points given as rows, at least one.
    pub fn new(points: &[f64], dim: usize) -> Self {
        let n = points.len() / dim;
        let mut tree = Self {
            dim,
            rows: Vec::with_capacity(points.len()),
            order: Vec::with_capacity(n),
            nodes: Vec::new(),
            boxes: Vec::new(),
        };
        let mut order: Vec<usize> = (0..n).collect();
        tree.grow(points, &mut order);
        tree
    }

    /// Adds a node for the points with the indices `order`; returns its index.
    fn grow(&mut self, points: &[f64], order: &mut [usize]) -> usize {
        let dim = self.dim;
        let mut sides = vec![(f64::INFINITY, f64::NEG_INFINITY); dim];
        for i in order.iter() {
            for (side, v) in sides.iter_mut().zip(&points[i * dim..]) {
                *side = (side.0.min(*v), side.1.max(*v));
            }
        }
        let here = self.nodes.len();
        let from = self.rows.len() / dim;
        self.boxes.extend(sides.iter().map(|s| s.0));
        self.boxes.extend(sides.iter().map(|s| s.1));
        self.nodes.push(Node::Leaf {
            from,
            to: from + order.len(),
        });
        let widths = sides.iter().map(|s| s.1 - s.0).enumerate();
        let widest = widths.max_by(|a, b| a.1.total_cmp(&b.1));
        match widest {
            Some((d, width)) if order.len() > LEAF && width > 0.0 => {
                let at = |i: &usize| points[i * dim + d];
                let middle = order.len() / 2;
                order.select_nth_unstable_by(middle, |a, b| {
                    at(a).total_cmp(&at(b)).then_with(|| a.cmp(b))
                });
                let (low, high) = order.split_at_mut(middle);
                // A selection leaves either side in no fixed order.
                low.sort_unstable();
                high.sort_unstable();
                let first = self.grow(points, low);
                let second = self.grow(points, high);
                self.nodes[here] = Node::Inner { first, second };
            }
            _ => {
                for i in order.iter() {
                    self.rows.extend(&points[i * dim..(i + 1) * dim]);
                    self.order.push(*i);
                }
            }
        }
        here
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Point `i`, in the order of the tree.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.dim..(i + 1) * self.dim]
    }

    /// Squared distances to the `count` points nearest to `x` and their places among the points that were
    /// given, nearest first; `count` is at least 1.
    pub fn neighbours(&self, x: &[f64], count: usize) -> Vec<(f64, usize)> {
        let mut near = Vec::with_capacity(count + 1);
        self.add_neighbours(0, x, count, &mut near);
        near
    }

    fn add_neighbours(&self, node: usize, x: &[f64], count: usize, near: &mut Vec<(f64, usize)>) {
        let is_near = |near: &[(f64, usize)], d2: f64| near.len() < count || d2 < near[count - 1].0;
        match self.nodes[node] {
            Node::Leaf { from, to } => {
                for i in from..to {
                    let d2 = distance2(x, self.row(i));
                    if is_near(near, d2) {
                        let at = near.partition_point(|n| n.0 <= d2);
                        near.insert(at, (d2, self.order[i]));
                        near.truncate(count);
                    }
                }
            }
            Node::Inner { first, second } => {
                for (distance, child) in self.nearer_first(first, second, x) {
                    if is_near(near, distance) {
                        self.add_neighbours(child, x, count, near);
                    }
                }
            }
        }
    }

    /// Two nodes with the squared distances to their boxes.
    fn nearer_first(&self, first: usize, second: usize, x: &[f64]) -> [(f64, usize); 2] {
        let (a, b) = (self.to_box(first, x), self.to_box(second, x));
        if b < a {
            [(b, second), (a, first)]
        } else {
            [(a, first), (b, second)]
        }
    }

    /// ln sum_j exp(-|x - x_j|^2 / (2 h^2)) over all points except row `without`.
    pub fn log_sum(&self, x: &[f64], h: f64, without: Option<usize>) -> f64 {
        if x.iter().any(|v| v.is_nan()) {
            return f64::NAN;
        }
        let without = without.unwrap_or(usize::MAX);
        let mut near = f64::INFINITY;
        self.nearest(0, x, without, &mut near);
        if !near.is_finite() {
            return -0.5 * near / (h * h);
        }
        // Far away, the width vanishes beside the distance and only the nearest point is within `beyond`.
        let (scale, beyond) = (-0.5 / (h * h), near + 2.0 * NOTHING * h * h);
        let mut sum = 0.0;
        self.within(0, x, without, beyond, &mut |d2| {
            if d2 <= beyond {
                sum += ((d2 - near) * scale).exp();
            }
        });
        near * scale + sum.ln()
    }

    /// Squared distance to a node's box.
    fn to_box(&self, node: usize, x: &[f64]) -> f64 {
        let (low, high) = self.boxes[2 * node * self.dim..][..2 * self.dim].split_at(self.dim);
        x.iter()
            .zip(low.iter().zip(high))
            .map(|(x, (low, high))| {
                let outside = (low - x).max(x - high).max(0.0);
                outside * outside
            })
            .sum()
    }

    fn nearest(&self, node: usize, x: &[f64], without: usize, near: &mut f64) {
        match self.nodes[node] {
            Node::Leaf { from, to } => {
                for i in (from..to).filter(|i| *i != without) {
                    *near = near.min(distance2(x, self.row(i)));
                }
            }
            Node::Inner { first, second } => {
                for (distance, child) in self.nearer_first(first, second, x) {
                    if distance < *near {
                        self.nearest(child, x, without, near);
                    }
                }
            }
        }
    }

    /// Calls `add` with the squared distances of all points in nodes no farther than `beyond`.
    fn within(
        &self,
        node: usize,
        x: &[f64],
        without: usize,
        beyond: f64,
        add: &mut impl FnMut(f64),
    ) {
        if self.to_box(node, x) > beyond {
            return;
        }
        match self.nodes[node] {
            Node::Leaf { from, to } => {
                for i in (from..to).filter(|i| *i != without) {
                    add(distance2(x, self.row(i)));
                }
            }
            Node::Inner { first, second } => {
                self.within(first, x, without, beyond, add);
                self.within(second, x, without, beyond, add);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn neighbours_are_those_of_a_search_through_all_points() {
        for dim in [1, 3] {
            let rng = &mut Rng::new(dim as u64);
            let rows: Vec<f64> = (0..300 * dim).map(|_| rng.normal()).collect();
            let tree = Tree::new(&rows, dim);
            for x in rows.chunks_exact(dim) {
                let others = rows.chunks_exact(dim).enumerate();
                let mut all: Vec<_> = others.map(|(i, row)| (distance2(x, row), i)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert_eq!(tree.neighbours(x, 10), all[..10]);
            }
            assert_eq!(tree.neighbours(&rows[..dim], 1000).len(), 300);
        }
    }
}
