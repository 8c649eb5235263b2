use proptest::prelude::*;

use super::set::FileData;
use super::table::Table;
use super::{Column, FileSpec, OnBadRows};
use crate::data::{DataSet, DataSpec, Split};
use crate::num::to_vec;
use crate::rng::Rng;

fn spec(name: &str, settings: &str) -> FileSpec {
    toml::from_str(&format!("path = \"{name}\"\n{settings}")).expect(settings)
}

fn parse(spec: &FileSpec, bytes: impl AsRef<[u8]>) -> Result<Table, String> {
    Table::parse(spec, bytes.as_ref(), String::new()).map_err(|bad| bad.to_string())
}

fn read(settings: &str, bytes: impl AsRef<[u8]>) -> Table {
    parse(&spec("p.csv", settings), bytes).expect("a good file")
}

#[track_caller]
fn refused(name: &str, settings: &str, bytes: impl AsRef<[u8]>, message: &str) {
    let said = parse(&spec(name, settings), bytes).expect_err(message);
    assert!(said.contains(message), "expected {message}\ngot {said}");
}

#[test]
fn texts_that_say_the_same_read_the_same() {
    let want = vec![1.5, -2.0, 3e2, 4.0];
    for text in [
        "1.5,-2\n3e2,4\n",
        "x,y\n1.5,-2\n300,4",
        "\u{feff}x,y\r\n1.5,-2\r\n300,4\r\n",
        "x;y\n1.5; -2\n300 ;4\n",
        "x\ty\n1.5\t-2\n300\t4\n",
        "x|y\n1.5|-2\n300|4\n",
        "\n  \nx,y\n\n1.5,-2\n\n \n300,4\n\n",
        "\"x\",\"y\"\n\"1.5\",\"-2\"\n\"300\",\"4\"\n",
        "\"x, in mm\",y\n1.5,-2\n300,4\n",
        "\"x\ny\",z\n1.5,-2\n300,4\n",
    ] {
        assert_eq!(read("", text).values, want, "{text:?}");
    }
    // A quoted name may contain the separator; a first row without numbers is a header.
    let named = [Column::Name("x;y".into()), Column::Name("z".into())];
    assert_eq!(read("", "\"x;y\",z\n1,2\n3,4\n").columns, named);
    let numbered = [Column::Number(0), Column::Number(1)];
    assert_eq!(read("", "1,2\n3,4\n").columns, numbered);
    let forced = read("header = true", "1,2\n3,4\n5,6\n");
    assert_eq!(forced.values, [3., 4., 5., 6.]);
    let years = "2007,2008\n1,2\n3,4\n";
    assert_eq!(read("columns = [\"2008\"]", years).values, [2., 4.]);
    assert_eq!(read("columns = [1]", years).values, [2008., 2., 4.]);
    // The first row has text and numbers: it is a point with a label.
    let labelled = read("label = 1", "1.5,a\n2.5,b\n3.5,a\n");
    assert_eq!(labelled.values, [1.5, 2.5, 3.5]);
    assert_eq!(labelled.labels, [0, 1, 0]);
    let space = parse(&spec("p.txt", "delimiter = \" \""), "1 2\n3 4\n");
    assert_eq!(space.expect("spaces").values, [1., 2., 3., 4.]);
}

