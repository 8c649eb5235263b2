//! The verbs that look at runs and compare two of them, and those that make a start easy.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{all_trained as trained, files, objects, row, stub, Place, Said, PLAIN, RAD};
use serde_json::Value;

#[test]
fn ls_finds_every_run_and_passes_over_all_else() {
    let place = trained();
    stub(
        &place,
        "results/b/c/d/e/seed-7",
        "deep",
        "failed\nno disk\n",
    );
    stub(
        &place,
        "results/stopped",
        "half",
        "interrupted\nby SIGINT\n",
    );
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
    let said = place.mdn(&["ls"]);
    assert!(
        said.err
            .contains("6 runs: 1 interrupted, 4 done, 1 failed; "),
        "{said:#?}"
    );
    let table = said.fine();
    assert_eq!(table.lines().count(), 7, "{table}");
    assert_eq!(
        row(&table, "failed")[..5],
        ["failed", "made", "ring", "deep", "7"]
    );
    let stopped = row(&table, "interrupted");
    assert_eq!(stopped[stopped.len() - 2..], ["20/5000", "results/stopped"]);

    let failed = place.mdn(&[
        "ls",
        "--state",
        "failed",
        "--state",
        "interrupted",
        "--json",
    ]);
    let failed = objects(&failed.fine());
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[1]["folder"], "results/b/c/d/e/seed-7");
    assert_eq!(failed[1]["reason"], "no disk");
    assert_eq!(failed[0]["step"], 20);
    let rad = objects(&place.mdn(&["ls", RAD, "--json"]).fine());
    let sizes = files(&place.path(RAD));
    let bytes: u64 = sizes.iter().map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!((rad.len(), rad[0]["bytes"].as_u64()), (1, Some(bytes)));
    assert_eq!(
        (&rad[0]["held_by"], &rad[0]["seed"]),
        (&Value::Null, &0.into())
    );

    let none = place.mdn(&["ls", "--state", "running"]);
    assert!(none.err.contains("0 runs; 0 B"), "{none:#?}");
    assert_eq!(none.fine(), "");
    place
        .mdn(&["ls", "--state", "broken"])
        .refused("[possible values: running, interrupted, done");
    place
        .mdn(&["ls", "nowhere"])
        .refused("nowhere: expected a folder with runs");
}

#[test]
fn ls_names_runs_that_cannot_be_read() {
    let place = Place::new();
    stub(&place, "results/good", "good", "done\n\n");
    stub(&place, "results/strange", "strange", "finished\n");
    stub(&place, "results/damaged", "damaged", "done\n\n");
    place.write("results/damaged/config.toml", "seeds = [");
    let said = place.mdn(&["ls"]);
    said.failed(1, "2 runs or folders could not be read");
    for name in ["strange/status:1: expected one of", "damaged/config.toml:1"] {
        assert!(said.err.contains(name), "{name}\n{said:#?}");
    }
    assert_eq!(said.out.lines().count(), 2, "{said:#?}");
}

#[test]
fn show_says_what_a_run_is_and_what_was_measured() {
    let place = trained();
    let text = place.mdn(&["show", RAD]).fine();
    assert!(text.starts_with(&format!("{RAD}\n\nstate ")), "{text}");
    assert_eq!(row(&text, "state"), ["state", "done"]);
    assert!(
        text.contains("\nnot default  train.steps = 30 (5000)\n"),
        "{text}"
    );
    assert_eq!(row(&text, "steps"), ["steps", "30"]);
    let metrics = text.split("\nmetric ").nth(1).expect("a table of metrics");
    assert!(metrics.lines().nth(1).unwrap().starts_with("kl "), "{text}");

    let all = objects(&place.mdn(&["show", RAD, "--json"]).fine());
    let run = &all[0];
    assert_eq!(run["settings"]["models"]["rad"]["rad"]["layers"], 2);
    assert_eq!(run["not_default"]["train.steps"]["was"], 5000);
    assert_eq!(run["not_default"]["train.steps"]["now"], 30);
    assert!(run["not_default"].get("train.patience").is_none());
    assert!(run["best_step"].as_u64().is_some_and(|s| s <= 30), "{run}");
    assert_eq!(run["metrics"][0]["metric"], "kl");
    let csv = place.read(&format!("{RAD}/metrics.csv"));
    let kl = csv.lines().find(|l| l.starts_with("kl,")).unwrap();
    let value: f64 = kl.split(',').nth(3).unwrap().parse().unwrap();
    let read = run["metrics"][0]["value"].as_f64().unwrap();
    assert!((read - value).abs() < 1e-12, "{read} {value}");

    stub(
        &place,
        "results/stopped",
        "half",
        "interrupted\nby SIGINT after step 20\n",
    );
    let text = place.mdn(&["show", "results/stopped"]).fine();
    assert!(text.contains("by SIGINT after step 20"), "{text}");
    assert!(!text.contains("metric"), "{text}");
    place
        .mdn(&["show", "results"])
        .refused("results: expected the folder of a run");
    place
        .mdn(&["show", "nowhere"])
        .refused("nowhere: expected the folder of a run");
}

