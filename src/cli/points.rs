//! Points in CSV files.

use std::io::Read;
use std::path::Path;

use mdn_core::{Error, Result};

/// Points as read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Points {
    /// Where they are from, for messages.
    name: String,
    /// Line of the first point.
    first_line: usize,
    /// One point each, all with the same number of coordinates.
    pub rows: Vec<Vec<f64>>,
}

/// "x1,x2,..."
pub(super) fn header(dim: usize) -> String {
    let names: Vec<_> = (1..=dim).map(|i| format!("x{i}")).collect();
    names.join(",")
}

/// Reads a file, or stdin for `-`.
pub(super) fn read(path: &Path) -> Result<Points> {
    let mut bytes = Vec::new();
    let name = if path == Path::new("-") {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(Error::io(Path::new("<stdin>"), "could not read"))?;
        "<stdin>".to_owned()
    } else {
        bytes = std::fs::read(path).map_err(|e| {
            Error::request(format!(
                "{}: could not read the points: {e}",
                path.display()
            ))
        })?;
        path.display().to_string()
    };
    let text = String::from_utf8(bytes)
        .map_err(|e| Error::request(format!("{name}: expected a CSV file; got no text: {e}")))?;
    parse(&name, &text)
}

/// A column's name, without the quotes that some programs put around it.
fn title(cell: &str) -> &str {
    let cell = cell.trim();
    let inner = cell.strip_prefix('"').and_then(|c| c.strip_suffix('"'));
    inner.unwrap_or(cell)
}

/// Whether a cell of the first row can be a column's name; anything else is a point or a fault.
fn is_title(cell: &str) -> bool {
    let cell = title(cell);
    cell.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && cell
            .chars()
            .all(|c| c.is_alphanumeric() || "_ []().-".contains(c))
        && cell.parse::<f64>().is_err()
}

fn parse(name: &str, text: &str) -> Result<Points> {
    let fault = |line: usize, what: String| Error::request(format!("{name}:{line}: {what}"));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().zip(1..).peekable();
    let titles: Option<Vec<&str>> = lines
        .next_if(|(line, _)| line.split(',').all(is_title))
        .map(|(line, _)| line.split(',').map(title).collect());
    if let Some(titles) = &titles {
        let wanted = header(titles.len());
        let order = wanted.split(',').collect::<Vec<_>>();
        let numbered = titles.iter().any(|t| order.contains(t));
        if numbered && *titles != order {
            return Err(fault(
                1,
                format!(
                    "expected the columns {wanted} in this order; got {}",
                    titles.join(",")
                ),
            ));
        }
    }
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (line, number) in lines {
        if line.trim().is_empty() {
            return Err(fault(number, "expected a point; got an empty row".into()));
        }
        let row = line
            .split(',')
            .map(|cell| match cell.trim().parse::<f64>() {
                Ok(x) if x.is_finite() => Ok(x),
                _ => Err(fault(
                    number,
                    format!(
                        "expected a finite number{}; got `{}`",
                        if cell.contains([';', '\t']) {
                            " between commas"
                        } else {
                            ""
                        },
                        cell.trim()
                    ),
                )),
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(first) = rows.first().filter(|first| first.len() != row.len()) {
            return Err(fault(
                number,
                format!(
                    "expected {} values as in the first row; got {}",
                    first.len(),
                    row.len()
                ),
            ));
        }
        rows.push(row);
    }
    if let (Some(titles), Some(row)) = (&titles, rows.first()) {
        if titles.len() != row.len() {
            return Err(fault(
                2,
                format!(
                    "expected {} values as in the header; got {}",
                    titles.len(),
                    row.len()
                ),
            ));
        }
    }
    if rows.is_empty() {
        return Err(Error::request(format!(
            "{name}: expected at least one point; got none"
        )));
    }
    Ok(Points {
        name: name.to_owned(),
        first_line: if titles.is_some() { 2 } else { 1 },
        rows,
    })
}

impl Points {
    /// Whether the points have the model's number of coordinates.
    pub(super) fn check_dim(&self, dim: usize) -> Result<()> {
        let got = self.rows.first().map_or(0, Vec::len);
        if got == dim {
            return Ok(());
        }
        Err(Error::request(format!(
            "{}:{}: expected {dim} values, one per coordinate of the model; got {got}",
            self.name, self.first_line
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let said = parse("p.csv", text).expect_err("it should be refused");
        said.to_string()
    }

    #[test]
    fn a_header_is_optional() {
        let rows = vec![vec![1.0, -2.5], vec![3e2, 4.0]];
        for text in [
            "1,-2.5\n3e2, 4\n",
            "x1,x2\r\n1,-2.5\r\n300,4",
            "\u{feff}a,b\n1,-2.5\n300,4\n",
        ] {
            assert_eq!(parse("p.csv", text).expect(text).rows, rows, "{text:?}");
        }
    }

    #[test]
    fn bad_points_are_refused_with_their_line() {
        let cases = [
            (
                "1,2\n3,NaN\n",
                "p.csv:2: expected a finite number; got `NaN`",
            ),
            (
                "x,y\n1,inf\n",
                "p.csv:2: expected a finite number; got `inf`",
            ),
            (
                "1,2\n3\n",
                "p.csv:2: expected 2 values as in the first row; got 1",
            ),
            (
                "1,2\n\n3,4\n",
                "p.csv:2: expected a point; got an empty row",
            ),
            (
                "1,2\n3,4\n\n",
                "p.csv:3: expected a point; got an empty row",
            ),
            (
                "1,2\n3,four\n",
                "p.csv:2: expected a finite number; got `four`",
            ),
            ("1,two\n", "p.csv:1: expected a finite number; got `two`"),
            ("1,2,\n", "p.csv:1: expected a finite number; got ``"),
            (
                "0;1\n2;3\n",
                "p.csv:1: expected a finite number between commas; got `0;1`",
            ),
            (
                "1.2.3\n2\n",
                "p.csv:1: expected a finite number; got `1.2.3`",
            ),
            (
                "\"0.5\"\n1\n",
                "p.csv:1: expected a finite number; got `\"0.5\"`",
            ),
            (
                "x2,x1\n1,2\n",
                "p.csv:1: expected the columns x1,x2 in this order; got x2,x1",
            ),
            (
                "a,b,c\n1,2\n",
                "p.csv:2: expected 3 values as in the header; got 2",
            ),
            ("x,y\n", "p.csv: expected at least one point; got none"),
            ("", "p.csv: expected at least one point; got none"),
        ];
        for (text, message) in cases {
            assert_eq!(fault(text), message, "{text:?}");
        }
        // "nan" parses as a number, so this is a row and no header.
        assert!(fault("nan,nan\n1,2\n").starts_with("p.csv:1: expected a finite"));
    }

    #[test]
    fn the_number_of_coordinates_is_checked_against_the_model() {
        let points = parse("p.csv", "x,y\n1,2\n").expect("two values");
        assert!(points.check_dim(2).is_ok());
        let said = points.check_dim(3).expect_err("three wanted").to_string();
        assert!(said.starts_with("p.csv:2: expected 3 values"), "{said}");
    }
}
