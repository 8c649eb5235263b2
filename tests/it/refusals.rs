//! The binary from outside, without training: how it refuses what cannot be.

use crate::common::{files, Place, RING};

#[test]
fn a_wrong_command_line_is_refused() {
    let place = Place::new();
    let bare = place.mdn(&[]);
    assert_eq!(bare.code, 2);
    assert!(bare.err.contains("Usage: mdn"), "{bare:?}");
    let cases: [(&[&str], &str); 13] = [
        (&["trian"], "a similar subcommand exists: 'train'"),
        (&["train"], "<FILE>"),
        (&["train", "ring.toml", "--stepps", "3"], "--stepps"),
        (&["train", "ring.toml", "steps"], "expected KEY=VALUE"),
        (&["train", "ring.toml", "=3"], "expected KEY=VALUE"),
        (&["train", "ring.toml", "--threads", "0"], "0 is not in 1"),
        (
            &["train", "ring.toml", "--device", "gpu"],
            "expected `auto`, `cpu`, `cuda`, `cuda:N` or `metal` (did you mean `cuda` or `metal`?)",
        ),
        (
            &["train", "ring.toml", "--seed", "x"],
            "invalid value 'x' for '--seed <N>'",
        ),
        (
            &["train", "ring.toml", "--index", "0", "--model", "rad"],
            "cannot be used with",
        ),
        (
            &["runs", "ring.toml", "--count", "--json"],
            "cannot be used with",
        ),
        (&["list", "modles"], "a similar value exists: 'models'"),
        (&["sample", "results"], "--count <N>"),
        (&["sample", "results", "-n", "0"], "0 is not in 1"),
    ];
    for (arguments, message) in cases {
        place.mdn(arguments).refused(message);
    }
}

