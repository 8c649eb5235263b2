//! Targets that are programs. Those in Python are skipped where there is no NumPy.

#![cfg(unix)]

use crate::common::{assert_contains, files, has_numpy, markdown::root, Place};

/// An experiment with this line of a shell as its target.
fn shell(line: &str) -> Place {
    let text = format!(
        "seeds = [0]\n[train]\nsteps = 20\nbatch_size = 64\nvalidation_points = 100\n\
         [evaluation]\npoints = 200\n[problems.p.reverse_kl]\n\
         target.program = {{ command = [\"sh\", \"-c\", \"{line}\"], dim = 2, timeout = 0.5 }}\n\
         [models.m.flow]\nbijection.elementwise = {{}}\n"
    );
    Place::with("e/p.toml", &text)
}

#[test]
fn only_training_with_permission_starts_a_program() {
    let place = shell("touch started; exit 7");
    let check = place.ok("check e/p.toml");
    assert_contains(&check, &["p                reverse_kl  2    -      -"]);
    for line in [
        "train e/p.toml --dry-run",
        "runs e/p.toml",
        "check e/p.toml --resolved",
    ] {
        place.ok(line);
    }
    let permission = "expected --run-programs, which starts it, if you trust it";
    for line in ["train e/p.toml", "compare e/p.toml"] {
        place.refused(
            line,
            "problems.p: its target is the program `sh -c touch started; exit 7`",
        );
        place.refused(line, permission);
    }
    let said = place.mdn("check e/p.toml --time");
    assert!(
        said.code != 0 && said.err.contains("only training runs it"),
        "{said:#?}"
    );
    assert!(!place.exists("e/started") && !place.exists("started"));
    let said = place.mdn("train e/p.toml --run-programs");
    said.failed(1, "got its end (exit status: 7)");
    // In the folder of the experiment file.
    assert!(place.exists("e/started") && !place.exists("started"));
    for line in [
        "show results/p/p/m/seed-0",
        "diff results/p/p/m/seed-0 results/p/p/m/seed-0",
        "ls",
    ] {
        std::fs::remove_file(place.path("e/started")).ok();
        place.ok(line);
        assert!(!place.exists("e/started"), "{line}");
    }
}

#[test]
fn a_program_that_fails_ends_the_run_with_the_reason() {
    for (line, words) in [
        (
            "echo ready; cat > /dev/null",
            "got `ready`; it wrote nothing to stderr",
        ),
        (
            "sleep 1000",
            "within 0.5 s for 100 points of 2 coordinates; got none",
        ),
        ("false", "got its end (exit status: 1)"),
        ("echo no data >&2; exit 1", "the end of its stderr: no data"),
    ] {
        let place = shell(line);
        let said = place.mdn("train e/p.toml --run-programs");
        said.failed(1, words);
        let status = place.read("results/p/p/m/seed-0/status");
        assert!(
            status.starts_with("failed\n") && status.contains(words),
            "{status}"
        );
    }
}

/// A place with the files of experiments/programs and the data; `None` without NumPy.
fn with_numpy() -> Option<Place> {
    if !has_numpy() {
        eprintln!("skipped: no python3 with numpy here");
        return None;
    }
    let place = Place::new();
    for folder in ["experiments/programs", "datasets"] {
        for from in files(&root().join(folder)) {
            let name = from.strip_prefix(root()).expect("below the project");
            place.write(
                &name.to_string_lossy(),
                std::fs::read(&from).expect("a file"),
            );
        }
    }
    Some(place)
}

const IRISES: &str = "experiments/programs/logistic_regression.toml";

/// A Gaussian is fitted to the posterior; the same seed gives the same bytes, also after an interruption.
#[test]
fn a_posterior_in_numpy_is_fitted_and_measured_against_reference_samples() {
    let Some(place) = with_numpy() else { return };
    let short = "train.steps=400 search.train.learning_rate=[0.05,0.1] train.validation_points=500 evaluation.points=2000 seeds=[0] \
                 --model gaussian --run-programs";
    place.ok(&format!("train {IRISES} {short}"));
    let run = "results/logistic_regression/irises/gaussian/seed-0";
    let metric = |name: &str| place.metric(run, name).unwrap_or_else(|| panic!("{name}"));
    assert!(metric("kl") > 0.0 && metric("kl") < 1.0, "{}", metric("kl"));
    assert!(metric("reverse_kl") > 0.0 && metric("reverse_kl") < 0.5);
    assert!(metric("ess") > 0.2 && metric("nll").is_finite());
    let config = place.read(&format!("{run}/config.toml"));
    let program = "folder = \"../../../../../experiments/programs\"";
    assert_contains(&config, &[program, "\"logistic_regression.py\" = \""]);
    let first = place.snapshot(run);
    // The record of the run is an experiment of its own.
    place.ok(&format!(
        "train {run}/config.toml --out again --run-programs"
    ));
    let names = "history.csv metrics.csv model.safetensors";
    place.assert_equal(
        names,
        [run, "again/logistic_regression/irises/gaussian/seed-0"],
    );
    // Another program is another setting; runs that are done need no permission.
    place.ok(&format!(
        "compare {IRISES} {} --figures none",
        short.replace("--run-programs", "")
    ));
    let text = place.read("experiments/programs/logistic_regression.py");
    place.write("experiments/programs/logistic_regression.py", text + "\n");
    place.refused(
        &format!("train {IRISES} {short}"),
        "was made with other settings",
    );
    place.assert_same(&first);
}

#[test]
fn values_that_are_not_finite_and_missing_gradients_end_the_run() {
    let Some(place) = with_numpy() else { return };
    let text = place.read("experiments/programs/logistic_regression.py");
    let train = format!("train {IRISES} seeds=[0] --model gaussian --run-programs");
    for (from, to, code, words) in [
        (
            "return log_p, gradient",
            "return np.where(x[:, 0] > 1, np.nan, log_p), gradient",
            4,
            "target: log density NaN at [",
        ),
        (
            "np.column_stack(target(x))",
            "target(x)[0][:, None]",
            1,
            "reverse_kl: expected a target with gradients",
        ),
        (
            "return log_p, gradient",
            "raise ValueError(x.shape)",
            1,
            "ValueError: (2000, 5)",
        ),
    ] {
        assert!(text.contains(from));
        place.write(
            "experiments/programs/logistic_regression.py",
            text.replace(from, to),
        );
        place.mdn(&train).failed(code, words);
    }
}
