//! The page and the files.

use super::claims::claims;
use super::*;
use mdn_core::study::Parameter;

fn verdicts(study: &Study<'_>) -> Vec<Option<bool>> {
    claims(study).into_iter().map(|c| c.holds).collect()
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

type Change = fn(&mut Study<'_>);

#[test]
fn claims_follow_the_rows() {
    let good = fixture::study();
    let expected = [YES, YES, YES, YES, YES, NO, NO, NO, YES, YES, NO, NO, NO];
    assert_eq!(verdicts(&good), expected, "{:#?}", claims(&good));
    let mut none = good.clone();
    none.entropies.clear();
    none.gradients.clear();
    none.relaxed.clear();
    assert_eq!(verdicts(&none), [None; 13]);

    // Each breaks the claim of this index, and none of those on other rows.
    let broken: [(usize, Change); 7] = [
        (0, |s| shift(s, Density::NestedIncludingOwn, 10, 0.2)),
        (1, |s| shift(s, Density::NestedExcludingOwn, 10, -0.4)),
        (2, |s| shift(s, Density::NestedExcludingOwn, 1000, 0.05)),
        (3, |s| shift(s, Density::Midpoint, 1000, 0.1)),
        (4, |s| shift(s, Density::BatchIncludingOwn, 100, 0.01)),
        (8, |s| bias(s, "stratified", Parameter::Logits)),
        (9, |s| bias(s, "stratified", Parameter::Means)),
    ];
    for (index, change) in broken {
        let mut study = good.clone();
        change(&mut study);
        assert_eq!(verdicts(&study)[index], NO, "{:#?}", claims(&study)[index]);
        let others = |v: Vec<Option<bool>>| -> Vec<_> {
            let kept = v
                .into_iter()
                .enumerate()
                .filter(|(i, _)| *i != index && *i > 4);
            kept.collect()
        };
        assert_eq!(others(verdicts(&study)), others(verdicts(&good)), "{index}");
    }
}

fn shift(study: &mut Study<'_>, density: Density, inner: usize, by: f64) {
    for row in &mut study.entropies {
        if row.density == density && row.inner == Some(inner) {
            row.bias += by;
        }
    }
}

fn bias(study: &mut Study<'_>, strategy: &str, parameter: Parameter) {
    for row in &mut study.gradients {
        if row.strategy == strategy && row.parameter == parameter {
            row.relative_bias = 0.5;
        }
    }
}

#[test]
fn a_study_is_reported_from_its_files_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let place = StudyDir::new(dir.path(), "three");
    let rows = fixture::study();
    place.write_relaxed(&rows.relaxed).unwrap();
    place.write_entropies(&rows.entropies).unwrap();
    place.write_gradients(&rows.gradients).unwrap();
    let report = study(&place, rows.name, rows.command).unwrap();
    let names: Vec<_> = report
        .files
        .iter()
        .map(|f| f.strip_prefix(&place.0).unwrap().display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "summary.md",
            "figures/entropy-bounds.png",
            "figures/entropy-bounds.svg",
            "figures/gradients.png",
            "figures/gradients.svg"
        ]
    );
    let bytes = || -> Vec<Vec<u8>> {
        report
            .files
            .iter()
            .map(|f| std::fs::read(f).unwrap())
            .collect()
    };
    let first = bytes();
    study(&place, rows.name, rows.command).unwrap();
    assert!(
        first == bytes(),
        "another report of the same rows has other bytes"
    );
    for part in [
        "# three\n\n`mdn study three.toml`",
        "| Equation 1, the mixture's density on relaxed samples, gives their entropy | **no** |",
        "| 0.1 | 2.140000 | 2.158000 | 0.01800 |",
        "| 0.1, 10 | 600000 | -0.12200 ± 0.00022 | +0.22900 ± 0.00025 |",
        "| `gumbel_softmax 0.1` | 16 | 0.1350 ± 0.0072 | 10.200 ± 0.051 |",
        "| `stratified` | 16 | 0.00000 ± 0.00098 | 1.3900 ± 0.0069 |",
        "![gradients.png](figures/gradients.png)",
    ] {
        assert!(report.page.contains(part), "{part}\n{}", report.page);
    }
    assert_eq!(report.json["gradients"].as_array().map(Vec::len), Some(24));
    assert_eq!(report.json["entropy"][0]["density"], "nested_including_own");
    std::fs::write(place.path("entropy.csv"), "temperature\n").unwrap();
    let damaged = study(&place, "three", "mdn").unwrap_err().to_string();
    assert!(
        damaged.contains("entropy.csv:1: expected the columns"),
        "{damaged}"
    );
}