#[test]
fn bad_rows_are_refused_with_their_lines() {
    let cases = [
        (
            "x,y\n1,2\n3,NaN\n",
            "1 bad row (line 3: `NaN` in `y` is not a number) beside 1 good",
        ),
        ("x,y\n1,2\n-inf,3\n", "line 3: `-inf` in `x` is infinite"),
        ("1,2\n3,1e19\n", "line 2: `1e19` in column 1 is beyond 1e18"),
        ("x,y\n1,2\n3\n", "line 3: 1 values for 2 columns"),
        ("x,y\n1,2\n3,4,5\n", "line 3: 3 values for 2 columns"),
        ("x,y\n1,2\n3,four\n5,6\n", "line 3: `four` in `y`"),
        ("x,y\n1,2\n,\n5,6\n", "line 3: `` in `x`"),
        ("x,y\n\n1,2\n\n\n3,NA\n", "line 6: `NA` in `y`"),
        ("x,y\r\n\r\n1,2\r\n3,NA\r\n", "line 4: `NA` in `y`"),
        ("\"x\na\",y\n1,2\n3,NA\n", "line 4: `NA` in `y`"),
        (
            "x,y\n1,2\nNA,1\n1,NA\nNA,2\n2,NA\n",
            "4 bad rows (line 3: `NA` in `x`; line 4: `NA` in `y`; line 5: `NA` in `x`; ...)",
        ),
        ("1;2\n1,5;2\n", "line 2: `1,5` in column 0"),
        ("x,y\n1,2\n3,4\nx,y\n", "line 4: `x` in `x`"),
        ("", "an empty file"),
        ("\n \r\n\n", "an empty file"),
        ("x,y\n", "expected points in p.csv; got none"),
        (
            "x,kind\n1,a\n2,b\n",
            "`kind` without a number in any row of p.csv",
        ),
        ("x,y\nNA,1\n", "1 bad row"),
    ];
    for (text, message) in cases {
        refused("p.csv", "", text, message);
    }
    let unlabelled = "x,k\n1,a\n2,\n";
    refused("p.csv", "label = \"k\"", unlabelled, "line 3: no label");
    let other = "text in UTF-8 in p.csv; got other bytes on line 3";
    refused("p.csv", "", b"x,y\n1,2\n\xff\xfe,4\n", other);
    let (skip, none) = ("on_bad_rows = \"skip\"", "x,y\n1,NA\nNA,2\n");
    refused("p.csv", skip, none, "2 bad rows");
    refused("p.csv", "", "x,y\n1,2\nNA,1\n", "on_bad_rows");
}

#[test]
fn bad_rows_can_be_left_out_and_are_counted() {
    let text = "x,y\n1,2\nNA,1\n3\n5,6\n7,inf\n1,NaN\n";
    let table = read("on_bad_rows = \"skip\"", text);
    assert_eq!(table.values, [1., 2., 5., 6.]);
    assert_eq!(table.bad.count, 4);
    assert_eq!(table.bad.first.len(), 3);
    assert_eq!(table.bad.first[1], "line 4: 1 values for 2 columns");
    // Columns that are not requested may hold anything.
    assert_eq!(read("columns = [\"x\"]", "x,y\n1,2\n3,four\n").bad.count, 0);
}

#[test]
fn columns_that_are_not_there_are_refused() {
    let text = "length,width,kind\n1,2,a\n3,4,a\n5,6,b\n7,8,b\n";
    let cases = [
        ("columns = [\"lenght\"]", "columns: expected columns out of `length`, `width`, `kind`; got \"lenght\" (did you mean `length`?)"),
        ("columns = [0, 3]", "columns: expected columns 0 to 2; got 3"),
        ("columns = [0, \"length\"]", "every column once"),
        ("columns = [0, 2]\nlabel = \"kind\"", "none of them the label"),
        ("label = \"length\"\ncolumns = [1]", "label: expected a column of classes that come up again and again; got 4 different values in 4 rows"),
        ("label = 7", "label: expected columns 0 to 2; got 7"),
        ("header = false\ncolumns = [\"length\"]", "without a header"),
    ];
    for (settings, message) in cases {
        refused("p.csv", settings, text, message);
    }
    let twice = "which columns 0 and 1 have";
    refused("p.csv", "columns = [\"x\"]", "x,x\n1,2\n3,4\n", twice);
    let one = "at least one column of numbers";
    refused("p.csv", "label = 0", "1\n2\n", one);
    let table = read("label = \"kind\"\ncolumns = [\"width\", 0]", text);
    assert_eq!(table.values, [2., 1., 4., 3., 6., 5., 8., 7.]);
    let names = ["width", "length"].map(|n| Column::Name(n.into()));
    assert_eq!(table.columns, names);
    assert_eq!(table.classes, ["a", "b"]);
    assert_eq!(table.labels, [0, 0, 1, 1]);
}

