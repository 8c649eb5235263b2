//! The fold of RAD, as `models::fold` has it.

use super::{places, Transformer, TransformerBackward, TransformerPass};
use crate::math;
use crate::product::TILE;
use crate::simd::Simd;

/// Bound of a fold's log slopes.
pub const LOG_SLOPE_BOUND: f32 = 2.0;
/// Bound of its log width.
pub const LOG_WIDTH_BOUND: f32 = 4.0;
/// Bound of its free log scale.
pub const LOG_SCALE_BOUND: f32 = 3.0;
/// Bound of its gates' logits.
pub const GATE_BOUND: f32 = 3.0;

/// The zig-zag of three parts. theta holds, each for all coordinates: centre, log width, left and
/// right log slope, free log scale, shift and, with `gates`, the left and right gate's logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fold {
    /// Whether the gates have logits of their own.
    pub gates: bool,
}

/// One fold's bounded parameters and the numbers derived from them.
struct Shape<V> {
    centre: V,
    log_width: V,
    // a1, a3 and their e^-a
    left: V,
    right: V,
    left_flat: V,
    right_flat: V,
    free: V,
    shift: V,
    h1: V,
    h3: V,
    // 1 + e^-a1 + e^-a3
    pieces: V,
    log_scale: V,
    // Norms of the gates at both ends: 1 + e^(h1 - a1) + e^-a3 and 1 + e^-a1 + e^(h3 - a3)
    start: V,
    end: V,
    e_h1: V,
    e_h3: V,
}

/// The gates at the relative position t in \[0, 1\].
struct Gates<V> {
    // Logits of left and right; the middle's is 0.
    left: V,
    right: V,
    // Probabilities of left and right.
    p_left: V,
    p_right: V,
    log_norm: V,
}

impl Fold {
    /// Bounds theta in place.
    #[inline(always)]
    fn bound<S: Simd>(self, s: S, theta: &mut [f32], rows: usize) {
        for (i, c) in [
            (1, LOG_WIDTH_BOUND),
            (2, LOG_SLOPE_BOUND),
            (3, LOG_SLOPE_BOUND),
            (4, LOG_SCALE_BOUND),
            (6, GATE_BOUND),
            (7, GATE_BOUND),
        ] {
            if i < 6 || self.gates {
                let at = i * rows * TILE;
                let v = math::bounded(s, s.load(&theta[at..]), c);
                s.store(&mut theta[at..], v);
            }
        }
    }

    /// From bounded theta.
    #[inline(always)]
    fn shape<S: Simd>(self, s: S, theta: &[f32], rows: usize) -> Shape<S::V> {
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        let (left, right) = (get(s, theta, rows, 2), get(s, theta, rows, 3));
        let left_flat = math::exp(s, math::neg(s, left));
        let right_flat = math::exp(s, math::neg(s, right));
        let pieces = s.add(s.add(left_flat, right_flat), one);
        let (log_width, free) = (get(s, theta, rows, 1), get(s, theta, rows, 4));
        let (h1, h3, e_h1, e_h3) = if self.gates {
            let (h1, h3) = (get(s, theta, rows, 6), get(s, theta, rows, 7));
            (h1, h3, math::exp(s, h1), math::exp(s, h3))
        } else {
            (zero, zero, one, one)
        };
        Shape {
            centre: get(s, theta, rows, 0),
            log_width,
            left,
            right,
            left_flat,
            right_flat,
            free,
            shift: get(s, theta, rows, 5),
            h1,
            h3,
            pieces,
            log_scale: s.add(s.add(log_width, math::ln(s, pieces)), free),
            start: s.fma(left_flat, e_h1, s.add(right_flat, one)),
            end: s.fma(right_flat, e_h3, s.add(left_flat, one)),
            e_h1,
            e_h3,
        }
    }
}

#[inline(always)]
fn get<S: Simd>(s: S, theta: &[f32], rows: usize, which: usize) -> S::V {
    s.load(&theta[which * rows * TILE..])
}

