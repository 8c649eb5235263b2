//! Files of data: delimited text, NumPy arrays, and the points of `mdn density`.

use std::path::Path;

use clap::Parser;
use mdn::cli::{self, Args, Context};
use mdn_core::data::{Column, DataSpec, FileSpec, OnBadRows, Split};
use mdn_core::num::to_vec;
use mdn_core::rng::Rng;

use super::runs::{flow, Runs};
use super::{choice, chosen, folder, read_or_named, short, write, Seeds, Target};

/// Kinds of input, by the first byte.
const KINDS: [&str; 6] = ["csv", "tsv", "txt", "npy", "built", "points"];

/// Types of an array's numbers; they end with the number of bytes.
const NUMBERS: [&str; 10] = [
    "<f8", ">f8", "<f4", ">f4", "|i1", "<u2", ">i4", "<i8", ">u8", "|b1",
];

/// Bytes of a number of this type.
fn size(number: &str) -> usize {
    number[2..].parse().expect("a digit")
}

/// A kind; for a file of data a byte or two of settings; then the content.
pub fn target() -> Target {
    let dir = folder();
    let runs = Runs::trained(&[flow()]);
    let out = dir.path().join("densities.csv");
    Box::new(move |bytes| {
        // Moves all of `runs` into the closure, which keeps the folder.
        let runs = &runs;
        let (kind, rest) = choice(bytes, KINDS.len());
        let path = |name: &str| dir.path().join(name);
        match KINDS[kind] {
            "points" => {
                let points = path("points.csv");
                write(&points, rest);
                let run = &runs.places[0].0;
                let typed = ["mdn", "-q", "density"].map(Into::into);
                let paths = [run, &points].map(|p| p.clone().into_os_string());
                let last = ["-o".into(), out.clone().into_os_string()];
                let typed = [&typed[..], &paths, &last].concat();
                let args = Args::try_parse_from(&typed).expect("a command line");
                let done = cli::run(&args, &Context::new(typed, Some("1"), true));
                read_or_named(done, &points)
            }
            "built" => {
                let (a, rest) = choice(rest, 256);
                let (b, rest) = choice(rest, 256);
                let array = array(a, b, rest);
                open(&path("p.npy"), &array, 4 * (a / 16))
            }
            ending => {
                let (settings, rest) = choice(rest, 256);
                open(&path(&format!("p.{ending}")), rest, settings)
            }
        }
    })
}

/// An array whose header nearly always agrees with its numbers.
fn array(a: usize, b: usize, bytes: &[u8]) -> Vec<u8> {
    let number = NUMBERS[a % NUMBERS.len()];
    let size = size(number);
    let fields = 1 + b % 4;
    let version = 1 + b / 4 % 3;
    let fortran = if b & 32 == 0 { "False" } else { "True" };
    let rows = bytes.len() / (fields * size);
    let more = usize::from(b & 192 == 192);
    let shape = format!("({}, {fields})", rows + more);
    let data = &bytes[..rows * fields * size];
    npy(version, number, fortran, &shape, data)
}

/// An array as NumPy writes it.
pub fn npy(version: usize, descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let length = u32::try_from(header.len()).expect("a short header");
    let length = length.to_le_bytes();
    let length = if version == 1 { &length[..2] } else { &length };
    let version = [u8::try_from(version).expect("1 to 3"), 0];
    [b"\x93NUMPY", &version[..], length, header.as_bytes(), data].concat()
}

