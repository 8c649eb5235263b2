//! Delimited text: CSV and its relatives. Blank lines are passed over.

use super::column::Column;

/// The rows of a text, not yet read as numbers.
pub(super) struct Records<'t> {
    text: &'t str,
    reader: csv::Reader<&'t [u8]>,
    /// The first row, where it is no header.
    first: Option<Record>,
    /// Names of the fields, where there is a header.
    pub(super) names: Option<Vec<String>>,
    /// Fields of the first row: what every row should have.
    pub(super) fields: usize,
}

/// One row.
pub(super) struct Record {
    cells: csv::StringRecord,
    /// Where the reader stood before it.
    start: usize,
}

impl Record {
    /// The number of cells.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cell in field `i`, without the space around it; empty where there is none.
    pub(super) fn cell(&self, i: usize) -> &str {
        self.cells.get(i).unwrap_or_default().trim()
    }
}

/// The candidate that a line has most of outside of quotes, the first of several.
fn separator(line: &str) -> u8 {
    let count = |separator: u8| {
        let outside = line.split('"').step_by(2);
        outside
            .map(|part| part.bytes().filter(|b| *b == separator).count())
            .sum::<usize>()
    };
    let candidates = [b'|', b'\t', b';', b','];
    candidates
        .into_iter()
        .max_by_key(|s| count(*s))
        .unwrap_or(b',')
}

impl<'t> Records<'t> {
    /// A first row without any number, or with the name of a column that is `wanted`, is a header,
    /// unless `header` says otherwise. `None` if there is no row at all.
    pub(super) fn new(
        text: &'t str,
        delimiter: Option<u8>,
        header: Option<bool>,
        wanted: &[&Column],
    ) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first_line = text.lines().find(|l| !l.trim().is_empty())?;
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter.unwrap_or_else(|| separator(first_line)))
            .from_reader(text.as_bytes());
        let mut records = Self {
            text,
            reader,
            first: None,
            names: None,
            fields: 0,
        };
        let first = records.next()?;
        records.fields = first.len();
        let cells = || first.cells.iter().map(str::trim);
        let is_wanted = |cell: &str| {
            let mut names = wanted.iter();
            names.any(|c| matches!(c, Column::Name(name) if name == cell))
        };
        let header = header.unwrap_or_else(|| {
            cells().any(is_wanted) || cells().all(|c| c.parse::<f64>().is_err())
        });
        if header {
            records.names = Some(cells().map(str::to_owned).collect());
        } else {
            records.first = Some(first);
        }
        Some(records)
    }

    /// The line that a row begins on, from 1.
    pub(super) fn line(&self, record: &Record) -> usize {
        let (before, rest) = self.text.split_at(record.start);
        let ends = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        let lines = |text: &str| text.matches('\n').count();
        1 + lines(before) + lines(&rest[..ends])
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let start = self.reader.position().byte() as usize;
            let mut cells = csv::StringRecord::new();
            // A text in memory whose rows may have any length holds nothing that can be refused.
            if !self.reader.read_record(&mut cells).unwrap_or(false) {
                return None;
            }
            let record = Record { cells, start };
            if record.len() > 1 || !record.cell(0).is_empty() {
                return Some(record);
            }
        }
    }
}
