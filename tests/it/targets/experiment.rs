//! Experiment files: text to a plan.

use std::path::{Component, Path};

use mdn::experiment::config::memory::Memory;
use mdn::experiment::plan::Plan;

use super::{short, Seeds, Target};

/// The name that error messages must contain.
const NAME: &str = "hostile";

/// Models of more bytes are not built.
const SMALL: f64 = 1e8;

/// Text of an experiment file.
pub fn target() -> Target {
    Box::new(|bytes| read(&String::from_utf8_lossy(bytes)))
}

/// The shipped experiments without comments.
pub fn seeds() -> Seeds {
    shipped()
        .into_iter()
        .map(|(name, text)| (name, without_comments(&text).into_bytes()))
        .collect()
}

/// The shipped experiments by name.
pub fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = [folder.join("experiments"), folder.join("../experiments")];
    let folder = folder.iter().find(|f| f.is_dir()).expect("experiments/");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_some_and(|e| e == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("an experiment file");
            all.push((name.into_owned(), text));
        }
    }
    all.sort();
    all
}

/// Lines without comments; no shipped string contains `#`.
pub fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|l| l.split('#').next().unwrap_or_default().trim_end());
    let lines: Vec<_> = lines.filter(|l| !l.is_empty()).collect();
    lines.join("\n") + "\n"
}

/// Reads a file's text.
pub fn read(text: &str) -> bool {
    match Plan::parse(text, NAME) {
        Ok(plan) => {
            sound(&plan);
            true
        }
        Err(e) => {
            let said = e.to_string();
            short(&said);
            assert!(said.contains(NAME), "{said}");
            false
        }
    }
}

/// An accepted plan names no folder outside, has the output of `mdn check`, and can be written and read
/// again.
pub fn sound(plan: &Plan) {
    let out = Path::new("out");
    for run in plan.runs.iter().take(100) {
        let place = run.place(out);
        let parts: Vec<_> = place.0.components().collect();
        assert_eq!(parts.len(), 5, "{place:?}");
        let plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
        assert!(parts.iter().all(plain), "{place:?}");
    }
    let text = plan.resolved().expect("what was read can be written");
    match Plan::parse(&text, &plan.experiment) {
        Ok(again) => {
            let again = again.resolved().expect("what was read can be written");
            assert_eq!(text, again, "the second time it is written");
        }
        Err(e) => panic!("{e}\n{text}"),
    }
    for line in plan.warnings(&|_| true) {
        short(&line);
    }
    for run in plan.runs.iter().take(3) {
        // A file of data has a number of columns only if it is there.
        let Ok(dim) = run.task.dim() else { continue };
        if Memory::of(&plan.config, &run.model, dim).total() < SMALL {
            let _ = run.trials();
            let _ = run.sized();
        }
    }
}
