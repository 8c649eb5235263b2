//! What the program lists and says without training, in words, in JSON and for shells.

use std::process::Stdio;

use serde_json::Value;

use crate::common::{
    all_trained, assert_contains, cases, files, objects, row, stub, Place, Said, MDN, RAD,
};

/// The verbs that `mdn --help` lists.
fn verbs(place: &Place) -> Vec<String> {
    let help = place.ok("--help");
    let below = help.split("Commands:\n").nth(1).expect("a list of verbs");
    let lines = below.lines().take_while(|l| l.starts_with("  "));
    let names = lines.filter_map(|l| l.split_whitespace().next());
    names.map(str::to_owned).filter(|v| v != "help").collect()
}

#[test]
fn help_and_version_are_results() {
    let place = Place::new();
    let verbs = verbs(&place).join(" ");
    let expected =
        "new check train compare runs ls show diff rm sample density plot export list study \
                    bench devices schema completions man";
    assert_eq!(verbs, expected);
    assert!(place.ok("--help").contains("Exit codes:"));
    let version = place.ok("--version");
    let expected = format!("mdn {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&expected), "{version}");
    let train = place.ok("train --help");
    assert!(train.contains("model.safetensors"), "{train}");
}

#[test]
fn every_verb_prints_json() {
    let place = all_trained();
    place.write("points.csv", "x1,x2\n3,0\n1e30,0\n");
    let other = RAD.replace("seed-0", "seed-1");
    // The command line, a key that its first object has (or `-`), and the number of objects.
    let table = format!(
        "
        new fresh.toml => file 1
        new => text 1
        check ring.toml => experiment 1
        list models => name
        train ring.toml => event
        compare ring.toml --figures none => -
        runs ring.toml => index 4
        ls => state 4
        show {RAD} => metrics 1
        diff {RAD} {other} => -
        sample {RAD} -n 3 => x 3
        density {RAD} points.csv --parts => part 2
        plot {RAD} => file
        export {RAD} --tensorboard board => file 1
        devices => device
        completions bash => script 1
        man => page 1
        man pages => file
        schema => title 1
        schema -o mdn.schema.json => file 1
        rm --force {RAD} => removed 1
        "
    );
    let cases = cases(&table);
    for verb in verbs(&place) {
        let tried = cases.iter().any(|c| c.0.split(' ').next() == Some(&verb));
        // These have tests of their own.
        let apart = ["bench", "study"].contains(&verb.as_str());
        assert!(tried || apart, "{verb}");
        let help = place.ok(&format!("{verb} --help"));
        assert!(help.contains("--json"), "{verb}");
    }
    for (line, expected) in cases {
        let (key, count) = expected.split_once(' ').unwrap_or((expected, ""));
        let said = place.ok(&format!("{line} --json"));
        let found = objects(&said);
        assert!(!found.is_empty(), "{line}");
        let as_many = count.is_empty() || count == found.len().to_string();
        assert!(as_many, "{line}: {said}");
        let has_key = key == "-" || found[0].get(key).is_some();
        assert!(has_key, "{line}: {said}");
    }
}

#[test]
fn numbers_and_files_are_those_of_the_plain_output() {
    let place = all_trained();
    place.write("points.csv", "x1,x2\n3,0\n1e30,0\n");
    // The parser of JSON may be off by the last digit.
    let near = |a: &Value, b: &str| {
        let (a, b): (f64, f64) = (a.as_f64().expect("a number"), b.parse().expect("a number"));
        assert!((a - b).abs() <= 1e-14 * b.abs(), "{a} {b}");
    };
    let both = |line: &str| {
        let json = objects(&place.ok(&format!("{line} --json")));
        (place.ok(line), json)
    };
    let (plain, json) = both(&format!("density {RAD} points.csv"));
    let last = plain.lines().nth(1).and_then(|l| l.split(',').next_back());
    near(&json[0]["log_density"], last.expect("a value"));
    let (plain, json) = both(&format!("sample {RAD} -n 2"));
    assert_eq!(plain.lines().count(), 1 + json.len());
    for (line, row) in plain.lines().skip(1).zip(&json) {
        for (i, x) in line.split(',').enumerate() {
            near(&row["x"][i], x);
        }
    }
    // A run that is kept says why, and the file that keeps it stays.
    let notes = format!("{RAD}/notes.txt");
    place.write(&notes, "mine");
    let said = place.mdn(&format!("rm --force {RAD} --json"));
    assert_eq!(said.code, 1);
    let object = &objects(&said.out)[0];
    assert_eq!(object["removed"], false);
    let why = object["why_not"].as_str().expect("a reason");
    assert!(why.contains("notes.txt"), "{why}");
    assert_eq!(place.read(&notes), "mine");
}

#[test]
fn devices_say_what_is_built_in_and_what_is_there() {
    let place = Place::new();
    let table = place.ok("devices");
    let lines: Vec<_> = table.lines().collect();
    for (line, start) in lines.iter().zip([
        "device  compiled in  usable  detail",
        "cpu     yes          yes     ",
        "cuda:0  ",
    ]) {
        assert!(line.starts_with(start), "{table}");
    }
    let rows = objects(&place.ok("devices --json"));
    assert_eq!(rows.len() + 1, lines.len());
    assert_eq!(rows[0]["device"], "cpu");
    assert_eq!(rows[0]["usable"], true);
    assert_eq!(rows[1]["compiled_in"], cfg!(feature = "cuda"));
    let metal = &rows[rows.len() - 1];
    assert_eq!(metal["device"], "metal");
    assert_eq!(metal["compiled_in"], cfg!(feature = "metal"));
}

#[test]
fn runs_are_listed_in_the_order_of_the_file() {
    let place = Place::new();
    let table = place.ok("runs ring.toml");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert_eq!(lines[0], "index  data  model  seed  state    reason");
    assert_eq!(lines[2], "1      ring  plain  1     missing");
    assert_eq!(place.ok("runs ring.toml --count"), "4\n");
    let rows = objects(&place.ok("runs ring.toml --json --model rad"));
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["index"], 2);
    assert_eq!(rows[0]["seed"], 0);
    assert_eq!(rows[0]["folder"], RAD);
    let commands = place.mdn(
        "runs ring.toml train.steps=5 --set 'seeds=[3, 4]' --out 'my results' --commands \
         --device cpu --kernels plain",
    );
    let second =
        "mdn train ring.toml train.steps=5 --set 'seeds=[3, 4]' --index 1 --out 'my results' \
                  --device cpu --kernels plain";
    assert_eq!(commands.fine().lines().nth(1), Some(second));
    let wrong = "runs ring.toml --commands --device abacus";
    place.refused(wrong, "expected `auto`, `cpu`");
}

