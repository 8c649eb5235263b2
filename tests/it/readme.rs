//! The commands of the README and of every page run in order, as a reader would type them, in a copy of
//! the project's files with short trainings.

#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use rayon::prelude::*;
use toml::{Table, Value};

use crate::common::markdown::{page, pages, root, Page};
use crate::common::{cases, files, has_numpy, Place, Said, MDN};

/// Commands that are not run, and why; those of `mdn` are still parsed. Measurements take a minute;
/// tests/it/bench.rs makes short ones.
const NOT_RUN: &str = "
    git clone <this repository> mdn && cd mdn => needs a network
    SHARES=25 AT_ONCE=10 scripts/slurm/submit.sh experiments/grid.toml => needs Slurm
    scripts/build-cuda.sh => builds for minutes
    scripts/build-cuda.sh test --lib a_gpu_trains => needs a GPU
    cargo build --release --features metal => needs a Mac
    mdn train experiments/quickstart.toml --device cuda train.batch_size=8192 => needs a GPU
    mdn train experiments/quickstart.toml --device cuda --out results/gpu => needs a GPU
    scripts/reproduce.sh => trains for hours
    mdn bench => measures
    mdn bench a --threads 2 => measures
    mdn bench --kernels plain => measures
    mdn -q bench --threads 2 => measures
    mdn -q bench --kernels fused:avx2 --seconds 1 => measures
    mdn -q bench --kernels fused:portable --seconds 1 => measures
    mdn -q bench --kernels plain --seconds 1 => measures
    mdn bench --file speed.toml --seconds 2 => measures
";

/// Commands in whose place others are run: the program that is built already, shorter ones, and those
/// for what only a reader has (a file from a machine of another kind).
const INSTEAD: &str = "
    cargo run --release --locked -- compare experiments/quickstart.toml => mdn compare experiments/quickstart.toml
    mdn compare first.toml 'seeds=[0,1,2,3,4,5,6,7]' => mdn compare first.toml 'seeds=[0,1]'
    mdn bench --file my.toml --json => mdn bench --file my.toml --json --seconds 0.01 --points 100
    mdn train config.toml --kernels fused:avx512 => mdn train a/first/moons/mixture/seed-0/config.toml --kernels fused:portable --out there
";

/// Commands that end with another code than 0, as their page says.
const EXIT_CODES: &str = "diff -r a b => 1";

/// The numbers after `before` in the page's commands.
fn named(page: &str, before: &str) -> Vec<i64> {
    let found = page.split(before).skip(1).filter_map(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    found.collect()
}

/// The experiment with few points and steps, one data set, the models and seeds that `commands` name and
/// the first, and the reference.
fn short(text: &str, commands: &str) -> String {
    let mut file: Table = text.parse().expect("TOML");
    let set = |file: &mut Table, table: &str, values: &str| {
        let all = file.entry(table).or_insert_with(|| Table::new().into());
        let values: Table = values.replace(' ', "\n").parse().expect("TOML");
        all.as_table_mut().expect("a table").extend(values);
    };
    if file.contains_key("gradients") {
        set(&mut file, "entropy", "samples=2000 terms=10000");
        set(&mut file, "gradients", "batches=100");
        let cut = [("entropy", "inner", 3), ("gradients", "strategies", 4)];
        for (table, key, left) in cut {
            let list = file.get_mut(table).and_then(|t| t.get_mut(key));
            let list = list.and_then(Value::as_array_mut);
            list.expect("a list").truncate(left);
        }
        return file.to_string();
    }
    let sizes = "steps=10 batch_size=16 validate_every=5 points=200 validation_points=100";
    set(&mut file, "train", sizes);
    set(&mut file, "evaluation", "points=200 grid=16");
    let mut seeds = [named(commands, "--seed "), named(commands, "seed-")].concat();
    seeds.push(0);
    seeds.sort_unstable();
    seeds.dedup();
    file.insert("seeds".to_owned(), seeds.into());
    let reference = file.get("reference").and_then(Value::as_str);
    let reference = reference.unwrap_or_default().to_owned();
    let words: Vec<_> = commands
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    for kind in ["data", "problems", "models"] {
        let Some(Value::Table(all)) = file.get_mut(kind) else {
            continue;
        };
        let first = all.keys().next().cloned().unwrap_or_default();
        let wanted = |name: &str| match kind {
            "models" => name == reference || words.contains(&name),
            _ => name == first,
        };
        all.retain(|name, _| wanted(name) || name == first);
    }
    file.to_string()
}

/// A place with a reader's files.
fn project(commands: &str) -> Place {
    let place = Place::new();
    for folder in ["experiments", "datasets", "scripts"] {
        for from in files(&root().join(folder)) {
            let name = from.strip_prefix(root()).expect("below the project");
            let to = place.write(&name.to_string_lossy(), "");
            std::fs::copy(&from, &to).expect("a copy");
            if to.extension().is_some_and(|e| e == "toml") {
                let text = std::fs::read_to_string(&from).expect("text");
                std::fs::write(&to, short(&text, commands)).expect("writable");
            }
        }
    }
    let guide = page("docs/README.md");
    let first = guide.blocks_in("toml").next().expect("a first experiment");
    place.write("first.toml", short(first, commands));
    let new = place.ok("new");
    place.write("my.toml", short(&new, commands));
    place
}

fn shell(place: &Place, line: &str) -> Said {
    let folder = Path::new(MDN).parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = place.command("sh", &["-c", line]);
    command.env("PATH", format!("{folder}:{path}"));
    command.env("PARALLEL_HOME", place.path("home"));
    // As in a task of an array.
    command.env("SLURM_ARRAY_TASK_ID", "0");
    Said::of(command.env_remove("MDN"))
}

/// What a table says of a command.
fn listed<'t>(table: &'t str, typed: &str) -> Option<&'t str> {
    let found = cases(table).into_iter().find(|row| row.0 == typed);
    found.map(|row| row.1)
}

