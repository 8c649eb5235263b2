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

/// N(0, I) in four dimensions, without its constant; with the constant and with samples.
const UNKNOWN: &str = r#"seeds = [0]

[train]
steps = 40
batch_size = 64
learning_rate = 1e-2

[evaluation]
points = 500

[problems.bare.reverse_kl]
target.expression = { log_density = "-r^2/2", dim = 4 }

[problems.constant.reverse_kl]
target.expression = { log_density = "-r^2/2", dim = 4 }
log_z = 3.675754132818691

[problems.samples.reverse_kl]
target.expression = { log_density = "-r^2/2", dim = 4 }
reference = "p.csv"

[problems.both.reverse_kl]
target.expression = { log_density = "-r^2/2", dim = 4 }
log_z = 3.675754132818691
reference = "p.csv"

[models.plain.flow]
bijection.elementwise = {}
"#;

#[test]
fn a_target_without_a_law_is_measured_as_far_as_its_constant_and_samples_allow() {
    let place = Place::with("unknown.toml", UNKNOWN);
    let line = |i: usize| {
        let value = |d: usize| {
            // A sum of twelve uniform numbers is nearly normal.
            let u =
                |k: usize| ((i * 7919 + d * 104_729 + k * 1_299_709) % 10_007) as f64 / 10_007.0;
            (0..12).map(u).sum::<f64>() - 6.0
        };
        format!(
            "{:.4},{:.4},{:.4},{:.4}\n",
            value(0),
            value(1),
            value(2),
            value(3)
        )
    };
    let samples: String = (0..400).map(line).collect();
    place.write("p.csv", format!("a,b,c,d\n{samples}"));
    place.ok("compare unknown.toml --figures none");
    let run = |name: &str| format!("results/unknown/{name}/plain/seed-0");
    // The start is the solution.
    for (name, known, unknown) in [
        (
            "bare",
            "ess",
            "kl reverse_kl nll forward_ess tv sliced_w2 mode_tv",
        ),
        (
            "constant",
            "ess reverse_kl",
            "kl nll forward_ess tv sliced_w2",
        ),
        (
            "samples",
            "ess nll sliced_w2 mmd2 knn_recall",
            "kl reverse_kl forward_ess tv mode_tv",
        ),
        (
            "both",
            "ess nll kl reverse_kl forward_ess tv js missed_mass",
            "mode_tv entropy_error",
        ),
    ] {
        for metric in known.split(' ') {
            assert!(
                place.metric(&run(name), metric).is_some(),
                "{name} {metric}"
            );
        }
        for metric in unknown.split(' ') {
            assert_eq!(place.metric(&run(name), metric), None, "{name} {metric}");
        }
    }
    let note = |name: &str| place.metric_row(&run(name), "kl")["note"].clone();
    assert_eq!(note("bare"), "the target's constant is unknown: no `log_z`");
    assert_eq!(note("constant"), "no samples of the target: no `reference`");
    let of_both = |metric: &str| place.metric(&run("both"), metric).unwrap();
    assert!(of_both("ess") > 0.9 && of_both("reverse_kl").abs() < 0.1);
    assert_eq!(place.metric_row(&run("both"), "kl")["n"], "400");
    place.ok(&format!("sample {} -n 10 -o samples.csv", run("bare")));
    place.ok(&format!("density {} samples.csv", run("bare")));
    // The samples belong to the run: others are other settings, the same elsewhere are not.
    let config = place.read(&format!("{}/config.toml", run("both")));
    assert_contains(
        &config,
        &[
            "reference = \"../../../../../p.csv\"",
            "reference_sha256 = \"",
        ],
    );
    place.write("other/p.csv", format!("a,b,c,d\n{samples}"));
    let moved = UNKNOWN.replace("p.csv", "other/p.csv");
    place.write("unknown.toml", &moved);
    place
        .mdn("train unknown.toml")
        .fine_with_note("4 of 4 runs ended before");
    place.write("other/p.csv", format!("a,b,c,d\n1,2,3,4\n{samples}"));
    place.refused("train unknown.toml", "reference_sha256 was");
    place.write("other/p.csv", "a,b\n1,2\n3,4\n");
    place.refused(
        "check unknown.toml",
        "expected samples with 4 coordinates, a row each; got 2 columns",
    );
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
        p.reverse_kl]; target.ring = {}; log_z = 1.0 => problems.p.reverse_kl: expected no `log_z` with this target, whose law is known exactly; got one
        p.reverse_kl]; target.ring = {}; reference = "s.npy" => expected no `reference` with this target
        p.reverse_kl]; target.expression = { log_density = "-r^2", dim = 5 }; log_z = nan => expected a finite `log_z`; got NaN
        p.reverse_kl]; target.expression = { log_density = "-r^2", dim = 5 }; reference = "s.npy" => bad.toml:3: problems.p.reverse_kl: expected a file that can be read; got
        p.reverse_kl]; target.expression = { log_density = "-r^2", dim = 5, box = { low = [], high = [] } } => no `box` above three dimensions
        p.reverse_kl]; target.expression = { log_density = "log(x1)", dim = 5 }; support.box = { low = -1.0, high = 1.0 } => got one in which it is not at
        p.reverse_kl]; target.program = { command = [], dim = 5 } => problems.p.reverse_kl.target.program: expected a program and its arguments
        p.reverse_kl]; target.program = { command = ["a"], dim = 0 } => expected 1 <= `dim` <= 1000; got 0
        p.reverse_kl]; target.program = { command = ["a"], dim = 2, timeout = 0 } => expected 0.01 <= `timeout` <= 1000000.0
        p.reverse_kl]; target.file = { path = "p.csv" } => expected a target with a known density; got points from a file
        p.maximum_entropy]; problem = "gaussian"; [data.d.program]; command = ["a"]; dim = 2 => data.d: expected data with a sampler (a program can be the `target` of a `reverse_kl` problem)
        p.maximum_entropy]; problem = "gaussian"; [data.d.expression]; log_density = "-r^2"; dim = 4 => data.d.expression: expected 1 <= `dim` <= 3 of data, whose sampler is a cubature
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
