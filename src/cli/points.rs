//! Points of trained runs: `mdn sample` and `mdn density`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::common::ComputeArgs;
use super::output::print_or_write;
use super::Context;
use mdn_core::rng::Rng;
use mdn_core::{Error, Result};

/// Samples that are drawn at once, so that memory stays small.
const CHUNK: u64 = 65_536;

/// Draw samples from a trained run, as CSV
///
/// The file has a header x1,x2,... and a row per sample. The same run, seed and number give the
/// same bytes on the same device.
#[derive(Debug, Clone, Args)]
pub(super) struct SampleArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Number of samples
    #[arg(
        short = 'n',
        long = "count",
        value_name = "N",
        allow_negative_numbers = true
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    count: u64,
    /// Seed of the draws
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    seed: u64,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Write a JSON object {"x": [...]} per sample in place of CSV
    #[arg(long)]
    json: bool,
}

pub(super) fn sample(args: &SampleArgs, context: &Context) -> Result<()> {
    let trained = args.compute.load(&args.run, context)?;
    let mut rng = Rng::new(args.seed).fork("sample");
    let mut text = match args.json {
        true => String::new(),
        false => header(trained.dim()) + "\n",
    };
    let mut left = args.count;
    while left > 0 {
        let n = left.min(CHUNK);
        for row in trained.sample(n as usize, &mut rng)? {
            text += &match args.json {
                true => json!({ "x": row }).to_string(),
                false => cells(&row),
            };
            text.push('\n');
        }
        left -= n;
    }
    print_or_write(&text, args.output.as_deref(), context)
}

/// Evaluate a trained run's log-density at given points
///
/// Reads a CSV file with one point per row (a header is optional) and writes the same points with
/// a last column log_density (nats), and with --parts one more, part: the component of a mixture
/// base, the cluster, or RAD's code (0 left, 1 middle, 2 right of every fold from data to base, read
/// as a number in base 3; beyond 40 folds the number wraps around).
#[derive(Debug, Clone, Args)]
pub(super) struct DensityArgs {
    /// Folder of the run, such as results/ring/ring/rad/seed-0
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// CSV file with one point per row; `-` reads stdin
    #[arg(value_name = "POINTS.csv")]
    points: PathBuf,
    /// Also write the part of the model that each point belongs to
    #[arg(long)]
    parts: bool,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Write a JSON object {"x": [...], "log_density": ...} per point in place of CSV, null where a
    /// number is not finite; with --parts also "part"
    #[arg(long)]
    json: bool,
}

pub(super) fn density(args: &DensityArgs, context: &Context) -> Result<()> {
    let points = Points::read(&args.points)?;
    let trained = args.compute.load(&args.run, context)?;
    points.check_dim(trained.dim())?;
    let log_density = trained.log_density(&points.rows)?;
    let no_parts = || {
        let run = args.run.display();
        Error::request(format!(
            "{run}: expected a model with parts; this one has none"
        ))
    };
    let parts = match args.parts {
        true => trained.parts(&points.rows)?.ok_or_else(no_parts)?,
        false => Vec::new(),
    };
    let mut text = String::new();
    if !args.json {
        text = header(trained.dim()) + ",log_density";
        text += if args.parts { ",part\n" } else { "\n" };
    }
    for (i, (row, log_q)) in points.rows.iter().zip(log_density).enumerate() {
        let part = parts.get(i);
        let line = match args.json {
            true => {
                let mut object = json!({ "x": row, "log_density": log_q });
                part.into_iter().for_each(|p| object["part"] = (*p).into());
                object.to_string()
            }
            false => {
                let part = part.map_or_else(String::new, |part| format!(",{part}"));
                format!("{},{log_q}{part}", cells(row))
            }
        };
        text += &(line + "\n");
    }
    print_or_write(&text, args.output.as_deref(), context)
}

/// "x1,x2,..."
fn header(dim: usize) -> String {
    let names: Vec<_> = (1..=dim).map(|i| format!("x{i}")).collect();
    names.join(",")
}

fn cells(row: &[f64]) -> String {
    let cells: Vec<_> = row.iter().map(f64::to_string).collect();
    cells.join(",")
}

/// The points of a CSV file.
#[derive(Debug, Clone, PartialEq)]
struct Points {
    /// The file, for messages.
    name: String,
    /// Line of the first point.
    first_line: usize,
    /// One point each, all with the same number of coordinates.
    rows: Vec<Vec<f64>>,
}

/// Whether a cell of the first row can be a column's name; any other cell is a number or a fault.
fn is_title(cell: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || "_ []().-".contains(c);
    cell.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && cell.chars().all(known)
        && cell.parse::<f64>().is_err()
}

