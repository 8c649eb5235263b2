//! Training from outside: tiny models, a few steps.

use crate::common::{one_trained, Place, Said, PLAIN, RAD, RING};

#[test]
fn training_leaves_the_files_that_its_help_names() {
    let place = Place::new();
    let said = place.mdn(&["train", "ring.toml", "--seed", "0"]);
    let lines: Vec<_> = said.out.lines().map(str::to_owned).collect();
    assert_eq!(lines, [format!("done  {PLAIN}"), format!("done  {RAD}")]);
    assert!(said.err.contains("[2/2] ring/"), "{said:#?}");
    assert_eq!(said.code, 0);
    for name in [
        "config.toml",
        "history.csv",
        "metrics.csv",
        "model.safetensors",
        "environment.toml",
        "status",
        "density.png",
        "base.png",
        "training.png",
    ] {
        assert!(place.path(RAD).join(name).is_file(), "{name}");
    }
    assert!(place.read(&format!("{RAD}/status")).starts_with("done\n"));
    let environment = place.read(&format!("{RAD}/environment.toml"));
    assert!(
        environment.contains("mdn train ring.toml --seed 0"),
        "{environment}"
    );
    let listed = place.mdn(&["runs", "ring.toml"]).fine();
    assert_eq!(listed.matches("done").count(), 2, "{listed}");
}