/// Whatever was compiled in: there is no hundredth GPU, and no double precision on Metal.
#[test]
fn a_device_that_cannot_be_used_is_refused_before_anything_is_trained() {
    let place = Place::new();
    for verb in ["train", "compare"] {
        let on = |more: &[&str]| place.mdn(&[&[verb, "ring.toml", "--device"], more].concat());
        on(&["cuda:99"]).refused("--device cuda:99: expected ");
        on(&["cuda:99"]).refused("try --device cpu");
        on(&["metal", "train.precision=f64"]).refused("try train.precision=f32");
        if !cfg!(feature = "cuda") {
            on(&["cuda"]).refused("--device cuda:0: expected a build with CUDA; this one has none");
        }
        if !cfg!(feature = "metal") {
            on(&["metal"])
                .refused("--device metal: expected a build with Metal; this one has none");
        }
    }
    assert_eq!(
        files(&place.path("results")),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn kernels_that_do_not_fit_are_refused_before_anything_is_trained() {
    let place = Place::new();
    for verb in ["train", "compare"] {
        let with = |more: &[&str]| place.mdn(&[&[verb, "ring.toml", "--kernels"], more].concat());
        with(&["fast"]).refused("expected `auto`, `fused`, `plain` or, on this machine, `fused:");
        with(&["fused:abacus"]).refused("`fused:portable`");
        with(&["fused", "train.precision=f64"]).refused("got f64 (try --kernels plain)");
    }
    assert_eq!(
        files(&place.path("results")),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn a_bad_file_is_refused_with_its_line() {
    let place = Place::new();
    // (what is replaced in the good file, by what, the message)
    let cases = [
        (
            "steps = 30",
            "stpes = 30",
            "bad.toml:5: train: unknown key `stpes` (did you mean `steps`?); expected one of \
             `batch_size`, ",
        ),
        (
            "steps = 30",
            "steps = \"many\"",
            "bad.toml:5: train: expected `steps` to be a whole number >= 0; got string \"many\"",
        ),
        (
            "steps = 30",
            "steps = 0",
            "bad.toml:5: train: expected 1 <= `steps` <= 1000000000; got 0",
        ),
        (
            "points = 500\nvalid",
            "points = -500\nvalid",
            "bad.toml:7: train: expected `points` to be a whole number >= 0; got -500",
        ),
        (
            "seeds = [0, 1]",
            "seeds = []",
            "bad.toml:1: expected at least one seed in `seeds`; got []",
        ),
        (
            "seeds = [0, 1]",
            "seeds = [4, 1, 4]",
            "bad.toml:1: expected every seed once in `seeds`; got 4 twice",
        ),
        (
            "\"plain\"",
            "\"plian\"",
            "bad.toml:2: expected `reference` to be one of `plain`, `rad`; got \"plian\" (did \
             you mean `plain`?)",
        ),
        (
            "ring = {",
            "riing = {",
            "bad.toml:16: data.ring: unknown choice `riing` (did you mean `ring`?)",
        ),
        (
            "[models.rad.rad]",
            "[models.rad.rad",
            "bad.toml:21:16: not valid TOML: ",
        ),
        (
            "[models.rad.rad]",
            "[models.plain.flow]",
            "is given twice; keep one",
        ),
        (
            "[data.ring]",
            "[data.\"../ring\"]",
            "bad.toml:15: data: expected a name of 1 to 64 characters",
        ),
        (
            "std = 0.3",
            "std = -0.3",
            "bad.toml:16: data.ring.ring: expected ",
        ),
    ];
    for (good, bad, message) in cases {
        assert!(RING.contains(good), "{good}");
        place.write("bad.toml", &RING.replacen(good, bad, 1));
        for verb in ["train", "compare", "check", "runs"] {
            place.mdn(&[verb, "bad.toml"]).refused(message);
        }
    }
    place.write("bad.toml", "seeds = [0]\n");
    place
        .mdn(&["check", "bad.toml"])
        .refused("expected at least one table `[data.NAME]`; got none");
    place
        .mdn(&["check", "none.toml"])
        .refused("none.toml: could not read the experiment file: ");
    place.write("my file.toml", RING);
    place
        .mdn(&["check", "my file.toml"])
        .refused("the file's name gives the results folder");
}

#[test]
fn a_bad_override_is_refused_by_name() {
    let place = Place::new();
    let cases = [
        (
            "train.stpes=3",
            "override `train.stpes=3`: train: unknown key `stpes` (did you mean `steps`?)",
        ),
        (
            "train.steps=few",
            "override `train.steps=few`: train: expected `steps` to be a whole number >= 0; got \
             string \"few\"",
        ),
        (
            "train.steps=0",
            "override `train.steps=0`: train: expected 1 <= `steps`",
        ),
        (
            "models.radd.rad.layers=3",
            "override `models.radd.rad.layers=3`: the file has no model `radd` (did you mean \
             `rad`?)",
        ),
        ("seeds=[1, 1]", "expected every seed once in `seeds`"),
    ];
    for (typed, message) in cases {
        place.mdn(&["train", "ring.toml", typed]).refused(message);
        place
            .mdn(&["check", "ring.toml", "--set", typed])
            .refused(message);
    }
    assert!(files(&place.path("results")).is_empty());
}

#[test]
fn a_run_that_is_not_in_the_experiment_is_refused() {
    let place = Place::new();
    let cases: [(&[&str], &str); 4] = [
        (
            &["--model", "radd"],
            "no model `radd` (did you mean `rad`?); expected one of `plain`, `rad`",
        ),
        (
            &["--data", "rings"],
            "no data set `rings` (did you mean `ring`?)",
        ),
        (&["--seed", "7"], "no seed `7`; expected one of `0`, `1`"),
        (&["--index", "4"], "expected --index between 0 and 3; got 4"),
    ];
    for (selection, message) in cases {
        for verb in ["train", "compare", "runs"] {
            let arguments = [&[verb, "ring.toml"], selection].concat();
            place.mdn(&arguments).refused(message);
        }
    }
}

#[test]
fn a_results_folder_that_cannot_be_written_is_one_fault() {
    let place = Place::new();
    let said = place.mdn(&["train", "ring.toml", "--out", "ring.toml/below"]);
    said.failed(1, "ring.toml/below/ring: could not make the folder");
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let place = Place::new();
    place.write("points.csv", "1,2\n");
    place.write("foreign/notes.txt", "hello");
    place.write("broken/status", "diverged\nloss not finite at step 3\n");
    place.write("strange/status", "who knows\n");
    let verbs: [&[&str]; 2] = [&["sample", "-n", "3"], &["density", "points.csv"]];
    for verb in verbs {
        let on = |run: &str| {
            let mut arguments = verb.to_vec();
            arguments.insert(1, run);
            place.mdn(&arguments)
        };
        on("nowhere").refused("nowhere: expected the folder of a run; there is no such folder");
        on("ring.toml").refused("ring.toml: expected the folder of a run");
        on("foreign").refused("foreign: expected the folder of a run, as in results/");
        on("broken").refused(
            "broken: expected a run that is done; this one is diverged (loss not finite at step 3)",
        );
        on("strange").refused("status:1: expected one of `missing`");
    }
    place
        .mdn(&["plot", "nowhere"])
        .refused("nowhere: expected a folder with runs; there is no such folder");
    place
        .mdn(&["plot", "foreign"])
        .refused("foreign: expected the folder of a run, or one above several");
    place.mdn(&["plot"]).refused("<RUN>");
    place
        .mdn(&["plot", "foreign", "--targets"])
        .refused("cannot be used with");
}

#[test]
fn bad_points_are_refused_with_their_line() {
    let place = Place::new();
    let cases = [
        (
            "1,2\nNaN,3\n",
            "points.csv:2: expected a finite number; got `NaN`",
        ),
        (
            "x1,x2\n1,2\n3,-inf\n",
            "points.csv:3: expected a finite number; got `-inf`",
        ),
        (
            "1,2\n3,4,5\n",
            "points.csv:2: expected 2 values as in the first row; got 3",
        ),
        (
            "1,2\n\n3,4\n",
            "points.csv:2: expected a point; got an empty row",
        ),
        (
            "1,2\nthree,4\n",
            "points.csv:2: expected a finite number; got `three`",
        ),
        ("", "points.csv: expected at least one point; got none"),
        (
            "x1,x2\n",
            "points.csv: expected at least one point; got none",
        ),
    ];
    for (text, message) in cases {
        place.write("points.csv", text);
        place
            .mdn(&["density", "some-run", "points.csv"])
            .refused(message);
        let from_stdin = place.mdn_with_stdin(&["density", "some-run", "-"], text);
        from_stdin.refused(&message.replace("points.csv", "<stdin>"));
    }
    std::fs::write(place.path("points.csv"), [0xff, 0xfe, 0x00]).expect("writable");
    place
        .mdn(&["density", "some-run", "points.csv"])
        .refused("points.csv: expected a CSV file; got no text");
    place
        .mdn(&["density", "some-run", "none.csv"])
        .refused("none.csv: could not read the points");
}
