//! A results folder as runs would leave it, made without a model: the ring has every kind of run,
//! `cloud` has five dimensions, `table` has no known truth.

use std::path::{Path, PathBuf};

use super::Comparison;
use crate::experiment::plan::Plan;
use crate::experiment::store::{
    BaseComponents, Constraint, Environment, HistoryRow, Landing, MetricRow, Picture, Round,
    RunDir, Split, State, Status,
};
use mdn_core::rng::Rng;

/// What a comparison over the folder needs to borrow.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    /// The folder of the experiment, in `dir`.
    pub experiment: PathBuf,
    pub data: Vec<String>,
    pub models: Vec<String>,
    pub seeds: Vec<u64>,
}

/// KL of every seed on the ring, as the tests expect it back. NaN: the run did not finish.
pub const RING_KL: [(&str, [f64; 5]); 4] = [
    ("normal_base", [0.30, 0.34, 0.32, 0.36, 0.28]),
    ("mixture_base", [0.021, 0.024, 0.019, f64::NAN, 0.020]),
    ("rad", [0.050, 0.080, 0.061, 0.055, 0.064]),
    ("clusters", [0.11, 0.12, 0.10, f64::NAN, f64::NAN]),
];

impl Fixture {
    fn empty(data: Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            experiment: dir.path().join("rings"),
            dir,
            data,
            models: RING_KL.map(|m| m.0.to_owned()).to_vec(),
            seeds: (0..5).collect(),
        }
    }

    pub fn new() -> Self {
        let fixture = Self::empty(["ring", "cloud", "table"].map(str::to_owned).to_vec());
        for (model, kls) in RING_KL {
            let picture = picture(model);
            let without_truth = Picture {
                log_p: None,
                ..picture.clone()
            };
            for (seed, kl) in (0..).zip(kls) {
                let [ring, cloud, table] =
                    ["ring", "cloud", "table"].map(|data| fixture.place(data, model, seed));
                if !kl.is_nan() {
                    done(&ring, model, seed, Some(kl));
                    ring.write_picture(&picture).unwrap();
                } else if model == "mixture_base" {
                    diverged(&ring);
                }
                match (model, seed) {
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
                done(&table, model, seed, None);
                table.write_picture(&without_truth).unwrap();
            }
        }
        fixture
    }

    /// The same models on `n` data sets called `d0`, `d1` and so on, five seeds each, no failures: the
    /// mixture base first, RAD and the clusters by turns second, the normal base last.
    pub fn many(n: usize) -> Self {
        let fixture = Self::empty((0..n).map(|d| format!("d{d}")).collect());
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
                    let noise = [0.9, 1.0, 1.05, 0.98, 1.07][(seed as usize + d) % 5];
                    let place = fixture.place(data, model, seed);
                    done(&place, model, seed, Some(kl * noise));
                }
            }
        }
        fixture
    }

    pub fn place(&self, data: &str, model: &str, seed: u64) -> RunDir {
        RunDir::below(&self.experiment, data, model, seed)
    }

    pub fn comparison(&self) -> Comparison<'_> {
        Comparison {
            figures: crate::report::Which::All,
            whole: true,
            experiment: "rings",
            dir: &self.experiment,
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
    let round = |i: u32| {
        let constraint = |(statistic, exact): (&str, f64)| Constraint {
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
            constraints: [("x^2+y^2", -3.0), ("x*y", 0.6)].map(constraint).to_vec(),
        };
        (1000 * i as usize, round)
    };
    let rounds = [1, 2, 3].map(round);
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

fn metric((metric, unit, better, value): (&str, &str, &str, Option<f64>)) -> MetricRow {
    let note = if value.is_none() {
        "true density unknown"
    } else {
        ""
    };
    MetricRow {
        metric: metric.into(),
        unit: unit.into(),
        better: better.into(),
        value,
        std_err: value.map(|v| 0.01 * v.abs()),
        n: 10_000,
        non_finite: 0,
        note: note.into(),
    }
}

fn done(place: &RunDir, model: &str, seed: u64, kl: Option<f64>) {
    let noise = seed as f64 / 100.0;
    let nll = 1.7 + kl.unwrap_or(0.2) + 0.3 * noise;
    let mut rows = [
        ("nll", "nats", "lower", Some(nll)),
        ("kl", "nats", "lower", kl),
        ("mode_tv", "1", "lower", kl.map(|k| k / 4.0)),
        ("modes_covered", "modes", "higher", kl.map(|_| 8.0)),
        ("bridge_mass", "1", "lower", kl.map(|k| (k / 30.0).powi(2))),
        ("nmi", "1", "higher", kl.map(|k| 1.0 - k / 2.0)),
        ("mass", "1", "near 1", Some(0.9995 + noise / 100.0)),
        ("parameters", "count", "neither", Some(12_806.0)),
    ]
    .map(metric);
    let per_second = 122.0 + 20.0 * noise;
    let costs = [
        ("seconds", "s", "lower", Some(41.0 + 10.0 * noise)),
        ("steps_per_second", "1/s", "higher", Some(per_second)),
    ];
    place.write_costs(&costs.map(metric)).unwrap();
    if model == "rad" && seed == 1 {
        rows[0].non_finite = 12;
    }
    place.write_metrics(&rows).unwrap();
    place.write_history(&history(seed, nll, 5000)).unwrap();
    if let Some(kl) = kl {
        let share = |i: u32| 10f64.powf(-4.0 + 0.25 * f64::from(i));
        let mass = |a: f64| (a * (1.0 + 0.1 * noise) + 0.2 * kl * a.powf(0.3)).min(1.0);
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
    let kernels = match model {
        "rad" => "plain",
        _ => "fused (avx2)",
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

/// Two modes as a model would leave them: the fake RAD folds them onto one, the mixture base has a
/// component for each, the normal base none; the clusters have no base.
fn picture(model: &str) -> Picture {
    const SIDE: usize = 60;
    let centre = |i: usize| 8.0 * (i as f64 + 0.5) / SIDE as f64 - 4.0;
    let cells = || (0..SIDE * SIDE).map(|i| (centre(i % SIDE), centre(i / SIDE)));
    let log_p = |x: f64, y: f64| -> f64 {
        let squares = [x - 2.0, x + 2.0].map(|d| d * d + y * y);
        let sum: f64 = squares.map(|s| (-1.5 * s).exp()).iter().sum();
        (sum * 3.0 / (2.0 * std::f64::consts::TAU)).ln()
    };
    let half = |x: f64| u32::from(x > 0.0);
    let mut rng = Rng::new(100);
    let mut draw = |n: usize| -> Vec<[f32; 2]> {
        let mode = |i| if i % 2 == 0 { 2.0 } else { -2.0 };
        let mut noise = || 0.6 * rng.normal();
        (0..n)
            .map(|i| [(mode(i) + noise()) as f32, noise() as f32])
            .collect()
    };
    let (samples, points) = (draw(1000), draw(300));
    let halves: Vec<u32> = points.iter().map(|p| half(p[0].into())).collect();
    let landing = Landing {
        z: points.clone(),
        share: None,
        part: None,
        label: Some(halves.clone()),
        components: None,
    };
    let landing = match model {
        "clusters" => None,
        "rad" => Some(Landing {
            z: points.iter().map(|p| [p[0].abs() - 2.0, p[1]]).collect(),
            part: Some(halves),
            ..landing
        }),
        "mixture_base" => Some(Landing {
            share: Some(vec![0.75; points.len()]),
            part: Some(halves),
            components: Some(BaseComponents {
                weights: vec![0.5; 2],
                means: vec![[-2.0, 0.0], [2.0, 0.0]],
                std_devs: vec![[0.6; 2]; 2],
            }),
            ..landing
        }),
        _ => Some(landing),
    };
    let parts = cells().map(|(x, _)| half(x)).collect();
    Picture {
        view: [(-4.0, 4.0); 2],
        side: SIDE,
        log_p: Some(cells().map(|(x, y)| log_p(x, y) as f32).collect()),
        log_q: cells()
            .map(|(x, y)| (log_p(x, y) + 0.3 * x) as f32)
            .collect(),
        part: (model != "normal_base").then_some(parts),
        samples,
        points,
        landing,
    }
}
