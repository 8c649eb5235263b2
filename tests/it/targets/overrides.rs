//! `dotted.key=value` on top of a file: the first byte chooses the file, every line is an override.

use mdn::experiment::config::study;
use mdn::experiment::plan::Plan;

use super::experiment::{sound, without_comments};
use super::{choice, chosen, folder, short, write, Seeds, Target};

/// More overrides would only take more time.
const MAX_OVERRIDES: usize = 6;

const FILES: [&str; 5] = [
    include_str!("../../../experiments/fair.toml"),
    include_str!("../../../experiments/quickstart.toml"),
    include_str!("../../../experiments/maximum_entropy.toml"),
    include_str!("../../../experiments/iris.toml"),
    include_str!("../../../experiments/studies/estimators.toml"),
];

/// The number of a file, then overrides.
pub fn target() -> Target {
    let dir = folder();
    let paths: Vec<_> = (0..FILES.len())
        .map(|i| dir.path().join(format!("file{i}.toml")))
        .collect();
    for (path, text) in paths.iter().zip(FILES) {
        write(path, without_comments(text));
    }
    Box::new(move |bytes| {
        let _keep = &dir;
        let (which, rest) = choice(bytes, FILES.len());
        let text = String::from_utf8_lossy(rest);
        let typed: Vec<String> = text
            .lines()
            .take(MAX_OVERRIDES)
            .map(str::to_owned)
            .collect();
        let path = &paths[which];
        let done = if which + 1 == FILES.len() {
            study::load(path, &typed).map(|spec| drop(study::to_toml(&spec).expect("TOML")))
        } else {
            Plan::load(path, &typed).map(|plan| sound(&plan))
        };
        done.map_err(|e| {
            let said = e.to_string();
            short(&said);
            let named = said.contains("override `") || said.contains(&path.display().to_string());
            assert!(named, "{said}");
        })
        .is_ok()
    })
}

/// The number of a file and overrides that are accepted.
pub fn seeds() -> Seeds {
    let some = r#"
        0 | train.steps=200; budget.parameters=500; search.train.learning_rate=[1e-3]
        0 | data.ring.ring.modes=4; models.rad.rad.layers=3
        0 | models.mixture_base.flow.base.mixture.init="random"; seeds=[1, 2]
        1 | models.rad.flow={ bijection.spline_coupling = { layers = 2 } }; reference=rad
        1 | data.ring={ grid = { side = 3 } }; name=other; evaluation.grid=32
        2 | train.precision=f64; train.schedule.cosine={ warmup = 0.1 }
        3 | train.points=10; train.batch_size=8
        4 | seed=4; entropy.inner=[2, 3]; gradients.strategies=["score"]
    "#;
    let some = some.trim().lines().enumerate();
    some.map(|(i, line)| {
        let (file, typed) = line.trim().split_once(" | ").expect("two parts");
        let typed = typed.replace("; ", "\n");
        let file = file.parse().expect("a number");
        (format!("typed-{i}"), chosen(file, typed.as_bytes()))
    })
    .collect()
}
