//! Data of extreme scales and shapes, from outside: what is trained, what is refused, and in which words.
//! Every model on every kind of data is in `src/experiment/prepared/tests/scales.rs`.

use crate::common::Place;

const HEAD: &str = "seeds = [0]\n[train]\nsteps = 10\nbatch_size = 32\nvalidate_every = 5\n\
                    [evaluation]\npoints = 100\ngrid = 16\n";
const DATA: &str = "[data.d.file]\npath = \"points.csv\"\nlabel = \"kind\"\n";
const FLOW: &str = "[models.flow.flow]\nbijection.affine_coupling = { layers = 2, hidden = [4] }\n";
const MIXTURE: &str = "[models.mixture.gaussian_mixture]\n";
const RUN: &str = "results/guards/d";

/// 120 points in two rings of a labelled kind, in these units.
fn points(kind: &str, unit: [f64; 2], offset: f64) -> String {
    let row = |i: u32| {
        let turn = f64::from(i) * 2.4;
        let radius = 1.0 + f64::from(i % 2) + 0.1 * (f64::from(i) * 1.7).sin();
        let x = [radius * turn.cos(), radius * turn.sin()];
        let x = [x[0] * unit[0] + offset, x[1] * unit[1] + offset];
        format!("{:e},{:e},{kind}\n", x[0], x[1])
    };
    "x,y,kind\n".to_owned() + &(0..120).map(row).collect::<String>()
}

fn place(points: &str, models: &str) -> Place {
    let place = Place::new();
    place.write("points.csv", points);
    place.write("guards.toml", &format!("{HEAD}{DATA}{models}"));
    place
}

fn nll(place: &Place, model: &str) -> f64 {
    let metrics = place.read(&format!("{RUN}/{model}/seed-0/metrics.csv"));
    for row in metrics.lines().skip(1) {
        let value = row.split(',').nth(3).expect("a value");
        let number = value.is_empty() || value.parse::<f64>().is_ok_and(|v| !v.is_nan());
        assert!(number, "{row}");
    }
    let row = metrics.lines().find(|l| l.starts_with("nll,"));
    let value = row.and_then(|l| l.split(',').nth(3)).expect("the NLL");
    value.parse().expect("a number")
}

/// One class, two units that are 24 orders of magnitude apart: the density is that of scale 1, and
/// `mdn density` says it again and again.
#[test]
fn extreme_units_change_nothing_but_the_unit() {
    let models = format!("{FLOW}{MIXTURE}");
    let plain = place(&points("a", [1.0, 1.0], 0.0), &models);
    let far = place(&points("a", [1e-12, 1e12], 0.0), &models);
    for place in [&plain, &far] {
        let said = place.mdn(&["train", "guards.toml", "--threads", "1"]);
        assert_eq!(
            (said.code, said.err.contains("warning")),
            (0, false),
            "{said:#?}"
        );
    }
    for model in ["flow", "mixture"] {
        let (plain, there) = (nll(&plain, model), nll(&far, model));
        assert!((plain - there).abs() < 0.01, "{model}: {plain}, {there}");
        let run = format!("{RUN}/{model}/seed-0");
        far.write("at.csv", "x,y\n1e-12,1e12\n-3e-12,2.5e12\n0,0\n1,1\n");
        let said = far.mdn(&["density", &run, "at.csv"]).fine();
        assert_eq!(said, far.mdn(&["density", &run, "at.csv"]).fine());
        let values = said
            .lines()
            .skip(1)
            .map(|l| l.rsplit(',').next().unwrap_or_default());
        let values: Vec<f64> = values.map(|v| v.parse().expect("a number")).collect();
        assert!(
            values[..3].iter().all(|v| v.is_finite()) && !values[3].is_nan(),
            "{said}"
        );
        assert!(far.path(&format!("{run}/density.png")).is_file());
    }
}

#[test]
fn what_no_model_can_hold_is_refused_in_words() {
    let usual = points("a", [1.0, 1.0], 0.0);
    let rows = |n: usize| {
        usual
            .lines()
            .take(1 + n)
            .map(|l| format!("{l}\n"))
            .collect::<String>()
    };
    let all = "the number of points that training starts from";
    for (points, models, words) in [
        (
            points("a", [1.0, 0.0], 0.0),
            FLOW.to_owned(),
            "columns that vary (a density on a constant",
        ),
        (
            rows(1),
            FLOW.to_owned(),
            "at least 2 points in each split; got 1 to train on",
        ),
        (rows(20), format!("{MIXTURE}components = 15\n"), all),
        (
            rows(20),
            "[models.c.clusters]\nclusters = 15\n".to_owned(),
            all,
        ),
        (
            rows(20),
            format!("{FLOW}base.mixture = {{ components = 15 }}\n"),
            all,
        ),
        (
            points("a", [1e20, 1.0], 0.0),
            FLOW.to_owned(),
            "is beyond 1e18",
        ),
    ] {
        let place = place(&points, &models);
        place.mdn(&["train", "guards.toml"]).refused(words);
    }
}

#[test]
fn what_this_precision_or_unit_cannot_hold_ends_with_a_reason() {
    // Far from 0 beside its spread: 24 bits do not hold it, 53 do.
    let place_of = |unit, offset, models: &str| place(&points("a", unit, offset), models);
    let far = place_of([1.0, 1.0], 1e8, FLOW);
    let words = "that rounding moves by";
    far.mdn(&["train", "guards.toml"]).failed(1, words);
    let status = far.read(&format!("{RUN}/flow/seed-0/status"));
    assert!(
        status.starts_with("failed") && status.contains(words),
        "{status}"
    );
    // Whose version it was is told of a run that failed, too.
    let environment = far.read(&format!("{RUN}/flow/seed-0/environment.toml"));
    assert!(environment.contains("version = ") && !environment.contains("kernels"));
    far.mdn(&["train", "guards.toml", "train.precision=f64"])
        .fine();
    let near = place_of([1.0, 1.0], 0.0, FLOW);
    near.mdn(&["train", "guards.toml"]).fine();
    let (far, near) = (nll(&far, "flow"), nll(&near, "flow"));
    assert!((far - near).abs() < 0.01, "{far}, {near}");

    let bare = place_of([1e12, 1e12], 0.0, &format!("{FLOW}standardise = false\n"));
    let said = bare.mdn(&["train", "guards.toml"]);
    said.failed(4, "standard deviation 1.");
    assert!(said.err.contains("(try `standardise = true`)"), "{said:#?}");
    assert!(!said.err.contains("learning_rate"), "{said:#?}");

    let one = place_of([1.0, 1.0], 0.0, FLOW);
    let said = one.mdn(&["train", "guards.toml", "train.points=1"]);
    said.failed(1, "got a single one (see train.points)");
}

#[test]
fn an_outlier_is_pointed_at() {
    let usual = points("a", [1.0, 1.0], 0.0);
    let place = place(&format!("{usual}1e12,0.5,a\n"), MIXTURE);
    let said = place.mdn(&["train", "guards.toml"]);
    let words = "half of the points have `x` between";
    assert_eq!(
        (said.code, said.err.matches(words).count()),
        (0, 1),
        "{said:#?}"
    );
    assert!(
        said.err.contains("and one has 1e12; models standardise"),
        "{said:#?}"
    );
    assert!(nll(&place, "mixture").is_finite());
}
