use super::*;

const FILE: &str = r#"
name = "two"
seeds = [5, 2]
[train]
steps = 500
[data.far.ring]
radius = 9.0
[data.near.ring]
[models.rad.rad]
[models.plain.flow]
[models.chained.flow]
bijection.chain = [{ linear = {} }, { affine_coupling = { layers = 2 } }]
base.mixture = { components = 3 }
[models.cut.clusters]
clusters = 3
"#;

fn plan() -> Plan {
    Plan::parse(FILE, "two").expect("a good file")
}

#[test]
fn runs_come_in_the_order_of_the_file() {
    let plan = plan();
    let labels: Vec<_> = plan.runs.iter().map(RunSpec::label).collect();
    assert_eq!(labels.len(), 2 * 4 * 2);
    assert_eq!(labels[0], "far/rad/seed-5");
    assert_eq!(labels[1], "far/rad/seed-2");
    assert_eq!(labels[2], "far/plain/seed-5");
    assert_eq!(labels[8], "near/rad/seed-5");
}

#[test]
fn every_run_survives_its_own_file() {
    let dir = tempfile::tempdir().expect("a folder");
    for run in plan().runs {
        let path = dir.path().join("config.toml");
        let text = run.to_toml(std::path::Path::new("")).expect("it is TOML");
        std::fs::write(&path, &text).expect("writable");
        assert_eq!(RunSpec::read(&path).expect(&text), run, "{text}");
    }
}

#[test]
fn a_file_of_many_runs_is_no_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, FILE).expect("writable");
    let said = RunSpec::read(&path).expect_err("many runs").to_string();
    assert!(said.contains("got 2, 4 and 2"), "{said}");
}

#[test]
fn the_first_difference_is_named() {
    let plan = plan();
    let was = &plan.runs[0];
    assert_eq!(was.first_difference(was), None);
    let mut now = was.clone();
    now.train.steps = 1000;
    let found = was.first_difference(&now).expect("they differ");
    assert_eq!(
        (found.key.as_str(), found.was.as_str(), found.now.as_str()),
        ("train.steps", "500", "1000")
    );
    let other = was.first_difference(&plan.runs[2]).expect("they differ");
    assert_eq!(other.key, "models.rad");
    now.seed += 1;
    now.evaluation.grid = 17;
    let all = was.differences(&now);
    let keys: Vec<_> = all.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(keys, ["seeds", "train.steps", "evaluation.grid"]);
    let changed = now.changed();
    assert!(changed.iter().all(|d| d.key != "seeds"), "{changed:?}");
    let grid = changed.iter().find(|d| d.key == "evaluation.grid");
    let grid = grid.map(|d| (d.was.as_str(), d.now.as_str()));
    assert_eq!(grid, Some(("400", "17")));
}

#[test]
fn every_part_of_a_selection_narrows_it() {
    let plan = plan();
    let all = plan.select(&Selection::default()).expect("all");
    assert_eq!(all.len(), plan.runs.len());
    let some = Selection {
        data: vec!["near".into()],
        models: vec!["rad".into(), "cut".into()],
        seeds: vec![2],
        index: None,
    };
    assert_eq!(plan.select(&some).expect("some"), [9, 15]);
}

#[test]
fn the_hash_is_of_what_a_file_means() {
    let hash = |text: &str| {
        let plan = Plan::parse(text, "ring").expect("a fine file");
        plan.config_hash().expect("a hash")
    };
    let text = "seeds = [1]\n[data.ring]\nring = {}\n[models.plain]\nflow = {}\n";
    let first = hash(text);
    assert_eq!(first.len(), 12);
    assert!(first.chars().all(|c| c.is_ascii_hexdigit()), "{first}");
    // A comment and a default that is said change nothing; a setting does.
    assert_eq!(
        hash(&format!("# why\n{text}[train]\nsteps = 5000\n")),
        first
    );
    assert_ne!(hash(&format!("{text}[train]\nsteps = 5001\n")), first);
}

/// The same files in another place, and named from another folder.
#[test]
fn the_hash_does_not_depend_on_where_files_lie() {
    let hash_in = |folder: &std::path::Path| {
        std::fs::create_dir_all(folder.join("data")).expect("a folder");
        let rows: String = (0..200).map(|i| format!("{i},{}\n", i * i)).collect();
        std::fs::write(folder.join("data/x.csv"), format!("a,b\n{rows}")).expect("writable");
        let file = folder.join("x.toml");
        let text = "[data.x.file]\npath = \"data/x.csv\"\n[train]\npoints = 100\n\
                    validation_points = 20\n[models.plain]\nflow = {}\n";
        std::fs::write(&file, text).expect("writable");
        let plan = Plan::load(&file, &[]).expect("a fine file");
        let resolved = plan.resolved().expect("text");
        assert!(resolved.contains("path = \"data/x.csv\""), "{resolved}");
        plan.config_hash().expect("a hash")
    };
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(
        hash_in(&dir.path().join("here")),
        hash_in(&dir.path().join("there/and/there"))
    );
}

#[test]
fn settings_are_found_by_their_keys() {
    let run = &plan().runs[0];
    assert_eq!(run.setting("train.steps").as_deref(), Some("500"));
    assert_eq!(run.setting("data.far.ring.radius").as_deref(), Some("9.0"));
    assert_eq!(run.setting("train.steps.more"), None);
    assert_eq!(run.setting("budget"), None);
}
