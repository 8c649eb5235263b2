//! A results folder as runs would leave it, made without a model: the ring has every kind of run,
//! `cloud` has five dimensions, `table` has no known truth.

use std::path::Path;

use super::Comparison;
use crate::experiment::plan::Plan;
use crate::experiment::store::{
    Constraint, Environment, HistoryRow, MetricRow, Picture, Round, RunDir, Split, State, Status,
};
use mdn_core::rng::Rng;

mod ring;

/// What a comparison over the folder needs to borrow.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub data: Vec<String>,
    pub models: Vec<String>,
    pub seeds: Vec<u64>,
}

/// KL of every seed on the ring, as the tests expect it back. `None`: the run did not finish.
pub const RING_KL: [(&str, [Option<f64>; 5]); 4] = [
    (
        "normal_base",
        [Some(0.30), Some(0.34), Some(0.32), Some(0.36), Some(0.28)],
    ),
    (
        "mixture_base",
        [Some(0.021), Some(0.024), Some(0.019), None, Some(0.020)],
    ),
    (
        "rad",
        [
            Some(0.050),
            Some(0.080),
            Some(0.061),
            Some(0.055),
            Some(0.064),
        ],
    ),
    ("clusters", [Some(0.11), Some(0.12), Some(0.10), None, None]),
];

impl Fixture {
    pub fn new() -> Self {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let fixture = Self {
            dir: tempfile::tempdir().unwrap(),
            data: owned(&["ring", "cloud", "table"]),
            models: owned(&RING_KL.map(|m| m.0)),
            seeds: (0..5).collect(),
        };
        let pictures = RING_KL.map(|(model, _)| (model, ring::picture(model)));
        let picture = |model: &str| pictures.iter().find(|p| p.0 == model).map(|p| &p.1);
        for (model, kls) in RING_KL {
            for (seed, kl) in kls.into_iter().enumerate() {
                let place = fixture.place("ring", model, seed as u64);
                match (kl, model) {
                    (Some(kl), _) => {
                        done(&place, model, seed as u64, Some(kl));
                        place.write_picture(picture(model).unwrap()).unwrap();
                    }
                    (None, "mixture_base") => diverged(&place),
                    (None, _) => {}
                }
            }
        }
        for model in &fixture.models {
            for seed in 0..5 {
                let cloud = fixture.place("cloud", model, seed);
                match (model.as_str(), seed) {
                    ("rad", _) => {
                        let status = Status::because(State::Failed, "out of memory");
                        cloud.write_status(&status).unwrap();
                    }
                    ("clusters", 4) => {
                        cloud.write_status(&Status::of(State::Running)).unwrap();
                    }
                    _ => done(&cloud, model, seed, Some(0.2)),
                }
                if model == "mixture_base" {
                    rounds(&cloud);
                }
                let table = fixture.place("table", model, seed);
                done(&table, model, seed, None);
                let picture = Picture {
                    log_p: None,
                    ..picture(model).unwrap().clone()
                };
                table.write_picture(&picture).unwrap();
            }
        }
        fixture
    }

    /// The same models on `n` data sets called `d0`, `d1` and so on, five seeds each, no failures: the
    /// mixture base first, RAD and the clusters by turns second, the normal base last.
    pub fn many(n: usize) -> Self {
        let fixture = Self {
            dir: tempfile::tempdir().unwrap(),
            data: (0..n).map(|d| format!("d{d}")).collect(),
            models: RING_KL.map(|m| m.0.to_owned()).to_vec(),
            seeds: (0..5).collect(),
        };
        for (d, data) in fixture.data.iter().enumerate() {
            for model in &fixture.models {
                let kl = match (model.as_str(), d % 3) {
                    ("mixture_base", _) => 0.02,
                    ("normal_base", _) => 0.3,
                    ("rad", 0) => 0.09,
                    ("rad", _) => 0.05,
                    _ => 0.07,
                };
                for &seed in &fixture.seeds {
                    let wobble = [0.9, 1.0, 1.05, 0.98, 1.07][(seed as usize + d) % 5];
                    let place = fixture.place(data, model, seed);
                    done(&place, model, seed, Some(kl * wobble));
                }
            }
        }
        fixture
    }

    pub fn place(&self, data: &str, model: &str, seed: u64) -> RunDir {
        RunDir::new(self.dir.path(), "rings", data, model, seed)
    }

    pub fn experiment(&self) -> std::path::PathBuf {
        self.dir.path().join("rings")
    }

    pub fn comparison<'a>(&'a self, dir: &'a Path) -> Comparison<'a> {
        Comparison {
            figures: crate::report::Which::All,
            whole: true,
            experiment: "rings",
            dir,
            data: &self.data,
            models: &self.models,
            seeds: &self.seeds,
            reference: Some("normal_base"),
            command: "mdn compare experiments/rings.toml train.steps=5000",
            config_hash: "0123456789ab",
        }
    }
}

