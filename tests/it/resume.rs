//! Runs that are interrupted by a signal, by kill -9, by another process or by a full disk, and the
//! scripts that share a sweep between processes.

#![cfg(unix)]

use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::common::{all_trained, assert_contains, files, Place, Said, Snapshot, MDN, PLAIN, RAD};

/// Long enough to be interrupted, with a checkpoint every few steps.
const LONG: &str =
    "train ring.toml train.steps=12000 train.patience=0 --index 2 --checkpoint-every=0.05";

/// What [`LONG`] leaves when nothing disturbs it.
static UNDISTURBED: LazyLock<Snapshot> = LazyLock::new(|| {
    let place = Place::new();
    place.ok(LONG);
    place.snapshot(RAD)
});

/// Starts `mdn` and waits for this file of the run.
fn start(place: &Place, line: &str, name: &str) -> Child {
    let mut command = place.command(MDN, line);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let began = Instant::now();
    while !place.path(RAD).join(name).exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "no {name}");
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "it ended before: {ended:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("kill").success());
}

fn kill(mut child: Child) {
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
}

fn said(child: Child) -> Said {
    Said::from(child.wait_with_output().expect("it ends"))
}

fn assert_undisturbed(place: &Place) {
    place.assert_same(&UNDISTURBED);
    for left in ["checkpoint", "lock"] {
        assert!(!place.path(RAD).join(left).exists(), "{left}");
    }
}

#[test]
fn a_signal_leaves_a_checkpoint_and_the_same_command_goes_on() {
    for name in ["INT", "TERM", "USR1"] {
        let place = Place::new();
        let child = start(&place, LONG, "checkpoint");
        signal(&child, name);
        said(child).failed(75, &format!("interrupted by SIG{name} after step "));
        let status = place.read(&format!("{RAD}/status"));
        assert!(status.starts_with("interrupted\nby SIG"), "{status}");
        // The curves so far can be looked at.
        assert!(place.csv(&format!("{RAD}/history.csv")).len() > 1);
        let listed = place.mdn("runs ring.toml train.steps=12000 train.patience=0");
        assert_contains(&listed.fine(), &["interrupted"]);
        let preview = place.ok(&format!("{LONG} --dry-run"));
        assert!(preview.starts_with("go on  2 "), "{preview}");
        place.ok(LONG);
        assert_undisturbed(&place);
    }
}

/// Schedulers and `timeout` send a signal twice; a second Ctrl-C ends the program at once.
#[test]
fn only_ctrl_c_twice_ends_at_once() {
    for (name, codes) in [("TERM", &[75][..]), ("INT", &[75, 130])] {
        let place = Place::new();
        let child = start(&place, LONG, "checkpoint");
        signal(&child, name);
        signal(&child, name);
        let code = said(child).code;
        assert!(codes.contains(&code), "{name}: {code}");
        assert!(place.path(RAD).join("checkpoint").exists());
    }
}

#[test]
fn a_damaged_or_foreign_checkpoint_is_refused_by_name() {
    let place = Place::new();
    kill(start(&place, LONG, "checkpoint"));
    let checkpoint = format!("{RAD}/checkpoint");
    let good = place.bytes(&checkpoint);
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&good[..good.len() / 2], &flipped, b"", b"something else"] {
        place.write(&checkpoint, bad);
        let said = place.mdn(LONG);
        said.failed(1, "checkpoint: expected ");
        said.failed(1, "--force");
    }
    // The checkpoint of another run, as a careless copy leaves it.
    let other = Place::new();
    kill(start(&other, &LONG.replace("12000", "12001"), "checkpoint"));
    place.write(&checkpoint, other.bytes(&checkpoint));
    place.mdn(LONG).failed(1, "other settings");
    place.ok(&format!("{LONG} --force"));
    assert_undisturbed(&place);
}

#[test]
fn a_run_that_another_process_holds_is_left_to_it() {
    let place = Place::new();
    let endless = "train ring.toml train.steps=100000000 train.patience=0 --index 2";
    let child = start(&place, endless, "lock");
    // The process holds the run although its settings differ.
    let others = place.mdn("train ring.toml");
    assert_eq!(others.code, 0, "{others:#?}");
    assert_eq!(others.out.matches("done  ").count(), 3, "{others:#?}");
    assert_contains(&others.out, &["running  results"]);
    assert_contains(&others.err, &[&format!("process {} on ", child.id())]);
    // The run of a dead process is free.
    kill(child);
    let lock = format!("{RAD}/lock");
    assert!(place.exists(&lock));
    place.ok("train ring.toml");
    assert!(!place.exists(&lock));
    // So is the run of a process that was killed after the end of the run.
    let left = ["lock", "checkpoint", ".mdn-half"].map(|name| format!("{RAD}/{name}"));
    left.iter().for_each(|name| drop(place.write(name, "")));
    place.ok("train ring.toml");
    assert!(left.iter().all(|name| !place.exists(name)));
}

