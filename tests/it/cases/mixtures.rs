//! Mixtures are fitted as well as they can be.

use super::case;
use crate::common::{assert_contains, Place};

/// KL(p‖q) of every seed's run of `model` on the data set `data` of the experiment `name`.
fn kl(place: &Place, name: &str, data: &str, model: &str, seeds: u64) -> Vec<f64> {
    let run = |seed: u64| format!("results/{name}/{data}/{model}/seed-{seed}");
    let kl = |seed| place.metric(&run(seed), "kl").unwrap();
    (0..seeds).map(kl).collect()
}

/// Two cigars side by side across a correlation: k-means in whitened coordinates tells them apart.
#[test]
fn bic_finds_clusters_across_a_correlation() {
    let place = case("bic-plateau");
    place.ok("compare case.toml --figures none train.points=1000 evaluation.points=5000");
    let found = kl(&place, "bic-plateau", "t", "bic", 3);
    assert!(found.iter().all(|kl| *kl < 0.02), "{found:?}");
}

#[test]
fn em_finds_a_tight_cluster_inside_broad_noise() {
    let place = case("cluster-in-noise");
    place.ok("compare case.toml --figures none --model gm2 --model gmb");
    for model in ["gm2", "gmb"] {
        let found = kl(&place, "25-cluster-in-noise", "d", model, 1);
        assert!(found[0] < 0.005, "{model}: {found:?}");
    }
}

#[test]
fn mixtures_are_as_narrow_as_their_clusters() {
    let place = case("narrow-start");
    place.ok("compare case.toml --figures none train.steps=200");
    for model in ["m", "g"] {
        let found = kl(&place, "narrow-base-start", "d", model, 1);
        assert!(found[0] < 0.003, "{model}: {found:?}");
    }
    let text = place.read("case.toml");
    let place = Place::new();
    let text = text.replace("[[-1.0], [1.0]]", "[[-1.0, -1.0], [1.0, 1.0]]");
    place.write("case.toml", text.replace("0.0009", "0.0001"));
    place.ok("compare case.toml --figures none train.steps=200");
    for model in ["m", "g"] {
        let found = kl(&place, "narrow-base-start", "d", model, 1);
        assert!(found[0] < 0.003, "{model} in the plane: {found:?}");
    }
}

/// Ten of 10,000 points: without the mode KL is 0.0056.
#[test]
fn a_mode_of_one_in_a_thousand_is_found() {
    let law = "name = 'rare'\nseeds = [0]\n[train]\npoints = 10000\nsteps = 1\n[evaluation]\n\
        points = 20000\n[data.d.mixture]\nweights = [0.999, 0.001]\nmeans = [[0.0, 0.0], [2.0, 2.0]]\n\
        std_devs = [1.0, 0.01]\n[models.em.gaussian_mixture]\n[models.two.gaussian_mixture]\n\
        components = 2\n[models.base.flow]\nbijection.elementwise = {}\n\
        base.mixture.components = 'bic'\n[models.parts.clusters]\nclusters = 'bic'\n";
    let place = Place::with("case.toml", law);
    place.ok("compare case.toml --figures none");
    for model in ["em", "two", "base"] {
        let found = kl(&place, "rare", "d", model, 1);
        // A component of few points starts wider in the base, and one step does not change that.
        let most = if model == "base" { 0.004 } else { 0.002 };
        assert!(found[0] < most, "{model}: {found:?}");
    }
    for model in ["em", "base", "parts"] {
        let run = format!("results/rare/d/{model}/seed-0");
        let tried = place.read(&format!("{run}/k.csv"));
        let chosen = tried.lines().filter(|line| line.ends_with(",yes"));
        let chosen: Vec<&str> = chosen.collect();
        assert!(
            matches!(chosen[..], [one] if one.starts_with("2,")),
            "{tried}"
        );
        let shown = place.ok(&format!("show {run}"));
        assert_contains(&shown, &["2 of 1 to ", " by BIC (k.csv)"]);
    }
}

#[test]
fn a_budget_counts_the_components_that_bic_chose() {
    let place = case("cluster-in-noise");
    let base = "models.mixb.flow.base.mixture.components=\"bic\"";
    place.ok(&format!(
        "compare case.toml --figures none --model mixb train.steps=20 budget.parameters=3000 {base}"
    ));
    let run = "results/25-cluster-in-noise/d/mixb/seed-0";
    assert_contains(
        &place.read(&format!("{run}/trained.toml")),
        &["components = 2"],
    );
    let parameters = place.metric(run, "parameters").expect("a number");
    assert!((parameters / 3000.0 - 1.0).abs() < 0.03, "{parameters}");
    assert_contains(&place.read(&format!("{run}/k.csv")), &["\n2,"]);
}

#[test]
fn bic_without_a_start_from_points_is_refused() {
    let place = case("cluster-in-noise");
    let random = "models.mixb.flow.base.mixture={components=\"bic\",init=\"random\"}";
    place
        .mdn(&format!("check case.toml {random}"))
        .refused("expected a number with `init = \"random\"`");
}

#[test]
fn full_covariances_of_too_few_points_are_diagonal_and_said_to_be() {
    let place = case("fewer-points-than-dimensions");
    place.ok("compare case.toml --figures none --model gm");
    let run = "results/09-n6-d3/d/gm/seed-0";
    assert_contains(
        &place.read(&format!("{run}/data.toml")),
        &["diagonal ones were fitted"],
    );
}

#[test]
fn a_floor_that_binds_is_among_the_warnings() {
    let place = case("narrow-start");
    let floor = "models.g.gaussian_mixture.covariance_floor=0.01";
    place.ok(&format!(
        "compare case.toml --figures none train.steps=5 {floor}"
    ));
    let summary = place.read("results/narrow-base-start/summary.md");
    assert_contains(&summary, &["`covariance_floor` is "]);
}
