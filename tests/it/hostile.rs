//! Hostile experiment files: whatever stands in one, reading it gives a plan or an error that names the
//! file, and never a panic, a hang or an allocation that no machine would grant. Files of data and
//! of runs are in `hostile_files.rs`.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test it hostile` is a long campaign.

use crate::common::damage::{cases, damage};
use crate::common::{shipped, RING};
use crate::targets::experiment::{read, sound};
use mdn::experiment::plan::Plan;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use toml::{Table, Value};

/// Values that no setting wants.
fn hostile_values() -> Vec<Value> {
    let floats = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        0.0,
        1e308,
        -1e308,
        5e-324,
        1e-310,
        0.5,
    ];
    let whole = [
        i64::MAX,
        i64::MIN,
        -1,
        0,
        1,
        2,
        1_000_000_000,
        1_000_000_000_000,
    ];
    let long = "a".repeat(10_000);
    let texts = [
        "",
        " ",
        ".",
        "..",
        "../x",
        "/",
        "a/b",
        "a\\b",
        "a\0b",
        "\u{1b}[31m",
        "a\nb",
        "\r",
        "é😀",
        "NaN",
        "figures",
        "CON",
        "-rf",
        &long,
    ];
    let mut all: Vec<Value> = floats.map(Value::Float).to_vec();
    all.extend(whole.map(Value::Integer));
    all.extend(texts.map(|t| Value::String(t.to_owned())));
    all.push(Value::Boolean(true));
    all.push(Value::Array(Vec::new()));
    all.push(Value::Array(vec![Value::Integer(0); 1000]));
    all.push(Value::Array(vec![
        Value::Float(f64::NAN),
        Value::Integer(i64::MAX),
    ]));
    all.push(Value::Array(vec![Value::Array(Vec::new()); 3]));
    all.push(Value::Table(Table::new()));
    all
}

/// Paths of all keys below `table`.
fn paths(table: &Table, above: &[String], found: &mut Vec<Vec<String>>) {
    for (key, value) in table {
        let path = [above, std::slice::from_ref(key)].concat();
        if let Value::Table(inner) = value {
            paths(inner, &path, found);
        }
        found.push(path);
    }
}

fn at<'t>(table: &'t mut Table, path: &[String]) -> Option<&'t mut Table> {
    path.iter()
        .try_fold(table, |table, key| table.get_mut(key)?.as_table_mut())
}

/// One change to an experiment file.
#[derive(Debug, Clone)]
struct Edit {
    place: Index,
    value: Index,
    key: Index,
    kind: u8,
}

fn edit() -> impl Strategy<Value = Edit> {
    (any::<Index>(), any::<Index>(), any::<Index>(), 0u8..4).prop_map(
        |(place, value, key, kind)| Edit {
            place,
            value,
            key,
            kind,
        },
    )
}

