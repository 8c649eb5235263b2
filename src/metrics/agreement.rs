//! Whether the model's parts are the true modes.

use std::collections::BTreeMap;

use super::{Better, Metric, Outcome, NO_TRUTH};

/// Normalised mutual information between the model's part (component, branch code or cluster) of a
/// held-out point and its likeliest true mode: I / ((H_part + H_mode) / 2), 1 for the same
/// partition and 0 for independent ones. More parts than modes lower it. The standard error is
/// from ten blocks of points.
pub const MUTUAL_INFORMATION: Metric = Metric {
    name: "nmi",
    describe: "agreement of the model's parts with the true modes (normalised mutual information)",
    unit: "share",
    better: Better::Higher,
    is_cost: false,
    evaluate: |on| {
        let Some(known) = &on.known else {
            return Outcome::none(NO_TRUTH);
        };
        let Some(part) = &on.part else {
            return Outcome::none("the model has no parts");
        };
        let pairs: Vec<(u64, u32)> = part
            .iter()
            .zip(&known.mode)
            .filter_map(|(p, m)| m.map(|m| (*p, m)))
            .collect();
        let Some(value) = nmi(&pairs) else {
            return Outcome::none("one part and one mode");
        };
        let blocks: Vec<f64> = pairs
            .chunks(pairs.len().div_ceil(BLOCKS).max(1))
            .filter_map(nmi)
            .collect();
        let std_err = (blocks.len() > 1).then(|| {
            let count = blocks.len() as f64;
            let mean = blocks.iter().sum::<f64>() / count;
            let squares: f64 = blocks.iter().map(|b| (b - mean).powi(2)).sum();
            (squares / (count - 1.0) / count).sqrt()
        });
        Outcome::Value {
            value,
            std_err,
            n: pairs.len(),
            non_finite: part.len() - pairs.len(),
        }
    },
};

const BLOCKS: usize = 10;

/// `None` if both labels are constant.
fn nmi(pairs: &[(u64, u32)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let mut joint: BTreeMap<(u64, u32), usize> = BTreeMap::new();
    let mut first: BTreeMap<u64, usize> = BTreeMap::new();
    let mut second: BTreeMap<u32, usize> = BTreeMap::new();
    for (a, b) in pairs {
        *joint.entry((*a, *b)).or_default() += 1;
        *first.entry(*a).or_default() += 1;
        *second.entry(*b).or_default() += 1;
    }
    // A label that never changes has p = 1 exactly, and no entropy.
    let entropy = |count: usize| {
        let p = count as f64 / n;
        -p * p.ln()
    };
    let (h1, h2, h12): (f64, f64, f64) = (
        first.values().copied().map(entropy).sum(),
        second.values().copied().map(entropy).sum(),
        joint.values().copied().map(entropy).sum(),
    );
    let scale = 0.5 * (h1 + h2);
    (scale > 0.0).then(|| ((h1 + h2 - h12) / scale).clamp(0.0, 1.0))
}