#[test]
fn classes_that_are_numbers_are_in_their_order() {
    let rows = "x,k\n1,10\n2,9\n3,10\n4,-1\n5,9\n6,-1\n";
    let table = read("label = \"k\"", rows);
    assert_eq!(table.classes, ["-1", "9", "10"]);
    assert_eq!(table.labels, [2, 1, 2, 0, 1, 0]);
}

/// Twenty points (i, i^2) of two classes: which row a point is shows.
fn twenty() -> String {
    let rows = (0..20).map(|i| format!("{i},{},{}\n", i * i, i % 2));
    "x,y,k\n".to_owned() + &rows.collect::<String>()
}

fn built(spec: &FileSpec, text: &str) -> Result<FileData, String> {
    let table = Table::parse(spec, text.as_bytes(), "sum".into()).expect("a good file");
    FileData::new(spec, table).map_err(|bad| bad.to_string())
}

#[test]
fn splits_share_the_points_out_and_do_not_depend_on_the_run() {
    let spec = spec("p.csv", "label = \"k\"");
    let data = built(&spec, &twenty()).expect("twenty points");
    let points = |split, n, seed| {
        let found = data.points(split, n, &mut Rng::new(seed)).expect("points");
        let rows = to_vec(&found.x).expect("a matrix");
        (rows, found.labels.expect("labels"))
    };
    let mut seen = Vec::new();
    for (split, size) in [(Split::Train, 14), (Split::Validation, 3), (Split::Test, 3)] {
        let (rows, labels) = points(split, 100, 1);
        assert_eq!(labels.len(), size);
        for (row, label) in rows.chunks_exact(2).zip(labels) {
            assert_eq!(row[1], row[0] * row[0]);
            assert_eq!(f64::from(label), row[0] % 2.0);
            seen.push(row[0] as u32);
        }
        let sorted = |seed| {
            let mut rows = points(split, 100, seed).0;
            rows.sort_by(f64::total_cmp);
            rows
        };
        assert_eq!(sorted(1), sorted(2), "{split:?}");
        assert_eq!(points(split, 2, 1).1.len(), 2);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert_eq!(points(Split::Test, 100, 1), points(Split::Test, 100, 2));
    assert_eq!(points(Split::Train, 5, 3), points(Split::Train, 5, 3));
    assert_ne!(points(Split::Train, 100, 1), points(Split::Train, 100, 2));
    let mut other = spec.clone();
    other.split.seed = 1;
    let other = built(&other, &twenty()).expect("twenty points");
    let test = other.points(Split::Test, 100, &mut Rng::new(1));
    let test = to_vec(&test.expect("points").x).expect("a matrix");
    assert_ne!(test, points(Split::Test, 100, 1).0);
    assert!(data.truth().is_none());
    assert_eq!(data.view().expect("two dimensions")[0], (-2.85, 21.85));
}

#[test]
fn what_has_no_density_or_no_spread_is_refused() {
    let cases = [
        ("", "x,y\n1,7\n2,7\n3,7\n4,7\n5,7\n6,7\n7,7\n8,7\n9,7\n0,7\n1,7\n2,7\n3,7\n", "`y`, which is 7 in every training point"),
        ("", "x,y\n1,2\n", "split: expected at least 2 points in each split; got 1 to train on, 0 to choose by and 0 to measure on, of 1 in p.csv"),
        ("split.train = 0.9\nsplit.validation = 0.05\nsplit.test = 0.05", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "8 to train on"),
    ];
    for (settings, text, message) in cases {
        let said = built(&spec("p.csv", settings), text).expect_err(message);
        assert!(said.contains(message), "{message}\n{said}");
    }
    let sum = "split: expected `train`, `validation` and `test` that sum to 1; got a sum of 1.2";
    let wrong = [
        ("split.train = 0.9", sum),
        ("split.test = 0.0", "test: expected 0 < `test` < 1; got 0"),
        ("columns = []", "expected at least one column; got none"),
        ("delimiter = \"x\"", "delimiter: expected"),
        ("sha256 = \"1\"", "sha256: expected 64"),
    ];
    for (settings, message) in wrong {
        let said = spec("p.csv", settings).check().expect_err(message);
        assert!(said.to_string().contains(message), "{message}\n{said}");
    }
    let missing = DataSpec::File(FileSpec::new("nowhere.csv"));
    assert_eq!(missing.check().unwrap_err().key, "file.path");
}

#[test]
fn warnings_name_what_was_left_out_and_what_is_there_twice() {
    let text = twenty() + "3,9,1\n3,9,1\nNA,1,0\n";
    let skip = FileSpec {
        on_bad_rows: OnBadRows::Skip,
        ..spec("p.csv", "label = \"k\"")
    };
    let data = built(&skip, &text).expect("good rows");
    let record = &data.record;
    assert_eq!(
        (record.rows, record.bad_rows, record.duplicates),
        (22, 1, 2)
    );
    assert_eq!(record.class_sizes, [10, 12]);
    let said = &record.warnings;
    let bad = "1 of 23 rows of p.csv are left out (line 24: `NA` in `x`)";
    assert_eq!(said[0], bad);
    let equal = "2 of 22 points of p.csv are equal to an earlier one";
    assert!(said[1].starts_with(equal), "{said:?}");
    let clean = built(&spec("p.csv", "label = \"k\""), &twenty()).expect("fine");
    assert!(clean.record.warnings.is_empty());
}

#[test]
fn a_settled_file_knows_its_columns_and_refuses_another_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.csv");
    std::fs::write(&path, twenty()).expect("a file");
    let mut file = FileSpec::new(&path);
    let record = file.settle().expect("a good file");
    assert_eq!(file.columns.as_ref().map(Vec::len), Some(3));
    assert_eq!(file.sha256.as_ref(), Some(&record.sha256));
    // The empty text's sum is known to everybody.
    let empty = FileSpec::new(folder.path().join("empty.csv"));
    std::fs::write(&empty.path, "").expect("a file");
    let wrong = FileSpec {
        sha256: Some("0".repeat(64)),
        ..empty
    };
    let said = wrong.build().unwrap_err().to_string();
    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert!(said.contains(sum), "{said}");
    std::fs::write(&path, twenty() + "7,8,1\n").expect("a file");
    let said = file.build().unwrap_err().to_string();
    assert!(said.contains("it has changed"), "{said}");
    let inner = folder.path().join("a/b");
    std::fs::create_dir_all(&inner).expect("a folder");
    let from_there = super::relative_to(&inner, &file.path);
    assert_eq!(from_there, std::path::Path::new("../../p.csv"));
    // Without the file its columns still tell D.
    std::fs::remove_file(&path).expect("a file");
    assert_eq!(file.check(), Ok(3));
}

