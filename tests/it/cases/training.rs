//! Training that learned nothing says so.

use std::fmt::Write as _;

use super::case;
use crate::common::{assert_contains, objects, Place};

/// `rows` points of nineteen independent Student t columns with 3 degrees of freedom.
fn heavy_tails(rows: usize) -> String {
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut normal = || {
        let radius = (-2.0 * uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * uniform()).cos()
    };
    let mut student = || {
        let squares: f64 = (0..3).map(|_| normal().powi(2)).sum();
        normal() / (squares / 3.0).sqrt()
    };
    let mut text = String::new();
    for _ in 0..rows {
        let cells: Vec<String> = (0..19).map(|_| student().to_string()).collect();
        let _ = writeln!(text, "{}", cells.join(","));
    }
    text
}

const HEAVY: &str = r#"
name = "heavy"
seeds = [0, 1, 2]
reference = "tails"
[train]
steps = 400
validate_every = 50
[evaluation]
points = 600
[data.t.file]
path = "t.csv"
[models.plain.flow]
bijection.affine_coupling = { log_scale_bound = 3.0 }
[models.tails.flow]
base.student_t = {}
"#;

#[test]
fn a_flow_that_learns_nothing_from_heavy_tails_is_marked_and_a_student_t_base_learns() {
    let place = Place::with("heavy.toml", HEAVY);
    place.write("t.csv", heavy_tails(4000));
    let table = place.ok("compare heavy.toml --figures none --threads 1");
    assert_contains(&table, &["3 (3 learned nothing)"]);
    for seed in 0..3 {
        let run = format!("results/heavy/t/plain/seed-{seed}");
        let status = place.read(&format!("{run}/status"));
        assert!(status.starts_with("done\n"), "{status}");
        assert_contains(&status, &["validation", "(try `soft_tails`"]);
        let run = format!("results/heavy/t/tails/seed-{seed}");
        assert_eq!(place.read(&format!("{run}/status")), "done\n\n");
        // The truth has 33.70; Gaussians with the same variances have about 36.4.
        let nll = place.metric(&run, "nll").unwrap();
        assert!((33.7..35.6).contains(&nll), "seed {seed}: {nll}");
    }
    let listed = place.ok("ls results");
    assert_eq!(
        listed.matches("done, but learned nothing").count(),
        3,
        "{listed}"
    );
    for run in objects(&place.ok("ls results --json")) {
        let is_plain = run["model"] == "plain";
        assert_eq!(run["state"], "done");
        assert_eq!(run["learned_nothing"], is_plain, "{run}");
    }
    let summary = place.read("results/heavy/summary.md");
    let words = "3 of 3 runs of `plain` on `t` are done, but learned nothing";
    assert_contains(&summary, &[words, "3 of 3 (3 learned nothing)"]);
}

#[test]
fn a_run_worse_than_gaussians_on_the_test_points_is_marked() {
    let place = Place::with(
        "few.toml",
        "seeds = [0]\n[train]\nsteps = 5\nlearning_rate = 1e-9\nvalidate_every = 1\n\
         [evaluation]\npoints = 500\ngrid = 20\n[data.blob.mixture]\nweights = [1.0]\n\
         means = [[0.0, 0.0]]\nstd_devs = [1.0]\n[models.far.flow.base.mixture]\ncomponents = 2\n\
         init = 'random'\nspread = 5.0\nstd = 0.1\n",
    );
    place.ok("train few.toml");
    let status = place.read("results/few/blob/far/seed-0/status");
    assert_contains(&status, &["done\n"]);
    assert!(
        status.lines().nth(1).is_some_and(|l| !l.is_empty()),
        "{status}"
    );
}

#[test]
fn a_target_that_is_zero_inside_the_support_is_refused() {
    let place = case("target-zero-in-support");
    let why = "case.toml:12: problems.box.reverse_kl: expected a `support` in which the target is \
               positive and finite everywhere";
    place.refused("check case.toml", why);
    let file = place.read("case.toml");
    let (before, rest) = file.split_once("[problems.box").unwrap();
    let (_, tight) = rest.split_once("[problems.tight").unwrap();
    place.write("tight.toml", format!("{before}[problems.tight{tight}"));
    let said = place.mdn("compare tight.toml train.steps=200 --figures none");
    let words = "of the target is outside `support`, so reverse_kl cannot fall below 0.7";
    assert_contains(&said.err, &[words]);
    // -ln(0.6827^2), the mass of N(0, I) in the box.
    let reverse_kl = place
        .metric("results/support/tight/nvp/seed-0", "reverse_kl")
        .unwrap();
    assert!(reverse_kl > 0.7634 - 0.005, "{reverse_kl}");
}

#[test]
fn affine_layers_in_one_dimension_name_the_splines_that_work_there() {
    let place = Place::with(
        "one.toml",
        "seeds = [0]\n[train]\nsteps = 800\nlearning_rate = 5e-3\n[evaluation]\npoints = 5000\n\
         [data.three.mixture]\nweights = [0.3, 0.3, 0.4]\nmeans = [[-2.0], [0.0], [2.0]]\n\
         std_devs = [0.3, 0.2, 0.6]\n[models.affine.flow]\n[models.spline.flow]\n\
         bijection.spline_coupling = {}\n",
    );
    let said = place.mdn("compare one.toml --figures none");
    assert_contains(
        &said.err,
        &["models.affine: in one dimension", "(try spline_coupling"],
    );
    assert!(!said.err.contains("models.spline"), "{}", said.err);
    let kl = |model: &str| {
        place
            .metric(&format!("results/one/three/{model}/seed-0"), "kl")
            .unwrap()
    };
    assert!(kl("affine") > 0.4, "{}", kl("affine"));
    assert!(kl("spline") < 0.05, "{}", kl("spline"));
}