#[test]
fn a_comparison_waits_for_the_runs_of_others() {
    let place = Place::new();
    let child = start(&place, LONG, "lock");
    let compare = "compare ring.toml train.steps=12000 train.patience=0 --seed=0 --model=rad \
                   --figures none";
    assert_contains(&place.ok(compare), &["rad"]);
    assert_eq!(said(child).code, 0);
    assert!(place.read(&format!("{RAD}/status")).starts_with("done"));
}

#[test]
fn files_that_cannot_be_written_are_named_and_the_same_command_goes_on() {
    let whole = all_trained().snapshot(PLAIN);
    let train = "train ring.toml --index 0";
    // Blocks of 512 bytes that a file may have: nothing can be written; lock and status but no settings;
    // all but the longer files.
    for (blocks, first) in [(0, "lock"), (1, "config.toml"), (12, "picture.safetensors")] {
        let place = Place::new();
        // Without the trap the system would end the process where it reaches the limit.
        let limited = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$MDN\" {train} --checkpoint-every 1000"
        );
        let said = Said::of(&mut place.command("sh", &["-c", &limited]));
        let named = "could not write: File too large (os error 27); raise the limit";
        said.failed(1, &format!("{first}: {named}"));
        for left in files(&place.path("results")) {
            let name = left.file_name().expect("a file").to_string_lossy();
            assert!(!name.starts_with(".mdn-"), "{blocks}: {}", left.display());
        }
        place.ok(train);
        place.assert_same(&whole);
    }
}

/// Runs a script of the project; `None` where this machine lacks what the script needs.
fn script(place: &Place, name: &str, line: &str) -> Option<Said> {
    let path = format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = place.command(&path, line);
    command
        .env("JOBS", "2")
        .env("PARALLEL_HOME", place.path("home"));
    let said = Said::of(&mut command);
    if said.code == 77 {
        eprintln!("skipped: {}", said.err);
        return None;
    }
    Some(said)
}

#[test]
fn a_full_disk_and_a_read_only_one_are_survived() {
    if let Some(said) = script(&Place::new(), "full-disk.sh", "250") {
        assert_eq!(said.code, 0, "{said:#?}");
        assert_eq!(said.out.matches("the same bytes").count(), 2, "{said:#?}");
    }
}

/// The same at full size: `scripts/torture.sh`.
#[test]
fn killed_at_random_moments_two_processes_leave_the_bytes_of_one() {
    let line = "8 seeds=[0] train.steps=200";
    let said = script(&Place::new(), "torture.sh", line).expect("it needs nothing");
    assert_eq!(said.code, 0, "{said:#?}");
    assert_contains(&said.out, &["the same bytes"]);
}

/// Opt-in, since it starts daemons: `MDN_TEST_SLURM=1 cargo test --test it slurm -- --nocapture`.
#[test]
fn slurm_requeues_resumes_and_compares() {
    if std::env::var_os("MDN_TEST_SLURM").is_none() {
        eprintln!("skipped: MDN_TEST_SLURM is not set");
        return;
    }
    let said = script(&Place::new(), "test-slurm.sh", "").expect("it says so itself");
    eprintln!("{}{}", said.out, said.err);
    assert_eq!(said.code, 0, "{said:#?}");
}

/// One run of the sweep fails; the same command then does this run alone.
fn sweeps(name: &str) {
    let place = Place::new();
    let sweep = |line: &str| script(&place, name, line).expect("it needs nothing else");
    let line = "ring.toml train.steps=20 --out 'my results'";
    let in_the_way = "my results/ring/ring/rad/seed-1";
    place.write(in_the_way, "no folder");
    let first = sweep(line);
    assert_eq!(first.code, 3, "{first:#?}");
    assert_eq!(first.out.matches("done").count(), 3, "{first:#?}");
    place.remove(in_the_way);
    let again = sweep(line);
    assert_eq!(again.code, 0, "{again:#?}");
    assert!(place.exists(&format!("{in_the_way}/status")));
    assert_eq!(sweep("none.toml").code, 2);
    assert_eq!(sweep("").code, 2);
    if name == "sweep.sh" {
        assert_contains(&first.err, &["sweep: 1 of 4 runs failed\n"]);
        assert_contains(&again.err, &["sweep: 0 of 4 runs failed\n"]);
    } else {
        let only = "only the run that failed";
        assert_eq!(again.out.matches("done").count(), 1, "{only}: {again:#?}");
        assert!(place.read("ring.joblog").lines().count() >= 5);
    }
}

#[test]
fn a_sweep_in_the_shell_does_every_run_and_counts_failures() {
    sweeps("sweep.sh");
}

#[test]
fn gnu_parallel_does_every_run_and_goes_on() {
    let there = Command::new("parallel").arg("--version").output();
    if there.is_ok_and(|o| o.status.success()) {
        sweeps("parallel.sh");
    } else {
        eprintln!("skipped: no GNU parallel here");
    }
}
