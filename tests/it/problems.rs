//! Problems without data: maximum entropy and reverse KL, tiny models, a few steps.

use crate::common::{assert_contains, cases, Place};

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

fn run(name: &str) -> String {
    format!("results/problems/{name}/seed-0")
}

#[test]
fn problems_are_compared_as_data_sets_are() {
    let place = Place::with("problems.toml", FILE);
    let said = place.ok("compare problems.toml --figures none");
    assert_contains(&said, &["well\n", "simplex\n", "free\n", "u1\n", "boxed\n"]);
    assert_contains(&said, &["reverse_kl ↓"]);
    // Rounds times constraints.
    for (name, rows) in [
        ("well/plain", 4 * 4),
        ("well/rad", 4 * 4),
        ("simplex/relaxed", 2 * 3),
        ("free/rad", 2 * 2),
    ] {
        let run = run(name);
        assert_eq!(place.csv(&format!("{run}/rounds.csv")).len(), rows, "{run}");
        assert!(place.exists(&format!("{run}/rounds.png")), "{run}");
    }
    let well = |metric: &str| place.metric(&run("well/relaxed"), metric);
    let finite = "reverse_kl kl entropy entropy_error constraint_error multiplier_error \
                  relaxed_entropy_low relaxed_entropy_high relaxed_constraint_error mode_tv";
    for name in finite.split(' ') {
        let value = well(name);
        assert!(value.is_some_and(f64::is_finite), "{name}: {value:?}");
    }
    assert_eq!(well("nll"), None);
    let (low, high) = (well("relaxed_entropy_low"), well("relaxed_entropy_high"));
    assert!(low < high, "{low:?} {high:?}");
    // The free problem's solution is not given, so nothing is compared with it.
    assert_eq!(place.metric(&run("free/plain"), "reverse_kl"), None);
    assert!(place
        .metric(&run("free/plain"), "constraint_error")
        .is_some());
    assert_eq!(place.metric(&run("u1/plain"), "constraint_error"), None);
    let modes = place.read(&format!("{}/modes.csv", run("well/plain")));
    assert_contains(&modes, &["\n1,0.727185966"]);
    for (name, kernels) in [
        ("u1/plain", "plain\""),
        ("u1/relaxed", "fused ("),
        ("simplex/relaxed", "fused ("),
        ("u1/rad", "plain in training, fused ("),
    ] {
        let environment = place.read(&format!("{}/environment.toml", run(name)));
        assert_contains(&environment, &[&format!("kernels = \"{kernels}")]);
    }
}

#[test]
fn a_trained_problem_is_sampled_inside_its_support_and_repeats() {
    let place = Place::with("problems.toml", FILE);
    let run = run("simplex/plain");
    let train = "train problems.toml --data simplex --model plain";
    place.ok(train);
    let first = place.snapshot(&run);
    place.ok(&format!("{train} --force"));
    place.assert_same(&first);
    place.ok(&format!("sample {run} -n 200 -o samples.csv"));
    let samples = place.csv("samples.csv");
    assert!(samples.len() >= 199, "{samples:?}");
    for sample in samples {
        let [x1, x2] = ["x1", "x2"].map(|name| sample[name].parse::<f64>().unwrap());
        assert!(x1 > 0.0 && x2 > 0.0 && x1 + x2 < 1.0, "{sample:?}");
    }
    place.write("points.csv", "x1,x2\n0.2,0.3\n0.9,0.3\n");
    let density = place.ok(&format!("density {run} points.csv"));
    assert!(density.trim_end().ends_with("-inf"), "{density}");
}

