//! The whole report over a results folder made without a model.

use std::fs;
use std::path::Path;

use super::fixture::{Fixture, RING_KL};
use super::ranks::Ranks;
use super::results::Results;
use super::{compare, pairs, prose, summary, Comparison, Which};

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The cells of a line of `summary.csv`.
fn summary_line(dir: &Path, key: &str) -> Vec<String> {
    let text = read(&dir.join("summary.csv"));
    let line = text.lines().find(|l| l.starts_with(key));
    let cells = line
        .unwrap_or_else(|| panic!("no {key} in\n{text}"))
        .split(',');
    cells.map(str::to_owned).collect()
}

fn number(cell: &str) -> f64 {
    cell.parse()
        .unwrap_or_else(|_| panic!("{cell:?} is no number"))
}

fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn a_report_counts_failures_and_averages_the_rest() {
    let fixture = Fixture::new();
    let dir = &fixture.experiment;
    let what = Comparison {
        figures: Which::Nothing,
        ..fixture.comparison()
    };
    let bytes = || {
        let report = compare(&what).unwrap();
        let read = |f| fs::read(f).unwrap();
        let bytes: Vec<Vec<u8>> = report.files.iter().map(read).collect();
        (report, bytes)
    };
    let (report, first) = bytes();
    assert!(first == bytes().1, "another report has other bytes");

    let runs = read(&dir.join("runs.csv"));
    assert!(
        runs.starts_with(
            "data,model,seed,state,metric,unit,value,std_err,n,non_finite,note\n\
             ring,normal_base,0,done,nll,nats,2,0.02,10000,0,\n\
             ring,normal_base,0,done,kl,nats,0.3,0.003,10000,0,\n"
        ),
        "{runs}"
    );
    has_all(
        &runs,
        &[
            "ring,mixture_base,3,diverged,,,,,,,loss not finite at step 310 (try a lower \
             train.learning_rate)\n",
            "ring,clusters,4,missing,,,,,,,\n",
            "table,rad,0,done,kl,nats,,,10000,0,true density unknown\n",
        ],
    );

    let summary = read(&dir.join("summary.csv"));
    assert!(summary.starts_with(
        "data,model,metric,unit,mean,ci_low,ci_high,median,seeds,failed,diff,diff_low,diff_high,\
         parameters,std_dev,boot_low,boot_high,p,p_flip,p_holm,tests\nring,normal_base,nll,nats,"
    ));
    // By hand: mean 0.32, standard deviation 0.0316228, t(0.975; 4) = 2.776445 (scipy 1.17.1).
    let row = summary_line(dir, "ring,normal_base,kl,");
    assert!((number(&row[4]) - 0.32).abs() < 1e-12);
    assert!((number(&row[6]) - 0.32 - 2.776445 * 0.1f64.powi(3).sqrt() / 5f64.sqrt()).abs() < 1e-6);
    assert!((number(&row[7]) - 0.32).abs() < 1e-12);
    assert_eq!(row[8..14], ["5", "0", "", "", "", "12806"]);
    assert!((number(&row[14]) - 0.1f64.powi(3).sqrt()).abs() < 1e-12);
    let (low, high) = (number(&row[15]), number(&row[16]));
    assert!(0.28 < low && low < 0.32 && 0.32 < high && high < 0.36);
    assert_eq!(row[17..], ["", "", "", ""], "the reference is not tested");
    // Seed 3 diverged: the mean is over the four others, the difference over the same four:
    // 0.021 - 0.30, 0.024 - 0.34, 0.019 - 0.32 and 0.020 - 0.28, t(0.975; 3) = 3.182446.
    let row = summary_line(dir, "ring,mixture_base,kl,");
    assert!((number(&row[4]) - 0.021).abs() < 1e-12);
    assert_eq!(row[8..10], ["4", "1"]);
    assert!((number(&row[10]) + 0.289).abs() < 1e-12);
    let deviations: [f64; 4] = [0.010, -0.027, -0.012, 0.029];
    let variance = deviations.iter().map(|d| d * d).sum::<f64>() / 3.0;
    let half = 3.182446 * (variance / 4.0).sqrt();
    assert!((number(&row[11]) + 0.289 + half).abs() < 1e-6);
    // scipy 1.17.1: stats.ttest_rel. Holm is over the headline metric of all three data sets: 3 models
    // on the ring, 2 on the cloud, 3 on the table; 3 of the 8 p-values are smaller or equal.
    assert!((number(&row[17]) - 0.0001687091924811566).abs() < 1e-12);
    assert_eq!(row[18], "0.125");
    assert_eq!(row[20], "8");
    // Missing runs are no failures; a metric that does not apply is empty; runs that all failed
    // are a row without numbers.
    assert_eq!(summary_line(dir, "ring,clusters,kl,")[8..10], ["3", "0"]);
    let empty = ["", "", "", "", "0"];
    for (key, failed) in [("table,rad,kl,", "0"), ("cloud,rad,kl,", "5")] {
        let row = &summary_line(dir, key)[4..10];
        assert_eq!(
            (&row[..5], row[5].as_str()),
            (&empty.map(str::to_owned)[..], failed)
        );
    }

    let json = report.json.as_array().unwrap();
    assert_eq!(json.len(), summary.lines().count() - 1);
    assert_eq!(json[1]["seeds"], 5);
    assert!(json[1]["diff"].is_null());

    has_all(
        &report.warnings.join("\n"),
        &[
            "1 of 5 runs of `mixture_base` on `ring` diverged: loss not finite at step 310 (try a \
             lower train.learning_rate); counted, not averaged.",
            "2 of 5 runs of `clusters` on `ring` not started; in no mean.",
            "5 of 5 runs of `rad` on `cloud` failed: out of memory; counted, not averaged.",
            "1 of 5 runs of `clusters` on `cloud` not ended; in no mean.",
            "points of `rad` on `ring` were left out because their value is not finite (nll: 12 of \
             50012).",
        ],
    );
    for line in report.table.lines() {
        assert!(line.chars().count() <= 120, "too wide: {line}");
    }
    has_all(&report.table, &["4 of 5", "0.320 ± 0.039"]);
    has_all(
        &read(&dir.join("summary.md")),
        &[
            "## table",
            "**0.0210 ± 0.0034**",
            "- `mixture_base` on `ring`, seed 3: diverged: loss not finite at step 310 (try a lower \
             train.learning_rate)",
            "- no kl: true density unknown",
            "(12 not finite)",
        ],
    );
}

