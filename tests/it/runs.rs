//! The verbs that find runs, show them, compare two of them and remove them.

use mdn::experiment::store::{Locking, RunDir};
use serde_json::Value;

use crate::common::{all_trained, assert_contains, files, objects, row, stub, Place, PLAIN, RAD};

#[test]
fn ls_finds_every_run_and_passes_over_all_else() {
    let place = all_trained();
    let deep = "results/b/c/d/e/seed-7";
    stub(&place, deep, "deep", "failed\nno disk\n");
    let stopped = "results/stopped";
    stub(&place, stopped, "half", "interrupted\nby SIGINT\n");
    let head = "step,split,loss,grad_norm,non_finite\n";
    let history = format!("{head}10,train,2.5,1,0\n20,train,2.25,1,0\n");
    place.write("results/stopped/history.csv", &history);
    place.write("results/ring/notes/status", "done\n");
    place.write("results/ring/figures/x.png", "");
    #[cfg(unix)]
    {
        stub(&place, "elsewhere/seed-7", "linked", "done\n\n");
        std::os::unix::fs::symlink(place.path("elsewhere"), place.path("results/link")).unwrap();
    }
    let totals = "6 runs: 1 interrupted, 4 done, 1 failed; ";
    let table = place.mdn("ls").fine_with_note(totals);
    assert_eq!(table.lines().count(), 7, "{table}");
    let failed = ["failed", "made", "ring", "deep", "7"];
    assert_eq!(row(&table, "failed")[..5], failed);
    assert!(row(&table, "interrupted").ends_with(&["20/5000", stopped]));

    let failed = place.mdn("ls --state failed --state interrupted --json");
    let failed = objects(&failed.fine());
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[1]["folder"], deep);
    assert_eq!(failed[1]["reason"], "no disk");
    assert_eq!(failed[0]["step"], 20);
    let rad = objects(&place.ok(&format!("ls {RAD} --json")));
    let sizes = files(&place.path(RAD));
    let bytes: u64 = sizes.iter().map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!((rad.len(), rad[0]["bytes"].as_u64()), (1, Some(bytes)));
    assert_eq!(rad[0]["held_by"], Value::Null);
    assert_eq!(rad[0]["seed"], 0);

    let none = place.mdn("ls --state running");
    assert_eq!(none.fine_with_note("0 runs; 0 B"), "");
    place.refuses(
        "
        ls --state broken => [possible values: running, interrupted, done
        ls nowhere => nowhere: expected a folder with runs
        ",
    );
}

#[test]
fn ls_names_runs_that_cannot_be_read() {
    let place = Place::new();
    stub(&place, "results/good", "good", "done\n\n");
    stub(&place, "results/strange", "strange", "finished\n");
    stub(&place, "results/damaged", "damaged", "done\n\n");
    place.write("results/damaged/config.toml", "seeds = [");
    let said = place.mdn("ls");
    said.failed(1, "2 runs or folders could not be read");
    let named = ["strange/status:1: expected one of", "damaged/config.toml:1"];
    assert_contains(&said.err, &named);
    assert_eq!(said.out.lines().count(), 2, "{said:#?}");
}

#[test]
fn show_says_what_a_run_is_and_what_was_measured() {
    let place = all_trained();
    let text = place.ok(&format!("show {RAD}"));
    assert!(text.starts_with(&format!("{RAD}\n\nstate ")), "{text}");
    assert_eq!(row(&text, "state"), ["state", "done"]);
    assert_contains(&text, &["\nnot default  train.steps = 30 (5000)\n"]);
    assert_eq!(row(&text, "steps"), ["steps", "30"]);
    let metrics = text.split("\nmetric ").nth(1).expect("a table of metrics");
    assert!(metrics.lines().nth(1).unwrap().starts_with("kl "), "{text}");

    let run = &objects(&place.ok(&format!("show {RAD} --json")))[0];
    assert_eq!(run["settings"]["models"]["rad"]["rad"]["layers"], 2);
    assert_eq!(run["not_default"]["train.steps"]["was"], 5000);
    assert_eq!(run["not_default"]["train.steps"]["now"], 30);
    assert!(run["not_default"].get("train.patience").is_none());
    assert!(run["best_step"].as_u64().is_some_and(|s| s <= 30), "{run}");
    assert_eq!(run["metrics"][0]["metric"], "kl");
    let value = place.metric(RAD, "kl").expect("a value");
    let read = run["metrics"][0]["value"].as_f64().unwrap();
    assert!((read - value).abs() < 1e-12, "{read} {value}");

    let reason = "by SIGINT after step 20";
    let status = format!("interrupted\n{reason}\n");
    stub(&place, "results/stopped", "half", &status);
    let text = place.ok("show results/stopped");
    assert!(text.contains(reason) && !text.contains("metric"), "{text}");
    place.refuses(
        "
        show results => results: expected the folder of a run
        show nowhere => nowhere: expected the folder of a run
        ",
    );
}

