//! Hostile input: whatever stands in a file, reading it gives a value or an error that names the file, and
//! never a panic, a hang or an allocation that no machine would grant.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test hostile` is a long campaign.

mod common;

use std::path::{Component, Path, PathBuf};

use candle_core::Device;
use common::{Place, RING};
use mdn::data::{DataSpec, FileSpec};
use mdn::experiment::plan::{Plan, RunSpec};
use mdn::experiment::store::{Picture, RunDir};
use mdn::experiment::trained::Trained;
use mdn::experiment::Compute;
use mdn::kernels::Choice;
use mdn::report::{draw_run, Format};
use mdn::rng::Rng;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use toml::{Table, Value};

/// So many cases, unless the environment asks for another number.
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

fn shipped() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let files = std::fs::read_dir(root).expect("shipped files");
    let files = files.map(|f| f.expect("a readable folder").path());
    let mut files: Vec<_> = files
        .filter(|f| f.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// What becomes of a file's bytes.
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

/// What is accepted leads to no folder outside, and can be written down and read again.
fn sound(plan: &Plan) -> Result<(), TestCaseError> {
    let out = Path::new("out");
    for run in plan.runs.iter().take(100) {
        let place = RunDir::new(
            out,
            &run.experiment,
            &run.data_name,
            &run.model_name,
            run.seed,
        );
        let parts: Vec<_> = place.0.components().collect();
        prop_assert_eq!(parts.len(), 5);
        prop_assert!(parts.iter().all(|p| matches!(p, Component::Normal(_))));
    }
    let text = plan.resolved().expect("what was read can be written");
    let again = Plan::parse(&text, &plan.experiment);
    prop_assert!(again.is_ok(), "{}\n{text}", again.unwrap_err());
    Ok(())
}

fn read(text: &str) -> Result<(), TestCaseError> {
    match Plan::parse(text, "hostile") {
        Ok(plan) => sound(&plan),
        Err(e) => {
            let said = e.to_string();
            prop_assert!(said.contains("hostile"), "{said}");
            prop_assert!(said.len() < 20_000, "{} bytes", said.len());
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn bytes_of_any_kind_are_no_experiment(bytes in vec(any::<u8>(), 0..400), lines: bool) {
        let text = String::from_utf8_lossy(&bytes);
        read(&if lines { text.replace(' ', "\n") } else { text.into_owned() })?;
    }

    #[test]
    fn toml_of_random_pieces_is_read_or_refused(pieces in vec(any::<Index>(), 0..60)) {
        const PIECES: [&str; 24] = [
            "[", "]", "{", "}", "=", ",", ".", "\n", "\"", "'", "#", "data", "models", "train", "flow",
            "ring", "base", "mixture", "1", "-", "e308", "nan", "\\u0000", "\"\"\"",
        ];
        let text: String = pieces.iter().map(|i| PIECES[i.index(PIECES.len())]).collect();
        read(&text)?;
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn damaged_experiments_are_read_or_refused(file: Index, damage in damage()) {
        let files = shipped();
        let bytes = std::fs::read(&files[file.index(files.len())]).expect("a shipped file");
        read(&String::from_utf8_lossy(&damage.done_to(&bytes)))?;
    }

    #[test]
    fn known_keys_with_hostile_values_are_read_or_refused(file: Index, edits in vec(edit(), 1..4)) {
        let files = shipped();
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
        read(&toml::to_string(&table).expect("TOML"))?;
    }

    #[test]
    fn hostile_overrides_are_applied_or_refused(file: Index, place: Index, value: Index, cut: Index) {
        let files = shipped();
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
            Ok(plan) => prop_assert!(plan.resolved().is_ok()),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}

/// An array as NumPy writes it.
fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).expect("a short header");
    [
        b"\x93NUMPY\x01\x00",
        &length.to_le_bytes()[..],
        header.as_bytes(),
        data,
    ]
    .concat()
}

fn good_data() -> [(&'static str, Vec<u8>); 3] {
    let points: Vec<f64> = (0..60).map(|i| f64::from(i * i % 37) / 3.0).collect();
    let rows = points.chunks_exact(2);
    let text: String = rows.map(|p| format!("{},{:e},k\n", p[0], p[1])).collect();
    let numbers: Vec<u8> = points.iter().flat_map(|v| v.to_le_bytes()).collect();
    let columns = points
        .iter()
        .flat_map(|v| (*v as f32).to_be_bytes())
        .collect::<Vec<u8>>();
    [
        (
            "points.csv",
            format!("x,\"y, mm\",kind\n{text}").into_bytes(),
        ),
        ("c.npy", npy("<f8", "False", "(30, 2)", &numbers)),
        ("fortran.npy", npy(">f4", "True", "(30, 2)", &columns)),
    ]
}

/// Everything that is done with a file of data before training.
fn open(path: &Path, label: Option<&str>) -> Result<DataSpec, String> {
    let mut file = FileSpec::new(path);
    file.label = label.map(|name| mdn::data::Column::Name(name.to_owned()));
    let mut spec = DataSpec::File(file);
    spec.settle().map_err(|e| e.to_string())?;
    spec.build().map_err(|e| e.to_string())?;
    Ok(spec)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn damaged_data_is_read_or_refused(which: Index, damage in damage()) {
        let dir = tempfile::tempdir().expect("a folder");
        let (name, bytes) = which.get(&good_data()).clone();
        let path = dir.path().join(name);
        std::fs::write(&path, damage.done_to(&bytes)).expect("a writable folder");
        if let Err(said) = open(&path, (name == "points.csv").then_some("kind")) {
            prop_assert!(said.len() < 5000, "{said}");
        }
    }
}

#[test]
fn headers_that_promise_what_is_not_there_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("p.npy");
    for (name, bytes) in good_data() {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a writable folder");
        let label = (name == "points.csv").then_some("kind");
        open(&path, label).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for (descr, fortran, shape) in [
        ("<f8", "False", "(1000000000000000000, 2)"),
        ("<f8", "False", "(0, 1000000000000000000)"),
        ("<f8", "True", "(0, 18446744073709551615)"),
        ("<f8", "False", "(1000000000000000000, 0)"),
        ("<f8", "False", "(4294967296, 4294967296)"),
        ("<f8", "False", "(-1, 2)"),
        ("<f8", "False", "(2,)"),
        ("<f8", "False", "()"),
        ("<c16", "False", "(1, 1)"),
        ("<f99999999999999999999", "False", "(1, 1)"),
        ("|O", "False", "(1, 1)"),
        ("", "False", "(1, 1)"),
        ("é", "False", "(1, 1)"),
    ] {
        std::fs::write(&path, npy(descr, fortran, shape, &[0; 16])).expect("a writable folder");
        assert!(open(&path, None).is_err(), "{descr} {shape}");
        std::fs::write(&path, npy(descr, fortran, shape, &[])).expect("a writable folder");
        assert!(open(&path, None).is_err(), "{descr} {shape} without data");
    }
}

/// A run that is done, small.
fn finished() -> (Place, PathBuf) {
    let place = Place::new();
    let base = "models.plain.flow.base.mixture.components=2";
    let only = [
        "--model",
        "plain",
        "--seed",
        "0",
        "--threads",
        "1",
        "train.steps=2",
    ];
    place
        .mdn(&[&["train", "ring.toml", base], &only[..]].concat())
        .fine();
    let run = place.path("results/ring/ring/plain/seed-0");
    (place, run)
}

const READ: [&str; 9] = [
    "status",
    "config.toml",
    "history.csv",
    "metrics.csv",
    "cost.csv",
    "levels.csv",
    "environment.toml",
    "picture.safetensors",
    "model.safetensors",
];

/// What the verbs read of a run; the errors.
fn read_run(run: &RunDir) -> Vec<String> {
    let mut said = Vec::new();
    let mut told = |e: Option<mdn::Error>| said.extend(e.map(|e| e.to_string()));
    told(run.read_status().err());
    told(run.read_history().err());
    told(run.read_metrics().err());
    told(run.read_rounds().err());
    told(run.read_levels().err());
    told(run.read_environment().err());
    told(run.read_picture().err());
    told(run.read_checkpoint("").err());
    told(RunSpec::read(&run.path("config.toml")).err());
    let compute = |_| {
        Ok(Compute {
            device: Device::Cpu,
            kernels: Choice::Auto,
        })
    };
    match Trained::load(run, compute) {
        Err(e) => told(Some(e)),
        Ok(trained) => {
            // Other weights are none that anybody can tell; what is made of them must come to an end.
            let _ = trained.sample(3, &mut Rng::new(0));
            let points = vec![vec![0.5; trained.dim()]; 2];
            let _ = trained.log_density(&points);
            let _ = trained.parts(&points);
        }
    }
    said
}

#[test]
fn every_reader_of_a_run_reads_or_names_the_file() {
    let (_place, folder) = finished();
    let run = RunDir(folder.clone());
    assert_eq!(read_run(&run), Vec::<String>::new(), "the run itself");
    let whole = READ.map(|name| std::fs::read(run.path(name)).expect(name));
    let named = folder.display().to_string();
    let strategy = (
        any::<Index>(),
        damage(),
        proptest::option::of(any::<Index>()),
    );
    proptest!(cases(300), |((which, damage, swap) in strategy)| {
        let at = which.index(READ.len());
        // The file, damaged, or another of the run's files in its place.
        let bytes = match swap {
            Some(other) if other.index(4) == 0 => other.get(&whole).clone(),
            _ => damage.done_to(&whole[at]),
        };
        std::fs::write(run.path(READ[at]), bytes).expect("a writable folder");
        let said = read_run(&run);
        std::fs::write(run.path(READ[at]), &whole[at]).expect("a writable folder");
        for said in said {
            prop_assert!(said.contains(&named), "{}: {said}", READ[at]);
        }
    });
}

#[test]
fn a_flipped_bit_in_the_weights_is_refused_by_name() {
    let (place, run) = finished();
    let path = run.join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("weights");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("a writable folder");
    let run = "results/ring/ring/plain/seed-0";
    let said = place.mdn(&["sample", run, "-n", "3"]);
    said.refused("model.safetensors: expected a whole file; got a damaged one, whose checksum");
}

#[test]
fn figures_of_hostile_numbers_come_to_an_end() {
    let (_place, folder) = finished();
    let run = RunDir(folder);
    let good = run
        .read_picture()
        .expect("a picture")
        .expect("two dimensions");
    let hostile = |value: f32, view: (f64, f64)| {
        let mut landing = good.landing.clone().expect("a base");
        landing.z.fill([value, 1.0]);
        landing.label = Some(vec![u32::MAX; landing.z.len()]);
        landing.part = Some((0..landing.z.len() as u32).map(|i| u32::MAX - i).collect());
        Picture {
            view: [view, (-1.0, 1.0)],
            log_q: vec![value; good.log_q.len()],
            part: Some(
                (0..good.log_q.len() as u32)
                    .map(|i| i.wrapping_mul(1 << 20))
                    .collect(),
            ),
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
    std::fs::write(run.path("history.csv"), history).expect("a writable folder");
    draw_run(&run, "mdn", Format::Png).expect("figures");
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

#[cfg(unix)]
#[test]
fn links_in_the_results_folder_that_lead_out_of_it_are_not_followed() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    let away = place.path("away");
    std::fs::create_dir_all(&away).expect("a writable folder");
    std::fs::create_dir_all(place.path("results/ring/ring")).expect("a writable folder");
    symlink(&away, place.path("results/ring/ring/plain")).expect("a link");
    let out = "results/ring/ring/plain: a symbolic link that leads out of results, to ";
    for verb in ["train", "compare"] {
        let said = place.mdn(&[verb, "ring.toml", "--seed", "0", "train.steps=2"]);
        said.refused(out);
    }
    assert_eq!(common::files(&away), Vec::<PathBuf>::new());
    std::fs::remove_file(place.path("results/ring/ring/plain")).expect("a link");
    symlink(&away, place.path("results/ring/figures")).expect("a link");
    let said = place.mdn(&["compare", "ring.toml", "--seed", "0", "train.steps=2"]);
    said.refused("results/ring/figures: a symbolic link that leads out of results, to ");
    // A folder of all results that is a link is where the user wants them.
    symlink(&away, place.path("linked")).expect("a link");
    let only = [
        "--model",
        "plain",
        "--seed",
        "0",
        "--out",
        "linked",
        "train.steps=2",
    ];
    place
        .mdn(&[&["train", "ring.toml"], &only[..]].concat())
        .fine();
    assert!(away.join("ring/ring/plain/seed-0/status").is_file());
}