/// The files that depend on the number of threads (docs/reproducibility.md).
const DIFFER: &str = "base.png cost.csv density.png environment.toml training.png";

/// The files of run `a` that `diff -r` names, sorted.
fn differing(out: &str) -> String {
    let paths = out.lines().filter(|l| l.contains("seed-0/"));
    let paths = paths
        .flat_map(str::split_whitespace)
        .filter(|w| w.starts_with("a/"));
    let mut names: Vec<_> = paths.filter_map(|path| path.rsplit('/').next()).collect();
    names.sort_unstable();
    names.join(" ")
}

/// Runs the page's commands and returns what went wrong.
fn faults(page: &Page) -> Vec<String> {
    let commands = page.commands();
    let all: Vec<_> = commands.iter().map(|c| c.typed.as_str()).collect();
    let place = project(&all.join("\n"));
    let parallel = Command::new("parallel").arg("--version").output().is_ok();
    let numpy = has_numpy();
    let mut faults = Vec::new();
    // Figures take most of the time: those of one comparison are enough.
    let mut figures = page.name == "README.md";
    for command in &commands {
        let typed = command.typed.as_str();
        let not_run = listed(NOT_RUN, typed).is_some();
        let run = match listed(INSTEAD, typed) {
            Some(other) => other.to_owned(),
            // All options before `--help` are parsed.
            None if not_run && typed.starts_with("mdn ") => format!("{typed} --help"),
            None if not_run || (typed.contains("parallel") && !parallel) => continue,
            None if typed.contains("--run-programs") && !numpy => {
                eprintln!("skipped: no python3 with numpy here: {typed}");
                continue;
            }
            None if typed.starts_with("mdn compare") && !figures => {
                format!("{typed} --figures none")
            }
            None => typed.to_owned(),
        };
        figures &= !run.starts_with("mdn compare");
        let said = shell(&place, &run);
        if said.code.to_string() != listed(EXIT_CODES, typed).unwrap_or("0") {
            faults.push(format!("{}: {typed}: {said:#?}", page.name));
        }
        if typed.starts_with("diff -r") && differing(&said.out) != DIFFER {
            faults.push(format!("{}: {typed}: {said:#?}", page.name));
        }
        if !command.output.trim().is_empty() {
            // The page shows the output for its own file.
            let text = page.blocks_in("toml").next().unwrap_or_default();
            let whole = Place::new();
            whole.write("first.toml", text);
            let out = shell(&whole, typed).out;
            if out.trim() != command.output.trim() {
                faults.push(format!("{}: {typed} says\n{out}", page.name));
            }
        }
    }
    faults
}

#[test]
fn every_command_of_every_page_runs() {
    let faults: Vec<_> = pages().par_iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_command_of_the_tables_is_on_a_page() {
    let pages = pages();
    let all: Vec<_> = pages
        .iter()
        .flat_map(Page::commands)
        .map(|c| c.typed)
        .collect();
    assert!(all.len() > 40, "{all:?}");
    for (command, _) in [NOT_RUN, INSTEAD, EXIT_CODES].iter().flat_map(|t| cases(t)) {
        assert!(all.iter().any(|c| c == command), "{command}");
    }
}
