//! Small runs, whose files the targets damage.

use candle_core::Device;
use mdn::experiment::control::Control;
use mdn::experiment::plan::{Plan, RunSpec};
use mdn::experiment::run::run;
use mdn::experiment::store::{RunDir, State};
use mdn::experiment::Compute;
use mdn_kernels::Choice;
use tempfile::TempDir;

use super::folder;

/// Runs in a temporary folder.
pub struct Runs {
    pub specs: Vec<RunSpec>,
    pub places: Vec<RunDir>,
    dir: TempDir,
}

impl Runs {
    /// Trains the first run of every experiment file.
    pub fn trained(files: &[String]) -> Self {
        let runs = Self::planned(files);
        for (spec, place) in runs.specs.iter().zip(&runs.places) {
            let control = Control::default();
            let status = run(spec, place, &compute(), (&control, "mdn"), &mut |_| {});
            let state = status.expect("a run that can be made").state;
            assert_eq!(state, State::Done, "{place:?}");
        }
        runs
    }

    /// The same without training.
    pub fn planned(files: &[String]) -> Self {
        let dir = folder();
        let plan = |(i, text): (usize, &String)| {
            let plan = Plan::parse(text, &format!("e{i}")).expect(text);
            plan.runs.into_iter().next().expect("a run")
        };
        let specs: Vec<_> = files.iter().enumerate().map(plan).collect();
        let place = |s: &RunSpec| s.place(dir.path());
        Self {
            places: specs.iter().map(place).collect(),
            specs,
            dir,
        }
    }

    /// The folder holds nothing but the runs.
    pub fn check_alone(&self) {
        let there = std::fs::read_dir(self.dir.path())
            .expect("a folder")
            .count();
        assert_eq!(there, self.places.len(), "{:?}", self.dir);
    }
}

pub fn compute() -> Compute {
    Compute {
        device: Device::Cpu,
        kernels: Choice::Auto,
    }
}

const ON_A_RING: &str = "seeds = [0]
[train]
steps = 4
batch_size = 8
points = 40
validation_points = 10
validate_every = 2
[evaluation]
points = 100
grid = 16
[data.ring]
ring = { modes = 3 }
";

/// A model on a ring; `model` is the text after `[models.m.`.
pub fn on_a_ring(model: &str) -> String {
    format!("{ON_A_RING}[models.m.{model}\n")
}

/// A flow on a mixture.
pub fn flow() -> String {
    on_a_ring("flow]\nbijection.affine_coupling = { layers = 2, hidden = [3] }\nbase.mixture.components = 2")
}

/// A flow trained without data, in rounds.
pub fn in_rounds() -> String {
    let problem =
        "[problems.p.maximum_entropy]\nproblem = \"gaussian\"\nrounds = 2\nsamples = 2000\n\
                   [models.m.flow]\nbijection.affine_coupling = { layers = 2, hidden = [3] }\n";
    let ring = ON_A_RING.find("[data").expect("a table");
    format!("{}{problem}", &ON_A_RING[..ring])
}
