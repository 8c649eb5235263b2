//! What fuzzing has found worth keeping, and every input that ever was a finding, once more: nothing may
//! panic, and what is read can be written and read again. `fuzz/README.md` says how they came about.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use crate::targets::{Named, Target, TARGETS};

/// Files of the corpus together may not be more, nor larger.
const FILES: usize = 1000;
const BYTES: usize = 1_000_000;

/// The inputs of a target with their names: what it begins with, its corpus, and its findings.
fn inputs(named: &Named) -> Vec<(String, Vec<u8>)> {
    let mut all = (named.seeds)();
    for kind in ["corpus", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(kind);
        for path in crate::common::files(&folder.join(named.name)) {
            let bytes = std::fs::read(&path).expect("a file of the corpus");
            all.push((path.display().to_string(), bytes));
        }
    }
    all
}

/// Names of the inputs at which the target panics; how many it read, and how many it refused.
fn replay(target: &Target, inputs: &[(String, Vec<u8>)]) -> (Vec<String>, [usize; 2]) {
    let (mut findings, mut counts) = (Vec::new(), [0; 2]);
    for (name, bytes) in inputs {
        match catch_unwind(AssertUnwindSafe(|| target(bytes))) {
            Ok(read) => counts[usize::from(!read)] += 1,
            Err(_) => findings.push(name.clone()),
        }
    }
    (findings, counts)
}

fn no_finding(name: &str) {
    let named = TARGETS.iter().find(|t| t.name == name).expect("a target");
    let inputs = inputs(named);
    let (findings, [read, refused]) = replay(&(named.target)(), &inputs);
    assert!(findings.is_empty(), "{name}: panics above at {findings:#?}");
    // A target that refuses all, or nothing, is not held to anything behind its first line.
    assert!(
        read >= 5 && refused >= 5,
        "{name}: {read} read, {refused} refused"
    );
}

macro_rules! each {
    ($($test:ident: $target:literal,)*) => {
        $(#[test] fn $test() { no_finding($target); })*
        const TESTED: &[&str] = &[$($target),*];
    };
}

each! {
    experiments_are_read_or_refused: "experiment",
    overrides_are_applied_or_refused: "overrides",
    files_of_data_are_read_or_refused: "data",
    studies_are_read_or_refused: "study",
    files_of_runs_are_read_or_refused: "run",
    checkpoints_are_gone_on_from_or_refused: "checkpoint",
    weights_are_used_or_refused: "weights",
}

#[test]
fn every_target_is_replayed_and_the_corpus_is_small() {
    let names = TARGETS.map(|t| t.name);
    assert_eq!(TESTED, names);
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    // A packaged crate has not that folder.
    let Ok(manifest) = std::fs::read_to_string(fuzz.join("Cargo.toml")) else {
        return;
    };
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let corpus = crate::common::files(&fuzz.join("corpus").join(name));
        assert!(!corpus.is_empty(), "no corpus of {name}");
    }
    let files = crate::common::files(&fuzz.join("corpus"));
    let bytes: u64 = files
        .iter()
        .map(|f| f.metadata().expect("a file").len())
        .sum();
    assert!(
        files.len() <= FILES && bytes <= BYTES as u64,
        "{} files, {bytes} bytes",
        files.len()
    );
}

#[test]
fn a_finding_is_named() {
    let target: Target = Box::new(|bytes| {
        assert!(bytes != b"bad", "a finding");
        bytes == b"good"
    });
    let inputs = ["good", "bad", "other"].map(|i| (i.to_owned(), i.as_bytes().to_vec()));
    let (findings, counts) = replay(&target, &inputs);
    assert_eq!((findings, counts), (vec!["bad".to_owned()], [1, 1]));
}
