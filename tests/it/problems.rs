//! Problems without data from outside: maximum entropy and reverse KL, tiny models, a few steps.

use crate::common::{files, Place};

const FILE: &str = r#"seeds = [0]
reference = "plain"

[train]
steps = 40
batch_size = 64
learning_rate = 1e-2

[evaluation]
points = 500
grid = 32

[problems.well.maximum_entropy]
problem = "double_well_tilted"
rounds = 4
samples = 2000

[problems.simplex.maximum_entropy]
problem = "dirichlet_1_2_3"
rounds = 2
samples = 2000

[problems.free.maximum_entropy]
statistics = ["x^2+y^2", "x*y"]
moments = [2.0, 0.3]
rounds = 2
samples = 2000

[problems.u1.reverse_kl]
target.energy = { potential = "u1" }
anneal = { from = 0.2 }

[problems.boxed.reverse_kl]
target.energy = { potential = "u3", domain = "box" }
support.box = { low = -4.0, high = 4.0 }

[models.plain.flow]
bijection.planar = { layers = 2 }

[models.relaxed.flow]
bijection.affine_coupling = { layers = 2, hidden = [8] }
base.mixture = { components = 2, init = "random", draws.gumbel_softmax = { temperature = 0.3 } }

[models.rad.rad]
layers = 2
hidden = [8]
"#;

/// The value of a metric in `metrics.csv`, where it has one.
fn metric(place: &Place, run: &str, name: &str) -> Option<f64> {
    let text = place.read(&format!("results/problems/{run}/metrics.csv"));
    let line = text
        .lines()
        .find(|l| l.starts_with(&format!("{name},")))
        .unwrap_or_else(|| panic!("{run}: no {name} in {text}"));
    line.split(',').nth(3).expect("a value").parse().ok()
}

#[test]
fn problems_are_compared_as_data_sets_are() {
    let place = Place::new();
    place.write("problems.toml", FILE);
    let said = place.mdn(&["compare", "problems.toml"]).fine();
    for name in ["well", "simplex", "free", "u1", "boxed"] {
        assert!(said.contains(&format!("{name}\n")), "{said}");
    }
    assert!(said.contains("reverse_kl ↓"), "{said}");
    for run in ["well/plain", "well/rad", "simplex/relaxed", "free/rad"] {
        let rounds = place.read(&format!("results/problems/{run}/seed-0/rounds.csv"));
        let constraints = match run.split('/').next() {
            Some("well") => 4 * 4,
            Some("simplex") => 2 * 3,
            _ => 2 * 2,
        };
        assert_eq!(rounds.lines().count(), 1 + constraints, "{rounds}");
        let picture = format!("results/problems/{run}/seed-0/rounds.png");
        assert!(place.path(&picture).is_file(), "{picture}");
    }
    let well = "well/relaxed/seed-0";
    for name in [
        "reverse_kl",
        "kl",
        "entropy",
        "entropy_error",
        "constraint_error",
        "multiplier_error",
        "relaxed_entropy_low",
        "relaxed_entropy_high",
        "relaxed_constraint_error",
        "mode_tv",
    ] {
        let value = metric(&place, well, name);
        assert!(value.is_some_and(f64::is_finite), "{name}: {value:?}");
    }
    assert_eq!(metric(&place, well, "nll"), None);
    let (low, high) = (
        metric(&place, well, "relaxed_entropy_low"),
        metric(&place, well, "relaxed_entropy_high"),
    );
    assert!(low < high, "{low:?} {high:?}");
    // The free problem's solution is not given, so nothing is compared with it.
    assert_eq!(metric(&place, "free/plain/seed-0", "reverse_kl"), None);
    assert!(metric(&place, "free/plain/seed-0", "constraint_error").is_some());
    assert_eq!(metric(&place, "u1/plain/seed-0", "constraint_error"), None);
    let modes = place.read("results/problems/well/plain/seed-0/modes.csv");
    assert!(modes.contains("\n1,0.727185966"), "{modes}");
    for (run, kernels) in [
        ("u1/plain", "plain\""),
        ("u1/relaxed", "fused ("),
        ("simplex/relaxed", "fused ("),
        ("u1/rad", "plain in training, fused ("),
    ] {
        let environment = place.read(&format!("results/problems/{run}/seed-0/environment.toml"));
        let expected = format!("kernels = \"{kernels}");
        assert!(environment.contains(&expected), "{run}: {environment}");
    }
}

