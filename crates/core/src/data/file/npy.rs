//! NumPy's `.npy` format, versions 1 to 3: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! The header is not trusted: its length is bounded, and the shape must agree with the number of bytes in
//! the file before anything is allocated.

use serde::Deserialize;
use serde_json::Value;

/// A matrix of numbers, row by row.
#[derive(Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) fields: usize,
    pub(super) values: Vec<f64>,
}

/// NumPy itself refuses longer headers.
const LONGEST_HEADER: usize = 10_000;

/// Reads a whole file, or says what was expected and what was found.
pub(super) fn parse(bytes: &[u8]) -> Result<Matrix, (String, String)> {
    let wrong = |expected: &str, got: &str| (expected.to_owned(), got.to_owned());
    let Some(rest) = bytes.strip_prefix(b"\x93NUMPY") else {
        return Err(wrong(
            "a .npy file",
            "a file that does not begin as one (for text try the ending .csv)",
        ));
    };
    let cut = || wrong("a whole .npy file", "one that ends within its header");
    let (version, rest) = rest.split_at_checked(2).ok_or_else(cut)?;
    let width = match version {
        [1, _] => 2,
        [2 | 3, _] => 4,
        [major, _] => {
            return Err(wrong(
                "a .npy file of version 1 to 3",
                &format!("version {major}"),
            ))
        }
        _ => return Err(cut()),
    };
    let (length, rest) = rest.split_at_checked(width).ok_or_else(cut)?;
    let length = length
        .iter()
        .rev()
        .fold(0, |all, b| all << 8 | usize::from(*b));
    if length > LONGEST_HEADER {
        return Err(wrong(
            "a .npy header of at most 10000 bytes",
            &format!("one of {length}"),
        ));
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = String::from_utf8_lossy(header);
    let header = Header::parse(&header).ok_or_else(|| {
        wrong(
            "a .npy header with `descr`, `fortran_order` and `shape`",
            &format!("`{}`", header.trim().chars().take(100).collect::<String>()),
        )
    })?;
    let descr = match header.descr {
        Value::String(descr) => descr,
        other => other.to_string(),
    };
    let number = Number::parse(&descr).ok_or_else(|| {
        wrong(
            "numbers (float32, float64 or integers; try `array.astype(\"f8\")`)",
            &format!("an array of `{descr}`"),
        )
    })?;
    let &[rows, fields] = header.shape.as_slice() else {
        return Err(wrong(
            "an array with two axes, a point per row (try `array.reshape(n, -1)`)",
            &format!("one of shape {:?}", header.shape),
        ));
    };
    let promised = rows
        .checked_mul(fields)
        .and_then(|n| n.checked_mul(number.bytes));
    if promised != Some(data.len()) {
        return Err(wrong(
            &format!(
                "{rows} x {fields} numbers of {} bytes after the header",
                number.bytes
            ),
            &format!("{} bytes", data.len()),
        ));
    }
    // Without rows, the header could promise any number of columns.
    if rows == 0 {
        return Err(wrong(
            "points",
            &format!("an array of shape {:?}", header.shape),
        ));
    }
    let stored: Vec<f64> = data
        .chunks_exact(number.bytes)
        .map(|b| number.read(b))
        .collect();
    let values = if header.fortran_order {
        (0..rows * fields)
            .map(|i| stored[i % fields * rows + i / fields])
            .collect()
    } else {
        stored
    };
    Ok(Matrix { fields, values })
}

#[derive(Deserialize)]
struct Header {
    /// Text, or a list for records.
    descr: Value,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// A Python dictionary as NumPy writes it, which is JSON but for its quotes, booleans, tuples and
    /// trailing commas.
    fn parse(text: &str) -> Option<Self> {
        let text = text
            .replace('\'', "\"")
            .replace("True", "true")
            .replace("False", "false")
            .replace('(', "[")
            .replace(')', "]")
            .replace(",]", "]")
            .replace(", }", "}");
        serde_json::from_str(text.trim()).ok()
    }
}

/// How a number is stored: `<f4` and the like.
struct Number {
    big_endian: bool,
    kind: char,
    bytes: usize,
}

impl Number {
    fn parse(descr: &str) -> Option<Self> {
        let mut chars = descr.chars();
        let order = chars.next()?;
        let number = Self {
            big_endian: match order {
                '<' | '|' => false,
                '>' => true,
                '=' => cfg!(target_endian = "big"),
                _ => return None,
            },
            kind: chars.next()?,
            bytes: chars.as_str().parse().ok()?,
        };
        let known = match number.kind {
            'f' => [4, 8].contains(&number.bytes),
            'i' | 'u' => [1, 2, 4, 8].contains(&number.bytes),
            'b' => number.bytes == 1,
            _ => false,
        };
        known.then_some(number)
    }

    /// `bytes` are as many as the number has.
    fn read(&self, bytes: &[u8]) -> f64 {
        let add = |all: u64, b: &u8| all << 8 | u64::from(*b);
        let bits = if self.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        };
        match (self.kind, self.bytes) {
            ('f', 4) => f64::from(f32::from_bits(bits as u32)),
            ('f', _) => f64::from_bits(bits),
            ('i', n) => {
                // Shifts up and back down to extend the sign.
                let unused = 64 - 8 * n as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
            _ => bits as f64,
        }
    }
}