#[inline(always)]
fn put<S: Simd>(s: S, theta: &mut [f32], rows: usize, which: usize, v: S::V) {
    s.store(&mut theta[which * rows * TILE..], v);
}

#[inline(always)]
fn gates<S: Simd>(s: S, shape: &Shape<S::V>, t: S::V) -> Gates<S::V> {
    let one = s.splat(1.0);
    let left = s.sub(s.mul(s.sub(one, t), shape.h1), shape.left);
    let right = s.sub(s.mul(t, shape.h3), shape.right);
    // |logits| <= 5: exp cannot overflow.
    let (e_left, e_right) = (math::exp(s, left), math::exp(s, right));
    let norm = s.add(s.add(e_left, e_right), one);
    Gates {
        left,
        right,
        p_left: s.div(e_left, norm),
        p_right: s.div(e_right, norm),
        log_norm: math::ln(s, norm),
    }
}

impl Transformer for Fold {
    #[inline(always)]
    fn to_base<S: Simd>(self, s: S, way: TransformerPass<'_>) {
        let rows = way.from.len() / TILE;
        let one = s.splat(1.0);
        let minus = s.splat(-1.0);
        for (row, i) in places(rows, way.samples, S::LANES) {
            let at = row * TILE + i;
            self.bound(s, &mut way.theta[at..], rows);
            let f = self.shape(s, &way.theta[at..], rows);
            let (v, is_left, is_right) = fold(s, &f, s.load(&way.from[at..]));
            let t = math::clamp(s, s.fma(v, s.splat(0.5), s.splat(0.5)), 0.0, 1.0);
            let g = gates(s, &f, t);
            let zero = s.splat(0.0);
            let own = s.select(
                is_left,
                s.add(f.left, g.left),
                s.select(is_right, s.add(f.right, g.right), zero),
            );
            let own = s.sub(own, g.log_norm);
            let lambda = s.add(s.sub(own, f.log_width), f.log_scale);
            let z = s.fma(v, math::exp(s, f.log_scale), f.shift);
            s.store(&mut way.to[at..], z);
            s.accumulate(&mut way.log_det[i..], lambda);
            if !way.parts.is_empty() {
                let part = s.select(is_left, zero, s.select(is_right, s.sub(one, minus), one));
                s.store(&mut way.parts[at..], part);
            }
        }
    }

