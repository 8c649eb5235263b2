//! Training from outside: tiny models, a few steps.

use crate::common::{all_trained, assert_contains, objects, one_trained, Place, PLAIN, RAD, RING};

#[test]
fn training_leaves_the_files_that_its_help_names() {
    let place = Place::new();
    let said = place.mdn("train ring.toml --seed 0");
    assert_eq!(said.out, format!("done  {PLAIN}\ndone  {RAD}\n"));
    said.fine_with_note("[2/2] ring/");
    let expected = "config.toml history.csv metrics.csv model.safetensors environment.toml status \
                    density.png base.png training.png";
    for name in expected.split(' ') {
        assert!(place.path(RAD).join(name).is_file(), "{name}");
    }
    assert!(place.read(&format!("{RAD}/status")).starts_with("done\n"));
    let environment = place.read(&format!("{RAD}/environment.toml"));
    assert_contains(&environment, &["mdn train ring.toml --seed 0"]);
    let listed = place.ok("runs ring.toml");
    assert_eq!(listed.matches("done").count(), 2, "{listed}");
}

/// The record names the kernels, and the loss agrees but for rounding.
#[test]
fn the_record_says_which_kernels_ran() {
    let place = Place::new();
    let mut losses = Vec::new();
    for (kernels, recorded) in [
        ("auto", "kernels = \"fused ("),
        ("plain", "kernels = \"plain\""),
        ("fused:portable", "kernels = \"fused (portable)\""),
    ] {
        place.ok(&format!(
            "train ring.toml --index 2 --force --kernels {kernels}"
        ));
        let environment = place.read(&format!("{RAD}/environment.toml"));
        assert_contains(&environment, &[recorded]);
        let history = place.csv(&format!("{RAD}/history.csv"));
        losses.push(history[0]["loss"].parse::<f64>().expect("a number"));
    }
    let near = losses.iter().all(|l| (l - losses[1]).abs() < 1e-4);
    assert!(near, "{losses:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let one_thread = all_trained();
    let expected = one_thread.snapshot(RAD);
    for how in ["--threads 3", "--index 2 -q"] {
        let place = Place::new();
        place.ok(&format!("train ring.toml {how}"));
        place.assert_same(&expected);
    }
    let other = one_thread.bytes("results/ring/ring/rad/seed-1/model.safetensors");
    assert_ne!(one_thread.bytes(&format!("{RAD}/model.safetensors")), other);
    // The record of a run is an experiment file that makes the same run.
    let config = format!("{RAD}/config.toml");
    let run = RAD.replace("results", "again");
    one_thread.ok(&format!("train {config} --out again"));
    one_thread.assert_equal("model.safetensors config.toml", [RAD, &run]);
}

#[test]
fn a_finished_run_is_skipped_and_other_settings_are_refused() {
    let place = one_trained();
    let [weights, config, status] =
        ["model.safetensors", "config.toml", "status"].map(|name| format!("{RAD}/{name}"));
    let before = place.bytes(&weights);
    place.write(&format!("{RAD}/marker"), "still here");

    let again = place.mdn("train ring.toml --index 2");
    let out = again.fine_with_note("1 of 1 runs ended before");
    assert_eq!(out, format!("done  {RAD}\n"));

    let differs = format!("{RAD} was made with other settings: train.steps was 30, now 40;");
    let redo = format!("{differs} use --force to redo it, or --out for another folder");
    place.refused("train ring.toml train.steps=40", &redo);
    assert!(!place.exists(PLAIN), "nothing may have started");
    let compare = "compare ring.toml train.steps=40 --no-train";
    place.refused(compare, "was made with other settings");
    // Runs that failed are counted, so they must have the file's settings too, with or without weights.
    place.remove(&weights);
    for (state, how) in [
        ("failed", "use `mdn train` to redo it, or"),
        ("diverged", "use `mdn train` to redo it, or"),
        ("done", "use `mdn train` with --force to redo it, or"),
    ] {
        place.write(&status, format!("{state}\n\n"));
        place.refused(compare, &format!("{differs} {how}"));
    }
    let settings = place.bytes(&config);
    place.remove(&config);
    place.refused(
        "compare ring.toml --no-train",
        "seed-0: expected config.toml, which says how the run was made; got none",
    );
    place.write(&config, settings);

    place.ok("train ring.toml train.steps=40 --force --index 2");
    assert_ne!(place.bytes(&weights), before);
    assert_contains(&place.read(&config), &["steps = 40"]);
}

#[test]
fn a_run_without_its_weights_is_done_again() {
    let place = one_trained();
    let weights = format!("{RAD}/model.safetensors");
    let before = place.bytes(&weights);
    place.write(&format!("{RAD}/status"), "running\n");
    place.remove(&weights);
    place.refused(
        &format!("sample {RAD} -n 3"),
        "expected a run that is done; this one is running",
    );
    place.ok("train ring.toml --index 2");
    assert_eq!(place.bytes(&weights), before);
}

#[test]
fn a_run_that_diverges_does_not_stop_the_others() {
    let place = Place::new();
    let wild = "train ring.toml train.learning_rate=1e30 train.clip_norm=0 --threads 1";
    let first = place.mdn(&format!("{wild} --index 0"));
    first.failed(4, "ring/plain/seed-0 diverged: ");
    first.failed(4, " (try a lower train.learning_rate)");
    assert_eq!(first.out, format!("diverged  {PLAIN}\n"));
    // Repeating the command reports the same without training.
    let again = place.mdn(&format!("{wild} --index 0"));
    again.failed(4, "1 of 1 runs ended before");
    let all = place.mdn(wild);
    assert_eq!(all.out.matches("diverged").count(), 4, "{all:#?}");
    // Another learning rate replaces what diverged.
    place.ok("train ring.toml --seed 0 train.learning_rate=1e-3");

    let fast = Place::new().mdn(&format!("{wild} --fail-fast"));
    assert_eq!(fast.out.matches("diverged").count(), 1, "{fast:#?}");
    assert_contains(&fast.err, &["3 were not begun"]);
}

#[test]
fn events_are_json() {
    let place = Place::new();
    let said = place.mdn("train ring.toml --json -q --threads 1 --seed 0");
    assert_eq!(said.err, "");
    let events = objects(&said.fine());
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).count();
    assert_eq!((of("began"), of("ended"), of("finished")), (2, 2, 1));
    assert_eq!(events.last().map(|e| &e["done"]), Some(&2.into()));
    assert_eq!(events[0]["folder"], PLAIN);
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
    place.write("fitted.toml", format!("{file}{models}"));
    let table = place.ok("compare fitted.toml --seed 0 --figures none");
    assert_contains(&table, &["23", "kde"]);
    place.write("points.csv", "x1,x2\n3.0,0.0\n0.5,0.5\n");
    for (model, parameters, steps) in [
        ("em", Some(23.0), 0.0),
        ("kde", None, 0.0),
        ("resampled", None, 30.0),
    ] {
        let run = format!("results/fitted/ring/{model}/seed-0");
        assert_eq!(place.metric(&run, "steps"), Some(steps), "{model}");
        if steps == 0.0 {
            assert_eq!(place.metric(&run, "parameters"), parameters, "{model}");
            let costs = place.read(&format!("{run}/cost.csv"));
            assert_contains(&costs, &["takes no training steps"]);
        }
        let density = || place.ok(&format!("density {run} points.csv"));
        let said = density();
        assert_eq!(said.lines().count(), 3, "{said}");
        assert_eq!(said, density());
    }
    let said = place.mdn("bench --file fitted.toml");
    let refused = "expected a model that is trained in steps; got one that is fitted";
    assert!(said.code != 0 && said.err.contains(refused), "{said:#?}");
    let problem = "[problems.u1.reverse_kl]\ntarget.energy = { potential = \"u1\" }\n";
    let why = "expected another model in a file with problems, which have no points to start from";
    for model in ["gaussian_mixture", "kernel_density"] {
        let file = format!("{problem}[models.fitted.{model}]\n");
        place.write("problem.toml", file);
        place.refused("check problem.toml", why);
    }
}