#[test]
fn shares_of_an_experiment_make_the_whole() {
    let place = Place::new();
    let commands = |share: &str| {
        let out = place.ok(&format!("runs ring.toml --commands {share}"));
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let shares = ["--shard 1/3", "--shard 2/3", "--shard 3/3"];
    let mut seen = shares.map(commands).concat();
    seen.sort();
    let mut whole = commands("");
    whole.sort();
    assert_eq!(seen, whole);
    for bad in ["0/3", "4/3", "1/0", "a/b", "3"] {
        place.refused(&format!("runs ring.toml --shard {bad}"), "expected I/N");
    }
}

#[test]
fn a_dry_run_does_nothing() {
    let place = Place::new();
    let said = place.ok("train ring.toml -n --seed 1");
    let plain = "results/ring/ring/plain/seed-1";
    let rad = "results/ring/ring/rad/seed-1";
    assert_eq!(said, format!("train  1  {plain}\ntrain  3  {rad}\n"));
    assert!(!place.exists("results"));
}

#[test]
fn check_shows_what_the_file_means() {
    let place = Place::new();
    let text = place.ok("check ring.toml");
    let words = [
        "plain  flow (reference)",
        "4 runs of `ring`",
        "memory: a run of `",
    ];
    assert_contains(&text, &words);
    assert_eq!(row(&text, "ring")[..4], ["ring", "ring", "2", "4"]);
    let about = &objects(&place.ok("check ring.toml --json"))[0];
    assert_eq!(about["runs"], 4);
    assert_eq!(about["data"][0]["modes"], 4);
    assert_eq!(about["models"][0]["sizes"][0]["hidden"][0][0], 8);
    let parameters = &about["models"][1]["sizes"][0]["parameters"];
    assert!(text.contains(&format!("{parameters} parameters")), "{text}");

    assert!(!text.contains("time: "), "{text}");
    let timed = place.ok("check ring.toml --time");
    assert!(timed.starts_with(&text), "{timed}");
    assert!(timed.contains("\ntime: 4 runs train for about "), "{timed}");
    assert!(!place.exists("results"));

    let resolved = place.ok("check ring.toml train.steps=7 --resolved");
    assert!(resolved.contains("steps = 7\n"), "{resolved}");
    place.write("again.toml", &resolved);
    assert_eq!(place.ok("check again.toml --resolved"), resolved);
}

#[test]
fn every_kind_is_listed_as_text_and_as_json() {
    let place = Place::new();
    let kinds = objects(&place.ok("list --json"));
    assert_eq!(kinds.len(), 12);
    for kind in kinds {
        let line = format!("list {}", kind["name"].as_str().expect("a name"));
        let members = objects(&place.ok(&format!("{line} --json")));
        assert!(!members.is_empty(), "{line}");
        let described = |m: &Value| m["what"].as_str().is_some_and(|w| !w.is_empty());
        assert!(members.iter().all(described), "{line}");
        let text = place.ok(&line);
        let rows = text.lines().filter(|l| !l.starts_with("    "));
        assert_eq!(rows.count(), members.len(), "{line}");
    }
    let models = place.ok("list models");
    assert!(models.starts_with("flow "), "{models}");
    let k = "K; chosen by BIC between 1 and `max_components` if absent or `\"bic\"`.\n";
    assert_contains(&models, &[&format!("\n    optional components: {k}")]);
    let words = ["\n    optional support: ", "\n    penalty = "];
    assert_contains(&place.ok("list objectives"), &words);
}

#[test]
fn the_schema_goes_to_a_file_and_every_key_says_what_it_means() {
    let place = Place::new();
    assert_eq!(place.ok("schema -o mdn.schema.json"), "");
    let schema: Value = serde_json::from_str(&place.read("mdn.schema.json")).expect("JSON");
    let types = schema["$defs"].as_object().expect("types");
    let mut silent = Vec::new();
    for (name, of) in types.iter().filter(|t| t.0 != "TrainAxes") {
        let keys = of["properties"].as_object().into_iter().flatten();
        let no_text =
            keys.filter(|(_, value)| value["description"].as_str().is_none_or(str::is_empty));
        silent.extend(no_text.map(|(key, _)| format!("{name}.{key}")));
    }
    assert!(silent.is_empty(), "no description: {}", silent.join(", "));
    place.refused("schema other", "invalid value 'other'");
}

#[test]
fn new_writes_a_file_that_can_be_run_and_overwrites_none() {
    let place = Place::new();
    let printed = place.ok("new");
    place
        .mdn("new mine.toml")
        .fine_with_note("`mdn check mine.toml`");
    assert_eq!(place.read("mine.toml"), printed);
    let checked = place.ok("check mine.toml");
    assert!(checked.contains("6 runs of `mine`"), "{checked}");
    place.write("mine.toml", "changed");
    place.refuses(
        "
        new mine.toml => mine.toml: expected a new file; there is one
        new 'My File.toml' => My File.toml: the file's name gives
        ",
    );
    assert_eq!(place.read("mine.toml"), "changed");
    assert!(!place.exists("My File.toml"));
    place.ok("new mine.toml --force");
    assert_eq!(place.read("mine.toml"), printed);
}

#[test]
fn shells_and_manuals_know_every_verb() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.ok(&format!("completions {shell}"));
        assert_contains(&script, &["compare", "interrupted", "tensorboard"]);
    }
    place.refused("completions tcsh", "possible values: bash");
    let main = place.ok("man");
    assert_contains(&main, &[".TH mdn 1", "Exit codes"]);
    let pages = place.ok("man pages");
    let mut expected = vec!["pages/mdn.1".to_owned()];
    expected.extend(verbs(&place).iter().map(|v| format!("pages/mdn-{v}.1")));
    assert_eq!(pages.lines().collect::<Vec<_>>(), expected);
    assert_eq!(place.read("pages/mdn.1"), main);
    assert!(place.read("pages/mdn-train.1").contains("mdn\\-train"));
}

