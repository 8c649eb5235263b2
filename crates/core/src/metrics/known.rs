//! What metrics need to know about the truth, and how the model's samples compare.

use std::collections::BTreeMap;

use crate::data::{judge, low_density_levels, DataSet, Judgement, Level, Support, Truth};
use crate::rng::Rng;
use crate::Result;

/// Share of the truth's mass below the density level that counts as "between the modes".
pub const LOW_SHARE: f64 = 1e-3;

/// The share of the second, higher level.
pub const HIGHER_SHARE: f64 = 1e-2;

/// Levels of the curve, ten to a decade of shares from 1e-4 to 1.
const CURVE: usize = 41;

const LEVEL_POINTS: usize = 200_000;

/// How a set of points shares itself out over the truth's modes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeShares {
    /// Mean over the points of r_j(x) = w_j p_j(x) / p(x), one per mode.
    pub all: Vec<f64>,
    /// The same sum over the points that are not below the density level.
    pub dense: Vec<f64>,
    /// Variance over the points of (1/2) sum_j sign(all_j - w_j) r_j(x), with the share outside
    /// every mode counted as a mode of weight 0: of the linearised total variation.
    pub variance: f64,
    /// Entropy in nats of [`ModeShares::all`] divided by its sum; NaN where that is 0.
    pub entropy: f64,
    /// Variance over the points of the linearised entropy.
    pub entropy_variance: f64,
}

impl ModeShares {
    /// Of points given as rows, and log p of each. `told` is called for every point.
    pub fn new(
        truth: &Truth,
        log_level: f64,
        rows: &[f64],
        dim: usize,
        mut told: impl FnMut(&Judgement<'_>),
    ) -> (Self, Vec<f64>) {
        let weights = truth.weights();
        let n = (rows.len() / dim) as f64;
        let mut out = Self {
            all: vec![0.0; weights.len()],
            dense: vec![0.0; weights.len()],
            variance: 0.0,
            entropy: 0.0,
            entropy_variance: 0.0,
        };
        let mut log_p = Vec::with_capacity(rows.len() / dim);
        judge(truth, rows, dim, |j| {
            told(j);
            log_p.push(j.log_p);
            let dense = j.log_p >= log_level;
            for (k, r) in j.responsibilities.iter().enumerate() {
                out.all[k] += r / n;
                if dense {
                    out.dense[k] += r / n;
                }
            }
        });
        let both = out.all.iter().zip(weights);
        let signs: Vec<f64> = both.map(|(found, w)| (found - w).signum()).collect();
        let inside: f64 = out.all.iter().sum();
        let log_shares: Vec<f64> = out.all.iter().map(|a| (a / inside).ln()).collect();
        out.entropy = entropy(out.all.iter().map(|a| a / inside));
        let (mut sum, mut squares) = ([0.0; 2], [0.0; 2]);
        judge(truth, rows, dim, |j| {
            let mut terms = [0.5, 0.0];
            let each = j.responsibilities.iter().zip(&signs).zip(&log_shares);
            for ((r, sign), log_share) in each {
                terms[0] += 0.5 * r * (sign - 1.0);
                if *r > 0.0 {
                    terms[1] -= r * (log_share + out.entropy) / inside;
                }
            }
            for (i, term) in terms.iter().enumerate() {
                sum[i] += term;
                squares[i] += term * term;
            }
        });
        let variance = |i: usize| (squares[i] / n - (sum[i] / n).powi(2)).max(0.0);
        [out.variance, out.entropy_variance] = [0, 1].map(variance);
        (out, log_p)
    }
}

/// -sum p log p, in nats.
pub(super) fn entropy(shares: impl Iterator<Item = f64>) -> f64 {
    shares
        .map(|p| if p == 0.0 { 0.0 } else { -p * p.ln() })
        .sum()
}

/// A density level of the truth and the model's mass below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowDensity {
    /// The level, with the truth's own share below it.
    pub level: Level,
    /// Share of the model's samples whose true density is below the level.
    pub mass: f64,
}

