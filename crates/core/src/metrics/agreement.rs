//! Whether the model's parts are the true modes, or the classes of the data.

use std::collections::BTreeMap;

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::{Better, Evaluation, Metric, Outcome};

const BLOCKS: usize = 10;

/// How many points have a part and a label, a part, and a label.
#[derive(Default)]
struct Table {
    counts: BTreeMap<(u64, u32), usize>,
    parts: BTreeMap<u64, usize>,
    labels: BTreeMap<u32, usize>,
    n: usize,
}

impl Table {
    fn of(pairs: &[(u64, u32)]) -> Self {
        let mut out = Self {
            n: pairs.len(),
            ..Self::default()
        };
        for (part, label) in pairs {
            *out.counts.entry((*part, *label)).or_default() += 1;
            *out.parts.entry(*part).or_default() += 1;
            *out.labels.entry(*label).or_default() += 1;
        }
        out
    }

    /// I / ((H_part + H_label) / 2); `None` if both are constant.
    fn normalised_mutual_information(&self) -> Option<f64> {
        // A label that never changes has p = 1 exactly, and no entropy.
        let entropy = |count: &usize| {
            let p = *count as f64 / self.n as f64;
            -p * p.ln()
        };
        let (h1, h2, h12): (f64, f64, f64) = (
            self.parts.values().map(entropy).sum(),
            self.labels.values().map(entropy).sum(),
            self.counts.values().map(entropy).sum(),
        );
        let scale = 0.5 * (h1 + h2);
        (scale > 0.0).then(|| ((h1 + h2 - h12) / scale).clamp(0.0, 1.0))
    }

    /// Hubert and Arabie 1985; `None` if both are constant or all points differ in both.
    fn adjusted_rand_index(&self) -> Option<f64> {
        let pairs = |count: &usize| 0.5 * *count as f64 * (*count as f64 - 1.0);
        let together: f64 = self.counts.values().map(pairs).sum();
        let of_parts: f64 = self.parts.values().map(pairs).sum();
        let of_labels: f64 = self.labels.values().map(pairs).sum();
        let expected = of_parts * of_labels / pairs(&self.n);
        let most = 0.5 * (of_parts + of_labels);
        (most > expected).then(|| (together - expected) / (most - expected))
    }

    /// Share of points whose label is that of their part, parts and labels paired one to one for the
    /// largest share.
    fn accuracy(&self) -> Option<f64> {
        let parts: Vec<u64> = self.parts.keys().copied().collect();
        let labels: Vec<u32> = self.labels.keys().copied().collect();
        let count = |part: usize, label: usize| {
            let found = self.counts.get(&(parts[part], labels[label]));
            found.map_or(0, |count| *count as i64)
        };
        let (matched, _) = best_matching(labels.len(), parts.len(), count);
        (self.n > 0).then(|| matched as f64 / self.n as f64)
    }
}

/// The one-to-one pairing of labels and parts of the largest total `worth(part, label)`, and the label of
/// every part that has one (Hungarian method).
pub(super) fn best_matching(
    labels: usize,
    parts: usize,
    worth: impl Fn(usize, usize) -> i64,
) -> (i64, Vec<Option<usize>>) {
    let mut of_part = vec![None; parts];
    if labels == 0 || parts == 0 {
        return (0, of_part);
    }
    // The method needs at least as many columns as rows.
    if labels > parts {
        let matrix = Matrix::from_fn(parts, labels, |(part, label)| worth(part, label));
        let (total, chosen) = kuhn_munkres(&matrix);
        return (total, chosen.into_iter().map(Some).collect());
    }
    let matrix = Matrix::from_fn(labels, parts, |(label, part)| worth(part, label));
    let (total, chosen) = kuhn_munkres(&matrix);
    for (label, part) in chosen.into_iter().enumerate() {
        of_part[part] = Some(label);
    }
    (total, of_part)
}