/// What evaluated the model stands in the record, and the loss agrees but for rounding.
#[test]
fn the_record_says_which_kernels_ran() {
    let place = Place::new();
    let mut losses = Vec::new();
    for (kernels, recorded) in [
        ("auto", "kernels = \"fused ("),
        ("plain", "kernels = \"plain\""),
        ("fused:portable", "kernels = \"fused (portable)\""),
    ] {
        let arguments = ["train", "ring.toml", "--index", "2", "--out", "k"];
        let how = ["--kernels", kernels, "--force"];
        place.mdn(&[&arguments[..], &how].concat()).fine();
        let environment = place.read("k/ring/ring/rad/seed-0/environment.toml");
        assert!(environment.contains(recorded), "{kernels}: {environment}");
        let history = place.read("k/ring/ring/rad/seed-0/history.csv");
        let first = history
            .lines()
            .nth(1)
            .expect("a validation before training");
        let loss = first.split(',').nth(2).expect("its loss");
        losses.push(loss.parse::<f64>().expect("a number"));
    }
    let near = losses.iter().all(|l| (l - losses[1]).abs() < 1e-4);
    assert!(near, "{losses:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let place = Place::new();
    let ways: [(&str, &[&str]); 3] = [
        ("a", &["--threads", "1"]),
        ("b", &["--threads", "3"]),
        ("c", &["--index", "2", "-q"]),
    ];
    for (out, way) in ways {
        let arguments = [&["train", "ring.toml", "--out", out], way].concat();
        place.mdn(&arguments).fine();
    }
    let at = |out: &str, name: &str| format!("{out}/ring/ring/rad/seed-0/{name}");
    for out in ["b", "c"] {
        for name in ["model.safetensors", "config.toml"] {
            let same = place.bytes(&at("a", name)) == place.bytes(&at(out, name));
            assert!(same, "{out}: {name}");
        }
        for name in ["history.csv", "metrics.csv"] {
            assert_eq!(
                place.read(&at("a", name)),
                place.read(&at(out, name)),
                "{out}: {name}"
            );
        }
    }
    let other = "a/ring/ring/rad/seed-1/model.safetensors";
    assert_ne!(
        place.bytes(&at("a", "model.safetensors")),
        place.bytes(other)
    );
}

#[test]
fn a_finished_run_is_skipped_and_other_settings_are_refused() {
    let place = one_trained();
    let weights = || place.bytes(&format!("{RAD}/model.safetensors"));
    let before = weights();
    let marker = format!("{RAD}/marker");
    place.write(&marker, "still here");

    let again = place.mdn(&["train", "ring.toml", "--index", "2"]);
    assert!(again.err.contains("1 of 1 runs ended before"), "{again:#?}");
    assert_eq!(again.fine(), format!("done  {RAD}\n"));

    let other = ["train", "ring.toml", "train.steps=40"];
    let said = place.mdn(&other);
    said.refused(&format!(
        "{RAD} was made with other settings: train.steps was 30, now 40; use --force to redo \
         it, or --out for another folder"
    ));
    assert!(!place.path(PLAIN).exists(), "nothing may have started");
    place
        .mdn(&["compare", "ring.toml", "train.steps=40", "--no-train"])
        .refused("was made with other settings");
    // Runs that failed are counted, so theirs must be the file's settings too, weights or none.
    let status = format!("{RAD}/status");
    for (state, redo) in [
        ("failed", "use `mdn train` to redo it, or"),
        ("diverged", "use `mdn train` to redo it, or"),
        ("done", "use `mdn train` with --force to redo it, or"),
    ] {
        std::fs::remove_file(place.path(RAD).join("model.safetensors")).ok();
        place.write(&status, &format!("{state}\n\n"));
        place
            .mdn(&["compare", "ring.toml", "train.steps=40", "--no-train"])
            .refused(&format!(
                "{RAD} was made with other settings: train.steps was 30, now 40; {redo}"
            ));
    }
    let config = place.read(&format!("{RAD}/config.toml"));
    std::fs::remove_file(place.path(RAD).join("config.toml")).expect("it was there");
    place
        .mdn(&["compare", "ring.toml", "--no-train"])
        .refused("seed-0: expected config.toml, which says how the run was made; got none");
    place.write(&format!("{RAD}/config.toml"), &config);

    let forced = [&other[..], &["--force", "--index", "2"]].concat();
    place.mdn(&forced).fine();
    assert_ne!(weights(), before);
    let config = place.read(&format!("{RAD}/config.toml"));
    assert!(config.contains("steps = 40"), "{config}");
}

#[test]
fn a_run_that_was_broken_off_is_done_again() {
    let place = one_trained();
    let weights = place.bytes(&format!("{RAD}/model.safetensors"));
    place.write(&format!("{RAD}/status"), "running\n");
    std::fs::remove_file(place.path(RAD).join("model.safetensors")).expect("it was there");
    place
        .mdn(&["sample", RAD, "-n", "3"])
        .refused("expected a run that is done; this one is running");
    place.mdn(&["train", "ring.toml", "--index", "2"]).fine();
    assert_eq!(place.bytes(&format!("{RAD}/model.safetensors")), weights);
}

#[test]
fn a_runs_own_file_makes_the_same_run() {
    let place = one_trained();
    let config = format!("{RAD}/config.toml");
    place.mdn(&["train", &config, "--out", "again"]).fine();
    assert_eq!(
        place.bytes(&format!("{RAD}/model.safetensors")),
        place.bytes("again/ring/ring/rad/seed-0/model.safetensors")
    );
    assert_eq!(
        place.read(&config),
        place.read("again/ring/ring/rad/seed-0/config.toml")
    );
}

#[test]
fn a_run_that_diverges_does_not_stop_the_others() {
    let place = Place::new();
    place.write(
        "wild.toml",
        &RING.replace(
            "steps = 30",
            "steps = 30\nlearning_rate = 1e30\nclip_norm = 0",
        ),
    );
    let said = place.mdn(&["train", "wild.toml", "--index", "0"]);
    said.failed(4, "ring/plain/seed-0 diverged: ");
    said.failed(4, " (try a lower train.learning_rate)");
    assert_eq!(said.out, "diverged  results/wild/ring/plain/seed-0\n");
    // The same again says the same without training.
    let again = place.mdn(&["train", "wild.toml", "--index", "0"]);
    again.failed(4, "1 of 1 runs ended before");

    // Another learning rate replaces what diverged.
    let rest = place.mdn(&[
        "train",
        "wild.toml",
        "--seed",
        "0",
        "train.learning_rate=1e-3",
    ]);
    rest.fine();
}

#[test]
fn events_are_json() {
    let place = Place::new();
    let said = place.mdn(&["train", "ring.toml", "--json", "-q", "--threads", "1"]);
    assert_eq!(said.err, "");
    let events: Vec<serde_json::Value> = said
        .fine()
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).count();
    assert_eq!((of("began"), of("ended"), of("finished")), (4, 4, 1));
    assert_eq!(events.last().map(|e| &e["done"]), Some(&4.into()));
    assert_eq!(events[0]["folder"], PLAIN);
}

