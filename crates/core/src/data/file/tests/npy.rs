//! Arrays of NumPy.

use super::{parse, refused, spec};

/// A file as NumPy writes it.
pub(super) fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
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
    let read = |bytes: Vec<u8>| {
        parse(&spec("p.npy", ""), bytes)
            .expect("a good array")
            .values
    };
    let shape = "(3, 2)";
    let files = [
        npy("<f4", "False", shape, &bytes!(f32, to_le_bytes, rows)),
        npy(">f4", "False", shape, &bytes!(f32, to_be_bytes, rows)),
        npy("<f8", "False", shape, &bytes!(f64, to_le_bytes, rows)),
        npy(">f8", "True", shape, &bytes!(f64, to_be_bytes, columns)),
        npy("|i1", "False", shape, &bytes!(i8, to_le_bytes, rows)),
        npy("<i2", "True", shape, &bytes!(i16, to_le_bytes, columns)),
        npy(">i4", "False", shape, &bytes!(i32, to_be_bytes, rows)),
        npy("<i8", "False", shape, &bytes!(i64, to_le_bytes, rows)),
    ];
    for file in files {
        assert_eq!(read(file), rows);
    }
    let large = [200.0, 1.0, 0.0, 255.0];
    let file = npy("|u1", "False", "(2, 2)", &bytes!(u8, to_le_bytes, large));
    assert_eq!(read(file), large);
    let file = npy(
        ">u2",
        "False",
        "(2, 2)",
        &bytes!(u16, to_be_bytes, [65535.0, 0.0, 1.0, 2.0]),
    );
    assert_eq!(read(file), [65535.0, 0.0, 1.0, 2.0]);
    let labelled = npy(
        "<f8",
        "False",
        "(3, 2)",
        &bytes!(f64, to_le_bytes, [0.5, 3., 1.5, 1., 2.5, 3.]),
    );
    let table = parse(&spec("p.npy", "label = 1"), labelled).expect("labels");
    assert_eq!(
        (table.values, table.classes),
        (vec![0.5, 1.5, 2.5], vec!["1".into(), "3".into()])
    );
}

#[test]
fn hostile_arrays_are_refused() {
    let data: Vec<u8> = [1.0f64, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let good = npy("<f8", "False", "(2, 2)", &data);
    assert!(parse(&spec("p.npy", ""), &good).is_ok());
    for length in 0..good.len() {
        let said = parse(&spec("p.npy", ""), &good[..length]).expect_err("cut short");
        assert!(said.starts_with("path: expected"), "{length}: {said}");
    }
    let huge = "(1000000000000, 1000000000000)";
    let cases = [
        (
            npy("<f8", "False", "(3, 2)", &data),
            "3 x 2 numbers of 8 bytes after the header; got 32 bytes",
        ),
        (
            npy("<f8", "False", huge, &data),
            "numbers of 8 bytes after the header; got 32 bytes",
        ),
        (
            npy("<f8", "False", "(1, 99999999999999999999999)", &data),
            "a .npy header with",
        ),
        (npy("<f8", "False", "(-2, -2)", &data), "a .npy header with"),
        (
            npy("<f8", "False", "(4,)", &data),
            "two axes, a point per row (try `array.reshape(n, -1)`); got one of shape [4]",
        ),
        (npy("<f8", "False", "()", &data[..8]), "got one of shape []"),
        (
            npy("<f8", "False", "(0, 2)", &[]),
            "expected points; got an array of shape [0, 2] in p.npy",
        ),
        (
            npy("<f8", "False", "(2, 0)", &[]),
            "expected at least one column of numbers; got none",
        ),
        (npy("<f8", "Perhaps", "(2, 2)", &data), "a .npy header with"),
        (npy("|O", "False", "(2, 2)", &data), "got an array of `|O`"),
        (
            npy("<c16", "False", "(1, 2)", &data),
            "got an array of `<c16`",
        ),
        (
            npy("<U1", "False", "(2, 2)", &data),
            "got an array of `<U1`",
        ),
        (
            npy("<f3", "False", "(2, 2)", &data),
            "got an array of `<f3`",
        ),
        (npy("\u{e9}", "False", "(2, 2)", &data), "got an array of"),
        (
            npy(&"(".repeat(5000), "False", "(2, 2)", &data),
            "got an array of",
        ),
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
    ];
    for (bytes, message) in cases {
        refused("p.npy", "", bytes, message);
    }
    let data: Vec<u8> = [1.0, f64::NAN, 3.0, f64::INFINITY]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let file = npy("<f8", "False", "(2, 2)", &data);
    refused(
        "p.npy",
        "",
        &file,
        "2 bad rows (row 0: column 1 is not a number; row 1: column 1 is infinite)",
    );
    refused(
        "p.npy",
        "header = true",
        &good,
        "`header` with a file of text alone",
    );
    refused("p.npz", "", &good, "an archive of arrays");
    refused(
        "p.parquet",
        "",
        &good,
        "a file that ends in .csv, .tsv, .txt or .npy; got `p.parquet`",
    );
}
