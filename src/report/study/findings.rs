//! What a study's rows say on choices that a program may make.

use super::{bias, label, Study};
use crate::report::digits::{plain, with_half};
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, CHANCE};

/// A choice that a program may make, whether all rows agree (`None` without rows), and the numbers of
/// the row that agrees least.
pub(super) type Finding = (String, Option<bool>, String);

/// How far a row is from agreeing, the standard error of that, and its numbers.
type Check = (f64, f64, String);

fn finding(claim: &str, checks: impl Iterator<Item = Check>) -> Finding {
    let far = |(distance, error, _): &Check| distance / (CHANCE * error);
    let worst = checks.max_by(|a, b| far(a).total_cmp(&far(b)));
    let agrees = worst.as_ref().map(|worst| far(worst) < 1.0);
    (
        claim.to_owned(),
        agrees,
        worst.map_or_else(String::new, |w| w.2),
    )
}

/// How far a row is from agreeing, in nats.
type Distance = fn(&Study<'_>, &EntropyRow) -> f64;

/// Claims about entropies: the density of their rows, and a row's distance from agreeing.
const ENTROPIES: [(&str, Density, Distance); 8] = [
    (
        "Nested density with the sample's own weights: a lower bound of the entropy",
        Density::NestedIncludingOwn,
        |_, row| row.bias,
    ),
    (
        "Nested density without the sample's own weights: an upper bound of the entropy",
        Density::NestedExcludingOwn,
        |_, row| -row.bias,
    ),
    (
        "The lower bound is off by chi2 / (2 M) where M is large",
        Density::NestedIncludingOwn,
        |_, row| off_theory(row),
    ),
    (
        "The upper bound is off by chi2 / (2 M) where M is large",
        Density::NestedExcludingOwn,
        |_, row| off_theory(row),
    ),
    (
        "The midpoint of both bounds is nearer to the entropy than either, at the largest M",
        Density::Midpoint,
        |study, row| {
            let rows = study.entropies.iter();
            let bounds = [Density::NestedIncludingOwn, Density::NestedExcludingOwn];
            let of = |r: &&EntropyRow| (r.temperature, r.inner) == (row.temperature, row.inner);
            let bounds = rows.filter(|r| bounds.contains(&r.density)).filter(of);
            let is_last = study.entropies.iter().all(|r| r.inner <= row.inner);
            let nearest = bounds.map(|r| r.bias.abs()).fold(f64::INFINITY, f64::min);
            row.bias.abs() - if is_last { nearest } else { f64::INFINITY }
        },
    ),
    (
        "The weights of the whole batch serve as well as fresh ones for each sample",
        Density::BatchIncludingOwn,
        |study, row| {
            let fresh = study.entropies(row.temperature, Density::NestedIncludingOwn);
            let fresh = fresh.into_iter().find(|r| r.inner == row.inner);
            fresh.map_or(f64::NAN, |f| {
                (row.bias - f.bias).abs() - CHANCE * f.bias_std_err
            })
        },
    ),
    (
        "Equation 1, the mixture's density on relaxed samples, gives their entropy",
        Density::ExactMixture,
        |_, row| row.bias.abs(),
    ),
    (
        "Equation 2, the joint density of sample and weights, gives the entropy of samples",
        Density::Joint,
        |_, row| row.bias.abs(),
    ),
];

/// Beyond the next term of the series, which is smaller by about chi2 / M with a factor of order one.
fn off_theory(row: &EntropyRow) -> f64 {
    (row.bias - row.predicted).abs() - 3.0 * (2.0 * row.predicted).powi(2)
}

/// What every study decides.
pub(super) fn findings(study: &Study<'_>) -> Vec<Finding> {
    let entropies = ENTROPIES.iter().map(|(claim, density, distance)| {
        let rows = study.of(*density).into_iter();
        finding(
            claim,
            rows.map(|row| {
                let inner = row.inner.map_or_else(String::new, |m| format!(", M = {m}"));
                let text = format!(
                    "off by {} nats at temperature {}{inner}",
                    bias(row),
                    row.temperature
                );
                (distance(study, row), row.bias_std_err, text)
            }),
        )
    });
    let relaxed = study.relaxed.iter().map(|r| {
        let (tv, t) = (r.total_variation, r.temperature);
        (
            tv,
            0.01 / CHANCE,
            format!("{} at temperature {t}", plain(tv)),
        )
    });
    let relaxed = finding(
        "The relaxed mixture may stand for the mixture (total variation below 0.01)",
        relaxed,
    );
    let stratified = Parameter::ALL.map(|parameter| {
        let claim = format!(
            "Stratified draws are unbiased, with the least noise, for the {}",
            parameter.words()
        );
        finding(&claim, stratified(study, parameter).into_iter())
    });
    let unbiased = [
        ("Gumbel-softmax", "gumbel_softmax"),
        ("Straight-through", "straight_through"),
    ];
    let unbiased = unbiased.map(|(name, strategy)| {
        let rows = study.gradients.iter().filter(|r| r.strategy == strategy);
        finding(
            &format!("{name} gives the gradients of the mixture"),
            rows.map(own_bias),
        )
    });
    entropies
        .chain([relaxed])
        .chain(stratified)
        .chain(unbiased)
        .collect()
}

/// Its own bias, and its noise against that of the other unbiased strategies.
fn stratified(study: &Study<'_>, parameter: Parameter) -> Vec<Check> {
    let rows = study.by(parameter);
    let Some(own) = rows.iter().find(|r| r.strategy == "stratified") else {
        return Vec::new();
    };
    let noise = |r: &GradientRow| format!("`{}` {}", label(r), with_half(r.sd, r.sd_std_err));
    let others = rows.iter().filter(|r| r.looks_unbiased() && *r != own);
    let noises = others.map(|r| {
        let text = format!("noise: {}, {}", noise(own), noise(r));
        (own.sd - r.sd, own.sd_std_err.hypot(r.sd_std_err), text)
    });
    noises.chain([own_bias(own)]).collect()
}

fn own_bias(row: &GradientRow) -> Check {
    let (bias, error) = (row.relative_bias, row.bias_std_err);
    let text = format!(
        "bias of `{}` for the {}: {}",
        label(row),
        row.parameter.words(),
        with_half(bias, error)
    );
    (bias, error, text)
}