#[cfg(unix)]
#[test]
fn a_sweep_in_the_shell_does_every_run_and_counts_failures() {
    let place = Place::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/sweep.sh");
    let sweep = |arguments: &[&str]| {
        let output = std::process::Command::new(script)
            .args(arguments)
            .env("MDN", assert_cmd::cargo::cargo_bin("mdn"))
            .current_dir(place.path(""))
            .output();
        Said::of(&output.expect("the script starts"))
    };
    let said = sweep(&["ring.toml", "train.steps=20", "--out", "my results"]);
    assert_eq!(said.clone().fine().matches("done").count(), 4, "{said:#?}");
    assert!(said.err.ends_with("sweep: 0 of 4 runs failed\n"));
    assert!(place
        .path("my results/ring/ring/rad/seed-1/status")
        .is_file());

    let changed = sweep(&["ring.toml", "train.steps=21", "--out", "my results"]);
    assert_eq!(changed.code, 3, "{changed:#?}");
    assert!(changed.err.ends_with("sweep: 4 of 4 runs failed\n"));
    assert_eq!(sweep(&["none.toml"]).code, 2);
    assert_eq!(sweep(&[]).code, 2);
}

/// Models that are fitted when they are built: no steps, a record like any other, and the same
/// densities when they are read back.
#[test]
fn fitted_models_take_no_steps_and_are_read_back() {
    let place = Place::new();
    let head = RING.split("[models.plain").next().unwrap_or_default();
    let models = "[models.em.gaussian_mixture]\ncomponents = 4\n[models.kde.kernel_density]\n\
                  [models.resampled.flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n\
                  base.resampled = { hidden = [8] }\n";
    let file = head.replace("\"plain\"", "\"em\"");
    place.write("fitted.toml", &format!("{file}{models}"));
    let table = place.mdn(&["compare", "fitted.toml"]).fine();
    assert!(table.contains("23") && table.contains("kde"), "{table}");
    place.write("points.csv", "x,y\n3.0,0.0\n0.5,0.5\n");
    for (model, parameters, steps) in [("em", "23", "0"), ("kde", "", "0"), ("resampled", "", "30")]
    {
        let run = format!("results/fitted/ring/{model}/seed-0");
        let metrics = place.read(&format!("{run}/metrics.csv"));
        let value = |name: &str| {
            let row = metrics.lines().find(|l| l.starts_with(&format!("{name},")));
            let row = row.unwrap_or_else(|| panic!("{name}: {metrics}"));
            row.split(',').nth(3).unwrap_or_default().to_owned()
        };
        assert_eq!(value("steps"), steps, "{metrics}");
        if model != "resampled" {
            assert_eq!(value("parameters"), parameters, "{metrics}");
            let costs = place.read(&format!("{run}/cost.csv"));
            assert!(costs.contains("takes no training steps"), "{costs}");
        }
        let said = place.mdn(&["density", &run, "points.csv"]).fine();
        assert_eq!(said.lines().count(), 3, "{said}");
        assert_eq!(said, place.mdn(&["density", &run, "points.csv"]).fine());
    }
    let said = place.mdn(&["bench", "--file", "fitted.toml"]);
    let refused = "expected a model that is trained in steps; got one that is fitted";
    assert!(said.code != 0 && said.err.contains(refused), "{said:#?}");
    let problem = "[problems.u1.reverse_kl]\ntarget.energy = { potential = \"u1\" }\n";
    for model in ["gaussian_mixture", "kernel_density"] {
        let file = format!("{problem}[models.fitted.{model}]\n");
        place.write("problem.toml", &file);
        place.mdn(&["check", "problem.toml"]).refused(
            "expected another model in a file with problems, which have no points to start from",
        );
    }
}
