//! Integrals over relaxed weights.

use crate::data::quadrature::GaussLegendre;

use super::StudyMixture;

/// How far log ratios are followed: beyond, a component's share is 0 to double precision.
const FAR: f64 = 40.0;

/// Nodes of a panel.
const NODES: usize = 12;

/// A value of ln(c_j / c_k) where k has the largest share, or all values below -[`FAR`] at once.
struct Place {
    /// c_j / c_k.
    ratio: f64,
    /// log(alpha_j (c_k / c_j)^tau), at the near end where it is all below.
    log_a: f64,
    /// Log of the quadrature weight; none for all below.
    log_step: Option<f64>,
}

/// Places for one component beside the largest. Panels are as wide as the mixed Gaussian lets them
/// be, whose mean moves by at most `steepness` standard deviations per unit of the ratio.
fn places(log_alpha: f64, tau: f64, steepness: f64, rule: &GaussLegendre) -> Vec<Place> {
    let widest = f64::min(2.0, 2.0 / tau);
    let mut all = vec![Place {
        ratio: 0.0,
        log_a: log_alpha + tau * FAR,
        log_step: None,
    }];
    let mut depth = 0.0;
    while depth < FAR {
        let width = f64::min(widest, 6.0 / steepness * f64::exp(depth)).min(FAR - depth);
        for (node, weight) in rule.nodes.iter().zip(&rule.weights) {
            let below = depth + width * node;
            all.push(Place {
                ratio: (-below).exp(),
                log_a: log_alpha + tau * below,
                log_step: Some((weight * width).ln()),
            });
        }
        depth += width;
    }
    all
}

/// Calls `visit` with the weight, the shares c and log sum_j c_j / max c of every node of a
/// quadrature of E_c\[h(c)\], c ~ Concrete(alpha, tau), K = 2 or 3.
///
/// By sectors, in each of which one share is the largest: with u_j = ln(c_j / c_k) < 0 and
/// a_j = alpha_j e^(-tau u_j), a_k = alpha_k, the density of the K - 1 ratios is
/// Gamma(K) tau^(K-1) prod_j a_j / (sum_j a_j)^K. Where u_j is so low that c_j is 0, it is
/// integrated away: of m ratios left the density is Gamma(m + 1) tau^m prod_j a_j / (sum_j a_j)^(m+1).
pub(super) fn over_weights(of: &StudyMixture, tau: f64, mut visit: impl FnMut(f64, &[f64], f64)) {
    let rule = GaussLegendre::new(NODES);
    let (low, high) = of.ends(0.0);
    let steepness = f64::max(1.0, (high - low) / of.narrowest());
    let log_alpha: Vec<f64> = of.weights.iter().map(|w| w.ln()).collect();
    let k = of.weights.len();
    for largest in 0..k {
        let others: Vec<usize> = (0..k).filter(|j| *j != largest).collect();
        let axes: Vec<Vec<Place>> = others
            .iter()
            .map(|j| places(log_alpha[*j], tau, steepness, &rule))
            .collect();
        let mut node = |chosen: &[&Place]| {
            let free = chosen.iter().filter(|p| p.log_step.is_some()).count();
            let top = chosen
                .iter()
                .map(|p| p.log_a)
                .fold(log_alpha[largest], f64::max);
            let rest: f64 = chosen.iter().map(|p| (p.log_a - top).exp()).sum();
            let log_sum = top + (rest + (log_alpha[largest] - top).exp()).ln();
            let near = chosen.iter().filter_map(|p| Some(p.log_a + p.log_step?));
            let log_weight = log_alpha[largest] + near.sum::<f64>() + free as f64 * tau.ln()
                - (free + 1) as f64 * log_sum;
            // Gamma(m + 1) is 1 for fewer than two ratios.
            let weight = log_weight.exp() * if free == 2 { 2.0 } else { 1.0 };
            let sum = 1.0 + chosen.iter().map(|p| p.ratio).sum::<f64>();
            let mut c = [0.0; 3];
            c[largest] = 1.0 / sum;
            for (j, place) in others.iter().zip(chosen) {
                c[*j] = place.ratio / sum;
            }
            visit(weight, &c[..k], sum.ln());
        };
        for first in &axes[0] {
            match axes.get(1) {
                None => node(&[first]),
                Some(second) => second.iter().for_each(|s| node(&[first, s])),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mass 1; E c and E sum log c of tests/reference/mog.json (`mean_sum_log_c`), and E c_k of two
    /// components at temperature 1 in closed form: for equal weights the shares are uniform.
    #[test]
    fn moments_of_relaxed_weights() {
        let uniform = StudyMixture {
            weights: vec![0.5, 0.5],
            means: vec![0.0, 1.0],
            std_devs: vec![1.0, 1.0],
        };
        let mut got = [0.0; 4];
        over_weights(&uniform, 1.0, |w, c, _| {
            for (got, power) in got.iter_mut().zip(0..) {
                *got += w * c[0].powi(power);
            }
        });
        for (power, got) in got.iter().enumerate() {
            let expected = 1.0 / (power as f64 + 1.0);
            assert!((got - expected).abs() < 1e-13, "E c^{power}: {got}");
        }
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/reference/mog.json")).unwrap();
        let mixture = super::super::tests::three_modes();
        for case in file["relaxed_entropy"]["values"].as_array().unwrap() {
            let tau = case["tau"].as_f64().unwrap();
            let (mut mass, mut log_sum) = (0.0, 0.0);
            over_weights(&mixture, tau, |w, _, l| {
                mass += w;
                log_sum += w * l;
            });
            assert!((mass - 1.0).abs() < 1e-12, "tau = {tau}: {mass}");
            let log_alpha: f64 = mixture.weights.iter().map(|w| w.ln()).sum();
            let got = log_alpha / tau - 3.0 * log_sum;
            let expected = case["mean_sum_log_c"].as_f64().unwrap();
            assert!(
                (got - expected).abs() < 1e-7,
                "tau = {tau}: {got} against {expected}"
            );
        }
    }
}
