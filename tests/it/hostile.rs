//! Hostile files: reading any content gives a value or an error that names the file, never a panic, a
//! hang or an allocation that no machine would grant.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test it hostile` is a long campaign.

use mdn::experiment::plan::Plan;
use mdn::experiment::store::{Picture, RunDir};
use mdn::report::{draw_run, Format};
use mdn_core::data::{DataSpec, FileSpec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use toml::{Table, Value};

use crate::common::{files, one_trained, Place, RAD, RING};
use crate::targets::experiment::{read, shipped, sound};
use crate::targets::TARGETS;

/// `few` cases, unless the environment sets another number.
fn cases(few: u32) -> ProptestConfig {
    let all = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => all,
        None => ProptestConfig { cases: few, ..all },
    }
}

/// A change to a file's bytes.
#[derive(Debug, Clone)]
enum Damage {
    Truncated(Index),
    Flipped(Vec<(Index, u8)>),
    Inserted(Index, Vec<u8>),
    Replaced(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Truncated),
        vec((any::<Index>(), 0u8..8), 1..4).prop_map(Damage::Flipped),
        (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, b)| Damage::Inserted(at, b)),
        vec(any::<u8>(), 0..300).prop_map(Damage::Replaced),
    ]
}

impl Damage {
    fn done_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let n = bytes.len();
        match self {
            Self::Truncated(at) => bytes.truncate(at.index(n + 1)),
            Self::Flipped(bits) if n > 0 => {
                for (at, bit) in bits {
                    bytes[at.index(n)] ^= 1 << bit;
                }
            }
            Self::Flipped(_) => {}
            Self::Inserted(at, more) => {
                let at = at.index(n + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Replaced(other) => bytes.clone_from(other),
        }
        bytes
    }
}

/// Values that no setting wants.
fn hostile_values() -> Vec<Value> {
    let floats = "nan inf -inf -0.0 0.0 1e308 -1e308 5e-324 1e-310 0.5";
    let whole = [i64::MAX, i64::MIN, -1, 0, 1, 2, 1 << 30, 1 << 40];
    let long = "a".repeat(10_000);
    let texts = "| |.|..|../x|/|a/b|a\\b|a\0b|\u{1b}[31m|a\nb|\r|é😀|NaN|figures|CON|-rf";
    let texts = texts.split('|').chain([long.as_str()]);
    let float = |text: &str| Value::Float(text.parse().expect("a number"));
    let mut all: Vec<Value> = floats.split(' ').map(float).collect();
    all.extend(whole.map(Value::Integer));
    all.extend(texts.map(|t| Value::String(t.to_owned())));
    all.extend([
        Value::Boolean(true),
        Value::Array(Vec::new()),
        Value::Array(vec![Value::Integer(0); 1000]),
        Value::Array(vec![Value::Float(f64::NAN), Value::Integer(i64::MAX)]),
        Value::Array(vec![Value::Array(Vec::new()); 3]),
        Value::Table(Table::new()),
    ]);
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

fn tables() -> Vec<Table> {
    let all = shipped().into_iter();
    all.map(|(_, text)| text.parse().expect("TOML")).collect()
}

/// What every fuzz target begins with, damaged at random.
#[test]
fn damaged_inputs_of_every_target_are_read_or_refused() {
    for named in TARGETS {
        let target = (named.target)();
        let seeds = (named.seeds)();
        proptest!(cases(120), |(which: Index, damage in damage())| {
            target(&damage.done_to(&which.get(&seeds).1));
        });
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn toml_of_random_pieces_is_read_or_refused(pieces in vec(any::<Index>(), 0..60)) {
        const PIECES: &str = "[ ] { } = , . \n \" ' # data models train flow ring base mixture 1 - e308 nan \
                              \\u0000 \"\"\"";
        let all: Vec<_> = PIECES.split(' ').collect();
        let text: String = pieces.iter().map(|i| *i.get(&all)).collect();
        read(&text);
    }
}

proptest! {
    #![proptest_config(cases(96))]

    /// Overrides put hostile values at keys that some file has, or under hostile names.
    #[test]
    fn hostile_values_and_names_are_read_or_refused(
        file: Index,
        edits in vec((any::<Index>(), any::<Index>(), any::<Option<Index>>()), 1..4),
        cut: Index,
    ) {
        let tables = tables();
        let (values, mut all) = (hostile_values(), Vec::new());
        tables.iter().for_each(|t| paths(t, &[], &mut all));
        let override_ = |(path, value, name): &(Index, Index, Option<Index>)| {
            let mut path = path.get(&all).clone();
            if let Some(Value::String(name)) = name.map(|name| name.get(&values)) {
                path.pop();
                path.push(name.clone());
            }
            format!("{}={}", path.join("."), value.get(&values))
        };
        let mut typed: Vec<String> = edits.iter().map(override_).collect();
        // The last one may be broken off.
        let last = typed.last_mut().expect("at least one");
        let mut end = cut.index(4 * last.len()).min(last.len());
        while !last.is_char_boundary(end) {
            end -= 1;
        }
        last.truncate(end);
        let shipped = Place::with("shipped.toml", &file.get(&tables).to_string());
        match Plan::load(&shipped.path("shipped.toml"), &typed) {
            Ok(plan) => sound(&plan),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}

#[test]
fn sizes_that_no_machine_would_hold_are_refused_before_anything_is_made() {
    let place = Place::new();
    let refused = |typed: &[&str]| {
        let typed: Vec<String> = typed.iter().map(|t| (*t).to_owned()).collect();
        let plan = Plan::load(&place.path("ring.toml"), &typed);
        plan.expect_err(&typed.join(" ")).to_string()
    };
    let mixture = "models.plain.flow.base.mixture.components=";
    for typed in [
        "train.batch_size=1000000000000",
        "train.points=1000000000000",
        "train.steps=9223372036854775807",
        "evaluation.points=1000000000000",
        "evaluation.grid=1000000000",
        "data.ring.ring.modes=1000000000",
        "data.ring.grid={ side = 1000000000 }",
        "data.ring.checkerboard={ squares = 1000000000 }",
        &format!("{mixture}1000000000"),
        "models.rad.clusters={ clusters = 1000000000 }",
        "models.rad.gaussian_mixture={ components = 1000000000 }",
        "models.rad.rad.layers=1000000000",
        "models.rad.rad.hidden=[1000000000]",
        "budget.parameters=1000000000",
    ] {
        let said = refused(&[typed]);
        let key = typed.split(['=', '{']).next().expect("a key");
        assert!(said.contains(key), "{said}");
    }
    // Each setting is within its own range.
    let deep = "models.plain.flow.bijection.affine_coupling.layers=1000";
    let wide = "models.plain.flow.bijection.affine_coupling.hidden=[65536, 65536, 65536]";
    let batch = "train.batch_size=10000000";
    for typed in [
        &[deep, batch][..],
        &[wide, "train.batch_size=1000000"],
        &[deep, wide],
        &["train.points=100000", &format!("{mixture}100000"), batch],
    ] {
        let said = refused(typed);
        let words = "expected a run of at most 128 GiB; got about";
        assert!(said.contains(words), "{said}");
    }
    let many: Vec<_> = (0..60_000).map(|s| s.to_string()).collect();
    let axes: String = (0..70).map(|i| format!("k{i} = [1, 2]\n")).collect();
    let seeds = RING.replace("[0, 1]", &format!("[{}]", many.join(",")));
    let search = format!("{RING}\n[search.models.plain.flow]\n{axes}");
    let cases = [
        (seeds, "at most 100000 runs"),
        (search, "at most 10000 trials"),
    ];
    for (text, words) in cases {
        let said = Plan::parse(&text, "many").expect_err(words).to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_fault_in_a_very_long_line_is_told_in_a_few() {
    let text = format!("x = [{}@", " ".repeat(100_000));
    let said = Plan::parse(&text, "long").expect_err("no TOML").to_string();
    assert!(said.starts_with("long:1:100007: not valid TOML"), "{said}");
    assert!(said.len() < 1000, "{}", said.len());
}

/// Other bad headers are in `crates/core/src/data/file/tests.rs`.
#[test]
fn arrays_whose_header_promises_what_is_not_there_are_refused() {
    let place = Place::new();
    for (descr, fortran, shape) in [
        ("<f8", "False", "(1000000000000000000, 2)"),
        ("<f8", "False", "(0, 1000000000000000000)"),
        ("<f8", "True", "(0, 18446744073709551615)"),
        ("<f8", "False", "(1000000000000000000, 0)"),
        ("<f8", "False", "(4294967296, 4294967296)"),
        ("<f99999999999999999999", "False", "(1, 1)"),
        ("", "False", "(1, 1)"),
    ] {
        for data in [&[0; 16][..], &[]] {
            let bytes = crate::targets::data::npy(1, descr, fortran, shape, data);
            let path = place.write("p.npy", bytes);
            let mut spec = DataSpec::File(FileSpec::new(path));
            let opened = spec.settle().is_ok() && spec.build().is_ok();
            assert!(!opened, "{descr} {shape} with {} bytes", data.len());
        }
    }
}

#[test]
fn figures_of_hostile_numbers_come_to_an_end() {
    let place = one_trained();
    let run = RunDir(place.path(RAD));
    let good = run
        .read_picture()
        .expect("a picture")
        .expect("two dimensions");
    let hostile = |value: f32, view: (f64, f64)| {
        let mut landing = good.landing.clone().expect("a base");
        landing.z.fill([value, 1.0]);
        landing.label = Some(vec![u32::MAX; landing.z.len()]);
        landing.part = Some((0..landing.z.len() as u32).map(|i| u32::MAX - i).collect());
        let parts = (0..good.log_q.len() as u32).map(|i| i.wrapping_mul(1 << 20));
        Picture {
            view: [view, (-1.0, 1.0)],
            log_q: vec![value; good.log_q.len()],
            part: Some(parts.collect()),
            landing: Some(landing),
            ..good.clone()
        }
    };
    for picture in [
        hostile(f32::NAN, (0.0, 5e-324)),
        hostile(3e38, (-1e308, 1e308)),
    ] {
        run.write_picture(&picture).expect("it can be written");
        draw_run(&run, "mdn", Format::Png).expect("figures");
    }
    run.write_picture(&good).expect("it can be written");
    let losses = "1,train,1,,0\n1,validation,-1e300,,0\n90,train,2,,0\n90,validation,nan,,0\n";
    let history = format!("step,split,loss,grad_norm,non_finite\n{losses}");
    place.write(&format!("{RAD}/history.csv"), history);
    draw_run(&run, "mdn", Format::Png).expect("figures");
}

#[cfg(unix)]
#[test]
fn links_in_the_results_folder_that_lead_out_of_it_are_not_followed() {
    let place = Place::new();
    place.write("away/ring.toml", RING);
    place.write("results/ring/ring/notes", "");
    let link = |name: &str| {
        std::os::unix::fs::symlink(place.path("away"), place.path(name)).expect("a link");
    };
    link("results/ring/ring/plain");
    let short = "ring.toml --seed 0 train.steps=2";
    let out = "results/ring/ring/plain: a symbolic link that leads out of results, to ";
    place.refuses(&format!(
        "
        train {short} => {out}
        compare {short} => {out}
        "
    ));
    assert_eq!(files(&place.path("away")).len(), 1);
    place.remove("results/ring/ring/plain");
    link("results/ring/figures");
    let out = "results/ring/figures: a symbolic link that leads out of results, to ";
    place.refused(&format!("compare {short}"), out);
    // The folder of all results may be a link: there the user wants them.
    link("linked");
    place.ok(&format!("train {short} --model plain --out linked"));
    assert!(place.exists("away/ring/ring/plain/seed-0/status"));
}