#[test]
fn diff_shows_settings_and_metrics_side_by_side() {
    let place = all_trained();
    let same = place.ok(&format!("diff {RAD} {RAD}"));
    assert!(same.contains("\nno setting differs\n"), "{same}");
    let changed = "train ring.toml train.steps=20 --out short --index 2";
    place.ok(changed);
    let other = RAD.replace("results", "short");
    let text = place.ok(&format!("diff {RAD} {other}"));
    assert_eq!(row(&text, "train.steps"), ["train.steps", "30", "20"]);
    assert_eq!(row(&text, "steps")[2..5], ["30", "20", "-10"]);

    let seeds = format!("diff {RAD} results/ring/ring/rad/seed-1 --json");
    let found = &objects(&place.ok(&seeds))[0];
    let settings = found["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 1, "{settings:?}");
    assert_eq!(settings[0]["key"], "seeds");
    assert_eq!(settings[0]["second"][0], 1);
    let kl = &found["metrics"][0];
    assert_eq!(kl["metric"], "kl");
    let number = |key: &str| kl[key].as_f64().unwrap();
    let difference = number("second") - number("first");
    assert!((number("difference") - difference).abs() < 1e-12);
    let squares = number("first_std_err").powi(2) + number("second_std_err").powi(2);
    assert!((number("std_err") - squares.sqrt()).abs() < 1e-12);

    let models = place.ok(&format!("diff {PLAIN} {RAD}"));
    assert_eq!(row(&models, "model"), ["model", "plain", "rad"]);
    let only_first = row(&models, "models.plain.flow");
    assert!(only_first.ends_with(&["absent"]), "{models}");
    stub(&place, "results/broken", "rad", "diverged\nat step 3\n");
    let said = place.mdn(&format!("diff {RAD} results/broken"));
    said.fine_with_note("results/broken is diverged: it has no metrics");
}

#[test]
fn a_run_that_a_process_holds_is_seen_and_never_removed() {
    let place = Place::new();
    stub(&place, "results/mine", "mine", "failed\nboom\n");
    let run = RunDir(place.path("results/mine"));
    let Locking::Ours(lock) = run.lock(false).expect("a lock") else {
        panic!("nobody has it");
    };
    let before = files(&place.path("results"));
    let table = place.ok("ls");
    assert_eq!(row(&table, "failed")[1], "(held)", "{table}");
    let held = &objects(&place.ok("ls --json"))[0]["held_by"];
    let me = format!("process {} on ", std::process::id());
    assert!(held.as_str().unwrap().starts_with(&me), "{held}");
    let mine = "results/mine";
    for how in [mine, "results/mine --force", "results/mine -n", "--failed"] {
        let said = place.mdn(&format!("rm {how}"));
        said.failed(1, "results/mine: left, a process holds it: process ");
        assert_eq!(said.out, "");
    }
    assert_eq!(files(&place.path("results")), before);
    drop(lock);
    assert_eq!(place.ok("rm --failed"), "results/mine\n");
    assert!(!place.exists("results/mine"));
}

#[test]
fn rm_takes_what_was_asked_for_and_nothing_else() {
    let place = all_trained();
    for (name, status) in [
        ("failed", "failed\nboom\n"),
        ("diverged", "diverged\nat step 3\n"),
        ("stopped", "interrupted\nby SIGINT\n"),
        ("killed", "running\n\n"),
        ("other/failed", "failed\nboom\n"),
    ] {
        stub(&place, &format!("results/more/{name}"), "m", status);
    }
    let all = files(&place.path("results"));
    place.refuses(&format!(
        "
        rm => <DIR
        rm {PLAIN} => this one is done (try --force)
        rm results/more/killed => this one is running (try --force)
        rm --failed --force => cannot be used with
        rm results/more/failed results/more => expected the folder of a run
        "
    ));
    let dry = place.mdn("rm --failed --interrupted -n results/more");
    let would = dry.fine_with_note("4 runs would be removed, ");
    assert_eq!(files(&place.path("results")), all);

    place.ok("rm --failed results/more/other");
    place.ok("rm results/more/stopped results/more/stopped/");
    let rest = place.ok("rm --failed results/more");
    assert_eq!(rest, "results/more/diverged\nresults/more/failed\n");
    assert_eq!(would.lines().count(), 4);
    assert!(would.lines().all(|gone| !place.exists(gone)), "{would}");
    place.ok(&format!("rm --force {PLAIN} results/more/killed"));
    assert_eq!(place.ok("rm --failed"), "");
    let states = objects(&place.ok("ls --json"));
    assert_eq!(states.len(), 3, "{states:#?}");
    assert!(states.iter().all(|s| s["state"] == "done"));
    // What was removed is trained again, with the same bytes.
    let metrics = place.bytes(&format!("{RAD}/metrics.csv"));
    place.ok(&format!("plot {RAD} --format svg"));
    place.ok(&format!("rm --force {RAD}"));
    place.ok("train ring.toml --index 2");
    assert!(metrics == place.bytes(&format!("{RAD}/metrics.csv")));
}

#[test]
fn rm_leaves_foreign_files_and_follows_no_link() {
    let place = Place::new();
    stub(&place, "results/a", "a", "failed\nboom\n");
    place.write("results/a/notes.md", "mine");
    place.write("outside/keep", "mine");
    let said = place.mdn("rm results/a --dry-run");
    said.failed(1, "results/a: not `mdn`'s, so left: results/a/notes.md");
    assert!(place.exists("results/a/status"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let link = |from: &str, to: &str| symlink(place.path(from), place.path(to)).unwrap();
        link("outside/keep", "results/a/checkpoint");
        stub(&place, "outside/run", "b", "failed\nboom\n");
        link("outside/run", "results/b");
        link("outside", "results/c");
        let message = "results/b: expected the folder of a run; got a link";
        place.refuses(&format!(
            "
        rm results/b => {message}
        rm results/b/ => {message}
        "
        ));
    }
    place.mdn("rm --failed").failed(1, "results/a/notes.md");
    let left = std::fs::read_dir(place.path("results/a")).unwrap().count();
    assert_eq!(left, if cfg!(unix) { 2 } else { 1 });
    assert_eq!(place.read("results/a/notes.md"), "mine");
    assert_eq!(place.read("outside/keep"), "mine");
    assert!(!cfg!(unix) || place.exists("outside/run/status"));
}
