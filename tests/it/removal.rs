//! What `mdn rm` takes away, and what it must not.

use crate::common::{all_trained as trained, files, objects, row, stub, Place, PLAIN, RAD};
use mdn::experiment::store::{Locking, RunDir};

#[test]
fn a_run_that_a_process_holds_is_seen_and_never_removed() {
    let place = Place::new();
    stub(&place, "results/mine", "mine", "failed\nboom\n");
    let run = RunDir(place.path("results/mine"));
    let Locking::Ours(lock) = run.lock(false).expect("a lock") else {
        panic!("nobody has it");
    };
    let before = files(&place.path("results"));
    let table = place.mdn(&["ls"]).fine();
    assert_eq!(row(&table, "failed")[1], "(held)", "{table}");
    let held = &objects(&place.mdn(&["ls", "--json"]).fine())[0]["held_by"];
    let me = format!("process {} on ", std::process::id());
    assert!(held.as_str().unwrap().starts_with(&me), "{held}");
    for how in [
        ["rm", "results/mine"].as_slice(),
        &["rm", "results/mine", "--force"],
        &["rm", "results/mine", "--dry-run"],
        &["rm", "--failed"],
    ] {
        let said = place.mdn(how);
        said.failed(1, "results/mine: left, a process holds it: process ");
        assert_eq!(said.out, "");
    }
    assert_eq!(files(&place.path("results")), before);
    drop(lock);
    assert_eq!(place.mdn(&["rm", "--failed"]).fine(), "results/mine\n");
    assert!(!place.path("results/mine").exists());
}

#[test]
fn rm_takes_what_was_asked_for_and_nothing_else() {
    let place = trained();
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
    place.mdn(&["rm"]).refused("<DIR");
    place
        .mdn(&["rm", PLAIN])
        .refused("this one is done (try --force)");
    place
        .mdn(&["rm", "results/more/killed"])
        .refused("this one is running (try --force)");
    place
        .mdn(&["rm", "--failed", "--force"])
        .refused("cannot be used with");
    // All are looked at before anything goes.
    place
        .mdn(&["rm", "results/more/failed", "results/more"])
        .refused("expected the folder of a run");
    let dry = place.mdn(&["rm", "--failed", "--interrupted", "-n", "results/more"]);
    assert!(dry.err.contains("4 runs would be removed, "), "{dry:#?}");
    let would = dry.fine();
    assert_eq!(files(&place.path("results")), all);

    place.mdn(&["rm", "--failed", "results/more/other"]).fine();
    place
        .mdn(&["rm", "results/more/stopped", "results/more/stopped/"])
        .fine();
    let rest = place.mdn(&["rm", "--failed", "results/more"]).fine();
    assert_eq!(rest, "results/more/diverged\nresults/more/failed\n");
    assert_eq!(would.lines().count(), 4);
    for gone in would.lines() {
        assert!(!place.path(gone).exists(), "{gone}");
    }
    place
        .mdn(&["rm", "--force", PLAIN, "results/more/killed"])
        .fine();
    assert_eq!(place.mdn(&["rm", "--failed"]).fine(), "");
    let states = objects(&place.mdn(&["ls", "--json"]).fine());
    assert_eq!(states.len(), 3, "{states:#?}");
    assert!(states.iter().all(|s| s["state"] == "done"));
    // What was removed is trained again, with the same bytes.
    let metrics = place.bytes(&format!("{RAD}/metrics.csv"));
    place.mdn(&["plot", RAD, "--format", "svg"]).fine();
    place.mdn(&["rm", "--force", RAD]).fine();
    place.mdn(&["train", "ring.toml", "--threads", "1"]).fine();
    assert!(metrics == place.bytes(&format!("{RAD}/metrics.csv")));
}

#[test]
fn rm_leaves_foreign_files_and_follows_no_link() {
    let place = Place::new();
    stub(&place, "results/a", "a", "failed\nboom\n");
    place.write("results/a/notes.md", "mine");
    place.write("outside/keep", "mine");
    let said = place.mdn(&["rm", "results/a", "--dry-run"]);
    said.failed(1, "results/a: not `mdn`'s, so left: results/a/notes.md");
    assert!(place.path("results/a/status").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(
            place.path("outside/keep"),
            place.path("results/a/checkpoint"),
        )
        .unwrap();
        stub(&place, "outside/run", "b", "failed\nboom\n");
        symlink(place.path("outside/run"), place.path("results/b")).unwrap();
        symlink(place.path("outside"), place.path("results/c")).unwrap();
        for link in ["results/b", "results/b/"] {
            place
                .mdn(&["rm", link])
                .refused("results/b: expected the folder of a run; got a link");
        }
    }
    place
        .mdn(&["rm", "--failed"])
        .failed(1, "results/a/notes.md");
    let left = if cfg!(unix) { 2 } else { 1 };
    assert_eq!(
        std::fs::read_dir(place.path("results/a")).unwrap().count(),
        left
    );
    assert_eq!(place.read("results/a/notes.md"), "mine");
    assert_eq!(place.read("outside/keep"), "mine");
    assert!(!cfg!(unix) || place.path("outside/run/status").exists());
}
