//! The scripts that share a sweep out, where what they need is there.

#![cfg(unix)]

use std::process::Command;

use crate::common::{Place, Said};

fn script(name: &str) -> Command {
    let mut command = Command::new(format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR")));
    command.env("MDN", assert_cmd::cargo::cargo_bin("mdn"));
    command
}

fn said(command: &mut Command) -> Said {
    Said::of(&command.output().expect("the script starts"))
}

#[test]
fn gnu_parallel_does_every_run_and_goes_on() {
    let there = Command::new("parallel").arg("--version").output();
    if !there.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no GNU parallel here");
        return;
    }
    let place = Place::new();
    let sweep = |arguments: &[&str]| {
        let mut command = script("parallel.sh");
        command.args(arguments).current_dir(place.path(""));
        said(
            command
                .env("JOBS", "2")
                .env("PARALLEL_HOME", place.path("home")),
        )
    };
    // A run that cannot be written fails, the others do not.
    place.write("my results/ring/ring/rad/seed-1", "in the way");
    let first = sweep(&["ring.toml", "train.steps=20", "--out", "my results"]);
    assert_eq!(first.code, 3, "{first:#?}");
    assert_eq!(first.out.matches("done").count(), 3, "{first:#?}");
    std::fs::remove_file(place.path("my results/ring/ring/rad/seed-1")).expect("a file");
    let again = sweep(&["ring.toml", "train.steps=20", "--out", "my results"]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert_eq!(
        again.out.matches("done").count(),
        1,
        "only what failed: {again:#?}"
    );
    let log = place.read("ring.joblog");
    assert!(log.lines().count() >= 5, "{log}");
    assert_eq!(sweep(&["none.toml"]).code, 2);
    assert_eq!(sweep(&[]).code, 2);
}

/// Opt-in, since it starts daemons: `MDN_TEST_SLURM=1 cargo test --test it scripts -- --nocapture`.
#[test]
fn slurm_requeues_resumes_and_compares() {
    if std::env::var_os("MDN_TEST_SLURM").is_none() {
        eprintln!("skipped: MDN_TEST_SLURM is not set");
        return;
    }
    let said = said(&mut script("test-slurm.sh"));
    eprintln!("{}{}", said.out, said.err);
    assert_eq!(said.code, 0, "{said:#?}");
}
