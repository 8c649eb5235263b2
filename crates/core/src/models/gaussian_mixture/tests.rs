use super::*;
use crate::models::testing::{log_prob, seeded};
use crate::num::testing::tensor;

/// The mixture in the plane that is fitted to `rows`.
fn build(spec: &GaussianMixtureSpec, rows: &[f64]) -> GaussianMixture {
    GaussianMixture::build(spec, &seeded(5), 2, Some(tensor(rows, 2))).unwrap()
}

fn with(components: Count, covariance: Covariance) -> GaussianMixtureSpec {
    GaussianMixtureSpec {
        components,
        covariance,
        ..GaussianMixtureSpec::default()
    }
}

/// A ring of `k` Gaussians of radius 2 and standard deviation 0.25.
fn ring(k: usize, n: usize, rng: &mut Rng) -> Vec<f64> {
    (0..n)
        .flat_map(|i| {
            let angle = std::f64::consts::TAU * (i % k) as f64 / k as f64;
            let noise = [0.25 * rng.normal(), 0.25 * rng.normal()];
            [2.0 * angle.cos() + noise[0], 2.0 * angle.sin() + noise[1]]
        })
        .collect()
}

/// One component is the sample's mean and covariance (with the floor), in closed form.
#[test]
fn one_component_is_the_moments_of_the_points() {
    let mut rng = Rng::new(1);
    let rows: Vec<f64> = (0..500)
        .flat_map(|_| {
            let (a, b) = (rng.normal(), rng.normal());
            [3.0 + 2.0 * a, -1.0 + a + 0.5 * b]
        })
        .collect();
    let spec = GaussianMixtureSpec {
        covariance_floor: 1e-12,
        ..with(Count::Given(1), Covariance::Full)
    };
    let model = build(&spec, &rows);
    let n = 500.0;
    let mean = |d: usize| rows.iter().skip(d).step_by(2).sum::<f64>() / n;
    let (a, b) = (mean(0), mean(1));
    let second = |c: usize, d: usize| {
        let products = rows
            .chunks(2)
            .map(|p| (p[c] - [a, b][c]) * (p[d] - [a, b][d]));
        products.sum::<f64>() / n
    };
    let (xx, xy, yy) = (second(0, 0), second(0, 1), second(1, 1));
    let det = xx * yy - xy * xy;
    let (u, v) = (0.7 - a, 0.2 - b);
    let square = (yy * u * u - 2.0 * xy * u * v + xx * v * v) / det;
    let expected = -0.5 * square - 0.5 * det.ln() - num::LN_2PI;
    let got = log_prob(&model, &tensor(&[0.7, 0.2], 2))[0];
    assert!((got - expected).abs() < 1e-9, "{got}, {expected}");
    assert_eq!(model.parameters(0), Some(5));
}

#[test]
fn bic_finds_the_number_of_modes_and_every_one_of_them() {
    for (k, seed) in [(3, 1), (8, 2)] {
        let rows = ring(k, 2000, &mut Rng::new(seed));
        let model = build(&GaussianMixtureSpec::default(), &rows);
        assert_eq!(model.mixture.len(), k);
        assert_eq!(model.parameters(0), Some(6 * k - 1));
        for weight in &model.mixture.log_weights {
            assert!((weight.exp() * k as f64 - 1.0).abs() < 0.02, "{weight}");
        }
        // Points stand in the order of the modes.
        let parts = model.part(&tensor(&rows, 2)).unwrap().unwrap();
        let agree = (k..2000).filter(|i| parts[*i] == parts[i % k]).count();
        assert!(agree > 1980 - k, "{agree}");
    }
}

#[test]
fn em_never_loses_likelihood_and_a_start_from_the_clusters_gains() {
    let rows = ring(5, 1000, &mut Rng::new(3));
    let likelihood = |restarts: usize, k: usize| {
        let spec = GaussianMixtureSpec {
            restarts,
            ..with(Count::Given(k), Covariance::Full)
        };
        let model = build(&spec, &rows);
        let values = log_prob(&model, &tensor(&rows, 2));
        values.iter().sum::<f64>() / 1000.0
    };
    let one = likelihood(1, 1);
    let (few, many) = (likelihood(1, 4), likelihood(8, 4));
    let five = likelihood(3, 5);
    assert!(
        one < few && few <= many + 1e-6 && many < five,
        "{one} {few} {many} {five}"
    );
}

/// Eight points at one place and two elsewhere: the floor keeps densities finite.
#[test]
fn ties_and_constant_coordinates_leave_finite_densities() {
    let mut rows = [1.0, 7.0].repeat(8);
    rows.extend([3.0, 7.0, 4.0, 7.0]);
    for components in [Count::Bic, Count::Given(2), Count::Given(5)] {
        for covariance in [Covariance::Full, Covariance::Diagonal] {
            let model = build(&with(components, covariance), &rows);
            let values = log_prob(&model, &tensor(&rows, 2));
            assert!(values.iter().all(|v| v.is_finite()), "{values:?}");
        }
    }
}

/// In the plane K Gaussians have 6 K - 1 numbers, 5 K - 1 with diagonal covariances.
#[test]
fn bic_chooses_no_more_numbers_than_there_are_points() {
    for (covariance, most) in [(Covariance::Full, 2), (Covariance::Diagonal, 3)] {
        let rows = ring(7, 14, &mut Rng::new(8));
        let spec = with(Count::Bic, covariance);
        let model = build(&spec, &rows);
        let k = model.mixture.len();
        assert!((1..=most).contains(&k), "{covariance:?}: {k}");
        let one = build(&spec, &rows[..2]);
        assert_eq!(one.mixture.len(), 1);
    }
}

#[test]
fn points_far_away_and_broken_ones_have_the_densities_they_should() {
    let rows = ring(3, 300, &mut Rng::new(4));
    let model = build(&GaussianMixtureSpec::default(), &rows);
    let x = tensor(&[1e3, 0.0, f64::INFINITY, 0.0, f64::NAN, 0.0], 2);
    let got = log_prob(&model, &x);
    assert!(got[0] < -1e5 && got[0].is_finite(), "{got:?}");
    assert!(!got[1].is_finite() && got[2].is_nan(), "{got:?}");
}

#[test]
fn responsibilities_sum_to_one_and_name_the_part() {
    let rows = ring(4, 400, &mut Rng::new(6));
    let model = build(&with(Count::Given(4), Covariance::Diagonal), &rows);
    let x = tensor(&rows, 2);
    let of = model.responsibilities(&x).unwrap().unwrap();
    let parts = model.part(&x).unwrap().unwrap();
    for (row, part) in of.to_vec2::<f64>().unwrap().iter().zip(parts) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(row[part as usize], num::largest(row.iter().copied()));
    }
    let found = model.components().unwrap().unwrap();
    assert_eq!(found.std_devs.len(), 8);
    assert!(
        found.std_devs.iter().all(|s| (s - 0.25).abs() < 0.06),
        "{found:?}"
    );
}
