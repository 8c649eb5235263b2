//! Replays the fuzzing corpus and every input that ever was a finding: nothing may panic, and what is
//! read can be written and read again. `fuzz/README.md` describes both.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use crate::common::files;
use crate::targets::{Named, Target, TARGETS};

/// Limits on the corpus of all targets.
const FILES: usize = 1000;
const BYTES: usize = 1_000_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The inputs of a target with their names: its seeds, its corpus, and its findings.
fn inputs(named: &Named) -> Vec<(String, Vec<u8>)> {
    let mut all = (named.seeds)();
    for kind in ["corpus", "regressions"] {
        for path in files(&fuzz().join(kind).join(named.name)) {
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

#[test]
fn no_input_of_any_target_is_a_finding() {
    std::thread::scope(|scope| {
        for named in &TARGETS {
            scope.spawn(|| no_finding(named));
        }
    });
}

fn no_finding(named: &Named) {
    let (findings, [read, refused]) = replay(&(named.target)(), &inputs(named));
    let name = named.name;
    assert!(findings.is_empty(), "{name}: panics above at {findings:#?}");
    // A target that refuses everything, or nothing, tests only its first line.
    let both = read >= 5 && refused >= 5;
    assert!(both, "{name}: {read} read, {refused} refused");
}

#[test]
fn every_target_has_a_corpus_and_the_corpus_is_small() {
    // A packaged crate lacks the folder.
    let Ok(manifest) = std::fs::read_to_string(fuzz().join("Cargo.toml")) else {
        return;
    };
    for Named { name, .. } in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let corpus = files(&fuzz().join("corpus").join(name));
        assert!(!corpus.is_empty(), "no corpus of {name}");
    }
    let all = files(&fuzz().join("corpus"));
    let bytes: u64 = all
        .iter()
        .map(|f| f.metadata().expect("a file").len())
        .sum();
    let small = all.len() <= FILES && bytes <= BYTES as u64;
    assert!(small, "{} files, {bytes} bytes", all.len());
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
