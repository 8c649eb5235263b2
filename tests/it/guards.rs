//! Data of extreme scales and shapes, from outside: what is trained, what is refused, and in which words.
//! Every model on every kind of data is in `src/experiment/prepared/tests/scales.rs`.

use crate::common::{assert_contains, Place};

const HEAD: &str = "seeds = [0]\n[train]\nsteps = 10\nbatch_size = 32\nvalidate_every = 5\n\
                    [evaluation]\npoints = 100\ngrid = 16\n\
                    [data.d.file]\npath = \"points.csv\"\nlabel = \"kind\"\n";
const FLOW: &str = "[models.flow.flow]\nbijection.affine_coupling = { layers = 2, hidden = [4] }\n";
const MIXTURE: &str = "[models.mixture.gaussian_mixture]\n";
const TRAIN: &str = "train guards.toml --threads 1";

/// 120 points in two rings, in these units.
fn points(unit: [f64; 2], offset: f64) -> String {
    let row = |i: u32| {
        let angle = f64::from(i) * 2.4;
        let radius = 1.0 + f64::from(i % 2) + 0.1 * (f64::from(i) * 1.7).sin();
        let x = radius * angle.cos() * unit[0] + offset;
        let y = radius * angle.sin() * unit[1] + offset;
        format!("{x:e},{y:e},a\n")
    };
    "x,y,kind\n".to_owned() + &(0..120).map(row).collect::<String>()
}

fn place(points: &str, models: &str) -> Place {
    let place = Place::with("points.csv", points);
    place.write("guards.toml", format!("{HEAD}{models}"));
    place
}

fn run(model: &str) -> String {
    format!("results/guards/d/{model}/seed-0")
}

/// The negative log-likelihood of a run; no metric of the run is NaN.
fn nll(place: &Place, model: &str) -> f64 {
    for row in place.csv(&format!("{}/metrics.csv", run(model))) {
        let value = &row["value"];
        let number = value.is_empty() || value.parse::<f64>().is_ok_and(|v| !v.is_nan());
        assert!(number, "{row:?}");
    }
    place.metric(&run(model), "nll").expect("the NLL")
}

/// Units that are 24 orders of magnitude apart give the density of scale 1, and `mdn density` repeats
/// itself.
#[test]
fn extreme_units_change_nothing_but_the_unit() {
    let models = format!("{FLOW}{MIXTURE}");
    let [plain, far] = [[1.0, 1.0], [1e-12, 1e12]].map(|unit| place(&points(unit, 0.0), &models));
    for place in [&plain, &far] {
        let said = place.mdn(TRAIN);
        assert!(!said.err.contains("warning"), "{said:#?}");
        said.fine();
    }
    far.write("at.csv", "x,y\n1e-12,1e12\n-3e-12,2.5e12\n0,0\n1,1\n");
    for model in ["flow", "mixture"] {
        let (plain, there) = (nll(&plain, model), nll(&far, model));
        assert!((plain - there).abs() < 0.01, "{model}: {plain}, {there}");
        let density = || far.mdn(&format!("density {} at.csv -o out.csv", run(model)));
        density().fine();
        let said = far.read("out.csv");
        density().fine();
        assert_eq!(said, far.read("out.csv"));
        let rows = far.csv("out.csv");
        let values = rows.iter().map(|r| r["log_density"].parse::<f64>());
        let values: Vec<f64> = values.map(|v| v.expect("a number")).collect();
        let finite = values[..3].iter().all(|v| v.is_finite());
        assert!(finite && !values[3].is_nan(), "{said}");
        assert!(far.exists(&format!("{}/density.png", run(model))));
    }
}

#[test]
fn what_no_model_can_hold_is_refused_in_words() {
    let usual = points([1.0, 1.0], 0.0);
    let rows = |n: usize| usual.split_inclusive('\n').take(1 + n).collect::<String>();
    let many = "the number of points that training starts from";
    let constant = "columns that vary (a density on a constant";
    let few = "at least 2 points in each split; got 1 to train on";
    let mixture = format!("{FLOW}base.mixture = {{ components = 15 }}\n");
    for (points, models, words) in [
        (points([1.0, 0.0], 0.0), FLOW, constant),
        (rows(1), FLOW, few),
        (rows(20), &format!("{MIXTURE}components = 15\n"), many),
        (rows(20), "[models.c.clusters]\nclusters = 15\n", many),
        (rows(20), &mixture, many),
        (points([1e20, 1.0], 0.0), FLOW, "is beyond 1e18"),
    ] {
        place(&points, models).refused(TRAIN, words);
    }
}

#[test]
fn what_this_precision_or_unit_cannot_hold_ends_with_a_reason() {
    // Far from 0 compared to the spread: f32 cannot hold it, f64 can.
    let far = place(&points([1.0, 1.0], 1e8), FLOW);
    let words = "that rounding moves by";
    let said = far.mdn(TRAIN);
    said.failed(1, words);
    said.failed(1, "try train.precision=f64");
    let status = far.read(&format!("{}/status", run("flow")));
    assert!(status.starts_with("failed"), "{status}");
    assert_contains(&status, &[words]);
    // The record of a failed run has the version, too.
    let environment = far.read(&format!("{}/environment.toml", run("flow")));
    assert!(environment.contains("version = ") && !environment.contains("kernels"));
    far.ok(&format!("{TRAIN} train.precision=f64"));
    let near = place(&points([1.0, 1.0], 0.0), FLOW);
    near.ok(TRAIN);
    let (far, near) = (nll(&far, "flow"), nll(&near, "flow"));
    assert!((far - near).abs() < 0.01, "{far}, {near}");

    let bare = format!("{FLOW}standardise = false\n");
    let said = place(&points([1e12, 1e12], 0.0), &bare).mdn(TRAIN);
    said.failed(4, "standard deviation 1.");
    assert_contains(&said.err, &["(try `standardise = true`)"]);
    assert!(!said.err.contains("learning_rate"), "{said:#?}");

    let said = place(&points([1.0, 1.0], 0.0), FLOW).mdn(&format!("{TRAIN} train.points=1"));
    said.failed(1, "got a single one (see train.points)");
}

#[test]
fn an_outlier_is_pointed_at() {
    let usual = points([1.0, 1.0], 0.0);
    let place = place(&format!("{usual}1e12,0.5,a\n"), MIXTURE);
    let said = place.mdn(TRAIN);
    let words = "half of the points have `x` between";
    assert_eq!(said.err.matches(words).count(), 1, "{said:#?}");
    said.fine_with_note("and one has 1e12; models divide by");
    assert!(nll(&place, "mixture").is_finite());
}