#[test]
fn a_trained_problem_is_sampled_inside_its_support_and_repeats() {
    let place = Place::new();
    place.write("problems.toml", FILE);
    let run = "results/problems/simplex/plain/seed-0";
    let train = [
        "train",
        "problems.toml",
        "--data",
        "simplex",
        "--model",
        "plain",
    ];
    place.mdn(&train).fine();
    let contents = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let fixed = |p: &std::path::Path| {
            let name = p
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            !["environment.toml", "cost.csv"].contains(&name.as_str()) && !name.ends_with(".png")
        };
        let all = files(&place.path(run)).into_iter().filter(|p| fixed(p));
        all.map(|p| (p.clone(), std::fs::read(p).expect("a file")))
            .collect()
    };
    let first = contents();
    assert!(first.len() >= 7, "{first:?}");
    place.mdn(&[&train[..], &["--force"]].concat()).fine();
    for (before, after) in first.iter().zip(contents()) {
        assert!(*before == after, "{}", before.0.display());
    }
    let samples = place.mdn(&["sample", run, "-n", "200"]).fine();
    let mut count = 0;
    for line in samples.lines().skip(1) {
        let x: Vec<f64> = line.split(',').map(|v| v.parse().unwrap()).collect();
        assert!(x[0] > 0.0 && x[1] > 0.0 && x[0] + x[1] < 1.0, "{line}");
        count += 1;
    }
    assert!(count >= 199, "{samples}");
    place.write("points.csv", "x1,x2\n0.2,0.3\n0.9,0.3\n");
    let density = place.mdn(&["density", run, "points.csv"]).fine();
    assert!(density.trim_end().ends_with("-inf"), "{density}");
}