/// Reads a file of data as a run does before training.
fn open(path: &Path, bytes: &[u8], settings: usize) -> bool {
    write(path, bytes);
    let text = path.extension().is_some_and(|e| e != "npy");
    let mut file = FileSpec::new(path);
    if text {
        file.header = [None, None, Some(true), Some(false)][settings % 4];
        file.delimiter = [None, None, Some(';'), Some(' ')][settings / 16 % 4];
    }
    file.label = match settings / 4 % 4 {
        0 => None,
        1 => Some(Column::Number(2)),
        2 => Some(Column::Number(0)),
        _ => Some(Column::Name("kind".to_owned())),
    };
    if settings & 64 != 0 {
        file.on_bad_rows = OnBadRows::Skip;
    }
    if settings & 128 != 0 {
        file.columns = Some(vec![Column::Number(1), Column::Name("x".to_owned())]);
    }
    let mut spec = DataSpec::File(file);
    let refused = |said: String| {
        assert!(said.len() < 5000 + 4 * bytes.len(), "{} bytes", said.len());
        false
    };
    let found = match spec.settle() {
        Ok(found) => found.expect("the record of a file"),
        Err(e) => return refused(e.to_string()),
    };
    found.warnings.iter().for_each(|line| short(line));
    let DataSpec::File(file) = &spec else {
        unreachable!("a file");
    };
    // A model that was trained on the file takes it for points, rows without a label included.
    match file.points(path, bytes) {
        Ok(points) => assert!(points.values.len() >= found.rows * found.columns.len()),
        Err(e) => assert!(settings & 128 != 0 || file.header.is_some(), "{e}"),
    }
    // The settled settings belong to this file: reading it again gives the same record.
    let again = spec.clone().settle().expect("the second time");
    assert_eq!(again.as_ref(), Some(&found));
    let data = match spec.build() {
        Ok(data) => data,
        Err(e) => return refused(e.to_string()),
    };
    let (dim, classes) = (data.dim(), found.classes.len());
    assert_eq!(dim, found.columns.len());
    assert_eq!(found.train + found.validation + found.test, found.rows);
    let labelled: usize = found.class_sizes.iter().sum();
    assert_eq!(labelled, if classes > 0 { found.rows } else { 0 });
    for (split, size) in [
        (Split::Train, found.train),
        (Split::Validation, found.validation),
        (Split::Test, found.test),
    ] {
        let points = data
            .points(split, usize::MAX, &mut Rng::new(0))
            .expect("points");
        assert_eq!(points.x.dims(), [size, dim]);
        let values = to_vec(&points.x).expect("numbers");
        assert!(values.iter().all(|v| v.is_finite()), "{values:?}");
        let labels = points.labels.unwrap_or_default();
        assert_eq!(labels.len(), if classes > 0 { size } else { 0 });
        assert!(labels.iter().all(|l| (*l as usize) < classes), "{labels:?}");
    }
    true
}

/// An accepted input of every kind.
pub fn seeds() -> Seeds {
    let values: Vec<f64> = (0..60).map(|i| f64::from(i * i % 37) / 3.0).collect();
    let rows = |cells: &dyn Fn(&[f64]) -> String| -> String {
        values.chunks_exact(2).map(cells).collect()
    };
    let comma = rows(&|p| format!("{},{:e},{}\n", p[0], p[1], ["k", "l"][p[0] as usize % 2]));
    let tab = rows(&|p| format!("{}\t{}\n", p[0], p[1]));
    let space = rows(&|p| format!("{} {}\n", p[0], p[1]));
    let semicolon = rows(&|p| format!("\"{}\";{}\r\n", p[0], p[1]));
    let points = rows(&|p| format!("{},{}\n", p[0], p[1]));
    let file = |kind: usize, settings: u8, text: String| {
        chosen(kind, &[&[settings], text.as_bytes()].concat())
    };
    let numbers: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let columns: Vec<u8> = values
        .iter()
        .flat_map(|v| (*v as f32).to_be_bytes())
        .collect();
    let small: Vec<u8> = (0..60).collect();
    let labelled = format!("x,\"y, mm\",kind\n{comma}");
    let bad_rows = format!("{points}NaN,1\n3\n1,inf\n");
    let array = |a, b, data| [&[0], &array(a, b, data)[..]].concat();
    let headed = format!("x1,x2\n{points}");
    let all = [
        ("labelled.csv", file(0, 12, labelled)),
        ("chosen.csv", file(0, 128, format!("y,x\n{points}"))),
        ("bad-rows.csv", file(0, 64, bad_rows)),
        ("points.tsv", file(1, 0, format!("x\ty\n{tab}"))),
        ("points.txt", file(2, 51, space)),
        ("quoted.txt", file(2, 0, semicolon)),
        ("c.npy", chosen(3, &array(0, 1, &numbers))),
        ("fortran.npy", chosen(3, &array(3, 37, &columns))),
        ("points", chosen(5, headed.as_bytes())),
    ];
    let mut all = all.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec();
    for (i, name) in NUMBERS.iter().enumerate() {
        let data = if size(name) == 1 { &small } else { &numbers };
        let kind = u8::try_from(i).expect("few");
        let built = [&[kind, 1 + 4 * (kind % 3)], &data[..]].concat();
        all.push((format!("built-{}", &name[1..]), chosen(4, &built)));
    }
    all
}
