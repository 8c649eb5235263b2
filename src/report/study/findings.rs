//! What a study's rows say on choices that a program may make.

use super::{bias, label, Study};
use crate::report::digits::{plain, with_half};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, CHANCE};

/// Whether the rows agree with a claim (`None` without rows), and the evidence in numbers.
pub(super) type Finding = (Option<bool>, String);

/// A claim about each of some rows: whether it holds there, and the evidence.
fn all_hold(rows: impl Iterator<Item = (bool, String)>) -> Finding {
    let (holds, evidence): (Vec<bool>, Vec<String>) = rows.unzip();
    let verdict = (!holds.is_empty()).then(|| !holds.contains(&false));
    (verdict, evidence.join("; "))
}

/// Choices that a program may make: a line for each of [`findings`].
pub(super) const CLAIMS: &str = "\
Nested density with the sample's own weights: a lower bound of the entropy
Nested density without the sample's own weights: an upper bound of the entropy
Both bounds are off by chi2 / (2 M) where M is large (shown: the largest M)
The midpoint of both bounds is nearer to the entropy than either, from some M on
The weights of the whole batch serve as well as fresh ones for each sample
Equation 1, the mixture's density on relaxed samples, gives their entropy
Equation 2, the joint density of sample and weights, gives the entropy of samples
The relaxed mixture may stand for the mixture (total variation below 0.01)
Stratified draws are unbiased, with the least noise, for the logits
Stratified draws are unbiased, with the least noise, for the means
Stratified draws are unbiased, with the least noise, for the log standard deviations
Gumbel-softmax gives the gradients of the mixture
Straight-through gives the gradients of the mixture";

/// What was found on each of [`CLAIMS`].
pub(super) fn findings(study: &Study<'_>) -> [Finding; 13] {
    let relaxed = study.relaxed.iter().map(|r| {
        let (tv, t) = (r.total_variation, r.temperature);
        (tv < 0.01, format!("{tv:.4} at {t}"))
    });
    let equation_2 = "H(c given z), which depends on the measure of c";
    [
        is_bound(study, Density::NestedIncludingOwn, -1.0),
        is_bound(study, Density::NestedExcludingOwn, 1.0),
        follow_theory(study),
        midpoint_is_nearest(study),
        batch_is_as_good(study),
        is_entropy(study, Density::ExactMixture, "KL(relaxed‖mixture)"),
        is_entropy(study, Density::Joint, equation_2),
        all_hold(relaxed),
        stratified_is_best(study, Parameter::Logits),
        stratified_is_best(study, Parameter::Means),
        stratified_is_best(study, Parameter::LogStdDevs),
        is_unbiased(study, "gumbel_softmax", ("noise", |r| r.sd)),
        is_unbiased(study, "straight_through", ("cosine", |r| r.cosine)),
    ]
}

fn at(row: &EntropyRow) -> String {
    let inner = row.inner.map_or_else(String::new, |m| format!(", M = {m}"));
    format!("at temperature {}{inner}", row.temperature)
}

/// Whether no bias has the opposite of `sign`.
fn is_bound(study: &Study<'_>, density: Density, sign: f64) -> Finding {
    let mut rows = study.of(density);
    rows.sort_by(|a, b| a.bias.abs().total_cmp(&b.bias.abs()));
    let holds = rows
        .iter()
        .all(|r| -sign * r.bias / r.bias_std_err < CHANCE);
    let found = rows.last().zip(rows.first()).map(|(far, near)| {
        let (most, least) = (bias(far), bias(near));
        (
            holds,
            format!("off by {most} nats {}, {least} {}", at(far), at(near)),
        )
    });
    all_hold(found.into_iter())
}

fn follow_theory(study: &Study<'_>) -> Finding {
    let mut found = Vec::new();
    for t in study.temperatures() {
        for (density, word) in [
            (Density::NestedIncludingOwn, "below"),
            (Density::NestedExcludingOwn, "above"),
        ] {
            let Some(row) = study.entropies(t, density).pop() else {
                continue;
            };
            // The next term of the series is smaller by about chi2 / M, and its factor of order one.
            let next = (2.0 * row.predicted.abs()).powi(2);
            let off = (row.bias - row.predicted).abs();
            let (bias, predicted) = (bias(row), plain(row.predicted));
            let m = row.inner.unwrap_or_default();
            let text = format!("{word} {bias} against {predicted} at {t}, M = {m}");
            found.push((off < CHANCE * row.bias_std_err + 3.0 * next, text));
        }
    }
    all_hold(found.into_iter())
}