/// A file as NumPy writes it.
fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    file
}

#[test]
fn arrays_of_every_type_and_order_read_the_same() {
    macro_rules! bytes {
        ($type:ty, $to:ident, $values:expr) => {
            $values
                .iter()
                .flat_map(|v| (*v as $type).$to())
                .collect::<Vec<u8>>()
        };
    }
    let rows = [1.0, -2.0, 3.0, 4.0, 5.0, -6.0];
    let columns = [1.0, 3.0, 5.0, -2.0, 4.0, -6.0];
    let large = [200.0, 1.0, 0.0, 255.0, 2.0, 3.0];
    let cases = [
        ("<f4", "False", bytes!(f32, to_le_bytes, rows), rows),
        (">f4", "False", bytes!(f32, to_be_bytes, rows), rows),
        ("<f8", "False", bytes!(f64, to_le_bytes, rows), rows),
        (">f8", "True", bytes!(f64, to_be_bytes, columns), rows),
        ("|i1", "False", bytes!(i8, to_le_bytes, rows), rows),
        ("<i2", "True", bytes!(i16, to_le_bytes, columns), rows),
        (">i4", "False", bytes!(i32, to_be_bytes, rows), rows),
        ("<i8", "False", bytes!(i64, to_le_bytes, rows), rows),
        ("|u1", "False", bytes!(u8, to_le_bytes, large), large),
        (">u2", "False", bytes!(u16, to_be_bytes, large), large),
    ];
    for (descr, order, bytes, want) in cases {
        let file = npy(descr, order, "(3, 2)", &bytes);
        let table = parse(&spec("p.npy", ""), file).expect("a good array");
        assert_eq!(table.values, want, "{descr} {order}");
    }
    let bytes = bytes!(f64, to_le_bytes, [0.5, 3., 1.5, 1., 2.5, 3.]);
    let labelled = npy("<f8", "False", "(3, 2)", &bytes);
    let table = parse(&spec("p.npy", "label = 1"), labelled).expect("labels");
    assert_eq!(table.values, [0.5, 1.5, 2.5]);
    assert_eq!(table.classes, ["1", "3"]);
}

