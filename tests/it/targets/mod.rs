//! What is fuzzed: every reader of `mdn`, each as a function of bytes that panics at a finding.
//!
//! A finding is a panic, an error that does not name its file, an accepted input that cannot be written and
//! read again, or one that leads out of the folder it belongs to. Hangs and allocations beyond all bounds
//! are found by the limits of `scripts/fuzz.sh`. The fuzz targets (`fuzz_targets/`) and the replay
//! in CI (`tests/it/corpus.rs`) share what is here.

use std::path::Path;

pub mod checkpoint;
pub mod data;
pub mod experiment;
pub mod overrides;
pub mod run;
pub mod runs;
pub mod study;
pub mod weights;

/// Takes an input and says whether something was read from it; refusing it is as good.
pub type Target = Box<dyn Fn(&[u8]) -> bool>;

/// A target by its name: that of its folder in `corpus/`.
pub struct Named {
    pub name: &'static str,
    /// Makes what it needs, once.
    pub target: fn() -> Target,
    /// Inputs to begin with, by name.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All of them.
pub const TARGETS: [Named; 7] = [
    Named {
        name: "experiment",
        target: experiment::target,
        seeds: experiment::seeds,
    },
    Named {
        name: "overrides",
        target: overrides::target,
        seeds: overrides::seeds,
    },
    Named {
        name: "data",
        target: data::target,
        seeds: data::seeds,
    },
    Named {
        name: "study",
        target: study::target,
        seeds: study::seeds,
    },
    Named {
        name: "run",
        target: run::target,
        seeds: run::seeds,
    },
    Named {
        name: "checkpoint",
        target: checkpoint::target,
        seeds: checkpoint::seeds,
    },
    Named {
        name: "weights",
        target: weights::target,
        seeds: weights::seeds,
    },
];

/// Writes the seeds of a target to the folder that `MDN_FUZZ_SEEDS` names, if it does.
#[allow(dead_code)] // called by the fuzz targets
pub fn sow(name: &str) {
    let Some(folder) = std::env::var_os("MDN_FUZZ_SEEDS") else {
        return;
    };
    let named = TARGETS.iter().find(|t| t.name == name);
    for (name, bytes) in (named.expect("a target").seeds)() {
        write(&Path::new(&folder).join(name), bytes);
    }
}

/// The first byte, which chooses one of `n`, and the others.
fn choice(bytes: &[u8], n: usize) -> (usize, &[u8]) {
    match bytes.split_first() {
        Some((first, rest)) => (usize::from(*first) % n, rest),
        None => (0, bytes),
    }
}

/// `bytes` behind one that makes [`choice`] give `number`.
fn chosen(number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![u8::try_from(number).expect("a small number")];
    all.extend_from_slice(bytes);
    all
}

/// A text in an error may not be longer than what anybody reads.
fn short(said: &str) {
    assert!(said.len() < 20_000, "{} bytes: {said}", said.len());
}

/// An error names what it is about.
fn names(said: &str, what: &Path) {
    short(said);
    let what = what.display().to_string();
    assert!(said.contains(&what), "expected {what} in: {said}");
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the target")
}
