//! What can be chosen, and whether the rows bear it out.

use super::super::digits::{plain, with_half};
use super::{label, Study};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter};

/// Standard errors that chance is given.
const CHANCE: f64 = 3.5;

/// A choice that a program may make, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// As a sentence.
    pub says: &'static str,
    /// Whether the rows agree; `None` where there are none to tell.
    pub holds: Option<bool>,
    /// In numbers.
    pub evidence: String,
}

impl Claim {
    fn of(says: &'static str, holds: impl Into<Option<bool>>, evidence: String) -> Self {
        Self {
            says,
            holds: holds.into(),
            evidence,
        }
    }
}

/// Every claim, in the order of the page.
pub fn claims(study: &Study<'_>) -> Vec<Claim> {
    let mut all = vec![
        bound(study, Density::NestedIncludingOwn, -1.0),
        bound(study, Density::NestedExcludingOwn, 1.0),
        law(study),
        midpoint(study),
        shared(study),
        cross_entropy(study),
        joint(study),
        same_law(study),
    ];
    all.extend(Parameter::ALL.map(|p| least_noise(study, p)));
    all.push(relaxed_gradients(study));
    all.push(straight_through(study));
    all
}

fn at(row: &EntropyRow) -> String {
    let inner = row.inner.map_or_else(String::new, |m| format!(", M = {m}"));
    format!("at temperature {}{inner}", row.temperature)
}

fn all_of<'a>(study: &'a Study<'_>, density: Density) -> Vec<&'a EntropyRow> {
    study
        .entropies
        .iter()
        .filter(|r| r.density == density)
        .collect()
}

fn bias(row: &EntropyRow) -> String {
    with_half(row.bias, row.bias_std_err)
}

fn most<'a>(rows: &[&'a EntropyRow], by: impl Fn(&EntropyRow) -> f64) -> Option<&'a EntropyRow> {
    rows.iter().copied().max_by(|a, b| by(a).total_cmp(&by(b)))
}

fn bound(study: &Study<'_>, density: Density, sign: f64) -> Claim {
    let says = match sign > 0.0 {
        true => "Nested density without the sample's own weights: an upper bound of the entropy",
        false => "Nested density with the sample's own weights: a lower bound of the entropy",
    };
    let rows = all_of(study, density);
    let wrong = |r: &EntropyRow| -sign * r.bias / r.bias_std_err;
    let (Some(far), Some(near), Some(worst)) = (
        most(&rows, |r| r.bias.abs()),
        most(&rows, |r| -r.bias.abs()),
        most(&rows, wrong),
    ) else {
        return Claim::of(says, None, String::new());
    };
    let evidence = format!(
        "off by {} nats {}, {} {}",
        bias(far),
        at(far),
        bias(near),
        at(near)
    );
    Claim::of(says, wrong(worst) < CHANCE, evidence)
}

/// Over the largest M of every temperature.
fn law(study: &Study<'_>) -> Claim {
    let says = "Both bounds are off by chi2 / (2 M) where M is large (shown: the largest M)";
    let mut holds = None;
    let mut parts = Vec::new();
    for t in study.temperatures() {
        for (density, word) in [
            (Density::NestedIncludingOwn, "below"),
            (Density::NestedExcludingOwn, "above"),
        ] {
            let Some((m, row)) = study.nested(t, density).pop() else {
                continue;
            };
            // The next term of the series is smaller by about chi2 / M, and its factor of order one.
            let next = 2.0 * row.predicted.abs() * (2.0 * row.predicted.abs());
            let off = (row.bias - row.predicted).abs();
            let fine = off < CHANCE * row.bias_std_err + 3.0 * next;
            holds = Some(holds.unwrap_or(true) && fine);
            let predicted = plain(row.predicted);
            parts.push(format!(
                "{word} {} against {predicted} at {t}, M = {m}",
                bias(row)
            ));
        }
    }
    Claim::of(says, holds, parts.join("; "))
}

fn midpoint(study: &Study<'_>) -> Claim {
    let says = "The midpoint of both bounds is nearer to the entropy than either, from some M on";
    let mut parts = Vec::new();
    let mut holds = None;
    for t in study.temperatures() {
        let [below, above, middle] = [
            Density::NestedIncludingOwn,
            Density::NestedExcludingOwn,
            Density::Midpoint,
        ]
        .map(|d| study.nested(t, d));
        let nearer = |i: usize| -> bool {
            let (b, a, m) = (below[i].1, above[i].1, middle[i].1);
            m.bias.abs() < b.bias.abs().min(a.bias.abs()) + CHANCE * m.bias_std_err
        };
        let n = middle.len();
        if n == 0 || below.len() != n || above.len() != n {
            continue;
        }
        let from = (0..n).rev().take_while(|i| nearer(*i)).last();
        holds = Some(holds.unwrap_or(true) && from.is_some());
        parts.push(match from {
            Some(i) => format!(
                "at {t} from M = {}: off by {}",
                middle[i].0,
                bias(middle[i].1)
            ),
            None => format!("at {t} not up to M = {}", middle[n - 1].0),
        });
    }
    Claim::of(says, holds, parts.join("; "))
}

fn shared(study: &Study<'_>) -> Claim {
    let says = "The weights of the whole batch serve as well as fresh ones for each sample";
    let mut worst: Option<(f64, &EntropyRow, &EntropyRow)> = None;
    for t in study.temperatures() {
        let fresh = study.nested(t, Density::NestedIncludingOwn);
        for (m, batch) in study.nested(t, Density::BatchIncludingOwn) {
            let Some((_, fresh)) = fresh.iter().find(|(own, _)| *own == m) else {
                continue;
            };
            let error = batch.bias_std_err.hypot(fresh.bias_std_err);
            let off = (batch.bias - fresh.bias).abs() / error;
            if worst.is_none_or(|w| off > w.0) {
                worst = Some((off, batch, fresh));
            }
        }
    }
    match worst {
        None => Claim::of(says, None, String::new()),
        Some((off, batch, fresh)) => Claim::of(
            says,
            off < CHANCE,
            format!(
                "bias {} against {}, {off:.1} standard errors apart, {}: the farthest",
                bias(batch),
                bias(fresh),
                at(batch)
            ),
        ),
    }
}