impl Edit {
    /// `keys` are those that some file has somewhere.
    fn done_to(&self, table: &mut Table, keys: &[String]) {
        let values = hostile_values();
        let mut all = Vec::new();
        paths(table, &[], &mut all);
        if all.is_empty() {
            return;
        }
        let path = &all[self.place.index(all.len())];
        let value = values[self.value.index(values.len())].clone();
        let (last, above) = path.split_last().expect("a key");
        let Some(inner) = at(table, above) else {
            return;
        };
        match self.kind {
            // Another value, a key that belongs elsewhere, a table or key under a hostile name, none.
            0 | 1 => drop(inner.insert(last.clone(), value)),
            2 => drop(inner.insert(keys[self.key.index(keys.len())].clone(), value)),
            _ => {
                let was = inner.remove(last);
                if let (Some(was), Value::String(name)) = (was, value) {
                    inner.insert(name, was);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn bytes_of_any_kind_are_no_experiment(bytes in vec(any::<u8>(), 0..400), lines: bool) {
        let text = String::from_utf8_lossy(&bytes);
        read(&if lines { text.replace(' ', "\n") } else { text.into_owned() });
    }

    #[test]
    fn toml_of_random_pieces_is_read_or_refused(pieces in vec(any::<Index>(), 0..60)) {
        const PIECES: [&str; 24] = [
            "[", "]", "{", "}", "=", ",", ".", "\n", "\"", "'", "#", "data", "models", "train", "flow",
            "ring", "base", "mixture", "1", "-", "e308", "nan", "\\u0000", "\"\"\"",
        ];
        let text: String = pieces.iter().map(|i| PIECES[i.index(PIECES.len())]).collect();
        read(&text);
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn damaged_experiments_are_read_or_refused(file: Index, damage in damage()) {
        let files = shipped("experiments");
        let bytes = std::fs::read(&files[file.index(files.len())]).expect("a shipped file");
        read(&String::from_utf8_lossy(&damage.done_to(&bytes)));
    }

    #[test]
    fn known_keys_with_hostile_values_are_read_or_refused(file: Index, edits in vec(edit(), 1..4)) {
        let files = shipped("experiments");
        let tables: Vec<Table> = files
            .iter()
            .map(|f| std::fs::read_to_string(f).expect("a shipped file").parse().expect("TOML"))
            .collect();
        let mut keys = Vec::new();
        tables.iter().for_each(|t| paths(t, &[], &mut keys));
        let keys: Vec<String> = keys.into_iter().filter_map(|mut k| k.pop()).collect();
        let mut table = tables[file.index(tables.len())].clone();
        for edit in &edits {
            edit.done_to(&mut table, &keys);
        }
        read(&toml::to_string(&table).expect("TOML"));
    }

    #[test]
    fn hostile_overrides_are_applied_or_refused(file: Index, place: Index, value: Index, cut: Index) {
        let files = shipped("experiments");
        let file = &files[file.index(files.len())];
        let table: Table = std::fs::read_to_string(file).expect("a file").parse().expect("TOML");
        let mut all = Vec::new();
        paths(&table, &[], &mut all);
        let values = hostile_values();
        let typed = format!(
            "{}={}",
            all[place.index(all.len())].join("."),
            values[value.index(values.len())]
        );
        let mut end = cut.index(4 * typed.len()).min(typed.len());
        while !typed.is_char_boundary(end) {
            end -= 1;
        }
        match Plan::load(file, &[typed[..end].to_owned()]) {
            Ok(plan) => sound(&plan),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}

#[test]
fn sizes_that_no_machine_would_hold_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("ring.toml");
    std::fs::write(&path, RING).expect("a writable folder");
    let deep = "models.plain.flow.bijection.affine_coupling.layers=1000";
    let wide = "models.plain.flow.bijection.affine_coupling.hidden=[65536, 65536, 65536]";
    let batch = "train.batch_size=10000000";
    let mixture = "models.plain.flow.base.mixture.components=";
    for typed in [
        &["train.batch_size=1000000000000"][..],
        &["train.points=1000000000000"],
        &["train.steps=9223372036854775807"],
        &["evaluation.points=1000000000000"],
        &["evaluation.grid=1000000000"],
        &["data.ring.ring.modes=1000000000"],
        &["data.ring.grid={ side = 1000000000 }"],
        &["data.ring.checkerboard={ squares = 1000000000 }"],
        &[&format!("{mixture}1000000000")],
        &["models.rad.clusters={ clusters = 1000000000 }"],
        &["models.rad.gaussian_mixture={ components = 1000000000 }"],
        &["models.rad.rad.layers=1000000000"],
        &["models.rad.rad.hidden=[1000000000]"],
        &["budget.parameters=1000000000"],
        // Each within its own range.
        &[deep, batch],
        &[wide, "train.batch_size=1000000"],
        &[deep, wide],
        &["train.points=100000", &format!("{mixture}100000"), batch],
    ] {
        let typed: Vec<String> = typed.iter().map(|t| (*t).to_owned()).collect();
        let said = Plan::load(&path, &typed)
            .expect_err(&typed.join(" "))
            .to_string();
        let last = typed.last().expect("one");
        assert!(
            said.contains(last.split(['=', '{']).next().expect("a key")),
            "{said}"
        );
        if typed.len() > 1 {
            assert!(
                said.contains("expected a run of at most 128 GiB; got about"),
                "{said}"
            );
        }
    }
    let many: Vec<String> = (0..60_000).map(|s| s.to_string()).collect();
    let text = RING.replace("[0, 1]", &format!("[{}]", many.join(",")));
    let said = Plan::parse(&text, "many")
        .expect_err("120000 runs")
        .to_string();
    assert!(said.contains("at most 100000 runs"), "{said}");
    let axes: String = (0..70).map(|i| format!("k{i} = [1, 2]\n")).collect();
    let text = format!("{RING}\n[search.models.plain.flow]\n{axes}");
    let said = Plan::parse(&text, "axes")
        .expect_err("2^70 trials")
        .to_string();
    assert!(said.contains("at most 10000 trials"), "{said}");
}

#[test]
fn a_fault_in_a_very_long_line_is_told_in_a_few() {
    let text = format!("x = [{}@", " ".repeat(100_000));
    let said = Plan::parse(&text, "long").expect_err("no TOML").to_string();
    assert!(said.starts_with("long:1:100007: not valid TOML"), "{said}");
    assert!(said.len() < 1000, "{}", said.len());
}
