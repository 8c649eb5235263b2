//! A results folder as runs would leave it, made without a model: the ring has every kind of run,
//! `cloud` has five dimensions, `table` has no known truth.

use std::path::{Path, PathBuf};

use super::Comparison;
use crate::experiment::plan::Plan;
use crate::experiment::store::{
    BaseComponents, Environment, Landing, Picture, RunDir, State, Status,
};
use mdn_core::num::log_sum_exp_slice;
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
const RING_KL: [(&str, [f64; 5]); 4] = [
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
                    // Three rounds of a problem with two constraints.
                    let rounds = include_bytes!("fixture/rounds.csv");
                    cloud.write("rounds.csv", rounds).unwrap();
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

fn diverged(place: &RunDir) {
    let reason = "loss not finite at step 310 (try a lower train.learning_rate)";
    let status = Status::because(State::Diverged, reason);
    place.write_status(&status).unwrap();
    let rows = history(1, 3.0, 300) + "310,train,NaN,,512\n";
    place.write("history.csv", rows.as_bytes()).unwrap();
}

/// Rows of metrics, of which the first has points that were left out.
fn metrics(left_out: usize, rows: &[(&str, Option<f64>)]) -> Vec<u8> {
    let left_out = std::iter::once(left_out).chain(std::iter::repeat(0));
    let rows = rows
        .iter()
        .zip(left_out)
        .map(|((name, value), left_out)| match value {
            Some(v) => format!("{name},{v:?},{:?},10000,{left_out},\n", 0.01 * v.abs()),
            None => format!("{name},,,10000,0,true density unknown\n"),
        });
    let header = "metric,unit,better,value,std_err,n,non_finite,note\n";
    (header.to_owned() + &rows.collect::<String>()).into_bytes()
}

fn done(place: &RunDir, model: &str, seed: u64, kl: Option<f64>) {
    let noise = seed as f64 / 100.0;
    let nll = 1.7 + kl.unwrap_or(0.2) + 0.3 * noise;
    let left_out = if model == "rad" && seed == 1 { 12 } else { 0 };
    let rows = [
        ("nll,nats,lower", Some(nll)),
        ("kl,nats,lower", kl),
        ("mode_tv,1,lower", kl.map(|k| k / 4.0)),
        ("modes_covered,modes,higher", kl.map(|_| 8.0)),
        ("bridge_mass,1,lower", kl.map(|k| (k / 30.0).powi(2))),
        ("nmi,1,higher", kl.map(|k| 1.0 - k / 2.0)),
        ("mass,1,near 1", Some(0.9995 + noise / 100.0)),
        ("parameters,count,neither", Some(12_806.0)),
    ];
    place
        .write("metrics.csv", &metrics(left_out, &rows))
        .unwrap();
    let costs = [
        ("seconds,s,lower", Some(41.0 + 10.0 * noise)),
        ("steps_per_second,1/s,higher", Some(122.0 + 20.0 * noise)),
    ];
    place.write("cost.csv", &metrics(0, &costs)).unwrap();
    let losses = history(seed, nll, 5000);
    place.write("history.csv", losses.as_bytes()).unwrap();
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
    let environment = Environment {
        command: "mdn train experiments/rings.toml".into(),
        version: "0.1.0 (0123456789)".into(),
        device: "cpu".into(),
        kernels: if model == "rad" {
            "plain"
        } else {
            "fused (avx2)"
        }
        .into(),
        ..Environment::default()
    };
    place.write_environment(&environment).unwrap();
}

/// Losses that fall to `floor`.
fn history(seed: u64, floor: f64, steps: usize) -> String {
    let mut rng = Rng::new(seed);
    let mut rows = "step,split,loss,grad_norm,non_finite\n".to_owned();
    for step in (10..=steps).step_by(10) {
        let clean = floor + 2.2 * (-(step as f64) / (500.0 + 20.0 * seed as f64)).exp();
        rows += &format!("{step},train,{},1,0\n", clean + 0.05 * rng.normal());
        if step % 100 == 0 {
            let loss = clean + 0.02 * (step as f64 / 5000.0).powi(2) + 0.006 * rng.normal();
            rows += &format!("{step},validation,{loss},,0\n");
        }
    }
    rows
}

/// Two modes; only the mixture base has components, the normal base no parts, the clusters no base.
fn picture(model: &str) -> Picture {
    const SIDE: usize = 60;
    let centre = |i: usize| 8.0 * (i as f64 + 0.5) / SIDE as f64 - 4.0;
    let cells = || (0..SIDE * SIDE).map(|i| (centre(i % SIDE), centre(i / SIDE)));
    let log_p = |(x, y): (f64, f64)| {
        let squares = [x - 2.0, x + 2.0].map(|d| -1.5 * (d * d + y * y));
        log_sum_exp_slice(&squares) + (0.75 / std::f64::consts::PI).ln()
    };
    let mut rng = Rng::new(100);
    let mut draw = |i: i32| {
        let mode = f64::from(2 - 4 * (i % 2));
        [
            (mode + 0.6 * rng.normal()) as f32,
            0.6 * rng.normal() as f32,
        ]
    };
    let (samples, points) = (
        (0..1000).map(&mut draw).collect(),
        Vec::from_iter((0..300).map(draw)),
    );
    let half = |x: f64| u32::from(x > 0.0);
    let halves: Vec<u32> = points.iter().map(|p| half(p[0].into())).collect();
    let (has_parts, is_mixture) = (model != "normal_base", model == "mixture_base");
    let landing = Landing {
        z: points.clone(),
        share: is_mixture.then(|| vec![0.75; points.len()]),
        part: has_parts.then(|| halves.clone()),
        label: Some(halves),
        components: is_mixture.then(|| BaseComponents {
            weights: vec![0.5; 2],
            means: vec![[-2.0, 0.0], [2.0, 0.0]],
            std_devs: vec![[0.6; 2]; 2],
        }),
    };
    Picture {
        view: [(-4.0, 4.0); 2],
        side: SIDE,
        log_p: Some(cells().map(|at| log_p(at) as f32).collect()),
        log_q: cells().map(|at| (log_p(at) + 0.3 * at.0) as f32).collect(),
        levels_p: None,
        levels_q: None,
        part: has_parts.then(|| cells().map(|(x, _)| half(x)).collect()),
        samples,
        points,
        landing: (model != "clusters").then_some(landing),
    }
}
