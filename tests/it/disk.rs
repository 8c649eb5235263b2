//! Places that take no more files.

#![cfg(unix)]

use std::process::Command;

use crate::common::{files, Place, Said};

/// `mdn` where no file may have more than so many blocks of 512 bytes.
fn limited(place: &Place, blocks: u32, arguments: &str) -> Said {
    let mdn = assert_cmd::cargo::cargo_bin("mdn");
    // Without the trap the system would end the process where it reaches the limit.
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {arguments}");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &line])
        .arg(mdn)
        .current_dir(place.path(""));
    Said::of(&shell.output().expect("a shell"))
}

#[test]
fn files_that_cannot_be_written_are_named_and_the_same_command_goes_on() {
    let whole = Place::new();
    whole.mdn(&["train", "ring.toml"]).fine();
    // Nothing can be written; lock and status but no settings; all but the longer files.
    for (blocks, first) in [(0, "lock"), (1, "config.toml"), (8, "picture.safetensors")] {
        let place = Place::new();
        let said = limited(
            &place,
            blocks,
            "train ring.toml --threads 1 --checkpoint-every 1000",
        );
        said.failed(1, "File too large");
        let named =
            format!("{first}: could not write: File too large (os error 27); raise the limit");
        assert!(said.err.contains(&named), "{blocks}: {said:#?}");
        for left in files(&place.path("results")) {
            let name = left.file_name().expect("a file").to_string_lossy();
            assert!(!name.starts_with(".mdn-"), "{blocks}: {}", left.display());
        }
        place.mdn(&["train", "ring.toml"]).fine();
        for file in files(&whole.path("results")) {
            let name = file.strip_prefix(whole.path("")).expect("below");
            let name = name.to_str().expect("a name");
            let tells_when = ["cost.csv", "environment.toml", ".png"];
            if !tells_when.iter().any(|end| name.ends_with(end)) {
                assert!(whole.bytes(name) == place.bytes(name), "{blocks}: {name}");
            }
        }
    }
}

#[test]
fn a_full_disk_and_a_read_only_one_are_survived() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/full-disk.sh");
    let mut command = Command::new(script);
    command.env("MDN", assert_cmd::cargo::cargo_bin("mdn"));
    let said = Said::of(&command.args(["250"]).output().expect("the script starts"));
    if said.code == 77 {
        eprintln!("skipped: {}", said.err);
        return;
    }
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(said.out.matches("the same bytes").count(), 2, "{said:#?}");
}
