//! The fuzz targets: every reader of `mdn` as a function of bytes that panics at a finding.
//!
//! A finding is a panic, an error that does not name its file, an accepted input that cannot be written and
//! read again, or a path out of the folder of the input. The limits of `scripts/fuzz.sh` find hangs and
//! unbounded allocations. The fuzzer (`fuzz/`), the replay of the corpus (`tests/it/corpus.rs`) and
//! `tests/it/hostile.rs` share this module.

use std::path::Path;

pub mod checkpoint;
pub mod data;
pub mod experiment;
pub mod overrides;
pub mod run;
pub mod runs;
pub mod study;
pub mod weights;

/// Takes an input and returns whether it was read; it may also be refused.
pub type Target = Box<dyn Fn(&[u8]) -> bool>;

/// Named inputs to start from.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// A target; its corpus is the folder of this name in `corpus/`.
pub struct Named {
    pub name: &'static str,
    /// Prepares the target, once.
    pub target: fn() -> Target,
    pub seeds: fn() -> Seeds,
}

/// All targets.
pub const TARGETS: [Named; 7] = [
    named("experiment", experiment::target, experiment::seeds),
    named("overrides", overrides::target, overrides::seeds),
    named("data", data::target, data::seeds),
    named("study", study::target, study::seeds),
    named("run", run::target, run::seeds),
    named("checkpoint", checkpoint::target, checkpoint::seeds),
    named("weights", weights::target, weights::seeds),
];

const fn named(name: &'static str, target: fn() -> Target, seeds: fn() -> Seeds) -> Named {
    Named {
        name,
        target,
        seeds,
    }
}

/// The target of this name.
pub fn by_name(name: &str) -> &'static Named {
    const ALL: &[Named] = &TARGETS;
    let found = ALL.iter().find(|t| t.name == name);
    found.unwrap_or_else(|| panic!("no target {name}"))
}

/// Writes the seeds of a target to the folder that `MDN_FUZZ_SEEDS` names, if it does.
#[allow(dead_code)] // called by the fuzz targets
pub fn sow(name: &str) {
    let Some(folder) = std::env::var_os("MDN_FUZZ_SEEDS") else {
        return;
    };
    for (name, bytes) in (by_name(name).seeds)() {
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

/// `bytes` after one for which [`choice`] gives `number`.
fn chosen(number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![u8::try_from(number).expect("a small number")];
    all.extend_from_slice(bytes);
    all
}

/// An error message must be short enough to read.
fn short(said: &str) {
    assert!(said.len() < 20_000, "{} bytes: {said}", said.len());
}

/// An error names the file that it is about.
fn names(e: &mdn_core::Error, file: &Path) {
    let said = e.to_string();
    short(&said);
    let file = file.display().to_string();
    assert!(said.contains(&file), "expected {file} in: {said}");
}

/// Whether something was read; an error names the file.
fn read_or_named<T>(read: mdn_core::Result<T>, file: &Path) -> bool {
    read.map_err(|e| names(&e, file)).is_ok()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the target")
}
