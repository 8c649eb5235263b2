//! `mdn study` from outside.

use crate::common::{files, Place};

const SHIPPED: &str = include_str!("../../experiments/studies/estimators.toml");

/// A study of three strategies at one temperature, as changes of the shipped one.
const SMALL: &str = "entropy.temperatures=[0.5] temperatures=[0.5] entropy.inner=[1,4] \
    entropy.samples=2000 entropy.terms=10_000 gradients.batch=8 gradients.batches=100 \
    gradients.strategies=[\"stratified\",\"score\",{gumbel_softmax={temperature=0.5}}]";

const FILES: &str = "config.toml entropy.csv figures/entropy-bounds.png figures/entropy-bounds.svg \
                     figures/gradients.png figures/gradients.svg gradients.csv relaxed.csv summary.md";

#[test]
fn a_study_leaves_tables_figures_and_a_summary() {
    let place = Place::new();
    place.write("tiny.toml", SHIPPED);
    let study = |more: &str| place.mdn(&format!("study tiny.toml {SMALL}{more}"));
    let said = study("");
    let step = "gradients by gumbel_softmax at temperature 0.5";
    assert!(said.err.contains(step), "{said:?}");
    let page = said.fine();
    assert!(page.starts_with("# tiny\n\n`mdn study tiny.toml"), "{page}");
    let folder = place.path("results/tiny");
    let names = files(&folder).into_iter().map(|file| {
        let name = file.strip_prefix(&folder).expect("below");
        name.display().to_string()
    });
    assert_eq!(names.collect::<Vec<_>>().join(" "), FILES);
    let read = |name: &str| place.read(&format!("results/tiny/{name}"));
    assert_eq!(read("summary.md"), page);
    assert_eq!(read("gradients.csv").lines().count(), 1 + 3 * 3);
    // Two sizes with four densities, and two densities without a size.
    assert_eq!(read("entropy.csv").lines().count(), 1 + 2 * 4 + 2);

    // The same study again leaves the same bytes.
    let json = study(" --out again --json").fine();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["gradients"].as_array().map(Vec::len), Some(9));
    for name in ["relaxed.csv", "entropy.csv", "gradients.csv", "config.toml"] {
        assert_eq!(read(name), place.read(&format!("again/tiny/{name}")));
    }

    // Figures and summary come from the tables alone.
    std::fs::remove_file(place.path("results/tiny/figures/gradients.png")).expect("it is there");
    let page_again = study(" --no-run").fine();
    assert_eq!(page_again, page.replace("` ·", " --no-run` ·"));
    assert!(place.path("results/tiny/figures/gradients.png").exists());
    let others = "config.toml: expected the settings that are asked for now; got others";
    study(" seed=6 --no-run").refused(others);
    let damaged = read("entropy.csv").replacen("0.5,", "half,", 1);
    place.write("results/tiny/entropy.csv", &damaged);
    study(" --no-run").refused("entropy.csv:2: `temperature`: expected a number; got `half`");
}

/// Arguments, and what the message says.
const REFUSED: &str = "
study bad.toml -> bad.toml:11: mixture: expected `weights` that sum to 1; got 1.1
study none.toml -> none.toml: could not read
study Bad_Name.toml -> the file's name gives the results folder
study tiny.toml entropy.inner=[1,0] -> expected a number between 1 and 100000; got 0
study tiny.toml entropy.sample=3 -> override `entropy.sample=3`: entropy: unknown key `sample` (did you mean `samples`?)
study ring.toml -> (for an experiment try `mdn compare`)
train tiny.toml -> (for a study of estimators try `mdn study`)
study tiny.toml --no-run -> (run it without --no-run, or give another --out)
";

#[test]
fn files_that_are_no_study_are_refused() {
    let place = Place::new();
    place.write("tiny.toml", SHIPPED);
    place.write("Bad_Name.toml", SHIPPED);
    place.write(
        "bad.toml",
        SHIPPED.replace("0.2, 0.3, 0.5", "0.2, 0.3, 0.6"),
    );
    for line in REFUSED.trim().lines() {
        let (arguments, message) = line.split_once(" -> ").expect("both");
        place.mdn(arguments).refused(message);
    }
    assert!(!place.path("results").exists());
}
