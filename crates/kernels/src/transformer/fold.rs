//! The fold of RAD, as `models::fold` has it.

use super::{places, CoordinateMap, TransformerBackward, TransformerPass};
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
#[derive(Clone, Copy)]
pub(super) struct Fold {
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
    t: V,
    // Logits of left and right; the middle's is 0.
    left: V,
    right: V,
    // Probabilities of left and right.
    p_left: V,
    p_right: V,
    log_norm: V,
}

/// The value v of the fold at u, the piece that u is in, and the slopes of the outer pieces.
struct Value<V, M> {
    v: V,
    is_left: M,
    is_right: M,
    is_far_left: M,
    is_far_right: M,
    outer_left: V,
    outer_right: V,
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
fn gates<S: Simd>(s: S, shape: &Shape<S::V>, v: S::V) -> Gates<S::V> {
    let one = s.splat(1.0);
    let t = math::clamp(s, s.fma(v, s.splat(0.5), s.splat(0.5)), 0.0, 1.0);
    let left = s.sub(s.mul(s.sub(one, t), shape.h1), shape.left);
    let right = s.sub(s.mul(t, shape.h3), shape.right);
    // |logits| <= 5: exp cannot overflow.
    let (e_left, e_right) = (math::exp(s, left), math::exp(s, right));
    let norm = s.add(s.add(e_left, e_right), one);
    Gates {
        t,
        left,
        right,
        p_left: s.div(e_left, norm),
        p_right: s.div(e_right, norm),
        log_norm: math::ln(s, norm),
    }
}

impl CoordinateMap for Fold {
    #[inline(always)]
    fn to_base<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let at = row * TILE + i;
            self.bound(s, &mut pass.theta[at..], rows);
            let f = self.shape(s, &pass.theta[at..], rows);
            let per_width = math::exp(s, math::neg(s, f.log_width));
            let u = s.mul(s.sub(s.load(&pass.from[at..]), f.centre), per_width);
            let p = fold(s, &f, u);
            let g = gates(s, &f, p.v);
            let own = s.select(p.is_right, s.add(f.right, g.right), zero);
            let own = s.select(p.is_left, s.add(f.left, g.left), own);
            let own = s.sub(own, g.log_norm);
            let lambda = s.add(s.sub(own, f.log_width), f.log_scale);
            let z = s.fma(p.v, math::exp(s, f.log_scale), f.shift);
            s.store(&mut pass.to[at..], z);
            s.accumulate(&mut pass.log_det[i..], lambda);
            if !pass.parts.is_empty() {
                let part = s.select(p.is_right, s.splat(2.0), one);
                let part = s.select(p.is_left, zero, part);
                s.store(&mut pass.parts[at..], part);
            }
        }
    }

    #[inline(always)]
    fn to_data<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        let (zero, one, minus) = (s.splat(0.0), s.splat(1.0), s.splat(-1.0));
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let at = row * TILE + i;
            self.bound(s, &mut pass.theta[at..], rows);
            let f = self.shape(s, &pass.theta[at..], rows);
            let scale = math::exp(s, math::neg(s, f.log_scale));
            let v = s.mul(s.sub(s.load(&pass.from[at..]), f.shift), scale);
            let g = gates(s, &f, v);
            let below = s.lt(v, minus);
            let above = s.lt(one, v);
            // Left where u < p_left, middle up to 1 - p_right, right beyond.
            let u = s.load(&pass.parts[at..]);
            let p_left = s.select(below, one, s.select(above, zero, g.p_left));
            let middle = s.sub(s.sub(one, g.p_left), g.p_right);
            let middle = s.select(below, zero, s.select(above, zero, middle));
            let is_left = s.lt(u, p_left);
            let not_right = s.lt(u, s.add(p_left, middle));

            let outer_left = s.div(f.start, f.e_h1);
            let outer_right = s.div(f.end, f.e_h3);
            let two = s.splat(2.0);
            let knot_left = s.fma(f.left_flat, math::neg(s, two), minus);
            let far_left = s.fma(s.add(v, one), outer_left, knot_left);
            let left = s.fma(s.sub(v, one), f.left_flat, minus);
            let right = s.fma(s.add(v, one), f.right_flat, one);
            let far_right = s.fma(s.sub(v, one), outer_right, s.fma(f.right_flat, two, one));
            let left = s.select(below, far_left, left);
            let right = s.select(above, far_right, right);
            let part = s.select(is_left, left, s.select(not_right, math::neg(s, v), right));
            let x = s.fma(part, math::exp(s, f.log_width), f.centre);
            s.store(&mut pass.to[at..], x);
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
            let p = fold(s, &f, u);
            let g = gates(s, &f, p.v);

            // z = v e^scale + shift
            let scale = math::exp(s, f.log_scale);
            let by_scale = s.mul(by_z, s.mul(p.v, scale));
            // lambda = own - log width + log scale: by the gates of the part and their norm
            let left_weight = s.select(p.is_left, weight, zero);
            let right_weight = s.select(p.is_right, weight, zero);
            let by_left = s.sub(left_weight, s.mul(weight, g.p_left));
            let by_right = s.sub(right_weight, s.mul(weight, g.p_right));
            let mut by_a1 = s.sub(left_weight, by_left);
            let mut by_a3 = s.sub(right_weight, by_right);
            let mut by_h1 = s.mul(by_left, s.sub(one, g.t));
            let mut by_h3 = s.mul(by_right, g.t);
            let by_t = s.sub(s.mul(by_right, f.h3), s.mul(by_left, f.h1));
            let free_place = s.lt(s.abs(p.v), one);
            let by_t = s.select(free_place, by_t, zero);
            let by_v = s.fma(by_t, s.splat(0.5), s.mul(by_z, scale));

            // v by u and by the slopes of its piece
            let steep_left = s.div(one, f.left_flat);
            let steep_right = s.div(one, f.right_flat);
            let slope = s.select(p.is_right, steep_right, minus);
            let slope = s.select(p.is_far_right, p.outer_right, slope);
            let slope = s.select(p.is_left, steep_left, slope);
            let slope = s.select(p.is_far_left, p.outer_left, slope);
            let by_u = s.mul(by_v, slope);
            let far_left_by_a1 = s.mul(s.mul(f.left_flat, p.outer_left), math::neg(s, two));
            let v_by_a1 = s.select(p.is_left, s.sub(p.v, one), zero);
            let v_by_a1 = s.select(p.is_far_left, far_left_by_a1, v_by_a1);
            let far_right_by_a3 = s.mul(s.mul(f.right_flat, p.outer_right), two);
            let v_by_a3 = s.select(p.is_right, s.add(p.v, one), zero);
            let v_by_a3 = s.select(p.is_far_right, far_right_by_a3, v_by_a3);
            by_a1 = s.fma(by_v, v_by_a1, by_a1);
            by_a3 = s.fma(by_v, v_by_a3, by_a3);
            // The outer slopes: A1 = h1 - log start, A3 = h3 - log end.
            let by_outer_left = s.select(p.is_far_left, s.mul(by_v, s.add(p.v, one)), zero);
            let by_outer_right = s.select(p.is_far_right, s.mul(by_v, s.sub(p.v, one)), zero);
            let start_left = s.div(s.mul(f.left_flat, f.e_h1), f.start);
            let start_right = s.div(f.right_flat, f.start);
            let end_left = s.div(f.left_flat, f.end);
            let end_right = s.div(s.mul(f.right_flat, f.e_h3), f.end);
            by_h1 = s.fma(by_outer_left, s.sub(one, start_left), by_h1);
            by_h3 = s.fma(by_outer_right, s.sub(one, end_right), by_h3);
            by_a1 = s.fma(by_outer_right, end_left, by_a1);
            by_a1 = s.fma(by_outer_left, start_left, by_a1);
            by_a3 = s.fma(by_outer_right, end_right, by_a3);
            by_a3 = s.fma(by_outer_left, start_right, by_a3);

            // log scale = log width + log pieces + free; lambda depends on all of them but the width.
            let by_pieces = s.div(s.add(by_scale, weight), f.pieces);
            by_a1 = s.sub(by_a1, s.mul(by_pieces, f.left_flat));
            by_a3 = s.sub(by_a3, s.mul(by_pieces, f.right_flat));
            let by_x = s.mul(by_u, per_width);
            let by_width = s.sub(by_scale, s.mul(by_u, u));
            s.store(&mut back.gradient[at..], by_x);

            let to = &mut back.theta_gradient[at..];
            put(s, to, rows, 0, math::neg(s, by_x));
            put(s, to, rows, 5, by_z);
            let by_free = s.add(by_scale, weight);
            put_bounded(s, to, rows, 1, by_width, (f.log_width, LOG_WIDTH_BOUND));
            put_bounded(s, to, rows, 2, by_a1, (f.left, LOG_SLOPE_BOUND));
            put_bounded(s, to, rows, 3, by_a3, (f.right, LOG_SLOPE_BOUND));
            put_bounded(s, to, rows, 4, by_free, (f.free, LOG_SCALE_BOUND));
            if self.gates {
                put_bounded(s, to, rows, 6, by_h1, (f.h1, GATE_BOUND));
                put_bounded(s, to, rows, 7, by_h3, (f.h3, GATE_BOUND));
            }
        }
    }
}