impl Points {
    /// Of a file, or of stdin for `-`.
    fn read(path: &Path) -> Result<Self> {
        let (name, bytes) = match path == Path::new("-") {
            true => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().read_to_end(&mut bytes);
                ("<stdin>".to_owned(), read.map(|_| bytes))
            }
            false => (path.display().to_string(), std::fs::read(path)),
        };
        let unreadable = |e| Error::request(format!("{name}: could not read the points: {e}"));
        let bytes = bytes.map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|e| {
            Error::request(format!("{name}: expected a CSV file; got no text: {e}"))
        })?;
        Self::parse(name, &text)
    }

    fn parse(name: String, text: &str) -> Result<Self> {
        let fault =
            |line: usize, what: String| Err(Error::request(format!("{name}:{line}: {what}")));
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().zip(1..).peekable();
        let unquoted = |cell: &str| {
            let cell = cell.trim();
            let inner = cell.strip_prefix('"').and_then(|c| c.strip_suffix('"'));
            inner.unwrap_or(cell).to_owned()
        };
        let titles = lines.next_if(|(line, _)| line.split(',').all(|c| is_title(&unquoted(c))));
        let titles = titles.map(|(line, _)| line.split(',').map(unquoted).collect::<Vec<_>>());
        if let Some(titles) = &titles {
            let wanted = header(titles.len());
            let numbered = titles.iter().any(|t| wanted.split(',').any(|w| w == t));
            let titles = titles.join(",");
            if numbered && titles != wanted {
                let what = format!("expected the columns {wanted} in this order; got {titles}");
                return fault(1, what);
            }
        }
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for (line, number) in lines {
            if line.trim().is_empty() {
                return fault(number, "expected a point; got an empty row".into());
            }
            let mut row = Vec::new();
            for cell in line.split(',').map(str::trim) {
                match cell.parse::<f64>() {
                    Ok(x) if x.is_finite() => row.push(x),
                    _ => {
                        let other = cell.contains([';', '\t']);
                        let between = if other { " between commas" } else { "" };
                        let what = format!("expected a finite number{between}; got `{cell}`");
                        return fault(number, what);
                    }
                }
            }
            let (wanted, of) = match (&titles, rows.first()) {
                (_, Some(first)) => (first.len(), "first row"),
                (Some(titles), None) => (titles.len(), "header"),
                (None, None) => (row.len(), ""),
            };
            let got = row.len();
            if got != wanted {
                let what = format!("expected {wanted} values as in the {of}; got {got}");
                return fault(number, what);
            }
            rows.push(row);
        }
        if rows.is_empty() {
            let what = format!("{name}: expected at least one point; got none");
            return Err(Error::request(what));
        }
        let first_line = 1 + usize::from(titles.is_some());
        Ok(Self {
            name,
            first_line,
            rows,
        })
    }

    /// Whether the points have the model's number of coordinates.
    fn check_dim(&self, dim: usize) -> Result<()> {
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

    fn parse(text: &str) -> Result<Points> {
        Points::parse("p.csv".to_owned(), text)
    }

    #[test]
    fn a_header_is_optional() {
        let rows = vec![vec![1.0, -2.5], vec![3e2, 4.0]];
        for text in [
            "1,-2.5\n3e2, 4\n",
            "x1,\"x2\"\r\n1,-2.5\r\n300,4",
            "\u{feff}a,b\n1,-2.5\n300,4\n",
        ] {
            assert_eq!(parse(text).expect(text).rows, rows, "{text:?}");
        }
    }

    #[test]
    fn bad_points_are_refused_with_their_line() {
        let cases = r#"
            1,2\n3,NaN\n => :2: expected a finite number; got `NaN`
            x,y\n1,inf\n => :2: expected a finite number; got `inf`
            1,2\n3\n => :2: expected 2 values as in the first row; got 1
            1,2\n\n3,4\n => :2: expected a point; got an empty row
            1,2\n3,4\n\n => :3: expected a point; got an empty row
            1,2\n3,four\n => :2: expected a finite number; got `four`
            1,two\n => :1: expected a finite number; got `two`
            1,2,\n => :1: expected a finite number; got ``
            0;1\n2;3\n => :1: expected a finite number between commas; got `0;1`
            1.2.3\n2\n => :1: expected a finite number; got `1.2.3`
            "0.5"\n1\n => :1: expected a finite number; got `"0.5"`
            x2,x1\n1,2\n => :1: expected the columns x1,x2 in this order; got x2,x1
            a,b,c\n1,2\n => :2: expected 3 values as in the header; got 2
            x,y\n => : expected at least one point; got none
            nan,nan\n1,2\n => :1: expected a finite number; got `nan`"#;
        for case in cases.trim().lines() {
            let (text, message) = case.trim().split_once(" => ").unwrap();
            let said = parse(&text.replace("\\n", "\n")).unwrap_err().to_string();
            assert_eq!(said, format!("p.csv{message}"), "{text}");
        }
        let empty = parse("").unwrap_err().to_string();
        assert_eq!(empty, "p.csv: expected at least one point; got none");
    }
}