    #[inline(always)]
    fn to_data<S: Simd>(self, s: S, way: TransformerPass<'_>) {
        let rows = way.from.len() / TILE;
        let (zero, one, minus) = (s.splat(0.0), s.splat(1.0), s.splat(-1.0));
        for (row, i) in places(rows, way.samples, S::LANES) {
            let at = row * TILE + i;
            self.bound(s, &mut way.theta[at..], rows);
            let f = self.shape(s, &way.theta[at..], rows);
            let scale = math::exp(s, math::neg(s, f.log_scale));
            let v = s.mul(s.sub(s.load(&way.from[at..]), f.shift), scale);
            let t = math::clamp(s, s.fma(v, s.splat(0.5), s.splat(0.5)), 0.0, 1.0);
            let g = gates(s, &f, t);
            let below = s.lt(v, minus);
            let above = s.lt(one, v);
            // Left where u < p_left, middle up to 1 - p_right, right beyond.
            let u = s.load(&way.parts[at..]);
            let p_left = s.select(below, one, s.select(above, zero, g.p_left));
            let middle = s.sub(s.sub(one, g.p_left), g.p_right);
            let middle = s.select(below, zero, s.select(above, zero, middle));
            let is_left = s.lt(u, p_left);
            let not_right = s.lt(u, s.add(p_left, middle));

            let outer_left = s.div(f.start, f.e_h1);
            let outer_right = s.div(f.end, f.e_h3);
            let two = s.splat(2.0);
            let far_left = s.fma(
                s.add(v, one),
                outer_left,
                s.fma(f.left_flat, math::neg(s, two), minus),
            );
            let left = s.fma(s.sub(v, one), f.left_flat, minus);
            let right = s.fma(s.add(v, one), f.right_flat, one);
            let far_right = s.fma(s.sub(v, one), outer_right, s.fma(f.right_flat, two, one));
            let left = s.select(below, far_left, left);
            let right = s.select(above, far_right, right);
            let part = s.select(is_left, left, s.select(not_right, math::neg(s, v), right));
            let x = s.fma(part, math::exp(s, f.log_width), f.centre);
            s.store(&mut way.to[at..], x);
        }
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, back: TransformerBackward<'_>) {
        let rows = back.x.len() / TILE;
        let (zero, one, minus, two) = (s.splat(0.0), s.splat(1.0), s.splat(-1.0), s.splat(2.0));
        for (row, i) in places(rows, back.samples, S::LANES) {
            let at = row * TILE + i;
            let f = self.shape(s, &back.theta[at..], rows);
            let by_z = s.load(&back.gradient[at..]);
            let weight = s.load(&back.weight[i..]);

            // Recomputes data to base.
            let per_width = math::exp(s, math::neg(s, f.log_width));
            let u = s.mul(s.sub(s.load(&back.x[at..]), f.centre), per_width);
            let knot_left = s.fma(f.left_flat, math::neg(s, two), minus);
            let knot_right = s.fma(f.right_flat, two, one);
            let is_left = s.lt(u, minus);
            let is_right = s.lt(one, u);
            let is_far_left = s.lt(u, knot_left);
            let is_far_right = s.lt(knot_right, u);
            let outer_left = s.div(f.e_h1, f.start);
            let outer_right = s.div(f.e_h3, f.end);
            let (v, _, _) = fold_at(s, &f, u);
            let place = s.fma(v, s.splat(0.5), s.splat(0.5));
            let t = math::clamp(s, place, 0.0, 1.0);
            let g = gates(s, &f, t);

            // z = v e^scale + shift
            let scale = math::exp(s, f.log_scale);
            let by_scale = s.mul(by_z, s.mul(v, scale));
            // lambda = own - log width + log scale: by the gates of the part and their norm
            let left_weight = s.select(is_left, weight, zero);
            let right_weight = s.select(is_right, weight, zero);
            let by_left = s.sub(left_weight, s.mul(weight, g.p_left));
            let by_right = s.sub(right_weight, s.mul(weight, g.p_right));
            let mut by_a1 = s.sub(left_weight, by_left);
            let mut by_a3 = s.sub(right_weight, by_right);
            let mut by_h1 = s.mul(by_left, s.sub(one, t));
            let mut by_h3 = s.mul(by_right, t);
            let by_t = s.sub(s.mul(by_right, f.h3), s.mul(by_left, f.h1));
            let free_place = s.lt(s.abs(v), one);
            let by_v = s.fma(
                s.select(free_place, by_t, zero),
                s.splat(0.5),
                s.mul(by_z, scale),
            );

            // v by u and by the slopes of its piece
            let steep_left = s.div(one, f.left_flat);
            let steep_right = s.div(one, f.right_flat);
            let slope = s.select(
                is_far_left,
                outer_left,
                s.select(
                    is_left,
                    steep_left,
                    s.select(
                        is_far_right,
                        outer_right,
                        s.select(is_right, steep_right, minus),
                    ),
                ),
            );
            let by_u = s.mul(by_v, slope);
            let far_left_by_a1 = s.mul(s.mul(f.left_flat, outer_left), math::neg(s, two));
            let v_by_a1 = s.select(
                is_far_left,
                far_left_by_a1,
                s.select(is_left, s.sub(v, one), zero),
            );
            let far_right_by_a3 = s.mul(s.mul(f.right_flat, outer_right), two);
            let v_by_a3 = s.select(
                is_far_right,
                far_right_by_a3,
                s.select(is_right, s.add(v, one), zero),
            );
            by_a1 = s.fma(by_v, v_by_a1, by_a1);
            by_a3 = s.fma(by_v, v_by_a3, by_a3);
            // The outer slopes: A1 = h1 - log start, A3 = h3 - log end.
            let by_outer_left = s.select(is_far_left, s.mul(by_v, s.add(v, one)), zero);
            let by_outer_right = s.select(is_far_right, s.mul(by_v, s.sub(v, one)), zero);
            let start_left = s.div(s.mul(f.left_flat, f.e_h1), f.start);
            let start_right = s.div(f.right_flat, f.start);
            let end_left = s.div(f.left_flat, f.end);
            let end_right = s.div(s.mul(f.right_flat, f.e_h3), f.end);
            by_h1 = s.fma(by_outer_left, s.sub(one, start_left), by_h1);
            by_h3 = s.fma(by_outer_right, s.sub(one, end_right), by_h3);
            by_a1 = s.fma(
                by_outer_left,
                start_left,
                s.fma(by_outer_right, end_left, by_a1),
            );
            by_a3 = s.fma(
                by_outer_left,
                start_right,
                s.fma(by_outer_right, end_right, by_a3),
            );

            // log scale = log width + log pieces + free; lambda depends on all of them but the width.
            let by_pieces = s.div(s.add(by_scale, weight), f.pieces);
            by_a1 = s.sub(by_a1, s.mul(by_pieces, f.left_flat));
            by_a3 = s.sub(by_a3, s.mul(by_pieces, f.right_flat));
            let by_x = s.mul(by_u, per_width);
            let by_width = s.sub(by_scale, s.mul(by_u, u));
            s.store(&mut back.gradient[at..], by_x);

            let to = &mut back.theta_gradient[at..];
            put(s, to, rows, 0, math::neg(s, by_x));
            let slope = math::bounded_slope(s, f.log_width, LOG_WIDTH_BOUND);
            put(s, to, rows, 1, s.mul(by_width, slope));
            put(
                s,
                to,
                rows,
                2,
                s.mul(by_a1, math::bounded_slope(s, f.left, LOG_SLOPE_BOUND)),
            );
            put(
                s,
                to,
                rows,
                3,
                s.mul(by_a3, math::bounded_slope(s, f.right, LOG_SLOPE_BOUND)),
            );
            let slope = math::bounded_slope(s, f.free, LOG_SCALE_BOUND);
            put(s, to, rows, 4, s.mul(s.add(by_scale, weight), slope));
            put(s, to, rows, 5, by_z);
            if self.gates {
                put(
                    s,
                    to,
                    rows,
                    6,
                    s.mul(by_h1, math::bounded_slope(s, f.h1, GATE_BOUND)),
                );
                put(
                    s,
                    to,
                    rows,
                    7,
                    s.mul(by_h3, math::bounded_slope(s, f.h3, GATE_BOUND)),
                );
            }
        }
    }
}

