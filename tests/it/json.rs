//! Every verb speaks to programs: with `--json` what it prints is JSON, all of it.

use crate::common::{all_trained, Place, RAD};
use serde_json::Value;

/// The verbs that `mdn --help` lists.
fn verbs(place: &Place) -> Vec<String> {
    let help = place.mdn(&["--help"]).fine();
    let below = help.split("Commands:\n").nth(1).expect("a list of verbs");
    let lines = below.lines().take_while(|l| l.starts_with("  "));
    let names = lines.filter_map(|l| l.split_whitespace().next());
    names.map(str::to_owned).filter(|v| v != "help").collect()
}

/// One value, or one a line.
fn values(text: &str) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_str(text).into_iter();
    stream
        .map(|v| v.unwrap_or_else(|e| panic!("{e}: {text}")))
        .collect()
}

#[test]
fn every_verb_prints_json() {
    let place = all_trained();
    place.write("points.csv", "x1,x2\n3,0\n1e30,0\n");
    let other = &RAD.replace("seed-0", "seed-1");
    // By verb: the rest of the command line, a key that its first object has, and how many there are.
    let cases: &[(&[&str], &str, Option<usize>)] = &[
        (&["new", "fresh.toml"], "file", Some(1)),
        (&["new"], "text", Some(1)),
        (&["check", "ring.toml"], "experiment", None),
        (&["list", "models"], "name", None),
        (&["train", "ring.toml"], "event", None),
        (&["compare", "ring.toml", "--figures", "none"], "", None),
        (&["runs", "ring.toml"], "index", Some(4)),
        (&["ls"], "state", Some(4)),
        (&["show", RAD], "metrics", Some(1)),
        (&["diff", RAD, other], "", None),
        (&["sample", RAD, "-n", "3"], "x", Some(3)),
        (&["density", RAD, "points.csv", "--parts"], "part", Some(2)),
        (&["plot", RAD], "file", None),
        (&["export", RAD, "--tensorboard", "board"], "file", Some(1)),
        (&["devices"], "device", None),
        (&["completions", "bash"], "script", Some(1)),
        (&["man"], "page", Some(1)),
        (&["man", "pages"], "file", None),
        (&["schema"], "title", Some(1)),
        (&["schema", "-o", "mdn.schema.json"], "file", Some(1)),
        (&["rm", "--force", RAD], "removed", Some(1)),
    ];
    // Those that measure have tests of their own.
    let apart = ["bench", "study"];
    for verb in verbs(&place) {
        let tried = cases.iter().any(|(line, ..)| line[0] == verb);
        assert!(tried || apart.contains(&verb.as_str()), "{verb}");
        let help = place.mdn(&[&verb, "--help"]).fine();
        assert!(help.contains("--json"), "{verb}");
    }
    for (line, key, count) in cases {
        let said = place.mdn(&[line, &["--json"][..]].concat()).fine();
        let found = values(&said);
        assert!(!found.is_empty(), "{line:?}");
        assert!(count.is_none_or(|n| n == found.len()), "{line:?}: {said}");
        assert!(
            key.is_empty() || found[0].get(key).is_some(),
            "{line:?}: {said}"
        );
    }
}

#[test]
fn numbers_and_files_are_those_of_the_plain_output() {
    let place = all_trained();
    place.write("points.csv", "x1,x2\n3,0\n1e30,0\n");
    // Reading JSON, unlike writing it, may be a last digit off.
    let near = |a: &Value, b: &str| {
        let (a, b) = (
            a.as_f64().expect("a number"),
            b.parse::<f64>().expect("a number"),
        );
        assert!((a - b).abs() <= 1e-14 * b.abs(), "{a} {b}");
    };
    let plain = place.mdn(&["density", RAD, "points.csv"]).fine();
    let objects = values(&place.mdn(&["density", RAD, "points.csv", "--json"]).fine());
    let last = plain.lines().nth(1).and_then(|l| l.split(',').next_back());
    near(&objects[0]["log_density"], last.expect("a value"));
    let plain = place.mdn(&["sample", RAD, "-n", "2"]).fine();
    let rows = values(&place.mdn(&["sample", RAD, "-n", "2", "--json"]).fine());
    assert_eq!(plain.lines().count(), 1 + rows.len());
    for (line, row) in plain.lines().skip(1).zip(&rows) {
        for (i, x) in line.split(',').enumerate() {
            near(&row["x"][i], x);
        }
    }
    // One that is held back says why, and the file that holds it back stays.
    place.write(&format!("{RAD}/notes.txt"), "mine");
    let said = place.mdn(&["rm", "--force", RAD, "--json"]);
    assert_eq!(said.code, 1);
    let object = &values(&said.out)[0];
    assert_eq!(object["removed"], false);
    assert!(object["why_not"]
        .as_str()
        .is_some_and(|w| w.contains("notes.txt")));
    assert_eq!(place.read(&format!("{RAD}/notes.txt")), "mine");
}