/// Writes the gradient by a raw parameter from that by its bounded value.
#[inline(always)]
fn put_bounded<S: Simd>(
    s: S,
    theta: &mut [f32],
    rows: usize,
    which: usize,
    by: S::V,
    (value, bound): (S::V, f32),
) {
    let slope = math::bounded_slope(s, value, bound);
    put(s, theta, rows, which, s.mul(by, slope));
}

#[inline(always)]
fn fold<S: Simd>(s: S, f: &Shape<S::V>, u: S::V) -> Value<S::V, S::M> {
    let (one, minus, two) = (s.splat(1.0), s.splat(-1.0), s.splat(2.0));
    let knot_left = s.fma(f.left_flat, math::neg(s, two), minus);
    let knot_right = s.fma(f.right_flat, two, one);
    let outer_left = s.div(f.e_h1, f.start);
    let outer_right = s.div(f.e_h3, f.end);
    let far_left = s.fma(outer_left, s.sub(u, knot_left), minus);
    let left = s.add(s.div(s.add(u, one), f.left_flat), one);
    let right = s.add(s.div(s.sub(u, one), f.right_flat), minus);
    let far_right = s.fma(outer_right, s.sub(u, knot_right), one);
    let (is_left, is_right) = (s.lt(u, minus), s.lt(one, u));
    let (is_far_left, is_far_right) = (s.lt(u, knot_left), s.lt(knot_right, u));
    let v = s.select(is_right, right, math::neg(s, u));
    let v = s.select(is_far_right, far_right, v);
    let v = s.select(is_left, left, v);
    Value {
        v: s.select(is_far_left, far_left, v),
        is_left,
        is_right,
        is_far_left,
        is_far_right,
        outer_left,
        outer_right,
    }
}
