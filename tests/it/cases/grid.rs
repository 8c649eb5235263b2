//! Quantities on a grid are printed only where the grid resolves the density.

use super::case;

/// Whether the mass of the run is 1 within four standard errors that say something.
fn integrates_to_one(case_name: &str, overrides: &str, runs: &[&str]) {
    let place = case(case_name);
    place.ok(&format!("compare case.toml --figures none {overrides}"));
    for run in runs {
        let row = place.metric_row(run, "mass");
        let [value, error] = ["value", "std_err"].map(|key| row[key].parse::<f64>().unwrap());
        assert!(
            error < 0.01 && (value - 1.0).abs() < 4.0 * error.max(1e-3),
            "{row:?}"
        );
    }
}

#[test]
fn one_gaussian_much_longer_than_wide_integrates_to_one() {
    integrates_to_one(
        "mass-one-gaussian",
        "",
        &["results/mass-one-gaussian/d/gm/seed-0"],
    );
}

#[test]
fn narrow_cigars_and_far_narrow_modes_integrate_to_one() {
    let runs = ["d", "far"].map(|data| format!("results/mass-cigars/{data}/gm/seed-0"));
    integrates_to_one(
        "mass-narrow-modes",
        "",
        &runs.each_ref().map(String::as_str),
    );
}
