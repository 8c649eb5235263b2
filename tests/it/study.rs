//! `mdn study` from outside.

use crate::common::{files, Place};

const TINY: &str = r#"# A small study.
seed = 5
temperatures = [0.5]

[mixture]
weights = [0.4, 0.6]
means = [-2.0, 2.0]
std_devs = [0.5, 1.0]

[entropy]
inner = [1, 4]
samples = 2000
terms = 10_000

[gradients]
batch = 8
batches = 100
strategies = ["stratified", "score", { gumbel_softmax = { temperature = 0.5 } }]
"#;

const FILES: [&str; 9] = [
    "config.toml",
    "entropy.csv",
    "figures/entropy-bounds.png",
    "figures/entropy-bounds.svg",
    "figures/gradients.png",
    "figures/gradients.svg",
    "gradients.csv",
    "relaxed.csv",
    "summary.md",
];

#[test]
fn a_study_leaves_tables_figures_and_a_summary() {
    let place = Place::new();
    place.write("tiny.toml", TINY);
    let said = place.mdn(&["study", "tiny.toml"]);
    let step = "gradients by gumbel_softmax at temperature 0.5";
    assert!(said.err.contains(step), "{said:?}");
    let page = said.fine();
    let opening = "# tiny\n\n`mdn study tiny.toml`";
    assert!(page.starts_with(opening), "{page}");
    let folder = place.path("results/tiny");
    let names = files(&folder).into_iter().map(|file| {
        let name = file.strip_prefix(&folder).expect("below");
        name.display().to_string()
    });
    assert_eq!(names.collect::<Vec<_>>(), FILES);
    let read = |name: &str| place.read(&format!("results/tiny/{name}"));
    assert_eq!(read("summary.md"), page);
    assert_eq!(read("gradients.csv").lines().count(), 1 + 3 * 3);
    // Two sizes with four densities, and two densities without a size.
    assert_eq!(read("entropy.csv").lines().count(), 1 + 2 * 4 + 2);
    for figure in ["entropy-bounds", "gradients"] {
        let bytes = place.bytes(&format!("results/tiny/figures/{figure}.png"));
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000);
    }

    // The same study again leaves the same bytes.
    let again = place.mdn(&["-q", "study", "tiny.toml", "--out", "again", "--json"]);
    assert_eq!(again.err, "");
    let json: serde_json::Value = serde_json::from_str(&again.fine()).expect("JSON");
    assert_eq!(json["gradients"].as_array().map(Vec::len), Some(9));
    for name in ["relaxed.csv", "entropy.csv", "gradients.csv", "config.toml"] {
        let same = read(name) == place.read(&format!("again/tiny/{name}"));
        assert!(same, "{name}");
    }

    // Figures and summary come from the tables alone.
    std::fs::remove_file(place.path("results/tiny/figures/gradients.png")).expect("it is there");
    let page_again = place.mdn(&["-q", "study", "tiny.toml", "--no-run"]).fine();
    let command = page.replace("study tiny.toml", "-q study tiny.toml --no-run");
    assert_eq!(page_again, command);
    assert!(place.path("results/tiny/figures/gradients.png").exists());
    place
        .mdn(&["study", "tiny.toml", "seed=6", "--no-run"])
        .refused("config.toml: expected the settings that are asked for now; got others");
    let damaged = read("entropy.csv").replacen("0.5,", "half,", 1);
    place.write("results/tiny/entropy.csv", &damaged);
    place
        .mdn(&["study", "tiny.toml", "--no-run"])
        .refused("entropy.csv:2: `temperature`: expected a number; got `half`");
}

/// Arguments, and what the message says.
const REFUSED: &str = "
study sum.toml -> sum.toml:6: mixture: expected `weights` that sum to 1; got 1.2
study cold.toml -> cold.toml:18: gradients.strategies[2].gumbel_softmax: expected 1e-4 <= `temperature` <= 1000; got 0
study bad.toml -> bad.toml:11: entropy: expected 1 <= `inner[1]` <= 100000; got 0
study none.toml -> none.toml: could not read
study Bad_Name.toml -> the file's name gives the results folder
study tiny.toml entropy.sample=3 -> override `entropy.sample=3`: entropy: unknown key `sample` (did you mean `samples`?)
study ring.toml -> (for an experiment try `mdn compare`)
train tiny.toml -> (for a study of estimators try `mdn study`)
study tiny.toml --no-run -> (run it without --no-run)
";

#[test]
fn files_that_are_no_study_are_refused() {
    let place = Place::new();
    place.write("tiny.toml", TINY);
    place.write("bad.toml", TINY.replace("[1, 4]", "[1, 0]"));
    place.write("sum.toml", TINY.replace("[0.4, 0.6]", "[0.6, 0.6]"));
    place.write(
        "cold.toml",
        TINY.replace("temperature = 0.5", "temperature = 0"),
    );
    place.write("Bad_Name.toml", TINY);
    for line in REFUSED.trim().lines() {
        let (arguments, message) = line.split_once(" -> ").expect("both");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        place.mdn(&arguments).refused(message);
    }
    assert!(!place.path("results").exists());
}
