//! The binary from outside, without training: what it lists and says.

use crate::common::Place;

#[test]
fn help_and_version_are_results() {
    let place = Place::new();
    let help = place.mdn(&["--help"]).fine();
    for verb in [
        "new",
        "check",
        "train",
        "compare",
        "runs",
        "ls",
        "show",
        "diff",
        "rm",
        "sample",
        "density",
        "plot",
        "export",
        "list",
        "study",
        "bench",
        "devices",
        "schema",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("\n  {verb}")), "{help}");
    }
    assert!(help.contains("Exit codes:"), "{help}");
    let version = place.mdn(&["--version"]).fine();
    let expected = format!("mdn {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&expected), "{version}");
    let train = place.mdn(&["train", "--help"]).fine();
    assert!(train.contains("model.safetensors"), "{train}");
}

#[test]
fn devices_say_what_is_built_in_and_what_is_there() {
    let place = Place::new();
    let table = place.mdn(&["devices"]).fine();
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("device  compiled in  usable  detail"),
        "{table}"
    );
    assert!(
        lines[1].starts_with("cpu     yes          yes     "),
        "{table}"
    );
    assert!(lines[2].starts_with("cuda:0  "), "{table}");
    let json = place.mdn(&["devices", "--json"]).fine();
    let rows: Vec<serde_json::Value> = json
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(rows.len() + 1, lines.len());
    assert_eq!(rows[0]["device"], "cpu");
    assert_eq!(rows[0]["usable"], true);
    assert_eq!(rows[1]["compiled_in"], cfg!(feature = "cuda"));
    let metal = &rows[rows.len() - 1];
    assert_eq!(metal["device"], "metal");
    assert_eq!(metal["compiled_in"], cfg!(feature = "metal"));
}

#[test]
fn runs_are_listed_in_the_order_of_the_file() {
    let place = Place::new();
    let table = place.mdn(&["runs", "ring.toml"]).fine();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert_eq!(lines[0], "index  data  model  seed  state    reason");
    assert_eq!(lines[2], "1      ring  plain  1     missing");
    assert_eq!(place.mdn(&["runs", "ring.toml", "--count"]).fine(), "4\n");
    let json = place.mdn(&["runs", "ring.toml", "--json", "--model", "rad"]);
    let rows: Vec<serde_json::Value> = json
        .fine()
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["index"], &rows[0]["seed"]),
        (&2.into(), &0.into())
    );
    assert_eq!(rows[0]["folder"], "results/ring/ring/rad/seed-0");
}

#[test]
fn commands_carry_overrides_and_places_quoted_for_a_shell() {
    let place = Place::new();
    let said = place.mdn(&[
        "runs",
        "ring.toml",
        "train.steps=5",
        "--set",
        "seeds=[3, 4]",
        "--out",
        "my results",
        "--commands",
    ]);
    assert_eq!(
        said.fine().lines().nth(1),
        Some("mdn train ring.toml train.steps=5 --set 'seeds=[3, 4]' --index 1 --out 'my results'")
    );
}

#[test]
fn a_dry_run_does_nothing() {
    let place = Place::new();
    let said = place
        .mdn(&["train", "ring.toml", "-n", "--seed", "1"])
        .fine();
    assert_eq!(
        said,
        "train  1  results/ring/ring/plain/seed-1\ntrain  3  results/ring/ring/rad/seed-1\n"
    );
    assert!(!place.path("results").exists());
}

#[test]
fn the_resolved_file_says_the_same_again() {
    let place = Place::new();
    let typed = ["check", "ring.toml", "train.steps=7", "--resolved"];
    let text = place.mdn(&typed).fine();
    assert!(text.contains("steps = 7\n"), "{text}");
    place.write("again.toml", &text);
    let again = place.mdn(&["check", "again.toml", "--resolved"]).fine();
    assert_eq!(again, text);
}

#[test]
fn check_shows_what_the_file_means() {
    let place = Place::new();
    let text = place.mdn(&["check", "ring.toml"]).fine();
    assert!(text.contains("plain  flow (reference)"), "{text}");
    assert!(text.contains("4 runs of `ring`"), "{text}");
    let ring = text.lines().find(|l| l.starts_with("ring")).expect("a row");
    let cells: Vec<_> = ring.split_whitespace().collect();
    assert_eq!(cells[..4], ["ring", "ring", "2", "4"], "{text}");
}

#[test]
fn every_kind_is_listed() {
    let place = Place::new();
    let kinds = place.mdn(&["list"]).fine();
    for kind in kinds.lines().filter_map(|l| l.split_whitespace().next()) {
        let lines = place.mdn(&["list", kind]).fine();
        assert!(!lines.trim().is_empty(), "{kind}");
    }
    let models = place.mdn(&["list", "models"]).fine();
    assert!(models.starts_with("flow "), "{models}");
    let k =
        "\n    optional components: K; chosen by BIC between 1 and `max_components` if absent.\n";
    assert!(models.contains(k), "{models}");
    let constrained = place.mdn(&["list", "objectives"]).fine();
    assert!(
        constrained.contains("\n    optional support: "),
        "{constrained}"
    );
    assert!(constrained.contains("\n    penalty = "), "{constrained}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_fault() {
    use std::process::{Command, Stdio};
    let place = Place::new();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("mdn"))
        .args(["runs", "ring.toml", "--commands"])
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let said = crate::common::Said::of(&child.wait_with_output().expect("it ends"));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[test]
fn a_check_says_what_memory_and_time_it_will_take() {
    let place = Place::new();
    let plain = place.mdn(&["check", "ring.toml"]).fine();
    assert!(plain.contains("memory: a run of `"), "{plain}");
    assert!(!plain.contains("time: "), "{plain}");
    let timed = place.mdn(&["check", "ring.toml", "--time"]).fine();
    assert!(timed.starts_with(&plain), "{timed}");
    assert!(timed.contains("\ntime: 4 runs train for about "), "{timed}");
    assert!(!place.path("results").exists());
}