/// The truth about one data set, as far as metrics need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// w_j.
    pub weights: Vec<f64>,
    /// At the levels of [`LOW_SHARE`] and [`HIGHER_SHARE`].
    pub low: [LowDensity; 2],
    /// At levels from 1e-4 of the truth to all of it; of a uniform law there is only one.
    pub curve: Vec<LowDensity>,
    /// Share of the model's samples where p = 0, for a truth that is 0 somewhere.
    pub leak: Option<f64>,
    /// log p of the held-out points.
    pub log_p: Vec<f64>,
    /// Their likeliest modes, `None` outside the support.
    pub mode: Vec<Option<u32>>,
    /// log of the true probability of each point's own mode.
    pub log_label: Option<Vec<f64>>,
    /// [`ModeShares::dense`] of the held-out points.
    pub dense: Vec<f64>,
    /// How the model's samples share themselves out.
    pub of_samples: ModeShares,
    /// For pairs of modes, the smaller first: the held-out points and the samples below the level of
    /// [`LOW_SHARE`] whose two likeliest modes they are, as shares of all. Where p is 0 there is no likeliest.
    pub bridges: BTreeMap<(u32, u32), [f64; 2]>,
}

/// The two likeliest modes, the smaller number first; `None` where two have no probability.
fn likeliest_two(responsibilities: &[f64]) -> Option<(u32, u32)> {
    let (mut first, mut second) = ((0.0, 0), (0.0, 0));
    for (k, &r) in (0u32..).zip(responsibilities) {
        if r > first.0 {
            (first, second) = ((r, k), first);
        } else if r > second.0 {
            second = (r, k);
        }
    }
    (second.0 > 0.0).then(|| (first.1.min(second.1), first.1.max(second.1)))
}

impl Known {
    /// Of held-out points with the modes they come from, and of the model's samples, all as rows.
    /// Also log p of the samples.
    pub(super) fn new(
        data: &dyn DataSet,
        truth: &Truth,
        (points, labels): (&[f64], Option<&[u32]>),
        samples: &[f64],
        rng: &Rng,
    ) -> Result<(Self, Vec<f64>)> {
        let dim = data.dim();
        let mut shares = vec![LOW_SHARE, HIGHER_SHARE];
        shares.extend((0..CURVE).map(|i| 10f64.powf(0.1 * i as f64 - 4.0).min(1.0)));
        let levels = low_density_levels(data, &shares, LEVEL_POINTS, &mut rng.fork("level"))?;
        let log_level = levels[0].log_level;
        let n = (points.len() / dim) as f64;
        let mut bridges: BTreeMap<(u32, u32), [f64; 2]> = BTreeMap::new();
        let mut bridge = |j: &Judgement<'_>, of: usize, one: f64| {
            let pair = likeliest_two(j.responsibilities).filter(|_| j.log_p < log_level);
            if let Some(pair) = pair {
                bridges.entry(pair).or_default()[of] += one;
            }
        };
        let (mut mode, mut log_label) = (Vec::new(), Vec::new());
        let (of_points, log_p) = ModeShares::new(truth, log_level, points, dim, |j| {
            if let Some(labels) = labels {
                let own = labels[mode.len()] as usize;
                log_label.push(j.responsibilities.get(own).map_or(f64::NAN, |r| r.ln()));
            }
            bridge(j, 0, 1.0 / n);
            mode.push(j.mode);
        });
        let one = dim as f64 / samples.len() as f64;
        let (of_samples, own_log_p) =
            ModeShares::new(truth, log_level, samples, dim, |j| bridge(j, 1, one));
        let mut sorted = own_log_p.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let share_where = |below: &dyn Fn(f64) -> bool| {
            sorted.partition_point(|l| below(*l)) as f64 / sorted.len() as f64
        };
        let mut low: Vec<LowDensity> = levels
            .into_iter()
            .map(|level| LowDensity {
                mass: share_where(&|l| l < level.log_level),
                level,
            })
            .collect();
        let mut curve = low.split_off(2);
        curve.dedup_by_key(|l| l.level.below);
        let bounded = truth.support() != Support::Everywhere;
        let known = Self {
            weights: truth.weights().to_vec(),
            low: [low[0], low[1]],
            curve,
            leak: bounded.then(|| share_where(&|l| l == f64::NEG_INFINITY)),
            log_p,
            mode,
            log_label: labels.map(|_| log_label),
            dense: of_points.dense,
            of_samples,
            bridges,
        };
        Ok((known, own_log_p))
    }

    /// The curve of bridge mass: the truth's own share below a level, and the model's mass there.
    /// For a truth that is 0 somewhere it begins with share 0 and the mass outside.
    pub fn bridge_curve(&self) -> Vec<(f64, f64)> {
        let outside = self.leak.map(|leak| (0.0, leak));
        let levels = self.curve.iter().map(|l| (l.level.below, l.mass));
        let mut all: Vec<(f64, f64)> = outside.into_iter().chain(levels).collect();
        all.dedup_by_key(|(share, _)| *share);
        all
    }
}