#[test]
fn what_cannot_be_is_refused_with_its_place_and_reason() {
    let place = Place::new();
    let problem = |text: &str| {
        format!(
            "[problems.p.maximum_entropy]\n{text}\n\n[models.m.flow]\nbijection.planar = {{}}\n"
        )
    };
    let base = |text: &str| {
        format!(
            "[problems.p.maximum_entropy]\nproblem = \"gaussian\"\n\n[models.m.flow]\n\
             base.mixture = {text}\n"
        )
    };
    let moments = |statistics: &str, moments: &str| {
        problem(&format!("statistics = {statistics}\nmoments = {moments}"))
    };
    let cases = [
        (
            moments(r#"["x", "x^2", "y^2"]"#, "[2.0, 1.0, 1.0]"),
            "bad.toml:3: problems.p.maximum_entropy: expected moments that some density has; got",
        ),
        (
            moments(r#"["x^2", "y^2", "x*y"]"#, "[1.0, 1.0, 1.5]"),
            "expected moments that some density has; got",
        ),
        (
            moments(r#"["x^2", "y^2", "cos(theta)"]"#, "[1.0, 1.0, 1.1]"),
            "expected moments that some density has; got",
        ),
        (
            moments(r#"["x^2", "y^2"]"#, "[1.0]"),
            "expected as many `moments` as statistics, 2; got 1",
        ),
        (
            moments(r#"["x^2", "w"]"#, "[1.0, 1.0]"),
            "got `w` at column 1 of `w`",
        ),
        (
            moments(r#"["log(x1)"]"#, "[-1.0]"),
            "where there are logarithms; got none",
        ),
        (
            problem("problem = \"four_well\""),
            "(did you mean `four_wells_coupled`?)",
        ),
        (
            problem("problem = \"gaussian\"\nmoments = [1.0]"),
            "expected `problem` alone",
        ),
        (problem("rounds = 3"), "got neither"),
        (
            problem("problem = \"gaussian\"\nrounds = 0"),
            "expected 1 <= `rounds` <= 1000; got 0",
        ),
        (
            base("{ components = 2 }"),
            "expected `init = \"random\"` in a file with problems",
        ),
        (
            base("{ components = 2, init = \"random\", draws.gumbel_softmax = { temperature = 0.0 } }"),
            "`temperature`",
        ),
        (
            base(
                "{ components = 2, init = \"random\", draws.gumbel_softmax.density.nested_including_own \
                 = { inner = 0 } }",
            ),
            "`inner`",
        ),
        (
            "[problems.p.reverse_kl.target]\ncheckerboard = {}\n\n[models.m.flow]\n".to_owned(),
            "KL(q||p) is infinite otherwise",
        ),
        (
            "[problems.p.reverse_kl]\ntarget.energy = { potential = \"u2\", domain = \"plane\" }\n\n\
             [models.m.flow]\n"
                .to_owned(),
            "plane",
        ),
        (
            "[problems.p.reverse_kl]\ntarget.ring = {}\nanneal = { from = 0.0 }\n\n[models.m.flow]\n"
                .to_owned(),
            "expected 0 < `from` <= 1; got 0",
        ),
        (
            format!(
                "[data.p]\nring = {{}}\n{}",
                problem("problem = \"gaussian\"")
            ),
            "a data set has it already",
        ),
    ];
    let mut faults = Vec::new();
    for (text, expected) in cases {
        place.write("bad.toml", &text);
        let said = place.mdn(&["check", "bad.toml"]);
        if said.code != 2 || !said.err.contains(expected) {
            faults.push(format!(
                "{text}expected {expected}\ngot {} {}",
                said.code, said.err
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn what_is_likely_not_meant_is_warned_about_before_training() {
    let place = Place::new();
    let cases = [
        (
            "statistics = [\"x\", \"y^2\"]\nmoments = [0.0, 1.0]",
            "\"stratified\"",
            "warning: problems.p: the problem has no solution unless the support is bounded: nothing \
             bounds `x`",
        ),
        (
            "problem = \"gaussian\"",
            "{ gumbel_softmax = { density = \"exact_mixture\" } }",
            "warning: models.m: by Gibbs' inequality",
        ),
        (
            "problem = \"gaussian\"",
            "{ gumbel_softmax = { density.nested_excluding_own = { inner = 8 } } }",
            "warning: models.m: by Jensen's inequality",
        ),
        (
            "problem = \"gaussian\"",
            "{ gumbel_softmax = { density = \"joint\" } }",
            "warning: models.m: `joint` is the entropy of points and weights together",
        ),
    ];
    for (problem, draws, expected) in cases {
        place.write(
            "odd.toml",
            &format!(
                "[problems.p.maximum_entropy]\n{problem}\n\n[models.m.flow]\n\
                 base.mixture = {{ components = 2, init = \"random\", draws = {draws} }}\n"
            ),
        );
        let said = place.mdn(&["check", "odd.toml"]);
        assert_eq!(said.code, 0, "{said:#?}");
        assert!(said.err.contains(expected), "{said:#?}");
    }
    place.write(
        "fine.toml",
        "[problems.p.maximum_entropy]\nstatistics = [\"x\", \"y^2\"]\nmoments = [0.0, 1.0]\n\
         support.box = { low = -5.0, high = 5.0 }\n\n[models.m.flow]\n",
    );
    let said = place.mdn(&["check", "fine.toml"]);
    assert!(said.code == 0 && !said.err.contains("warning"), "{said:#?}");
}
