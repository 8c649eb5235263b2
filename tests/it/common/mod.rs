//! A folder to run the program in, and readers of what it prints and writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

pub mod markdown;

/// The program.
pub const MDN: &str = env!("CARGO_BIN_EXE_mdn");

/// Two small models on a ring, two seeds.
pub const RING: &str = r#"seeds = [0, 1]
reference = "plain"

[train]
steps = 30
batch_size = 64
points = 500
validation_points = 100
validate_every = 10

[evaluation]
points = 500
grid = 32

[data.ring]
ring = { modes = 4, radius = 3.0, std = 0.3 }

[models.plain.flow]
bijection.affine_coupling = { layers = 2, hidden = [8] }

[models.rad.rad]
layers = 2
hidden = [8]
"#;

/// Two of its runs.
pub const PLAIN: &str = "results/ring/ring/plain/seed-0";
pub const RAD: &str = "results/ring/ring/rad/seed-0";

/// Files by their paths below a place.
pub type Snapshot = Vec<(String, Vec<u8>)>;

/// The results of all four runs of `ring.toml`, trained once for all tests.
static TRAINED: LazyLock<Snapshot> = LazyLock::new(|| {
    let place = Place::new();
    place.mdn("train ring.toml --threads 1").fine();
    place.snapshot("results")
});

/// A place where all four runs of `ring.toml` are done.
pub fn all_trained() -> Place {
    trained_below("")
}

/// A place where the run [`RAD`] is done.
pub fn one_trained() -> Place {
    trained_below(RAD)
}

fn trained_below(folder: &str) -> Place {
    let place = Place::new();
    for (name, bytes) in TRAINED.iter().filter(|f| f.0.starts_with(folder)) {
        place.write(name, bytes);
    }
    place
}

/// A command line: its words, or a text that is split at spaces outside of single quotes.
pub trait CommandLine {
    fn words(&self) -> Vec<String>;
}

impl CommandLine for str {
    fn words(&self) -> Vec<String> {
        let mut quoted = false;
        let spaces = |c: char| {
            quoted ^= c == '\'';
            c == ' ' && !quoted
        };
        let words = self.split(spaces).map(|word| word.replace('\'', ""));
        words.filter(|word| !word.is_empty()).collect()
    }
}

impl CommandLine for String {
    fn words(&self) -> Vec<String> {
        self.as_str().words()
    }
}

impl CommandLine for Vec<&str> {
    fn words(&self) -> Vec<String> {
        self.iter().map(|w| (*w).to_owned()).collect()
    }
}

impl<const N: usize> CommandLine for [&str; N] {
    fn words(&self) -> Vec<String> {
        self.to_vec().words()
    }
}

/// A temporary folder.
pub struct Place(TempDir);

impl Place {
    /// With `ring.toml` in it.
    pub fn new() -> Self {
        Self::with("ring.toml", RING)
    }

    /// With this file in it.
    pub fn with(name: &str, text: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder for the test"));
        place.write(name, text);
        place
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        std::fs::write(&path, content).expect("a writable folder");
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// All files below a folder.
    pub fn snapshot(&self, folder: &str) -> Snapshot {
        let name = |path: &PathBuf| {
            let name = path.strip_prefix(self.path("")).expect("below the place");
            name.to_string_lossy().into_owned()
        };
        let names = files(&self.path(folder));
        let names = names.iter().map(name);
        names
            .map(|name| (name.clone(), self.bytes(&name)))
            .collect()
    }

    /// These files exist here with the same bytes, except those that record times and the command.
    #[track_caller]
    pub fn assert_same(&self, expected: &Snapshot) {
        assert!(!expected.is_empty());
        for (name, bytes) in expected {
            let differs = ["cost.csv", "environment.toml", ".png"];
            if !differs.iter().any(|end| name.ends_with(end)) {
                assert!(*bytes == self.bytes(name), "{name}");
            }
        }
    }

    /// These files, separated by spaces, have the same bytes in both folders.
    #[track_caller]
    pub fn assert_equal(&self, names: &str, folders: [&str; 2]) {
        for name in names.split(' ') {
            let [first, second] = folders.map(|folder| self.bytes(&format!("{folder}/{name}")));
            assert!(first == second, "{folders:?}: {name}");
        }
    }

    /// The rows of a CSV file by column.
    pub fn csv(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        let text = self.read(name);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.deserialize().collect::<Result<_, _>>();
        rows.unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The row of a metric of a run, of `metrics.csv` or `cost.csv`.
    pub fn metric_row(&self, run: &str, metric: &str) -> BTreeMap<String, String> {
        let mut rows = self.csv(&format!("{run}/metrics.csv"));
        rows.extend(self.csv(&format!("{run}/cost.csv")));
        let found = rows.into_iter().find(|r| r["metric"] == metric);
        found.unwrap_or_else(|| panic!("{run}: no {metric}"))
    }

    /// The value of a metric of a run; `None` where the metric does not apply.
    pub fn metric(&self, run: &str, metric: &str) -> Option<f64> {
        let value = &self.metric_row(run, metric)["value"];
        let number = || value.parse().unwrap_or_else(|e| panic!("{value}: {e}"));
        (!value.is_empty()).then(number)
    }

    /// A program in this folder that has the arguments of `line`.
    pub fn command(&self, program: &str, line: &(impl CommandLine + ?Sized)) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).args(line.words());
        command.env_remove("RAYON_NUM_THREADS").env("MDN", MDN);
        command
    }

