//! A study without computing one: the numbers of a table, or near them.

use super::Study;
use mdn_core::study::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow};

fn entropy(temperature: f64, density: Density, inner: Option<usize>, bias: f64) -> EntropyRow {
    let error = 2e-4 * (1.0 + bias.abs());
    EntropyRow {
        temperature,
        density,
        inner,
        samples: 600_000,
        mean: 2.14 + bias,
        std_err: 1e-3,
        truth: 2.14,
        bias,
        bias_std_err: error,
        predicted: match density {
            Density::Midpoint => 0.0,
            Density::NestedExcludingOwn => 1.14 / inner.unwrap_or(1) as f64,
            Density::ExactMixture | Density::Joint => bias,
            _ => -1.14 / inner.unwrap_or(1) as f64,
        },
    }
}

/// Strategy, temperature, and bias and noise for logits, means and log standard deviations.
type Entry = (&'static str, Option<f64>, [(f64, f64); 3]);

const GRADIENTS: [Entry; 8] = [
    ("stratified", None, [(0.0, 1.39), (0.0, 0.83), (0.0, 5.03)]),
    ("score", None, [(0.0, 1.78), (0.0, 1.36), (0.0, 5.11)]),
    ("implicit", None, [(0.0, 4.87), (0.0, 1.33), (0.0, 4.57)]),
    (
        "gumbel_softmax",
        Some(0.1),
        [(0.135, 10.2), (0.1, 1.33), (0.128, 4.98)],
    ),
    (
        "gumbel_softmax",
        Some(0.5),
        [(0.532, 3.99), (0.478, 1.15), (0.43, 4.39)],
    ),
    (
        "gumbel_softmax",
        Some(1.0),
        [(0.782, 2.37), (0.757, 0.89), (0.648, 3.72)],
    ),
    (
        "straight_through",
        Some(0.1),
        [(1.61, 15.6), (0.0, 1.36), (0.0, 5.12)],
    ),
    (
        "straight_through",
        Some(0.5),
        [(1.66, 6.27), (0.0, 1.36), (0.0, 5.12)],
    ),
];

/// Two temperatures, four sizes, eight ways to draw.
pub fn study() -> Study<'static> {
    let relaxed =
        [(0.1, 0.018, 0.066), (1.0, 0.65, 0.47)].map(|(temperature, kl, tv)| RelaxedRow {
            temperature,
            entropy: 2.14,
            exact_mixture: 2.14 + kl,
            kl_to_mixture: kl,
            kl_from_mixture: kl,
            total_variation: tv,
            mean: 1.39,
            variance: 7.66,
            joint_entropy: -25.7,
            conditional_entropy: -27.84,
            chi2: 2.28,
        });
    let mut entropies = Vec::new();
    for r in &relaxed {
        let t = r.temperature;
        for (m, below, above) in [
            (1, -1.03, 16.5),
            (10, -0.122, 0.229),
            (100, -0.0113, 0.0119),
            (1000, -0.00114, 0.00114),
        ] {
            for (density, bias) in [
                (Density::NestedIncludingOwn, below),
                (Density::NestedExcludingOwn, above),
                (Density::Midpoint, 0.5 * (below + above)),
                (Density::BatchIncludingOwn, below),
            ] {
                entropies.push(entropy(t, density, Some(m), bias));
            }
        }
        entropies.push(entropy(t, Density::ExactMixture, None, r.kl_to_mixture));
        entropies.push(entropy(t, Density::Joint, None, -27.84));
    }
    let mut gradients = Vec::new();
    for (strategy, temperature, numbers) in GRADIENTS {
        for (parameter, (bias, sd)) in Parameter::ALL.into_iter().zip(numbers) {
            gradients.push(GradientRow {
                strategy: strategy.to_owned(),
                temperature,
                parameter,
                evaluations: 16,
                estimates: 125_000,
                relative_bias: bias,
                bias_std_err: sd / 1414.0,
                sd,
                sd_std_err: 0.005 * sd,
                cosine: 1.0 - 0.1 * bias,
            });
        }
    }
    Study {
        name: "three",
        command: "mdn study three.toml",
        relaxed: relaxed.to_vec(),
        entropies,
        gradients,
    }
}
