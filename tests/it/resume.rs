//! Runs that are broken off: by a signal, by kill -9, by another process.

#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Place, Said};

const RUN: &str = "results/ring/ring/rad/seed-0";
/// Long enough to be broken off, with a checkpoint every few steps.
const LONG: [&str; 7] = [
    "train",
    "ring.toml",
    "train.steps=12000",
    "train.patience=0",
    "--index",
    "2",
    "--checkpoint-every=0.05",
];

fn start(place: &Place, arguments: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("mdn"));
    command.args(arguments).current_dir(place.path(""));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

/// Waits for the file of a run that is under way.
fn wait_for(place: &Place, child: &mut Child, name: &str) {
    let began = Instant::now();
    while !place.path(RUN).join(name).exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "no {name}");
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "it ended before: {ended:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("kill").success());
}

fn said(child: Child) -> Said {
    Said::of(&child.wait_with_output().expect("it ends"))
}

fn undisturbed() -> Place {
    let place = Place::new();
    place.mdn(&LONG).fine();
    place
}

fn assert_same(place: &Place, whole: &Place) {
    for name in ["model.safetensors", "metrics.csv", "history.csv", "status"] {
        let name = format!("{RUN}/{name}");
        assert!(place.bytes(&name) == whole.bytes(&name), "{name}");
    }
    for left in ["checkpoint", "lock"] {
        assert!(!place.path(RUN).join(left).exists(), "{left}");
    }
}

#[test]
fn a_signal_leaves_a_checkpoint_and_the_same_command_goes_on() {
    let whole = undisturbed();
    for name in ["INT", "TERM", "USR1"] {
        let place = Place::new();
        let mut child = start(&place, &LONG);
        wait_for(&place, &mut child, "checkpoint");
        signal(&child, name);
        said(child).failed(75, &format!("interrupted by SIG{name} after step "));
        let status = place.read(&format!("{RUN}/status"));
        assert!(status.starts_with("interrupted\nby SIG"), "{status}");
        // The curves so far can be looked at.
        let history = place.read(&format!("{RUN}/history.csv"));
        assert!(history.lines().count() > 2);
        let listed = place
            .mdn(&["runs", "ring.toml", "train.steps=12000", "train.patience=0"])
            .fine();
        assert!(listed.contains("interrupted"), "{listed}");
        let preview = place.mdn(&[&LONG[..], &["--dry-run"]].concat()).fine();
        assert!(preview.starts_with("go on  2 "), "{preview}");
        place.mdn(&LONG).fine();
        assert_same(&place, &whole);
    }
}

/// Schedulers and `timeout` send a signal twice; a second Ctrl-C means it.
#[test]
fn only_ctrl_c_twice_ends_at_once() {
    for (name, codes) in [("TERM", &[75][..]), ("INT", &[75, 130])] {
        let place = Place::new();
        let mut child = start(&place, &LONG);
        wait_for(&place, &mut child, "checkpoint");
        signal(&child, name);
        signal(&child, name);
        let code = said(child).code;
        assert!(codes.contains(&code), "{name}: {code}");
        assert!(place.path(RUN).join("checkpoint").exists());
    }
}

#[test]
fn a_damaged_or_foreign_checkpoint_is_refused_by_name() {
    let place = Place::new();
    let mut child = start(&place, &LONG);
    wait_for(&place, &mut child, "checkpoint");
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    let path = place.path(RUN).join("checkpoint");
    let good = std::fs::read(&path).expect("a checkpoint");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&good[..good.len() / 2], &flipped, b"", b"something else"] {
        std::fs::write(&path, bad).expect("writable");
        place.mdn(&LONG).failed(1, "checkpoint: expected ");
        place.mdn(&LONG).failed(1, "--force");
    }
    // That of another run, as a careless copy leaves it.
    std::fs::write(&path, &good).expect("writable");
    let other = Place::new();
    let mut more = LONG;
    more[2] = "train.steps=12001";
    let mut child = start(&other, &more);
    wait_for(&other, &mut child, "checkpoint");
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    std::fs::copy(other.path(RUN).join("checkpoint"), &path).expect("writable");
    place.mdn(&LONG).failed(1, "other settings");
    let forced: Vec<_> = LONG.iter().copied().chain(["--force"]).collect();
    place.mdn(&forced).fine();
    assert_same(&place, &undisturbed());
}

