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
fn a_file_of_many_runs_is_no_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, FILE).expect("writable");
    let said = RunSpec::read(&path).expect_err("many runs").to_string();
    assert!(said.contains("got 2, 4 and 2"), "{said}");
}

/// Data sets are outermost, seeds innermost, all in the order of the file.
#[test]
fn every_part_of_a_selection_narrows_it() {
    let (plan, none) = (plan(), Vec::new());
    let all = plan.select(&none, &none, &[]).expect("all");
    assert_eq!(all.len(), plan.runs.len());
    let models = ["rad".into(), "cut".into()];
    let some = plan.select(&["near".into()], &models, &[2]);
    assert_eq!(some.expect("some"), [9, 15]);
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
    // A comment and a default that is written out change nothing; a setting does.
    assert_eq!(
        hash(&format!("# why\n{text}[train]\nsteps = 5000\n")),
        first
    );
    assert_ne!(hash(&format!("{text}[train]\nsteps = 5001\n")), first);
}

/// The same files in another place, and named from another folder.
#[test]
fn the_hash_does_not_depend_on_where_files_lie() {
    let dir = tempfile::tempdir().expect("a folder");
    let hash_in = |folder: &str| {
        let folder = dir.path().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let rows: String = (0..200).map(|i| format!("{i},{}\n", i * i)).collect();
        std::fs::write(folder.join("x.csv"), format!("a,b\n{rows}")).expect("writable");
        let file = folder.join("x.toml");
        let text = "[data.x.file]\npath = \"x.csv\"\n[train]\npoints = 100\n\
                    validation_points = 20\n[models.plain]\nflow = {}\n";
        std::fs::write(&file, text).expect("writable");
        let plan = Plan::load(&file, &[]).expect("a fine file");
        plan.config_hash().expect("a hash")
    };
    assert_eq!(hash_in("here"), hash_in("there/and/there"));
}

/// Training on points has no entropy, so the bound of a model's entropy matters to problems alone.
#[test]
fn bounds_of_entropies_are_warned_about_for_problems_alone() {
    let text = r#"
[data.ring.ring]
[problems.wells.maximum_entropy]
problem = "four_wells_coupled"
[models.m.flow]
base.mixture = { components = 4, init = "random", draws = { gumbel_softmax = { temperature = 0.1, density = "joint" } } }
"#;
    let plan = Plan::parse(text, "both").expect("a good file");
    let says_joint = |name| {
        let lines = plan.warnings(&|other| other == name);
        lines.iter().any(|line| line.contains("`joint`"))
    };
    assert_eq!(["wells", "ring"].map(says_joint), [true, false]);
}