    /// Runs `mdn` in this folder.
    pub fn mdn(&self, line: &(impl CommandLine + ?Sized)) -> Said {
        Said::of(&mut self.command(MDN, line))
    }

    /// Runs `mdn`, which succeeds; gives stdout.
    #[track_caller]
    pub fn ok(&self, line: &(impl CommandLine + ?Sized)) -> String {
        self.mdn(line).fine()
    }

    /// Runs `mdn`, which refuses the command line with this message.
    #[track_caller]
    pub fn refused(&self, line: &(impl CommandLine + ?Sized), message: &str) {
        self.mdn(line).refused(message);
    }

    pub fn mdn_with_stdin(&self, line: &(impl CommandLine + ?Sized), stdin: &str) -> Said {
        let file = File::open(self.write("stdin", stdin)).expect("it was written");
        let output = self.command(MDN, line).stdin(file).output();
        Said::from(output.expect("mdn starts"))
    }

    /// Every command line of a table (see [`cases`]) is refused with its message.
    #[track_caller]
    pub fn refuses(&self, table: &str) {
        for (line, message) in cases(table) {
            self.refused(line, message);
        }
    }
}

/// The rows of a table with `input => expected` on each line.
pub fn cases(table: &str) -> Vec<(&str, &str)> {
    let rows = table.trim().lines().map(|row| {
        let (done, expected) = row.split_once(" => ").unwrap_or_else(|| panic!("{row}"));
        (done.trim(), expected.trim())
    });
    rows.collect()
}

/// A folder that counts as a run: settings that name `model`, and a status.
pub fn stub(place: &Place, folder: &str, model: &str, status: &str) {
    let config = format!(
        "name = \"made\"\nseeds = [7]\n[data.ring]\nring = {{ modes = 4 }}\n[models.{model}.rad]\n"
    );
    place.write(&format!("{folder}/config.toml"), &config);
    place.write(&format!("{folder}/status"), status);
}

/// The JSON values of a text, one after another.
pub fn objects(text: &str) -> Vec<serde_json::Value> {
    let stream = serde_json::Deserializer::from_str(text).into_iter();
    stream
        .map(|v| v.unwrap_or_else(|e| panic!("{e}: {text}")))
        .collect()
}

/// The words of the row of a table that begins with this word.
pub fn row<'t>(table: &'t str, first: &str) -> Vec<&'t str> {
    let mut rows = table.lines().map(|l| l.split_whitespace().collect());
    let found = rows.find(|r: &Vec<&str>| r.first() == Some(&first));
    found.unwrap_or_else(|| panic!("no row `{first}` in\n{table}"))
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// Runs the command without stdin.
    pub fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        Self::from(output.expect("the program starts"))
    }

    /// Exit code 0; gives stdout.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.out
    }

    /// Exit code 0 and these words on stderr; gives stdout.
    #[track_caller]
    pub fn fine_with_note(self, words: &str) -> String {
        assert!(self.err.contains(words), "{words}\n{self:#?}");
        self.fine()
    }

    /// Exit code 2, nothing on stdout, this message in the one error on stderr, no backtrace.
    #[track_caller]
    pub fn refused(&self, message: &str) {
        self.failed(2, message);
        assert_eq!(self.out, "", "{self:#?}");
    }

    #[track_caller]
    pub fn failed(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.err.contains(message), "{message}\n{self:#?}");
        let errors = self.err.matches("error: ").count();
        assert_eq!(errors, 1, "{self:#?}");
        assert!(!self.err.contains("panicked"), "{self:#?}");
    }
}

/// `text` contains all of `words`.
#[track_caller]
pub fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "expected `{word}` in\n{text}");
    }
}

/// Whether there is a Python with NumPy.
pub fn has_numpy() -> bool {
    let numpy = Command::new("python3")
        .args(["-c", "import numpy"])
        .output();
    numpy.is_ok_and(|found| found.status.success())
}

/// Every file below `folder`, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