#[test]
fn diff_shows_settings_and_metrics_side_by_side() {
    let place = trained();
    let same = place.mdn(&["diff", RAD, RAD]).fine();
    assert!(same.contains("\nno setting differs\n"), "{same}");
    let changed = [
        "train",
        "ring.toml",
        "train.steps=20",
        "--out",
        "short",
        "--index",
        "2",
    ];
    place.mdn(&changed).fine();
    let other = RAD.replace("results", "short");
    let text = place.mdn(&["diff", RAD, &other]).fine();
    assert_eq!(row(&text, "train.steps"), ["train.steps", "30", "20"]);
    assert_eq!(row(&text, "steps")[2..5], ["30", "20", "-10"]);

    let seeds = place.mdn(&["diff", RAD, "results/ring/ring/rad/seed-1", "--json"]);
    let found = &objects(&seeds.fine())[0];
    let settings = found["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 1, "{settings:?}");
    assert_eq!(
        (&settings[0]["key"], &settings[0]["second"][0]),
        (&"seeds".into(), &1.into())
    );
    let kl = &found["metrics"][0];
    assert_eq!(kl["metric"], "kl");
    let number = |key: &str| kl[key].as_f64().unwrap();
    let difference = number("second") - number("first");
    assert!((number("difference") - difference).abs() < 1e-12);
    let squares = number("first_std_err").powi(2) + number("second_std_err").powi(2);
    assert!((number("std_err") - squares.sqrt()).abs() < 1e-12);

    let models = place.mdn(&["diff", PLAIN, RAD]).fine();
    assert_eq!(row(&models, "model"), ["model", "plain", "rad"]);
    assert!(
        row(&models, "models.plain.flow").ends_with(&["absent"]),
        "{models}"
    );
    stub(&place, "results/broken", "rad", "diverged\nat step 3\n");
    let said = place.mdn(&["diff", RAD, "results/broken"]);
    assert!(
        said.err
            .contains("results/broken is diverged: it has no metrics"),
        "{said:#?}"
    );
    assert_eq!(said.code, 0);
}

#[test]
fn new_writes_a_file_that_can_be_run_and_overwrites_none() {
    let place = Place::new();
    let printed = place.mdn(&["new"]).fine();
    let said = place.mdn(&["new", "mine.toml"]);
    assert!(said.err.contains("`mdn check mine.toml`"), "{said:#?}");
    assert_eq!(place.read("mine.toml"), printed);
    let checked = place.mdn(&["check", "mine.toml"]).fine();
    assert!(checked.contains("6 runs of `mine`"), "{checked}");
    place.write("mine.toml", "changed");
    place
        .mdn(&["new", "mine.toml"])
        .refused("mine.toml: expected a new file; there is one");
    assert_eq!(place.read("mine.toml"), "changed");
    place.mdn(&["new", "mine.toml", "--force"]).fine();
    assert_eq!(place.read("mine.toml"), printed);
    place
        .mdn(&["new", "My File.toml"])
        .refused("My File.toml: the file's name gives");
    assert!(!place.path("My File.toml").exists());
}

#[test]
fn shells_and_manuals_know_every_verb() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.mdn(&["completions", shell]).fine();
        for word in ["compare", "interrupted", "tensorboard"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    place
        .mdn(&["completions", "tcsh"])
        .refused("possible values: bash");
    let main = place.mdn(&["man"]).fine();
    assert!(
        main.contains(".TH mdn 1") && main.contains("Exit codes"),
        "{main}"
    );
    let pages = place.mdn(&["man", "pages"]).fine();
    let found: Vec<_> = pages.lines().collect();
    assert_eq!(found.first(), Some(&"pages/mdn.1"));
    for verb in ["train", "ls", "rm", "export", "man"] {
        let name = format!("pages/mdn-{verb}.1");
        assert!(found.contains(&name.as_str()), "{pages}");
        let page = place.read(&name);
        assert!(page.contains(&format!("mdn\\-{verb}")), "{page}");
    }
    assert_eq!(place.read("pages/mdn.1"), main);
}

#[test]
fn check_and_list_speak_json() {
    let place = Place::new();
    let all = objects(&place.mdn(&["check", "ring.toml", "--json"]).fine());
    let about = &all[0];
    assert_eq!(
        (&about["runs"], &about["data"][0]["modes"]),
        (&4.into(), &4.into())
    );
    assert_eq!(about["models"][0]["sizes"][0]["hidden"][0][0], 8);
    let text = place.mdn(&["check", "ring.toml"]).fine();
    let parameters = &about["models"][1]["sizes"][0]["parameters"];
    assert!(text.contains(&format!("{parameters} parameters")), "{text}");
    for kind in objects(&place.mdn(&["list", "--json"]).fine()) {
        let kind = kind["name"].as_str().unwrap().to_owned();
        let members = objects(&place.mdn(&["list", &kind, "--json"]).fine());
        assert!(members.iter().all(|m| m["what"].is_string()), "{kind}");
        let text = place.mdn(&["list", &kind]).fine();
        let rows = text.lines().filter(|l| !l.starts_with("    "));
        assert_eq!(rows.count(), members.len(), "{kind}");
    }
}

fn with_environment(place: &Place, arguments: &[&str], set: &[(&str, &str)]) -> Said {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("mdn"));
    command.args(arguments).current_dir(place.path(""));
    command.env_remove("NO_COLOR").envs(set.iter().copied());
    Said::of(&command.output().expect("it starts"))
}

