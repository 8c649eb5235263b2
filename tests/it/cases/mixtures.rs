//! Mixtures are fitted as well as they can be.

use super::case;
use crate::common::Place;

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
fn a_mixture_base_starts_as_narrow_as_its_clusters() {
    let place = case("narrow-start");
    place.ok("compare case.toml --figures none --model m train.steps=200");
    let found = kl(&place, "narrow-base-start", "d", "m", 1);
    assert!(found[0] < 0.003, "{found:?}");
}

/// Ten of 10,000 points: without the mode KL is 0.0056.
#[test]
fn em_finds_a_mode_of_one_in_a_thousand() {
    let law = "name = 'rare'\nseeds = [0]\n[train]\npoints = 10000\n[evaluation]\npoints = 20000\n\
        [data.d.mixture]\nweights = [0.999, 0.001]\nmeans = [[0.0, 0.0], [2.0, 2.0]]\n\
        std_devs = [1.0, 0.01]\n[models.em.gaussian_mixture]\n";
    let place = Place::with("case.toml", law);
    place.ok("compare case.toml --figures none");
    let found = kl(&place, "rare", "d", "em", 1);
    assert!(found[0] < 0.002, "{found:?}");
}
