//! NumPy's `.npy` format, versions 1 to 3: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! The header is not trusted: its length is bounded, and the shape must agree with the number of bytes in
//! the file before anything is allocated.

use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

/// How a `.npy` file begins.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy itself refuses longer headers.
const LONGEST_HEADER: usize = 10_000;

/// What was expected and what was found.
type Wrong = (String, String);

fn wrong(expected: &str, got: &str) -> Wrong {
    (expected.to_owned(), got.to_owned())
}

/// The header of a matrix of numbers.
pub struct Head {
    /// Along the first axis.
    pub rows: usize,
    /// Along the second axis.
    pub fields: usize,
    number: Number,
    fortran_order: bool,
}

impl Head {
    /// Reads a header, or says what was expected and what was found.
    pub fn read(from: &mut impl Read) -> Result<Self, Wrong> {
        let cut = |_| wrong("a whole .npy file", "one that ends within its header");
        let mut magic = [0; MAGIC.len()];
        let begins = from.read_exact(&mut magic).is_ok() && magic == MAGIC;
        if !begins {
            return Err(wrong(
                "a .npy file",
                "a file that does not begin as one (for text try the ending .csv)",
            ));
        }
        let mut version = [0; 2];
        from.read_exact(&mut version).map_err(cut)?;
        let mut length = [0; 4];
        let width = match version[0] {
            1 => 2,
            2 | 3 => 4,
            major => {
                return Err(wrong(
                    "a .npy file of version 1 to 3",
                    &format!("version {major}"),
                ))
            }
        };
        from.read_exact(&mut length[..width]).map_err(cut)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST_HEADER {
            return Err(wrong(
                "a .npy header of at most 10000 bytes",
                &format!("one of {length}"),
            ));
        }
        let mut header = vec![0; length];
        from.read_exact(&mut header).map_err(cut)?;
        let header = String::from_utf8_lossy(&header);
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
        Ok(Self {
            rows,
            fields,
            number,
            fortran_order: header.fortran_order,
        })
    }

    /// The number of bytes that follow; `None` if no computer has as many.
    pub fn bytes(&self) -> Option<usize> {
        let numbers = self.rows.checked_mul(self.fields);
        numbers.and_then(|n| n.checked_mul(self.number.bytes))
    }

    /// The numbers in these bytes, row by row.
    pub fn values(&self, data: &[u8]) -> Vec<f64> {
        let stored = data.chunks_exact(self.number.bytes);
        let stored: Vec<f64> = stored.map(|b| self.number.read(b)).collect();
        if !self.fortran_order {
            return stored;
        }
        let (rows, fields) = (self.rows, self.fields);
        let place = |i: usize| i % fields * rows + i / fields;
        (0..stored.len()).map(|i| stored[place(i)]).collect()
    }
}

/// A matrix of numbers, row by row.
#[derive(Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) fields: usize,
    pub(super) values: Vec<f64>,
}

/// Reads a whole file, or says what was expected and what was found.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Matrix, Wrong> {
    let head = Head::read(&mut bytes)?;
    let (rows, fields) = (head.rows, head.fields);
    if head.bytes() != Some(bytes.len()) {
        return Err(wrong(
            &format!(
                "{rows} x {fields} numbers of {} bytes after the header",
                head.number.bytes
            ),
            &format!("{} bytes", bytes.len()),
        ));
    }
    // Without rows, the header could promise any number of columns.
    if rows == 0 {
        return Err(wrong(
            "points",
            &format!("an array of shape [{rows}, {fields}]"),
        ));
    }
    let values = head.values(bytes);
    Ok(Matrix { fields, values })
}

/// A file of float64 rows of `fields` numbers.
pub fn write(rows: &[f64], fields: usize) -> Vec<u8> {
    let shape = format!("({}, {fields})", rows.len() / fields);
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    // The numbers begin at a multiple of 64 bytes.
    while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = [MAGIC, &[1, 0]].concat();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(rows.iter().flat_map(|v| v.to_le_bytes()));
    file
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