#[test]
fn no_colour_means_none() {
    let place = Place::new();
    let forced = ("CLICOLOR_FORCE", "1");
    for arguments in [
        ["trian"].as_slice(),
        &["--help"],
        &["train", "nothing.toml"],
    ] {
        let plain = with_environment(&place, arguments, &[forced, ("NO_COLOR", "1")]);
        assert!(
            !(plain.out + &plain.err).contains('\u{1b}'),
            "{arguments:?}"
        );
    }
    // Otherwise the test above shows nothing.
    let bright = with_environment(&place, &["trian"], &[forced]);
    assert!(bright.err.contains('\u{1b}'), "{bright:?}");
}

#[test]
fn a_reader_who_goes_away_is_no_fault() {
    let place = Place::new();
    for name in ["a", "b"] {
        stub(&place, &format!("results/{name}"), name, "done\n\n");
        for file in ["metrics.csv", "cost.csv"] {
            let header = "metric,unit,better,value,std_err,n,non_finite,note\n";
            place.write(&format!("results/{name}/{file}"), header);
        }
    }
    let gone = |arguments: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("mdn"));
        command
            .arg("--quiet")
            .args(arguments)
            .current_dir(place.path(""));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        let said = Said::of(&child.wait_with_output().expect("it ends"));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{arguments:?}");
    };
    gone(&["ls"]);
    gone(&["ls", "--json"]);
    gone(&["show", "results/a"]);
    gone(&["diff", "results/a", "results/a", "--json"]);
    gone(&["new"]);
    gone(&["completions", "bash"]);
    gone(&["man"]);
    gone(&["man", "pages"]);
    gone(&["export", "results", "--tensorboard", "board"]);
    gone(&["rm", "--force", "results/a", "results/b"]);
    assert_eq!(
        files(&place.path("results")),
        Vec::<std::path::PathBuf>::new()
    );
    assert!(Path::new(&place.path("pages/mdn.1")).exists());
    assert_eq!(files(&place.path("board")).len(), 2);
}