#[test]
fn one_seed_has_no_interval_and_a_damaged_run_names_its_file() {
    let mut fixture = Fixture::new();
    let dir = &fixture.experiment;
    fixture.seeds.truncate(1);
    let what = Comparison {
        figures: Which::Overview,
        ..fixture.comparison()
    };
    let report = compare(&what).unwrap();
    assert!(report.warnings[0].starts_with("1 seed: there are no intervals."));
    let row = summary_line(dir, "ring,rad,kl,");
    assert_eq!(row[4..9], ["0.05", "", "", "0.05", "1"]);
    let (model, kls) = RING_KL[0];
    assert!(
        (number(&row[10]) - (0.05 - kls[0])).abs() < 1e-12,
        "minus {model}"
    );
    let metrics = fixture.place("ring", "rad", 0).path("metrics.csv");
    let text = read(&metrics).replace("0.05,", "half,");
    fs::write(&metrics, text).unwrap();
    let error = compare(&what).unwrap_err().to_string();
    has_all(
        &error,
        &["ring/rad/seed-0/metrics.csv:3: `value`: expected a number"],
    );

    let nowhere = fixture.dir.path().join("nowhere");
    let what = Comparison {
        dir: &nowhere,
        ..fixture.comparison()
    };
    let error = compare(&what).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    has_all(
        &error.to_string(),
        &["nowhere: expected at least one run; got none"],
    );
    assert!(!nowhere.exists());
}

#[test]
fn sentences_say_what_the_tests_show_and_no_more() {
    let fixture = Fixture::many(6);
    let what = fixture.comparison();
    let results = Results::read(&what).unwrap();
    let pairs = pairs::pairs(&results);
    let ranks = Ranks::of(&results).unwrap();
    // Mean ranks 1, 2 1/3, 2 2/3 and 4. By hand: sum of the squared rank sums 36 + 196 + 256 + 576, so
    // chi^2 = 12 / (6 * 20) * 1064 - 90 = 16.4 and F = 5 * 16.4 / (18 - 16.4) = 51.25; q = 2.569032
    // of 4 models times sqrt(20 / 36) = 1.9148.
    has_all(
        &prose::overall(&results, &ranks, &pairs).unwrap(),
        &[
            "95 % t interval over data sets): `mixture_base` 1 ± 0, `rad` 2.33 ± 0.54, `clusters` 2.67 \
             ± 0.54 and `normal_base` 4 ± 0.",
            "(Iman and Davenport's F(3, 15) = 51.25, p < 0.0001) finds differences between the mean \
             ranks. Mean ranks more than 1.91 apart differ (Nemenyi, 5 %): `mixture_base` differs from \
             `normal_base`, not significantly from `rad` and `clusters`.",
            "other models and data sets: `mixture_base` 18/0/0, ",
        ],
    );
    let on_first = |results: &Results<'_>| {
        let all = summary::rows(results);
        let on: Vec<&summary::Row> = all.iter().filter(|r| r.data == "d0").collect();
        prose::data_set(results, &on, &pairs::pairs(results), "d0")
    };
    let text = on_first(&results);
    assert!(
        text.starts_with(
            "On `d0`, `mixture_base` has the lowest mean KL(p‖q), 0.0200 ± 0.0017 nats (mean of 5 \
             seeds, 95 % t interval); it is 0.280 ± 0.023 less than that of the reference \
             `normal_base` (Holm-corrected p < 0.0001). Other differences from the reference: lower \
             for `rad` (-0.210 ± 0.017, p < 0.0001) and `clusters` (-0.230 ± 0.019, p < 0.0001). \
             Every other model that was tested differs from it"
        ),
        "{text}"
    );
    // Of one seed no test is possible, and none is claimed.
    let what = Comparison {
        seeds: &[0],
        ..what
    };
    assert_eq!(
        on_first(&Results::read(&what).unwrap()),
        "On `d0`, `mixture_base` has the lowest mean KL(p‖q), 0.01800 nats (one seed: no interval and \
         no test); the difference from the reference `normal_base` is -0.2520 (no test possible)."
    );
}