/// Three rounds of a problem with two constraints.
fn rounds(place: &RunDir) {
    let rounds: Vec<(usize, Round)> = (1..=3u32)
        .map(|i| {
            let constraint = |statistic: &str, exact: f64| Constraint {
                statistic: statistic.into(),
                target: 1.0,
                mean: 1.0 + 0.5 / f64::from(i),
                std_err: 0.01,
                std_dev: 1.5,
                multiplier: exact * (1.0 - 0.3f64.powi(i as i32)),
                exact: Some(exact),
            };
            let round = Round {
                entropy: 2.0 + 0.1 * f64::from(i),
                entropy_std_err: 0.005,
                accepted: i == 3,
                penalty: 4.0,
                constraints: vec![constraint("x^2+y^2", -3.0), constraint("x*y", 0.6)],
            };
            (1000 * i as usize, round)
        })
        .collect();
    place.write_rounds(&rounds).unwrap();
    assert_eq!(place.read_rounds().unwrap(), rounds);
}

fn diverged(place: &RunDir) {
    let reason = "loss not finite at step 310 (try a lower train.learning_rate)";
    let status = Status::because(State::Diverged, reason);
    place.write_status(&status).unwrap();
    let mut rows = history(1, 3.0, 300);
    rows.push(HistoryRow {
        step: 310,
        split: Split::Train,
        loss: f64::NAN,
        grad_norm: None,
        non_finite: 512,
    });
    place.write_history(&rows).unwrap();
}

fn metric(metric: &str, unit: &str, better: &str, value: Option<f64>) -> MetricRow {
    MetricRow {
        metric: metric.into(),
        unit: unit.into(),
        better: better.into(),
        value,
        std_err: value.map(|v| 0.01 * v.abs()),
        n: 10_000,
        non_finite: 0,
        note: if value.is_none() {
            "true density unknown".into()
        } else {
            String::new()
        },
    }
}

fn done(place: &RunDir, model: &str, seed: u64, kl: Option<f64>) {
    let wobble = seed as f64 / 100.0;
    let nll = 1.7 + kl.unwrap_or(0.2) + 0.3 * wobble;
    let mut rows = vec![
        metric("nll", "nats", "lower", Some(nll)),
        metric("kl", "nats", "lower", kl),
        metric("mode_tv", "1", "lower", kl.map(|k| k / 4.0)),
        metric("modes_covered", "modes", "higher", kl.map(|_| 8.0)),
        metric("bridge_mass", "1", "lower", kl.map(|k| (k / 30.0).powi(2))),
        metric("nmi", "1", "higher", kl.map(|k| 1.0 - k / 2.0)),
        metric("mass", "1", "near 1", Some(0.9995 + wobble / 100.0)),
        metric("parameters", "count", "neither", Some(12_806.0)),
    ];
    let costs = [
        metric("seconds", "s", "lower", Some(41.0 + 10.0 * wobble)),
        metric(
            "steps_per_second",
            "1/s",
            "higher",
            Some(122.0 + 20.0 * wobble),
        ),
    ];
    place.write_costs(&costs).unwrap();
    if model == "rad" && seed == 1 {
        rows[0].non_finite = 12;
    }
    place.write_metrics(&rows).unwrap();
    place.write_history(&history(seed, nll, 5000)).unwrap();
    if let Some(kl) = kl {
        let share = |i: u32| 10f64.powf(-4.0 + 0.25 * f64::from(i));
        let mass = |a: f64| (a * (1.0 + 0.1 * wobble) + 0.2 * kl * a.powf(0.3)).min(1.0);
        let levels: Vec<(f64, f64)> = (0..=16).map(|i| (share(i), mass(share(i)))).collect();
        place.write_levels(&levels).unwrap();
    }
    place.write_status(&Status::of(State::Done)).unwrap();
    settings(place, model, seed);
}

/// `config.toml` and `environment.toml` of a run that is done. Data and models are stand-ins.
fn settings(place: &RunDir, model: &str, seed: u64) {
    let data = place.0.ancestors().nth(2).and_then(Path::file_name);
    let data = data.unwrap().to_string_lossy();
    let file =
        format!("seeds = [{seed}]\n[data.{data}]\nring = {{}}\n[models.{model}]\nflow = {{}}\n");
    let plan = Plan::parse(&file, "rings").unwrap();
    let config = plan.runs[0].to_toml(&place.0).unwrap();
    place.write("config.toml", config.as_bytes()).unwrap();
    let kernels = if model == "rad" {
        "plain"
    } else {
        "fused (avx2)"
    };
    let environment = Environment {
        command: "mdn train experiments/rings.toml".into(),
        version: "0.1.0 (0123456789)".into(),
        device: "cpu".into(),
        kernels: kernels.into(),
        ..Environment::default()
    };
    place.write_environment(&environment).unwrap();
}

fn history(seed: u64, floor: f64, steps: usize) -> Vec<HistoryRow> {
    let mut rng = Rng::new(seed);
    let mut rows = Vec::new();
    for step in (10..=steps).step_by(10) {
        let clean = floor + 2.2 * (-(step as f64) / (500.0 + 20.0 * seed as f64)).exp();
        let row = |split, loss| HistoryRow {
            step,
            split,
            loss,
            grad_norm: (split == Split::Train).then_some(1.0),
            non_finite: 0,
        };
        rows.push(row(Split::Train, clean + 0.05 * rng.normal()));
        if step % 100 == 0 {
            let late = 0.02 * (step as f64 / 5000.0).powi(2);
            rows.push(row(Split::Validation, clean + late + 0.006 * rng.normal()));
        }
    }
    rows
}