#[test]
fn no_colour_means_none() {
    let place = Place::new();
    let with = |line: &str, no_colour: bool| {
        let mut command = place.command(MDN, line);
        command.env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
        if no_colour {
            command.env("NO_COLOR", "1");
        }
        let said = Said::of(&mut command);
        said.out + &said.err
    };
    for line in ["trian", "--help", "train nothing.toml"] {
        assert!(!with(line, true).contains('\u{1b}'), "{line}");
    }
    // Without the variable there are colours.
    assert!(with("trian", false).contains('\u{1b}'));
}

#[test]
fn a_reader_who_closes_the_pipe_is_no_fault() {
    let place = Place::new();
    for name in ["a", "b"] {
        stub(&place, &format!("results/{name}"), name, "done\n\n");
        for file in ["metrics.csv", "cost.csv"] {
            let header = "metric,unit,better,value,std_err,n,non_finite,note\n";
            place.write(&format!("results/{name}/{file}"), header);
        }
    }
    for line in [
        "runs ring.toml --commands",
        "ls",
        "ls --json",
        "show results/a",
        "diff results/a results/a --json",
        "new",
        "completions bash",
        "man",
        "man pages",
        "export results --tensorboard board",
        "rm --force results/a results/b",
    ] {
        let mut command = place.command(MDN, &format!("--quiet {line}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        let said = Said::from(child.wait_with_output().expect("it ends"));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{line}");
    }
    assert!(files(&place.path("results")).is_empty());
    assert!(place.exists("pages/mdn.1"));
    assert_eq!(files(&place.path("board")).len(), 2);
}