/// The value v of the fold at x, and whether x is in the left or the right part.
#[inline(always)]
fn fold<S: Simd>(s: S, f: &Shape<S::V>, x: S::V) -> (S::V, S::M, S::M) {
    let per_width = math::exp(s, math::neg(s, f.log_width));
    fold_at(s, f, s.mul(s.sub(x, f.centre), per_width))
}

#[inline(always)]
fn fold_at<S: Simd>(s: S, f: &Shape<S::V>, u: S::V) -> (S::V, S::M, S::M) {
    let (one, minus, two) = (s.splat(1.0), s.splat(-1.0), s.splat(2.0));
    let knot_left = s.fma(f.left_flat, math::neg(s, two), minus);
    let knot_right = s.fma(f.right_flat, two, one);
    let outer_left = s.div(f.e_h1, f.start);
    let outer_right = s.div(f.e_h3, f.end);
    let far_left = s.fma(outer_left, s.sub(u, knot_left), minus);
    let left = s.add(s.div(s.add(u, one), f.left_flat), one);
    let right = s.add(s.div(s.sub(u, one), f.right_flat), minus);
    let far_right = s.fma(outer_right, s.sub(u, knot_right), one);
    let is_left = s.lt(u, minus);
    let is_right = s.lt(one, u);
    let v = s.select(
        s.lt(u, knot_left),
        far_left,
        s.select(
            is_left,
            left,
            s.select(
                s.lt(knot_right, u),
                far_right,
                s.select(is_right, right, math::neg(s, u)),
            ),
        ),
    );
    (v, is_left, is_right)
}
