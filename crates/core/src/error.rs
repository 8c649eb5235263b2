//! One error type. A message names the thing, what was expected, what was found and what to try.

use std::path::{Path, PathBuf};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong (command line, experiment file, a file that was named):
    /// nothing was started. Exit code 2.
    #[error("{0}")]
    Request(String),
    /// The request was fine and failed while running. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The run was interrupted; finished work is kept. Exit code 75.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// A tensor operation failed (shapes or devices do not match): a bug in the program.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A file or folder could not be read or written.
    #[error("{path}: {action}: {source}{}", what_to_try(source))]
    Io {
        /// Where.
        path: PathBuf,
        /// What failed, as in "could not write".
        action: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A bad request.
    pub fn request(message: impl Into<String>) -> Self {
        Self::Request(message.into())
    }

    /// A failure at run time.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// For `map_err` on file operations: `fs::read(p).map_err(Error::io(p, "could not read"))`.
    pub fn io<'a>(
        path: &'a Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Io {
            path: path.to_path_buf(),
            action,
            source,
        }
    }

    /// The exit code of the process: 2 for a bad request, 75 (temporary failure in `sysexits.h`: try
    /// again) after an interruption, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Request(_) => 2,
            Self::Interrupted(_) => 75,
            _ => 1,
        }
    }
}

fn what_to_try(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space, and the same command goes on"
        }
        ErrorKind::FileTooLarge => "; raise the limit (`ulimit -f`), and the same command goes on",
        ErrorKind::ReadOnlyFilesystem => "; choose another place, such as with --out",
        _ => "",
    }
}

/// `" (did you mean \`steps\`?)"` when one of `known` is close to `typed`, else nothing.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(typed, k), k))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, k)| format!(" (did you mean `{k}`?)"))
}

/// The first `most` characters of a text, where it is too long for a message.
pub fn shortened(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

/// An invalid value, found in a specification before anything was built from it.
/// The experiment file's reader turns it into "file:line: table: expected ...; got ...".
#[derive(Debug, Clone, PartialEq)]
pub struct BadValue {
    /// Path of the key below the table that was checked, such as `base.mixture.components`.
    pub key: String,
    /// What was expected, such as `` `components` >= 1 ``.
    pub expected: String,
    /// What was found.
    pub got: String,
}

impl BadValue {
    /// "expected `expected`; got `got`" at `key`.
    pub fn new(
        key: impl Into<String>,
        expected: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> Self {
        Self {
            key: key.into(),
            expected: expected.into(),
            got: shortened(&got.to_string(), 400).into_owned(),
        }
    }

    /// The same fault with `table` in front of its key.
    pub fn below(mut self, table: &str) -> Self {
        self.key = if self.key.is_empty() {
            table.to_owned()
        } else {
            format!("{table}.{}", self.key)
        };
        self
    }

    /// `Ok` if `low <= value <= high`, else the fault.
    pub fn within<T: PartialOrd + std::fmt::Debug>(
        key: &str,
        value: T,
        low: T,
        high: T,
    ) -> std::result::Result<(), Self> {
        let name = key.rsplit('.').next().unwrap_or(key);
        let expected = format!("{low:?} <= `{name}` <= {high:?}");
        let fine = low <= value && value <= high;
        Self::unless(fine, key, &expected, format!("{value:?}"))
    }

    /// `Ok` if `fine`, else the fault.
    pub fn unless(
        fine: bool,
        key: &str,
        expected: &str,
        got: impl std::fmt::Display,
    ) -> Result<(), Self> {
        if fine {
            Ok(())
        } else {
            Err(Self::new(key, expected, got))
        }
    }
}

impl std::fmt::Display for BadValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: expected {}; got {}",
            self.key, self.expected, self.got
        )
    }
}
