//! Inputs that were once answered wrongly or in silence (`tests/cases`), with their right values.

mod columns;
mod grid;
mod mixtures;
mod statistics;
mod tails;
mod training;

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{files, Place};

/// A temporary folder with the files of the case `name`.
pub fn case(name: &str) -> Place {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name);
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        place.write(
            &entry.file_name().to_string_lossy(),
            fs::read(entry.path()).unwrap(),
        );
    }
    place
}

#[test]
fn every_case_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let read = |file: PathBuf| fs::read_to_string(file).unwrap();
    let tests: String = files(&root.join("it/cases"))
        .into_iter()
        .map(read)
        .collect();
    for entry in fs::read_dir(root.join("cases")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let is_case = root.join("cases").join(&name).is_dir();
        assert!(!is_case || tests.contains(&format!("\"{name}\"")), "{name}");
    }
}
