use super::*;

fn with(components: Count) -> Fitting {
    Fitting {
        components,
        ..Fitting::default()
    }
}

fn fitted(rows: &[f64], dim: usize, how: &Fitting, seed: u64) -> Fitted {
    fit(rows, dim, how, &Rng::new(seed)).unwrap()
}

/// Standard normal points, the first `rare` of them in a mode of deviation `std` around (2, 2, 0, ...).
fn with_mode(n: usize, dim: usize, rare: usize, std: f64, rng: &mut Rng) -> Vec<f64> {
    let mut rows: Vec<f64> = (0..n * dim).map(|_| rng.normal()).collect();
    for (i, v) in rows[..rare * dim].iter_mut().enumerate() {
        *v = std * *v + if i % dim < 2 { 2.0 } else { 0.0 };
    }
    rows
}

/// Weights of the components within 0.1 of (2, 2).
fn weights_at_mode(fitted: &Fitted) -> Vec<f64> {
    let m = &fitted.mixture;
    let near = |mean: &[f64]| mean[..2].iter().all(|v| (v - 2.0).abs() < 0.1);
    let each = m.means.chunks_exact(m.dim).zip(&m.log_weights);
    let near = each.filter(|(mean, _)| near(mean));
    near.map(|(_, w)| w.exp()).collect()
}

/// The mode gains 53 nats in the plane and 175 in five dimensions, where BIC asks for 28 and 97.
#[test]
fn ten_of_ten_thousand_points_are_found_by_bic_and_with_a_given_number() {
    for (dim, seed, components) in [
        (2, 0, Count::Bic),
        (2, 1, Count::Bic),
        (2, 2, Count::Given(2)),
        (5, 3, Count::Bic),
        (5, 4, Count::Given(2)),
    ] {
        let rows = with_mode(10_000, dim, 10, 0.01, &mut Rng::new(seed));
        let how = Fitting {
            max_components: 3,
            ..with(components)
        };
        let fitted = fitted(&rows, dim, &how, seed);
        let found = weights_at_mode(&fitted);
        let fine = matches!(found[..], [w] if (w - 1e-3).abs() < 2e-4);
        let k = fitted.mixture.len();
        assert!(
            fine && k == 2,
            "{dim} {seed} {components:?}: {found:?} of {k}"
        );
    }
}

/// k-means with nine centres splits one of the eight broad modes; its half is moved to the rare one.
#[test]
fn a_rare_mode_is_found_among_others_with_a_given_number() {
    let rng = &mut Rng::new(7);
    let mut rows = with_mode(10_000, 2, 10, 0.01, rng);
    for (i, point) in rows.chunks_exact_mut(2).enumerate().skip(10) {
        let angle = std::f64::consts::TAU * (i % 8) as f64 / 8.0;
        point[0] = 6.0 * angle.cos() + 0.5 * point[0];
        point[1] = 6.0 * angle.sin() + 0.5 * point[1];
    }
    for covariance in [Covariance::Full, Covariance::Diagonal] {
        let how = Fitting {
            covariance,
            ..with(Count::Given(9))
        };
        let found = weights_at_mode(&fitted(&rows, 2, &how, 3));
        assert_eq!(found.len(), 1, "{covariance:?}: {found:?}");
    }
}

#[test]
fn bic_adds_nothing_to_normal_points() {
    for dim in [1, 2, 5] {
        for seed in 0..2 {
            let mut rng = Rng::new(100 + seed);
            let normal: Vec<f64> = (0..10_000 * dim).map(|_| rng.normal()).collect();
            let how = Fitting {
                max_components: 3,
                ..with(Count::Bic)
            };
            let k = fitted(&normal, dim, &how, seed).mixture.len();
            assert_eq!(k, 1, "normal points in {dim} dimensions, seed {seed}");
        }
    }
}

/// Two modes of deviation 1e-4 at a distance of 2: the floor of 1e-6 would be a hundred times their variance.
#[test]
fn many_points_may_be_narrower_than_the_floor() {
    for dim in [1, 2] {
        let mut rng = Rng::new(4);
        let mut rows = Vec::new();
        for i in 0..4000 {
            let centre = if i % 2 == 0 { -1.0 } else { 1.0 };
            rows.extend((0..dim).map(|_| centre + 1e-4 * rng.normal()));
        }
        let found = fitted(&rows, dim, &with(Count::Given(2)), 0);
        for d in 0..dim {
            let std = found.mixture.factors[d * dim + d];
            assert!((std / 1e-4 - 1.0).abs() < 0.1, "{dim}: {std}");
        }
        assert_eq!(found.warnings, [""; 0]);
    }
}

/// Half of the points are equal: they count as one, so the floor is that of few points and is said.
#[test]
fn a_floor_that_binds_is_said() {
    let mut rng = Rng::new(4);
    let rows: Vec<f64> = (0..2000)
        .map(|i| if i % 2 == 0 { 0.0 } else { rng.normal() })
        .collect();
    let found = fitted(&rows, 1, &with(Count::Given(2)), 0);
    let says = "`covariance_floor` is";
    assert!(found.warnings[0].contains(says), "{:?}", found.warnings);
    let narrowest = found.mixture.factors.iter().copied().fold(1.0, f64::min);
    assert!(narrowest > 1e-4, "{narrowest}");
}

#[test]
fn too_few_points_for_full_covariances_get_diagonal_ones_and_are_told() {
    let mut rng = Rng::new(1);
    let rows: Vec<f64> = (0..10 * 20).map(|_| rng.normal()).collect();
    for (components, k) in [(Count::Bic, 1), (Count::Given(2), 2)] {
        let found = fitted(&rows, 20, &with(components), 0);
        assert!(found.mixture.is_diagonal() && found.mixture.len() == k);
        let says = "diagonal ones were fitted";
        assert!(found.warnings[0].contains(says), "{:?}", found.warnings);
    }
    let enough = fitted(&rows, 4, &with(Count::Given(2)), 0);
    assert!(!enough.mixture.is_diagonal(), "{:?}", enough.warnings);
}

#[test]
fn bic_tells_what_it_compared() {
    let rows = with_mode(2000, 2, 500, 0.1, &mut Rng::new(1));
    let found = fitted(&rows, 2, &with(Count::Bic), 0);
    let ks: Vec<usize> = found.tried.iter().map(|t| t.components).collect();
    assert_eq!(ks, Vec::from_iter(1..=ks.len()));
    let chosen: Vec<&Tried> = found.tried.iter().filter(|t| t.chosen).collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!((chosen[0].components, chosen[0].parameters), (2, 11));
    assert!(found.tried.iter().all(|t| t.bic >= chosen[0].bic));
    for t in &found.tried {
        let bic = t.parameters as f64 * 2000f64.ln() - 2.0 * t.log_likelihood;
        assert!((t.bic - bic).abs() < 1e-9 && t.iterations > 0, "{t:?}");
    }
}