#[test]
fn what_cannot_be_is_refused_with_its_place_and_reason() {
    let place = Place::new();
    // The end of a file's first line, where `;` begins another line, and the message.
    let table = r#"
        p.maximum_entropy]; statistics = ["x", "x^2", "y^2"]; moments = [2.0, 1.0, 1.0] => bad.toml:3: problems.p.maximum_entropy: expected moments that some density has; got
        p.maximum_entropy]; statistics = ["x^2", "y^2", "x*y"]; moments = [1.0, 1.0, 1.5] => expected moments that some density has; got
        p.maximum_entropy]; statistics = ["x^2", "y^2", "cos(theta)"]; moments = [1.0, 1.0, 1.1] => expected moments that some density has; got
        p.maximum_entropy]; statistics = ["x^2", "y^2"]; moments = [1.0] => expected as many `moments` as statistics, 2; got 1
        p.maximum_entropy]; statistics = ["x^2", "w"]; moments = [1.0, 1.0] => got `w` at column 1 of `w`
        p.maximum_entropy]; statistics = ["log(x1)"]; moments = [-1.0] => where there are logarithms; got none
        p.maximum_entropy]; problem = "four_well" => (did you mean `four_wells_coupled`?)
        p.maximum_entropy]; problem = "gaussian"; moments = [1.0] => expected `problem` alone
        p.maximum_entropy]; rounds = 3 => got neither
        p.maximum_entropy]; problem = "gaussian"; rounds = 0 => expected 1 <= `rounds` <= 1000; got 0
        p.maximum_entropy]; problem = "gaussian"; [data.p]; ring = {} => a data set has it already
        p.reverse_kl.target]; checkerboard = {} => KL(q||p) is infinite otherwise
        p.reverse_kl]; target.energy = { potential = "u2", domain = "plane" } => plane
        p.reverse_kl]; target.ring = {}; anneal = { from = 0.0 } => expected 0 < `from` <= 1; got 0
    "#;
    for (file, expected) in cases(table) {
        let file = file.replace("; ", "\n");
        place.write("bad.toml", format!("[problems.{file}\n[models.m.flow]\n"));
        place.refused("check bad.toml", expected);
    }
    let bases = r#"
        components = 2 => expected `init = "random"` in a file with problems
        components = 2, init = "random", draws.gumbel_softmax = { temperature = 0.0 } => `temperature`
        components = 2, init = "random", draws.gumbel_softmax.density.nested_including_own = { inner = 0 } => `inner`
    "#;
    for (base, expected) in cases(bases) {
        place.write("bad.toml", gaussian_with_mixture(base));
        place.refused("check bad.toml", expected);
    }
}

fn gaussian_with_mixture(base: &str) -> String {
    let problem = "[problems.p.maximum_entropy]\nproblem = \"gaussian\"\n";
    format!("{problem}[models.m.flow]\nbase.mixture = {{ {base} }}\n")
}

#[test]
fn likely_mistakes_are_warned_about_before_training() {
    let place = Place::new();
    let draws = r#"
        { density = "exact_mixture" } => warning: models.m: by Gibbs' inequality
        { density.nested_excluding_own = { inner = 8 } } => warning: models.m: by Jensen's inequality
        { density = "joint" } => warning: models.m: `joint` is the entropy of points and weights together
    "#;
    for (relaxed, expected) in cases(draws) {
        let base = "components = 2, init = \"random\", draws.gumbel_softmax =";
        let file = gaussian_with_mixture(&format!("{base} {relaxed}"));
        place.write("odd.toml", file);
        place.mdn("check odd.toml").fine_with_note(expected);
    }
    let problem =
        "[problems.p.maximum_entropy]\nstatistics = [\"x\", \"y^2\"]\nmoments = [0.0, 1.0]\n";
    let model = "[models.m.flow]\n";
    place.write("odd.toml", format!("{problem}{model}"));
    let warning =
        "warning: problems.p: the problem has no solution unless the support is bounded: \
                   nothing bounds `x`";
    place.mdn("check odd.toml").fine_with_note(warning);
    let bounded = "support.box = { low = -5.0, high = 5.0 }\n";
    place.write("fine.toml", format!("{problem}{bounded}{model}"));
    let said = place.mdn("check fine.toml");
    assert!(said.code == 0 && !said.err.contains("warning"), "{said:#?}");
}
