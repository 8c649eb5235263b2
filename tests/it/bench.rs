//! `mdn bench` from outside: what it says, never how fast.

use serde_json::Value;

use crate::common::{assert_contains, cases, objects, Place};

fn assert_positive(row: &Value, place: &str) {
    let value = row.pointer(place).and_then(Value::as_f64);
    assert!(
        value.is_some_and(|v| v.is_finite() && v > 0.0),
        "{place}: {row:#}"
    );
}

const QUICK: &str = "--device cpu --seconds 0.05 --points 1000";

#[test]
fn a_measurement_is_one_json_object() {
    let place = Place::new();
    let said = place.mdn(&format!("-q bench a --json {QUICK}"));
    assert_eq!(said.err, "");
    let rows = objects(&said.fine());
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    for (key, value) in [
        ("reference", Value::from("a")),
        ("device", "cpu".into()),
        ("precision", "f32".into()),
        ("batch", 512.into()),
        ("points", 1000.into()),
        ("runs", 1.into()),
        ("threads", 1.into()),
        ("gain", 1.0.into()),
    ] {
        assert_eq!(row[key], value, "{key}: {row:#}");
    }
    let kernels = row["kernels"].as_str().expect("text");
    let isa = row["limit_of"].as_str().expect("text");
    assert_eq!(kernels, format!("fused ({isa})"));
    for text in ["version", "processor"] {
        assert!(row[text].as_str().is_some_and(|t| !t.is_empty()), "{row:#}");
    }
    for number in ["parameters", "cores", "seconds"] {
        assert_positive(row, &format!("/{number}"));
    }
    for what in ["train", "density", "samples"] {
        for of in ["min", "median", "max"] {
            assert_positive(row, &format!("/{what}/per_second/{of}"));
        }
    }
    if cfg!(unix) {
        assert_positive(row, "/limit_gflops");
        assert_positive(row, "/limit_alone_gflops");
        assert_positive(row, "/peak_memory_bytes");
        for what in ["train", "density", "samples"] {
            assert_positive(row, &format!("/{what}/per_cpu_second/median"));
            assert_positive(row, &format!("/{what}/gflops_per_cpu_second"));
            assert_positive(row, &format!("/{what}/share_of_limit"));
        }
    }
}

#[test]
fn threads_are_shared_by_one_run_and_given_to_one_each() {
    let place = Place::new();
    let line = "bench --file ring.toml --threads 2 --json --kernels plain --batch 32";
    let rows = objects(&place.ok(&format!("{line} {QUICK}")));
    let shapes: Vec<_> = rows
        .iter()
        .map(|r| (r["runs"].as_u64(), r["threads"].as_u64()))
        .collect();
    let expected = [(1, 1), (1, 2), (2, 1)].map(|(runs, threads)| (Some(runs), Some(threads)));
    assert_eq!(shapes, expected);
    for row in &rows {
        assert_eq!(row["reference"], "ring");
        assert_eq!(row["kernels"], "plain");
        assert_eq!(row["batch"], 32);
        assert_positive(row, "/gain");
        // Copies at once count each other's bursts as their own time.
        if row["runs"] == 2 {
            assert!(row["train"]["share_of_limit"].is_null(), "{row:#}");
        } else if cfg!(unix) {
            assert_positive(row, "/train/share_of_limit");
        }
    }
}

#[test]
fn the_table_has_units_and_a_row_per_measurement() {
    let place = Place::new();
    let said = place.mdn(&format!("bench c {QUICK}"));
    let table = said.fine_with_note("measuring c");
    assert!(table.starts_with("mdn "), "{table}");
    assert_contains(
        &table,
        &["[steps/s]", "[steps/CPU-s]", "[M points/s]", "[MB]"],
    );
    let row = table.lines().last().unwrap_or_default();
    assert!(row.starts_with("c "), "{table}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new();
    let table = "
        referense_b => expected `a`, `b`, `c` (did you mean `reference_b`?)
        d => --file measures an experiment file
        a --file ring.toml => cannot be used with
        --file none.toml => none.toml: could not read
        a --seconds 0 => expected seconds between 0.01 and 3600
        a --threads 0 => 0 is not in 1
        a --points 0 => 0 is not in 1
        a --batch 0 => --batch: expected 1 <= `batch_size`
        a --device cuda:99 => --device cuda:99: expected
    ";
    for (options, message) in cases(table) {
        place.refused(&format!("-q bench {options}"), message);
    }
}