/// Biases of a density without M over all temperatures.
fn listed(study: &Study<'_>, density: Density) -> String {
    let rows = all_of(study, density);
    let parts = rows
        .iter()
        .map(|r| format!("{} at {}", bias(r), r.temperature));
    parts.collect::<Vec<_>>().join("; ")
}

fn without_bias(study: &Study<'_>, density: Density) -> Option<bool> {
    let rows = all_of(study, density);
    let fine = |r: &&EntropyRow| r.bias.abs() < CHANCE * r.bias_std_err;
    (!rows.is_empty()).then(|| rows.iter().all(fine))
}

fn cross_entropy(study: &Study<'_>) -> Claim {
    let says = "Equation 1, the mixture's density on relaxed samples, gives their entropy";
    let evidence = listed(study, Density::ExactMixture);
    let evidence = format!("off by KL(relaxed‖mixture): {evidence}");
    Claim::of(says, without_bias(study, Density::ExactMixture), evidence)
}

fn joint(study: &Study<'_>) -> Claim {
    let says = "Equation 2, the joint density of sample and weights, gives the entropy of samples";
    let evidence = listed(study, Density::Joint);
    let evidence = format!("off by H(c given z), which depends on the measure of c: {evidence}");
    Claim::of(says, without_bias(study, Density::Joint), evidence)
}

fn same_law(study: &Study<'_>) -> Claim {
    let says = "The relaxed mixture may stand for the mixture (total variation below 0.01)";
    let parts = study
        .relaxed
        .iter()
        .map(|r| format!("{:.4} at {}", r.total_variation, r.temperature));
    let evidence = parts.collect::<Vec<_>>().join("; ");
    let rows = &study.relaxed;
    let holds = (!rows.is_empty()).then(|| rows.iter().all(|r| r.total_variation < 0.01));
    Claim::of(says, holds, evidence)
}

fn least_noise(study: &Study<'_>, parameter: Parameter) -> Claim {
    let says = match parameter {
        Parameter::Logits => "Stratified draws are unbiased, with the least noise, for the logits",
        Parameter::Means => "Stratified draws are unbiased, with the least noise, for the means",
        Parameter::LogStdDevs => {
            "Stratified draws are unbiased, with the least noise, for the log standard deviations"
        }
    };
    let mut unbiased: Vec<&GradientRow> =
        study.by(parameter).filter(|r| r.looks_unbiased()).collect();
    unbiased.sort_by(|a, b| a.sd.total_cmp(&b.sd));
    let stratified = study.by(parameter).find(|r| r.strategy == "stratified");
    let holds = stratified.map(|s| {
        let beaten = |r: &&GradientRow| s.sd - r.sd > CHANCE * s.sd_std_err.hypot(r.sd_std_err);
        s.looks_unbiased() && !unbiased.iter().any(beaten)
    });
    let parts = unbiased
        .iter()
        .map(|r| format!("`{}` {}", label(r), with_half(r.sd, r.sd_std_err)));
    let parts: Vec<_> = parts.collect();
    Claim::of(
        says,
        holds,
        format!("unbiased within error, by noise: {}", parts.join(", ")),
    )
}

fn relaxed_gradients(study: &Study<'_>) -> Claim {
    let says = "Gumbel-softmax gives the gradients of the mixture";
    let rows: Vec<_> = study
        .gradients
        .iter()
        .filter(|r| r.strategy == "gumbel_softmax")
        .collect();
    let logits = rows.iter().filter(|r| r.parameter == Parameter::Logits);
    let parts = logits.map(|r| {
        let t = r.temperature.unwrap_or_default();
        let bias = with_half(r.relative_bias, r.bias_std_err);
        format!(
            "{bias} at {t} (noise {})",
            plain((100.0 * r.sd).round() / 100.0)
        )
    });
    let evidence = format!(
        "bias for the logits: {}",
        parts.collect::<Vec<_>>().join("; ")
    );
    let holds = (!rows.is_empty()).then(|| rows.iter().all(|r| r.looks_unbiased()));
    Claim::of(says, holds, evidence)
}

fn straight_through(study: &Study<'_>) -> Claim {
    let says = "Straight-through gives the gradients of the mixture";
    let rows: Vec<_> = study
        .gradients
        .iter()
        .filter(|r| r.strategy == "straight_through")
        .collect();
    let logits = rows.iter().filter(|r| r.parameter == Parameter::Logits);
    let parts = logits.map(|r| {
        let t = r.temperature.unwrap_or_default();
        let cosine = plain((100.0 * r.cosine).round() / 100.0);
        format!(
            "{} at {t} (cosine {cosine})",
            with_half(r.relative_bias, r.bias_std_err)
        )
    });
    let parts: Vec<_> = parts.collect();
    let others = rows.iter().filter(|r| r.parameter != Parameter::Logits);
    let others = match others.clone().all(|r| r.looks_unbiased()) {
        true => "means and log standard deviations unbiased within error",
        false => "means or log standard deviations biased too",
    };
    let evidence = format!("bias for the logits: {}; {others}", parts.join("; "));
    let holds = (!rows.is_empty()).then(|| rows.iter().all(|r| r.looks_unbiased()));
    Claim::of(says, holds, evidence)
}
