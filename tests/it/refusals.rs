//! What the program refuses before it trains, and in which words.

use crate::common::{cases, files, one_trained, Place, RAD, RING};

#[test]
fn a_wrong_command_line_is_refused() {
    let place = Place::new();
    let bare = place.mdn("");
    assert_eq!(bare.code, 2);
    assert!(bare.err.contains("Usage: mdn"), "{bare:?}");
    place.refuses(
        "
        trian => a similar subcommand exists: 'train'
        train => <FILE>
        train ring.toml --stepps 3 => --stepps
        train ring.toml steps => expected KEY=VALUE
        train ring.toml =3 => expected KEY=VALUE
        train ring.toml --threads 0 => 0 is not in 1
        train ring.toml --device gpu => expected `auto`, `cpu`, `cuda`, `cuda:N` or `metal` (did you mean `cuda` or `metal`?)
        train ring.toml --seed x => invalid value 'x' for '--seed <N>'
        train ring.toml --index 0 --model rad => cannot be used with
        runs ring.toml --count --json => cannot be used with
        list modles => a similar value exists: 'models'
        sample results => --count <N>
        sample results -n 0 => 0 is not in 1
        ",
    );
}

/// This holds for every build: there is no hundredth GPU, and no double precision on Metal.
#[test]
fn devices_and_kernels_that_do_not_fit_are_refused_before_anything_is_trained() {
    let place = Place::new();
    let mut table = String::from(
        "
        --device cuda:99 => --device cuda:99: expected
        --device cuda:99 => try --device cpu
        --device metal train.precision=f64 => try train.precision=f32
        --kernels fast => expected `auto`, `fused`, `plain` or, on this machine, `fused:
        --kernels fused:abacus => `fused:portable`
        --kernels fused train.precision=f64 => got f64 (try --kernels plain)
        ",
    );
    let none = "this one has none\n";
    if !cfg!(feature = "cuda") {
        table += "--device cuda => --device cuda:0: expected a build with CUDA; ";
        table += none;
    }
    if !cfg!(feature = "metal") {
        table += "--device metal => --device metal: expected a build with Metal; ";
        table += none;
    }
    for verb in ["train", "compare"] {
        for (options, message) in cases(&table) {
            let said = place.mdn(&format!("{verb} ring.toml {options}"));
            said.refused(message);
        }
    }
    assert!(files(&place.path("results")).is_empty());
}

#[test]
fn a_bad_file_is_refused_with_its_line() {
    let place = Place::new();
    // A part of the good file with what replaces it, and the message.
    let table = r#"
        steps = 30 | stpes = 30 => bad.toml:5: train: unknown key `stpes` (did you mean `steps`?); expected one of `batch_size`,
        steps = 30 | steps = "many" => bad.toml:5: train: expected `steps` to be a whole number >= 0; got string "many"
        steps = 30 | steps = 0 => bad.toml:5: train: expected 1 <= `steps` <= 1000000000; got 0
        validation_points = 100 | validation_points = -5 => bad.toml:8: train: expected `validation_points` to be a whole number >= 0; got -5
        seeds = [0, 1] | seeds = [] => bad.toml:1: expected at least one seed in `seeds`; got []
        seeds = [0, 1] | seeds = [4, 1, 4] => bad.toml:1: expected every seed once in `seeds`; got 4 twice
        "plain" | "plian" => bad.toml:2: expected `reference` to be one of `plain`, `rad`; got "plian" (did you mean `plain`?)
        ring = { | riing = { => bad.toml:16: data.ring: unknown choice `riing` (did you mean `ring`?)
        [models.rad.rad] | [models.rad.rad => bad.toml:21:16: not valid TOML:
        [models.rad.rad] | [models.plain.flow] => is given twice; keep one
        [data.ring] | [data."../ring"] => bad.toml:15: data: expected a name of 1 to 64 characters
        std = 0.3 | std = -0.3 => bad.toml:16: data.ring.ring: expected
    "#;
    for (change, message) in cases(table) {
        let (good, bad) = change.split_once(" | ").expect("two parts");
        assert!(RING.contains(good), "{good}");
        place.write("bad.toml", RING.replacen(good, bad, 1));
        for verb in ["train", "compare", "check", "runs"] {
            place.refused(&format!("{verb} bad.toml"), message);
        }
    }
    place.write("bad.toml", "seeds = [0]\n");
    place.write("my file.toml", RING);
    place.refuses(
        "
        check bad.toml => expected at least one table `[data.NAME]`; got none
        check none.toml => none.toml: could not read the experiment file:
        check 'my file.toml' => the file's name gives the results folder
        ",
    );
}

#[test]
fn bad_overrides_and_selections_are_refused_by_name() {
    let place = Place::new();
    let overrides = "
        train.stpes=3 => override `train.stpes=3`: train: unknown key `stpes` (did you mean `steps`?)
        train.steps=few => override `train.steps=few`: train: expected `steps` to be a whole number >= 0; got string \"few\"
        train.steps=0 => override `train.steps=0`: train: expected 1 <= `steps`
        models.radd.rad.layers=3 => override `models.radd.rad.layers=3`: the file has no model `radd` (did you mean `rad`?)
        'seeds=[1, 1]' => expected every seed once in `seeds`
    ";
    for (typed, message) in cases(overrides) {
        place.refused(&format!("train ring.toml {typed}"), message);
        place.refused(&format!("check ring.toml --set {typed}"), message);
    }
    let selections = "
        --model radd => no model `radd` (did you mean `rad`?); expected one of `plain`, `rad`
        --data rings => no data set `rings` (did you mean `ring`?)
        --seed 7 => no seed `7`; expected one of `0`, `1`
        --index 4 => expected --index between 0 and 3; got 4
    ";
    for (selection, message) in cases(selections) {
        for verb in ["train", "compare", "runs"] {
            place.refused(&format!("{verb} ring.toml {selection}"), message);
        }
    }
    assert!(files(&place.path("results")).is_empty());
    let said = place.mdn("train ring.toml --out ring.toml/below");
    said.failed(1, "ring.toml/below/ring: could not make the folder");
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let place = Place::new();
    place.write("points.csv", "1,2\n");
    place.write("foreign/notes.txt", "hello");
    place.write("broken/status", "diverged\nloss not finite at step 3\n");
    place.write("strange/status", "who knows\n");
    let table = "
        nowhere => nowhere: expected the folder of a run; there is no such folder
        ring.toml => ring.toml: expected the folder of a run
        foreign => foreign: expected the folder of a run, as in results/
        broken => broken: expected a run that is done; this one is diverged (loss not finite at step 3)
        strange => status:1: expected one of `missing`
    ";
    for (run, message) in cases(table) {
        place.refused(&format!("sample {run} -n 3"), message);
        place.refused(&format!("density {run} points.csv"), message);
    }
    place.refuses(
        "
        plot nowhere => nowhere: expected a folder with runs; there is no such folder
        plot foreign => foreign: expected the folder of a run, or one above several
        plot => <RUN>
        plot foreign --targets => cannot be used with
        ",
    );
}

/// Every message about a row is in the unit tests of `mdn_core::data`.
#[test]
fn bad_points_are_refused_with_their_line() {
    let place = one_trained();
    let number = "points.csv: expected a number in every column and row; got 1 bad row";
    let not_finite = format!("{number} (line 2: `NaN` in column 0 is not a number)");
    let cases = [
        ("1,2\nNaN,3\n", not_finite.as_str()),
        ("x1,x2\n", "expected points in points.csv; got none"),
        ("x2,x3\n1,2\n", "got `x2`, `x3` without `x1`"),
    ];
    for (text, message) in cases {
        place.write("points.csv", text);
        place.refused(&format!("density {RAD} points.csv"), message);
        let from_stdin = place.mdn_with_stdin(&format!("density {RAD} -"), text);
        from_stdin.refused(&message.replace("points.csv", "<stdin>"));
    }
    place.write("points.csv", [0xff, 0xfe, 0x00]);
    let table = format!(
        "
        density {RAD} points.csv => expected text in UTF-8 in points.csv; got other bytes on line 1
        density {RAD} none.csv => none.csv: could not read the points
        "
    );
    place.refuses(&table);
}
