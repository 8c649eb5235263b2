//! A place to run the binary in.

#![allow(dead_code)] // each test binary uses a part

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

pub mod damage;
pub mod markdown;

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

/// A place with that of RAD done.
pub fn one_trained() -> Place {
    let place = Place::new();
    place.mdn(&["train", "ring.toml", "--index", "2"]).fine();
    place
}

/// A place with all four of them done.
pub fn all_trained() -> Place {
    let place = Place::new();
    place.mdn(&["train", "ring.toml", "--threads", "1"]).fine();
    place
}

/// The experiment files in a folder of the project, sorted.
pub fn shipped(folder: &str) -> Vec<PathBuf> {
    let mut found = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    found.retain(|f| f.parent().is_some_and(|p| p.ends_with(folder)));
    found.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    assert!(!found.is_empty(), "no experiment file in {folder}");
    found
}

/// A folder of its own, removed at the end.
pub struct Place(TempDir);

impl Place {
    /// With `ring.toml` in it.
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder for the test"));
        place.write("ring.toml", RING);
        place
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        std::fs::write(&path, text).expect("a writable folder");
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// `mdn` in this folder.
    pub fn mdn(&self, arguments: &[&str]) -> Said {
        self.mdn_with_stdin(arguments, "")
    }

    pub fn mdn_with_stdin(&self, arguments: &[&str], stdin: &str) -> Said {
        let mut command = Command::cargo_bin("mdn").expect("the binary");
        command.current_dir(self.0.path()).args(arguments);
        command.env_remove("RAYON_NUM_THREADS").write_stdin(stdin);
        Said::of(&command.output().expect("it starts"))
    }
}

/// A run by the name of its model, with a status: enough to be found.
pub fn stub(place: &Place, folder: &str, model: &str, status: &str) {
    let config = format!(
        "name = \"made\"\nseeds = [7]\n[data.ring]\nring = {{ modes = 4 }}\n[models.{model}.rad]\n"
    );
    place.write(&format!("{folder}/config.toml"), &config);
    place.write(&format!("{folder}/status"), status);
}

/// The objects of a text that has one a line.
pub fn objects(text: &str) -> Vec<serde_json::Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    text.lines().map(parse).collect()
}

/// The words of the row of a table that begins with this one.
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

impl Said {
    pub fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Exit code 0; gives stdout.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.out
    }

    /// Exit code 2, nothing on stdout, this in the one error on stderr, no backtrace.
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
