//! The monotone rational-quadratic spline (Durkan et al. 2019), as `bijections::spline` has it.

use super::{places, CoordinateMap, TransformerBackward, TransformerPass};
use crate::math;
use crate::product::TILE;
use crate::simd::Simd;

/// Smallest width and height of a bin, as a share of the interval, and smallest slope of a
/// rational-quadratic spline.
pub const SPLINE_MIN: f64 = 1e-3;

const MIN: f32 = SPLINE_MIN as f32;

/// K bins on [-B, B], the identity outside; applied from data to base. theta holds, coordinate by
/// coordinate, K raw widths, K raw heights and K - 1 raw inner slopes.
#[derive(Clone, Copy)]
pub(super) struct Spline {
    /// K
    pub bins: usize,
    /// B
    pub bound: f32,
}

/// The bin that a value is in, one per lane.
struct Bin<V> {
    index: V,
    left: V,
    width: V,
    bottom: V,
    height: V,
    // Softmax shares of widths and heights: summed before the bin, and of the bin itself.
    widths_before: V,
    width_share: V,
    heights_before: V,
    height_share: V,
    raw_left: V,
    raw_right: V,
    // Slopes at its ends.
    low: V,
    high: V,
}

/// Intermediate values of the spline at theta = (v - left) / width.
struct Parts<V> {
    slope: V,
    cross: V,
    rest: V,
    bend: V,
    ratio: V,
    denominator: V,
    rate: V,
}

impl Spline {
    fn per_coordinate(self) -> usize {
        3 * self.bins - 1
    }

    /// Replaces the K raw widths and the K raw heights at `theta` by their softmax.
    #[inline(always)]
    fn shares<S: Simd>(self, s: S, theta: &mut [f32]) {
        for first in [0, self.bins] {
            let theta = &mut theta[first * TILE..];
            let mut max = s.load(theta);
            for k in 1..self.bins {
                let v = s.load(&theta[k * TILE..]);
                // This order of arguments keeps a later NaN; an earlier one shows in its own bin.
                max = s.max(max, v);
            }
            let mut sum = s.splat(0.0);
            for k in 0..self.bins {
                let e = math::exp(s, s.sub(s.load(&theta[k * TILE..]), max));
                sum = s.add(sum, e);
                s.store(&mut theta[k * TILE..], e);
            }
            let scale = s.div(s.splat(1.0), sum);
            for k in 0..self.bins {
                let p = s.mul(s.load(&theta[k * TILE..]), scale);
                s.store(&mut theta[k * TILE..], p);
            }
        }
    }

    /// The last bin whose lower edge is at most `v`, by the edges of the data side or, with
    /// `by_height`, of the base side. `theta` holds shares in place of raw widths and heights.
    #[inline(always)]
    fn find<S: Simd>(self, s: S, theta: &[f32], v: S::V, by_height: bool) -> Bin<S::V> {
        let size = 2.0 * self.bound;
        let free = s.splat(1.0 - MIN * self.bins as f32);
        let zero = s.splat(0.0);
        let mut bin = Bin {
            index: zero,
            left: zero,
            width: zero,
            bottom: zero,
            height: zero,
            widths_before: zero,
            width_share: zero,
            heights_before: zero,
            height_share: zero,
            raw_left: zero,
            raw_right: zero,
            low: zero,
            high: zero,
        };
        let (mut widths, mut heights) = (zero, zero);
        let mut raw = zero;
        for k in 0..self.bins {
            let (p, q) = (
                s.load(&theta[k * TILE..]),
                s.load(&theta[(self.bins + k) * TILE..]),
            );
            let least = s.splat(MIN * k as f32);
            let (full, start) = (s.splat(size), s.splat(-self.bound));
            let left = s.fma(s.fma(widths, free, least), full, start);
            let bottom = s.fma(s.fma(heights, free, least), full, start);
            let next = if k + 1 < self.bins {
                s.load(&theta[(2 * self.bins + k) * TILE..])
            } else {
                zero
            };
            if k == 0 {
                bin.left = left;
                bin.bottom = bottom;
                bin.width_share = p;
                bin.height_share = q;
                bin.raw_right = next;
            } else {
                let here = s.le(if by_height { bottom } else { left }, v);
                bin.index = s.select(here, s.splat(k as f32), bin.index);
                bin.left = s.select(here, left, bin.left);
                bin.bottom = s.select(here, bottom, bin.bottom);
                bin.widths_before = s.select(here, widths, bin.widths_before);
                bin.heights_before = s.select(here, heights, bin.heights_before);
                bin.width_share = s.select(here, p, bin.width_share);
                bin.height_share = s.select(here, q, bin.height_share);
                bin.raw_left = s.select(here, raw, bin.raw_left);
                bin.raw_right = s.select(here, next, bin.raw_right);
            }
            raw = next;
            widths = s.add(widths, p);
            heights = s.add(heights, q);
        }
        let (least, full) = (s.splat(MIN), s.splat(size));
        bin.width = s.mul(s.fma(bin.width_share, free, least), full);
        bin.height = s.mul(s.fma(bin.height_share, free, least), full);
        let one = s.splat(1.0);
        let low = s.add(math::softplus(s, bin.raw_left), least);
        let high = s.add(math::softplus(s, bin.raw_right), least);
        let is_first = s.lt(bin.index, s.splat(0.5));
        let is_last = s.lt(s.splat(self.bins as f32 - 1.5), bin.index);
        bin.low = s.select(is_first, one, low);
        bin.high = s.select(is_last, one, high);
        bin
    }
}

