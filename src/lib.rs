//! `mdn` trains normalizing flows on synthetic multimodal densities and compares them:
//! a flow with a mixture-of-Gaussians base, RAD (Dinh et al. 2019, which folds parts of the
//! data space onto one base) and the baselines that make the comparison honest.
//!
//! # Map
//!
//! Floors from ground to roof. A file imports from lower floors only, and folders on one
//! floor do not see each other (the test `imports_go_down_the_floors` holds this).
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 0 | [`error`], [`rng`], [`num`], [`rows`], [`device`] | what everything else needs |
//! | 1 | [`kernels`] | fused CPU operations, from whole flows down to vectors |
//! | 2 | [`nn`], [`kmeans`], [`statistics`] | named parameters, the conditioner network, the optimizer; clusters of points; T(x) by name |
//! | 3 | [`bijections`], [`distributions`] | maps with log-determinants; densities with samplers |
//! | 4 | [`models`], [`data`] | what is trained; what it is trained on, with exact truth |
//! | 5 | [`objectives`], [`metrics`] | what is minimised; what is measured |
//! | 6 | [`train`], [`study`] | the loop; what the estimators of a mixture base are worth |
//! | 7 | [`experiment`] | the experiment file, the runs it describes, the results folder |
//! | 8 | [`report`], [`mod@bench`] | tables and figures, computed from the results folder alone; speed |
//! | 9 | [`cli`] | one file per verb |
//!
//! # Conventions
//!
//! `z` is the base side, `x` the data side, and `forward` maps z to x. Densities are natural
//! logarithms (nats). Points are rows: `(n, dim)`; log-densities are `(n,)`.

pub mod bench;
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
pub mod experiment;
pub mod kernels;
pub mod kmeans;
pub mod metrics;
pub mod models;
pub mod nn;
pub mod num;
pub mod objectives;
pub mod report;
pub mod rng;
pub mod rows;
pub mod statistics;
pub mod study;
pub mod train;

pub mod bijections;
pub mod distributions;

pub use error::{Error, Result};

/// Version of the program, with the commit where it was built from a repository.
pub const VERSION: &str = env!("MDN_VERSION");

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Folders and files by floor; what is on one floor may not see each other, floor 0 apart.
    const FLOORS: [&[&str]; 10] = [
        &["error", "rng", "num", "rows", "device"],
        &["kernels"],
        &["nn", "kmeans", "statistics"],
        &["bijections", "distributions"],
        &["models", "data"],
        &["objectives", "metrics"],
        &["train", "study"],
        &["experiment"],
        &["report", "bench"],
        &["cli"],
    ];

    fn floor(module: &str) -> Option<usize> {
        FLOORS.iter().position(|f| f.contains(&module))
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }

    /// What stands behind `crate::`: one name, or the first of every member of a `{...}` group.
    fn first_names(rest: &str) -> Vec<String> {
        let name = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            return vec![name(rest)];
        };
        let (mut depth, mut names, mut start) = (1, Vec::new(), 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                names.push(name(&group[start..i]));
                start = i + 1;
            }
            if depth == 0 {
                break;
            }
        }
        names
    }

    #[test]
    fn grouped_imports_are_seen() {
        assert_eq!(first_names("report::x;"), ["report"]);
        let group = "{report::{a, b}, num,\n    cli::c};\nuse x::{y, z};";
        assert_eq!(first_names(group), ["report", "num", "cli"]);
    }

    #[test]
    fn imports_go_down_the_floors() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&root, &mut files);
        assert!(files.len() > 40, "{}", files.len());
        let (mut faults, mut imports) = (Vec::new(), 0);
        for file in files {
            let inside = file.strip_prefix(&root).unwrap();
            let first = inside.iter().next().unwrap().to_str().unwrap();
            let module = first.trim_end_matches(".rs");
            if ["lib", "main"].contains(&module) {
                continue;
            }
            let own = floor(module).unwrap_or_else(|| panic!("{module} is on no floor"));
            let text = fs::read_to_string(&file).unwrap();
            let code: Vec<_> = text
                .lines()
                .map(|l| l.split("//").next().unwrap_or_default())
                .collect();
            for rest in code.join("\n").split("crate::").skip(1) {
                for name in first_names(rest) {
                    let Some(other) = floor(&name) else {
                        continue;
                    };
                    imports += 1;
                    let ground = own == 0 && other == 0;
                    if name != module && other >= own && !ground {
                        faults.push(format!("{}: {name}", inside.display()));
                    }
                }
            }
        }
        assert!(imports > 100, "{imports}");
        assert!(faults.is_empty(), "upward imports:\n{}", faults.join("\n"));
    }
}
