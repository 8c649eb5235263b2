//! Means that rest on a handful of points say so wherever they are printed.

use super::case;
use crate::common::{assert_contains, row, Place};

/// The columns of the tail of a metric: k, share of the ten largest, points that make half.
fn tail(place: &Place, run: &str, metric: &str) -> [Option<f64>; 3] {
    let row = place.metric_row(run, metric);
    ["pareto_k", "top10_share", "rests_on"].map(|column| row[column].parse().ok())
}

#[test]
fn the_kl_of_eleven_narrow_modes_is_marked() {
    let place = case("eleven-narrow-modes");
    place.ok("train case.toml -q");
    let run = "results/narrow-modes/d/flow/seed-0";
    let [k, top10, rests_on] = tail(&place, run, "kl");
    assert!(k.is_some() && top10.unwrap() > 0.3 && rests_on.unwrap() < 10.0);
    // Weights have a k and no standard error.
    for metric in ["ess", "forward_ess"] {
        assert_eq!(place.metric_row(run, metric)["std_err"], "", "{metric}");
    }
    assert!(tail(&place, run, "ess")[0].is_some());
    let said = place.mdn("compare case.toml --figures none");
    let note = format!(
        "kl of `flow` on `d` is not to be trusted: seed 0 rests on {} of 20 000 points (Pareto k",
        rests_on.unwrap()
    );
    let table = said.fine_with_note(&note);
    // Cells `kl` and, after the mean, the mark.
    assert_eq!(row(&table, "flow")[5], "!", "{table}");
    assert_contains(&table, &["! not to be trusted"]);
    let page = place.read("results/narrow-modes/summary.md");
    assert_contains(&page, &[&note, "Not to be trusted"]);
    let shown = place.ok(&format!("show {run}"));
    assert_eq!(row(&shown, "kl").last(), Some(&"!"), "{shown}");
}

#[test]
fn a_mode_that_no_training_point_is_in_rules_the_mean() {
    let place = case("rare-mode");
    place.ok("train case.toml -q");
    for metric in ["kl", "nll", "forward_ess"] {
        let of = |data: &str| {
            tail(
                &place,
                &format!("results/rare-mode/{data}/kde/seed-0"),
                metric,
            )
        };
        assert!(of("d")[2].unwrap() <= 10.0, "{metric}: {:?}", of("d"));
        assert!(of("one")[2].unwrap() > 100.0, "{metric}: {:?}", of("one"));
    }
    let said = place.mdn("compare case.toml --figures none");
    assert!(!said.err.contains("on `one` is not"), "{said:?}");
    said.fine_with_note("kl of `kde` on `d` is not to be trusted: seed 0 rests on");
}