#[test]
fn hostile_arrays_are_refused() {
    let bytes = |values: [f64; 4]| values.map(f64::to_le_bytes).concat();
    let data = bytes([1.0, 2.0, 3.0, 4.0]);
    let good = npy("<f8", "False", "(2, 2)", &data);
    assert!(parse(&spec("p.npy", ""), &good).is_ok());
    for length in 0..good.len() {
        let said = parse(&spec("p.npy", ""), &good[..length]).expect_err("cut short");
        assert!(said.starts_with("path: expected"), "{length}: {said}");
    }
    let sizes = "numbers of 8 bytes after the header; got 32 bytes";
    let header = "a .npy header with";
    let axes = "two axes, a point per row (try `array.reshape(n, -1)`); got one of shape";
    let shapes = [
        ("(3, 2)", format!("3 x 2 {sizes}")),
        ("(1000000000000, 1000000000000)", sizes.to_owned()),
        ("(1, 99999999999999999999999)", header.to_owned()),
        ("(-2, -2)", header.to_owned()),
        ("(4,)", format!("{axes} [4]")),
        ("()", format!("{axes} []")),
    ];
    for (shape, message) in shapes {
        let file = npy("<f8", "False", shape, &data);
        refused("p.npy", "", file, &message);
    }
    for descr in ["|O", "<c16", "<U1", "<f3", "\u{e9}", &"(".repeat(5000)] {
        let file = npy(descr, "False", "(2, 2)", &data);
        refused("p.npy", "", file, "got an array of `");
    }
    let (points, numbers) = (
        "expected points",
        "at least one column of numbers; got none",
    );
    let nan = bytes([1.0, f64::NAN, 3.0, f64::INFINITY]);
    let cases = [
        (npy("<f8", "False", "(0, 2)", &[]), points),
        (npy("<f8", "False", "(2, 0)", &[]), numbers),
        (npy("<f8", "Perhaps", "(2, 2)", &data), header),
        (
            npy(&"[".repeat(9990), "False", "(2, 2)", &data),
            "a .npy header of at most 10000 bytes",
        ),
        (b"\x93NUMPY\x09\x00\x10\x00".to_vec(), "version 9"),
        (
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            "at most 10000 bytes; got one of 4294967295",
        ),
        (b"PK\x03\x04".to_vec(), "does not begin as one"),
        (Vec::new(), "does not begin as one"),
        (
            npy("<f8", "False", "(2, 2)", &nan),
            "2 bad rows (row 0: column 1 is not a number; row 1: column 1 is infinite)",
        ),
    ];
    for (bytes, message) in cases {
        refused("p.npy", "", bytes, message);
    }
    let text_alone = "`header` with a file of text alone";
    refused("p.npy", "header = true", &good, text_alone);
    refused("p.npz", "", &good, "an archive of arrays");
    let endings = "a file that ends in .csv, .tsv, .txt or .npy; got `p.parquet`";
    refused("p.parquet", "", &good, endings);
}

proptest! {
    #[test]
    fn what_is_written_is_read(rows in proptest::collection::vec([-1e9f64..1e9, -1e-9f64..1e-9], 1..30)) {
        let text: String = rows.iter().map(|[a, b]| format!("{a},{b:e}\n")).collect();
        let data: Vec<u8> = rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
        let array = npy("<f8", "False", &format!("({}, 2)", rows.len()), &data);
        let flat: Vec<f64> = rows.into_iter().flatten().collect();
        prop_assert_eq!(&super::npy::write(&flat, 2), &array);
        prop_assert_eq!(&parse(&spec("p.csv", ""), text).unwrap().values, &flat);
        prop_assert_eq!(&parse(&spec("p.npy", ""), array).unwrap().values, &flat);
    }
}