fn midpoint_is_nearest(study: &Study<'_>) -> Finding {
    let mut found = Vec::new();
    for t in study.temperatures() {
        let of = |density| study.entropies(t, density);
        let above = of(Density::NestedExcludingOwn);
        let bounds = of(Density::NestedIncludingOwn).into_iter().zip(above);
        let mut rows: Vec<_> = bounds.zip(of(Density::Midpoint)).collect();
        let nearer = |((below, above), middle): &((&EntropyRow, &EntropyRow), &EntropyRow)| {
            let nearest = below.bias.abs().min(above.bias.abs());
            middle.bias.abs() < nearest + CHANCE * middle.bias_std_err
        };
        let m = |row: &EntropyRow| row.inner.unwrap_or_default();
        let Some((_, largest)) = rows.last().copied() else {
            continue;
        };
        rows.reverse();
        found.push(match rows.into_iter().take_while(nearer).last() {
            Some((_, row)) => (
                true,
                format!("at {t} from M = {}: off by {}", m(row), bias(row)),
            ),
            None => (false, format!("at {t} not up to M = {}", m(largest))),
        });
    }
    all_hold(found.into_iter())
}

fn batch_is_as_good(study: &Study<'_>) -> Finding {
    let batches = study.of(Density::BatchIncludingOwn).into_iter();
    let pairs = batches.filter_map(|batch| {
        let fresh = study.entropies(batch.temperature, Density::NestedIncludingOwn);
        let fresh = fresh.into_iter().find(|r| r.inner == batch.inner)?;
        let error = batch.bias_std_err.hypot(fresh.bias_std_err);
        Some(((batch.bias - fresh.bias).abs() / error, batch, fresh))
    });
    let farthest = pairs.max_by(|a, b| a.0.total_cmp(&b.0));
    let found = farthest.map(|(off, batch, fresh)| {
        let (bias, fresh, at) = (bias(batch), bias(fresh), at(batch));
        let text = format!(
            "bias {bias} against {fresh}, {off:.1} standard errors apart, {at}: the farthest"
        );
        (off < CHANCE, text)
    });
    all_hold(found.into_iter())
}

fn is_entropy(study: &Study<'_>, density: Density, off: &str) -> Finding {
    let rows = study.of(density).into_iter().map(|r| {
        let text = format!("{} at {}", bias(r), r.temperature);
        (r.bias.abs() < CHANCE * r.bias_std_err, text)
    });
    let (holds, biases) = all_hold(rows);
    (holds, format!("off by {off}: {biases}"))
}

fn stratified_is_best(study: &Study<'_>, parameter: Parameter) -> Finding {
    let mut unbiased = study.by(parameter);
    let stratified = unbiased
        .iter()
        .find(|r| r.strategy == "stratified")
        .copied();
    unbiased.retain(|r| r.looks_unbiased());
    unbiased.sort_by(|a, b| a.sd.total_cmp(&b.sd));
    let holds = stratified.map(|s| {
        let worse = |r: &&GradientRow| s.sd - r.sd > CHANCE * s.sd_std_err.hypot(r.sd_std_err);
        s.looks_unbiased() && !unbiased.iter().any(worse)
    });
    let noise = |r: &&GradientRow| format!("`{}` {}", label(r), with_half(r.sd, r.sd_std_err));
    let noises: Vec<String> = unbiased.iter().map(noise).collect();
    (
        holds,
        format!("unbiased within error, by noise: {}", noises.join(", ")),
    )
}

/// Of a strategy, by temperature; a number called `word` is shown after the bias.
fn is_unbiased(
    study: &Study<'_>,
    strategy: &str,
    (word, number): (&str, fn(&GradientRow) -> f64),
) -> Finding {
    let rows = study.gradients.iter().filter(|r| r.strategy == strategy);
    let (logits, others): (Vec<_>, Vec<_>) = rows.partition(|r| r.parameter == Parameter::Logits);
    let [logits_are, others_are] =
        [&logits, &others].map(|rows| rows.iter().all(|r| r.looks_unbiased()));
    let evidence = all_hold(logits.iter().map(|r| {
        let bias = with_half(r.relative_bias, r.bias_std_err);
        let number = plain((100.0 * number(r)).round() / 100.0);
        let t = r.temperature.unwrap_or_default();
        (true, format!("{bias} at {t} ({word} {number})"))
    }));
    let also = match (strategy, others_are) {
        ("straight_through", true) => "; means and log standard deviations unbiased within error",
        ("straight_through", false) => "; means or log standard deviations biased too",
        _ => "",
    };
    (
        evidence.0.map(|_| logits_are && others_are),
        format!("bias for the logits: {}{also}", evidence.1),
    )
}