#[inline(always)]
fn parts<S: Simd>(s: S, bin: &Bin<S::V>, theta: S::V) -> Parts<S::V> {
    let (low, high) = (bin.low, bin.high);
    let slope = s.div(bin.height, bin.width);
    let rest = s.sub(s.splat(1.0), theta);
    let cross = s.mul(theta, rest);
    let two = s.add(slope, slope);
    let bend = s.sub(s.add(low, high), two);
    let square = s.mul(theta, theta);
    let numerator = s.fma(slope, square, s.mul(low, cross));
    let denominator = s.fma(bend, cross, slope);
    let rate = s.fma(
        high,
        square,
        s.fma(two, cross, s.mul(low, s.mul(rest, rest))),
    );
    Parts {
        slope,
        cross,
        rest,
        bend,
        ratio: s.div(numerator, denominator),
        denominator,
        rate,
    }
}

impl CoordinateMap for Spline {
    #[inline(always)]
    fn to_base<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        let each = self.per_coordinate() * TILE;
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let theta = &mut pass.theta[row * each + i..];
            let at = row * TILE + i;
            let v = s.load(&pass.from[at..]);
            let inner = math::clamp(s, v, -self.bound, self.bound);
            self.shares(s, theta);
            let bin = self.find(s, theta, inner, false);
            let p = parts(s, &bin, s.div(s.sub(inner, bin.left), bin.width));
            let u = s.fma(bin.height, p.ratio, bin.bottom);
            // log(rate slope^2 / denominator^2) with one logarithm.
            let fraction = s.div(p.slope, p.denominator);
            let log_slope = math::ln(s, s.mul(s.mul(p.rate, fraction), fraction));
            // NaN compares as outside and passes through.
            let inside = s.le(s.abs(v), s.splat(self.bound));
            let u = s.select(inside, u, v);
            let log_slope = s.select(inside, log_slope, s.mul(v, s.splat(0.0)));
            s.store(&mut pass.to[at..], u);
            s.accumulate(&mut pass.log_det[i..], log_slope);
        }
    }

    #[inline(always)]
    fn to_data<S: Simd>(self, s: S, pass: TransformerPass<'_>) {
        let rows = pass.from.len() / TILE;
        let each = self.per_coordinate() * TILE;
        for (row, i) in places(rows, pass.samples, S::LANES) {
            let theta = &mut pass.theta[row * each + i..];
            let at = row * TILE + i;
            let u = s.load(&pass.from[at..]);
            let inner = math::clamp(s, u, -self.bound, self.bound);
            self.shares(s, theta);
            let bin = self.find(s, theta, inner, true);
            let (low, high) = (bin.low, bin.high);
            let slope = s.div(bin.height, bin.width);
            let rise = s.sub(inner, bin.bottom);
            let bend = s.sub(s.add(low, high), s.add(slope, slope));
            let bent = s.mul(rise, bend);
            let a = s.fma(bin.height, s.sub(slope, low), bent);
            let b = s.sub(s.mul(bin.height, low), bent);
            let c = math::neg(s, s.mul(slope, rise));
            let square = s.fma(s.mul(a, c), s.splat(-4.0), s.mul(b, b));
            let root = s.sqrt(s.max(s.splat(1e-30), square));
            let theta = s.div(s.add(c, c), s.sub(math::neg(s, b), root));
            let v = s.fma(theta, bin.width, bin.left);
            let inside = s.le(s.abs(u), s.splat(self.bound));
            s.store(&mut pass.to[at..], s.select(inside, v, u));
        }
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, back: TransformerBackward<'_>) {
        let rows = back.x.len() / TILE;
        let each = self.per_coordinate() * TILE;
        let zero = s.splat(0.0);
        for (row, i) in places(rows, back.samples, S::LANES) {
            let theta = &back.theta[row * each + i..];
            let at = row * TILE + i;
            let v = s.load(&back.x[at..]);
            let inside = s.le(s.abs(v), s.splat(self.bound));
            let inner = math::clamp(s, v, -self.bound, self.bound);
            let bin = self.find(s, theta, inner, false);
            let (low, high) = (bin.low, bin.high);
            let place = s.div(s.sub(inner, bin.left), bin.width);
            let p = parts(s, &bin, place);
            let by_z = s.load(&back.gradient[at..]);
            let by_u = s.select(inside, by_z, zero);
            let by_log = s.select(inside, s.load(&back.weight[i..]), zero);

            // u = bottom + height ratio, ratio = numerator / denominator
            let by_numerator = s.div(s.mul(by_u, bin.height), p.denominator);
            let twice = s.add(by_log, by_log);
            let by_denominator =
                math::neg(s, s.fma(by_numerator, p.ratio, s.div(twice, p.denominator)));
            let mut by_height = s.mul(by_u, p.ratio);
            // log slope = log rate + 2 log slope - 2 log denominator
            let by_rate = s.div(by_log, p.rate);
            let mut by_slope = s.div(twice, p.slope);
            // rate = high theta^2 + 2 slope cross + low rest^2
            let square = s.mul(place, place);
            let mut by_high = s.mul(by_rate, square);
            let double_rate = s.add(by_rate, by_rate);
            by_slope = s.fma(double_rate, p.cross, by_slope);
            let mut by_cross = s.mul(double_rate, p.slope);
            let mut by_low = s.mul(by_rate, s.mul(p.rest, p.rest));
            let ends = s.sub(s.mul(high, place), s.mul(low, p.rest));
            let mut by_place = s.mul(double_rate, ends);
            // denominator = slope + (low + high - 2 slope) cross
            let by_bend = s.mul(by_denominator, p.cross);
            by_slope = s.add(by_slope, s.fma(by_bend, s.splat(-2.0), by_denominator));
            by_cross = s.fma(by_denominator, p.bend, by_cross);
            by_low = s.add(by_low, by_bend);
            by_high = s.add(by_high, by_bend);
            // numerator = slope theta^2 + low cross
            by_slope = s.fma(by_numerator, square, by_slope);
            by_place = s.fma(
                by_numerator,
                s.mul(s.add(p.slope, p.slope), place),
                by_place,
            );
            by_low = s.fma(by_numerator, p.cross, by_low);
            by_cross = s.fma(by_numerator, low, by_cross);
            // cross = theta (1 - theta)
            by_place = s.fma(by_cross, s.sub(p.rest, place), by_place);
            // slope = height / width, theta = (v - left) / width
            let per_width = s.div(s.splat(1.0), bin.width);
            by_height = s.fma(by_slope, per_width, by_height);
            let by_v = s.mul(by_place, per_width);
            let by_width = math::neg(
                s,
                s.fma(by_v, place, s.mul(s.mul(by_slope, p.slope), per_width)),
            );
            let by_left = math::neg(s, by_v);
            let by_bottom = by_u;
            s.store(&mut back.gradient[at..], s.select(inside, by_v, by_z));

            // Edges and sizes are 2 B times sums of shares: backward pass of the softmax.
            let scale = s.splat(2.0 * self.bound * (1.0 - MIN * self.bins as f32));
            let mean_width = s.fma(by_left, bin.widths_before, s.mul(by_width, bin.width_share));
            let mean_height = s.fma(
                by_bottom,
                bin.heights_before,
                s.mul(by_height, bin.height_share),
            );
            let low_slope = s.mul(by_low, math::sigmoid(s, bin.raw_left));
            let high_slope = s.mul(by_high, math::sigmoid(s, bin.raw_right));
            let to = &mut back.theta_gradient[row * each + i..];
            for k in 0..self.bins {
                let here = s.splat(k as f32);
                let before = s.lt(here, bin.index);
                let not_after = s.le(here, bin.index);
                let p = s.mul(s.load(&theta[k * TILE..]), scale);
                let q = s.mul(s.load(&theta[(self.bins + k) * TILE..]), scale);
                let by_share = s.select(before, by_left, s.select(not_after, by_width, zero));
                let by_raw = s.mul(p, s.sub(by_share, mean_width));
                s.store(&mut to[k * TILE..], by_raw);
                let by_share = s.select(before, by_bottom, s.select(not_after, by_height, zero));
                let by_raw = s.mul(q, s.sub(by_share, mean_height));
                s.store(&mut to[(self.bins + k) * TILE..], by_raw);
                if k + 1 < self.bins {
                    // Slope k is the right one of bin k and the left one of bin k + 1.
                    let next = s.splat((k + 1) as f32);
                    let is_right = s.select(not_after, s.select(before, zero, high_slope), zero);
                    let reached = s.le(next, bin.index);
                    let beyond = s.lt(next, bin.index);
                    let is_left = s.select(reached, s.select(beyond, zero, low_slope), zero);
                    let by_raw = s.add(is_right, is_left);
                    s.store(&mut to[(2 * self.bins + k) * TILE..], by_raw);
                }
            }
        }
    }
}
