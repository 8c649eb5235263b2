//! What trials see of the data, and which of them is kept.

use std::sync::{Arc, Mutex};

use candle_core::Device;

use super::*;
use crate::experiment::control::Control;
use crate::experiment::plan::Plan;
use crate::experiment::store::{RunDir, State};
use mdn_core::data::{DataSet, DataSpec, LabelledPoints, Split, Truth};
use mdn_core::num;
use mdn_core::rng::Rng;

/// A data set that remembers what it was asked for.
struct Spy {
    law: Box<dyn DataSet>,
    asked: Mutex<Vec<(Split, Vec<f64>)>>,
}

impl Spy {
    fn count(&self, split: Split) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(s, _)| *s == split).count()
    }
}

impl DataSet for Spy {
    fn dim(&self) -> usize {
        self.law.dim()
    }
    fn points(&self, split: Split, n: usize, rng: &mut Rng) -> mdn_core::Result<LabelledPoints> {
        let points = self.law.points(split, n, rng)?;
        let rows = num::to_vec(&points.x)?;
        self.asked.lock().unwrap().push((split, rows));
        Ok(points)
    }
    fn truth(&self) -> Option<&Truth> {
        self.law.truth()
    }
    fn view(&self) -> Option<[(f64, f64); 2]> {
        self.law.view()
    }
}

const FILE: &str = "seeds = [4]\n\
    [train]\nsteps = 30\nbatch_size = 32\npoints = 200\nvalidation_points = 100\nvalidate_every = 10\n\
    [evaluation]\npoints = 300\ngrid = 16\n\
    [data.moons]\nmoons = {}\n\
    [models.plain.flow]\nbijection.affine_coupling = { layers = 2, hidden = [8] }\n";

fn spec(more: &str) -> RunSpec {
    let plan = Plan::parse(&format!("{FILE}{more}"), "spy");
    plan.unwrap().runs.remove(0)
}

fn compute() -> Compute {
    Compute {
        device: Device::Cpu,
        kernels: Default::default(),
    }
}

fn spy() -> Arc<Spy> {
    let data: DataSpec = toml::from_str("moons = {}").unwrap();
    Arc::new(Spy {
        law: data.build().unwrap(),
        asked: Mutex::default(),
    })
}

fn best(spec: &RunSpec, law: &Law) -> Best {
    let place = RunDir(std::path::PathBuf::new());
    let control = Control::default();
    let checkpoints = &mut Checkpoints::new(&place, &control, Default::default());
    super::best(
        spec,
        (Some(law), &mdn_core::data::NoPrograms),
        &compute(),
        checkpoints,
        &mut |_| {},
    )
    .unwrap()
}

fn tried(more: &str) -> Best {
    let law: Law = spy();
    best(&spec(more), &law)
}

/// No test point is drawn while models are built, trained and chosen, with fixed points and with a
/// stream; then they are drawn once, for the one that was chosen.
#[test]
fn the_test_set_is_touched_once_and_by_the_chosen_trial() {
    for points in ["200", "0"] {
        let spy = spy();
        let law: Law = spy.clone();
        let text = "[budget]\nparameters = 600\n\
                    [search.train]\nlearning_rate = [1e-3, 3e-3, 1e-2]\n";
        let mut spec = spec(text);
        spec.train.points = points.parse().unwrap();
        let best = best(&spec, &law);
        assert_eq!(best.trials.len(), 3);
        assert_eq!(spy.count(Split::Test), 0, "points = {points}");
        assert!(spy.count(Split::Train) >= 3 && spy.count(Split::Validation) >= 3);
        let dir = tempfile::tempdir().unwrap();
        let place = RunDir(dir.path().to_path_buf());
        let status = best.run.record(&place, &best.trained, None, &|| Ok(()));
        assert_eq!(status.unwrap().state, State::Done);
        assert_eq!(spy.count(Split::Test), 1, "points = {points}");
        // Every trial had the same points to be chosen by.
        let asked = spy.asked.lock().unwrap();
        let mut validation = asked.iter().filter(|a| a.0 == Split::Validation);
        let first = validation.next().unwrap();
        assert!(validation.all(|a| a == first));
    }
}

#[test]
fn the_least_validation_loss_is_kept_and_a_trial_that_diverges_loses() {
    let best = tried("[search.train]\nlearning_rate = [1e30, 1e-5, 1e-2]\n");
    let rows = &best.trials;
    assert!(rows[0].diverged.is_some(), "{rows:?}");
    let losses: Vec<f64> = rows.iter().map(|r| r.validation_loss.unwrap()).collect();
    assert!(losses[2] < losses[1], "{losses:?}");
    let chosen: Vec<bool> = rows.iter().map(|r| r.chosen).collect();
    assert_eq!(chosen, [false, false, true]);
    assert_eq!(best.trained.validation_loss(), rows[2].validation_loss);
    assert_eq!(best.trained.diverged, None);
    assert!(best.search_seconds.unwrap() >= best.trained.seconds);
    // The same training as without a search.
    let alone = tried("");
    assert_eq!(alone.search_seconds, None);
    let mut single = spec("");
    single.train.learning_rate = 1e-2;
    let law: Law = spy();
    let single = super::tests::best(&single, &law);
    assert_eq!(single.trained.history, best.trained.history);
}

#[test]
fn where_all_trials_diverge_so_does_the_run() {
    let best = tried("[search.train]\nlearning_rate = [1e30, 1e31]\n");
    let why = best.trained.diverged.unwrap();
    assert!(
        why.starts_with("all 2 trials diverged, the first: "),
        "{why}"
    );
    assert!(best.trials[0].chosen);
}
