//! Mixtures are fitted as well as they can be.

use super::case;
use crate::common::Place;

/// KL(p‖q) of every seed's run of `model` on the data set `data` of the experiment `name`.
fn kl(place: &Place, name: &str, data: &str, model: &str, seeds: u64) -> Vec<f64> {
    (0..seeds)
        .map(|seed| {
            let run = format!("results/{name}/{data}/{model}/seed-{seed}");
            place.metric(&run, "kl").unwrap()
        })
        .collect()
}

#[test]
fn a_mixture_base_starts_as_narrow_as_its_clusters() {
    let place = case("narrow-start");
    place.ok("compare case.toml --figures none --model m train.steps=200");
    let found = kl(&place, "narrow-base-start", "d", "m", 1);
    assert!(found[0] < 0.003, "{found:?}");
}
