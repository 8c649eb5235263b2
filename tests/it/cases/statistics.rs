//! Tables, tests and summaries state what was compared.

use super::case;
use crate::common::{assert_contains, Place};

#[test]
fn a_summary_states_the_points_of_the_file() {
    let place = case("summary-counts");
    place.ok("compare case.toml --figures none");
    let summary = place.read("results/summary-counts/summary.md");
    let said = [
        "on the same 28 points as the others of its seed",
        "Metrics are over 6 held-out points",
    ];
    assert_contains(&summary, &said);
    let record = place.read("results/summary-counts/d/k/seed-0/data.toml");
    assert_contains(&record, &["train = 28", "validation = 6", "test = 6"]);
}

/// What is said on the points before training is in the report too.
#[test]
fn warnings_about_data_are_in_the_report() {
    let place = case("atoms-in-column");
    let said = place.mdn("compare case.toml --figures none");
    let page = place.read("results/atoms-in-column/summary.md");
    let html = place.read("results/atoms-in-column/report.html");
    let end = page.split("## Failures and warnings").nth(1).unwrap();
    assert_contains(end, &["`d`: ", "is 0 in 59 of 60 points"]);
    assert_contains(&html, &["is 0 in 59 of 60 points"]);
    assert_contains(&said.err, &["is 0 in 59 of 60 points"]);
}

const TWO: &str = r#"
[data.line.mixture]
weights = [0.5, 0.5]
means = [[-2.0], [2.0]]
std_devs = [0.5, 0.5]

[train]
points = 300

[evaluation]
points = 20_000

[models.one.gaussian_mixture]
components = 1
[models.two.gaussian_mixture]
components = 2
"#;

/// KLs differ by factors: the ratio is shown, tested, and the same in every file. Without `seeds` there are
/// as many as the tests need.
#[test]
fn ratios_are_tested_and_agree_in_every_file() {
    let place = Place::with("two.toml", TWO);
    let table = place.ok("compare two.toml --figures none reference=one");
    assert_contains(&table, &["ratio of kl", " *"]);
    let find = |file: &str, key: &str, model: &str| {
        let rows = place.csv(&format!("results/two/{file}"));
        let mut rows = rows.into_iter();
        rows.find(|r| r["metric"] == "kl" && r[key] == model)
            .unwrap()
    };
    let (row, pair) = (
        find("summary.csv", "model", "two"),
        find("pairs.csv", "other", "two"),
    );
    assert_eq!(
        (&*row["seeds"], &*row["lower"], &*row["higher"]),
        ("5", "5", "0")
    );
    assert_eq!(&*pair["outcome"], "loss");
    for column in ["p", "p_log", "p_holm", "tests"] {
        assert_eq!(row[column], pair[column], "{column}");
    }
    let number = |row: &std::collections::BTreeMap<String, String>, column: &str| -> f64 {
        row[column].parse().unwrap()
    };
    let ratio = number(&row, "ratio");
    assert!((ratio * number(&pair, "ratio") - 1.0).abs() < 1e-9);
    assert!(number(&row, "ratio_low") < ratio && ratio < number(&row, "ratio_high"));
    assert!(ratio < 0.1 && number(&row, "p_holm") < 0.05);
    let page = place.read("results/two/summary.md");
    assert_contains(
        &page,
        &["lower on 5 of 5 seeds", "Divided by `one`, paired by seed"],
    );
}

/// Fits that agree for all seeds still have the error of the held-out points: models are paired by point.
#[test]
fn intervals_on_a_file_include_the_held_out_points() {
    let place = Place::with(
        "file.toml",
        "[data.d.file]\npath = \"d.csv\"\n[models.one.gaussian_mixture]\ncomponents = 1\n\
         [models.wide.kernel_density]\nbandwidth = \"scott\"\n",
    );
    // Quantiles of the logistic law.
    let point = |i: u32| {
        let u = (f64::from(i) * 0.618_034 + 0.1).fract();
        format!("{}\n", (u / (1.0 - u)).ln())
    };
    place.write("d.csv", (0..400).map(point).collect::<String>());
    place.ok("compare file.toml --figures none reference=wide");
    let nll = |column: &str| -> f64 {
        let mut rows = place.csv("results/file/summary.csv").into_iter();
        let row = rows.find(|r| r["metric"] == "nll" && r["model"] == "one");
        row.unwrap()[column].parse().unwrap_or(f64::NAN)
    };
    let log_q = |model: &str| -> Vec<f64> {
        let rows = place.csv(&format!("results/file/d/{model}/seed-3/held_out.csv"));
        rows.iter().map(|r| r["log_q"].parse().unwrap()).collect()
    };
    let std_err = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        (squares / (n - 1.0) / n).sqrt()
    };
    let (one, wide) = (log_q("one"), log_q("wide"));
    assert_eq!(one.len(), 60);
    let differences: Vec<f64> = one.iter().zip(&wide).map(|(a, b)| b - a).collect();
    // scipy 1.17.1: scipy.stats.t.ppf(0.975, 59).
    let t = 2.000_995_378_088_268;
    assert!(nll("std_dev") < 1e-6, "all seeds agree");
    let half = 0.5 * (nll("ci_high") - nll("ci_low"));
    assert!((half - t * std_err(&one)).abs() < 1e-6, "{half}");
    let half = 0.5 * (nll("diff_high") - nll("diff_low"));
    assert!((half - t * std_err(&differences)).abs() < 1e-6, "{half}");
    let (p, whole) = (nll("p"), half);
    assert!(p > 0.0 && p < 1.0, "{p}");
    // Runs of versions that did not write the file.
    for model in ["one", "wide"] {
        for seed in 0..5 {
            let run = format!("results/file/d/{model}/seed-{seed}");
            std::fs::remove_file(place.path(&format!("{run}/held_out.csv"))).unwrap();
        }
    }
    place.ok("compare file.toml --no-train --figures none reference=wide");
    assert!(0.5 * (nll("diff_high") - nll("diff_low")) < 0.01 * whole);
    let page = place.read("results/file/summary.md");
    assert_contains(&page, &["`d`: the interval of nll covers training alone"]);
}