#[test]
fn a_run_that_another_process_holds_is_left_to_it() {
    let place = Place::new();
    let mut child = start(
        &place,
        &[
            "train",
            "ring.toml",
            "train.steps=100000000",
            "train.patience=0",
            "--index",
            "2",
        ],
    );
    wait_for(&place, &mut child, "lock");
    // Its settings are others, and still it is the one that holds the run.
    let others = place.mdn(&["train", "ring.toml"]);
    assert_eq!(others.code, 0, "{others:#?}");
    let (done, held) = (others.out.matches("done  ").count(), "running  results");
    assert_eq!(done, 3, "{others:#?}");
    assert!(others.out.contains(held), "{others:#?}");
    let id = format!("process {} on ", child.id());
    assert!(others.err.contains(&id), "{others:#?}");
    // What a dead process held is free.
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    assert!(place.path(RUN).join("lock").exists());
    place.mdn(&["train", "ring.toml"]).fine();
    assert!(!place.path(RUN).join("lock").exists());
    // So is what one left that was killed between the end of its run and its own.
    for left in ["lock", "checkpoint", ".mdn-half"] {
        place.write(&format!("{RUN}/{left}"), "");
    }
    place.mdn(&["train", "ring.toml"]).fine();
    for left in ["lock", "checkpoint", ".mdn-half"] {
        assert!(!place.path(RUN).join(left).exists(), "{left}");
    }
}

#[test]
fn a_comparison_waits_for_the_runs_of_others() {
    let place = Place::new();
    let mut child = start(&place, &LONG);
    wait_for(&place, &mut child, "lock");
    let compare = [
        "compare",
        "ring.toml",
        "train.steps=12000",
        "train.patience=0",
        "--seed=0",
        "--model=rad",
    ];
    let out = place.mdn(&compare).fine();
    assert!(out.contains("rad"), "{out}");
    assert_eq!(said(child).code, 0);
    assert!(place.read(&format!("{RUN}/status")).starts_with("done"));
}

#[test]
fn shares_of_an_experiment_make_the_whole() {
    let place = Place::new();
    let mut seen = Vec::new();
    for share in ["1/3", "2/3", "3/3"] {
        let out = place
            .mdn(&["runs", "ring.toml", "--shard", share, "--commands"])
            .fine();
        seen.extend(out.lines().map(str::to_owned));
    }
    seen.sort();
    let whole = place.mdn(&["runs", "ring.toml", "--commands"]).fine();
    let mut whole: Vec<_> = whole.lines().map(str::to_owned).collect();
    whole.sort();
    assert_eq!(seen, whole);
    for bad in ["0/3", "4/3", "1/0", "a/b", "3"] {
        place
            .mdn(&["runs", "ring.toml", "--shard", bad])
            .refused("expected I/N");
    }
}

#[test]
fn after_a_failure_nothing_more_is_begun_if_so_wished() {
    let place = Place::new();
    let wild = [
        "train",
        "ring.toml",
        "train.learning_rate=1e30",
        "train.clip_norm=0",
    ];
    let all = place.mdn(&[&wild[..], &["--threads=1"]].concat());
    assert_eq!(all.out.matches("diverged").count(), 4, "{all:#?}");
    let place = Place::new();
    let fast = place.mdn(&[&wild[..], &["--threads=1", "--fail-fast"]].concat());
    assert_eq!(fast.out.matches("diverged").count(), 1, "{fast:#?}");
    assert!(fast.err.contains("3 were not begun"), "{fast:#?}");
}

/// The same at full size: `scripts/torture.sh`.
#[test]
fn killed_at_random_moments_two_processes_leave_the_bytes_of_one() {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/torture.sh"))
        .args(["8", "seeds=[0]", "train.steps=200"])
        .env("MDN", assert_cmd::cargo::cargo_bin("mdn"))
        .output();
    let said = Said::of(&output.expect("the script starts"));
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.out.contains("the same bytes"), "{said:#?}");
}