/// A score of parts against labels, with the standard error from ten blocks of points.
fn score(on: &Evaluation, of: fn(&Table) -> Option<f64>) -> Outcome {
    let Some(labels) = &on.labels else {
        return Outcome::none(super::NO_LABELS);
    };
    let Some(part) = &on.part else {
        return Outcome::none(super::NO_PARTS);
    };
    let pairs: Vec<(u64, u32)> = part.iter().copied().zip(labels.iter().copied()).collect();
    let Some(value) = of(&Table::of(&pairs)) else {
        return Outcome::none("one part and one label");
    };
    let blocks: Vec<f64> = pairs
        .chunks(pairs.len().div_ceil(BLOCKS).max(1))
        .filter_map(|block| of(&Table::of(block)))
        .collect();
    let of_mean = || crate::num::mean_and_std_err(blocks.iter().copied()).1;
    let std_err = (blocks.len() > 1).then(of_mean);
    Outcome::of(value, std_err, pairs.len())
}

/// I / ((H_part + H_label) / 2). More parts than labels lower it.
pub(super) const MUTUAL_INFORMATION: Metric = Metric {
    name: "nmi",
    describe: "agreement of the model's parts with the labels (normalised mutual information)",
    unit: "share",
    better: Better::Higher,
    solved: || [1.0, 1.0],
    evaluate: |on| score(on, Table::normalised_mutual_information),
};

pub(super) const ADJUSTED_RAND_INDEX: Metric = Metric {
    name: "ari",
    describe: "agreement of the model's parts with the labels (adjusted Rand index)",
    unit: "1",
    better: Better::Higher,
    solved: || [1.0, 1.0],
    evaluate: |on| score(on, Table::adjusted_rand_index),
};

/// A model that splits a mode loses what is not in the largest piece.
pub(super) const ACCURACY: Metric = Metric {
    name: "accuracy",
    describe: "points whose part is the one matched to their label (one part to one label)",
    unit: "share",
    better: Better::Higher,
    solved: || [1.0, 1.0],
    evaluate: |on| score(on, Table::accuracy),
};

pub(super) const ACCURACY_CEILING: Metric = Metric {
    name: "accuracy_ceiling",
    describe: "points whose likeliest true mode is their label: the best possible accuracy",
    unit: "share",
    better: Better::Neither,
    solved: || [1.0, 1.0],
    evaluate: |on| match (&on.known, &on.labels) {
        (None, _) => Outcome::none(super::NO_TRUTH),
        (_, None) => Outcome::none(super::NO_LABELS),
        (Some(known), Some(labels)) => {
            let both = known.mode.iter().zip(labels);
            super::mean_of(both.map(|(mode, label)| f64::from(u8::from(*mode == Some(*label)))))
        }
    },
};

#[cfg(test)]
mod tests {
    use super::{best_matching, Table};

    /// Parts by rows: (5, 1), (2, 3), (0, 4).
    fn table() -> Table {
        let mut pairs = Vec::new();
        for (part, label, count) in [(9, 0, 5), (9, 1, 1), (4, 0, 2), (4, 1, 3), (7, 1, 4)] {
            pairs.extend(std::iter::repeat_n((part, label), count));
        }
        Table::of(&pairs)
    }

    #[test]
    fn rand_index_and_accuracy_by_hand() {
        // Pairs together 10 + 0 + 1 + 3 + 6 = 20, of parts 15 + 10 + 6 = 31, of labels 21 + 28 = 49,
        // of all 105.
        let expected = 31.0 * 49.0 / 105.0;
        let want = (20.0 - expected) / (40.0 - expected);
        assert!((table().adjusted_rand_index().unwrap() - want).abs() < 1e-15);
        assert_eq!(table().accuracy(), Some(9.0 / 15.0));
    }

    #[test]
    fn the_best_matching_by_hand() {
        let worth = [[7, 5, 1], [6, 1, 1], [3, 2, 0]];
        let (total, of_part) = best_matching(3, 3, |part, label| worth[part][label]);
        // 5 + 6 + 0; the greedy 7 + 1 + 2 is less, as are the other four.
        assert_eq!(total, 11);
        assert_eq!(of_part.len(), 3);
        // More labels than parts: both parts get one; more parts: one goes without.
        let (total, of_part) = best_matching(3, 2, |part, label| worth[part][label]);
        assert_eq!((total, of_part), (11, vec![Some(1), Some(0)]));
        let (total, of_part) = best_matching(2, 3, |part, label| worth[part][label]);
        assert_eq!((total, of_part), (11, vec![Some(1), Some(0), None]));
    }
}
