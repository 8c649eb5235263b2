//! Laws of every objective: it falls when minimised, gives every parameter a finite gradient,
//! and has its known value at the truth.

#[path = "../../../../docs/members/log_variance.rs"]
mod log_variance;

use candle_core::{DType, Device, Tensor};

use super::maximum_likelihood::MaximumLikelihood;
use super::{At, Objective, ProblemSpec};
use crate::data::{DataSpec, NoPrograms};
use crate::distributions::normal::Normal;
use crate::distributions::Distribution;
use crate::models::testing::{rows, seeded, spec, values};
use crate::models::{Model, ModelSpec};
use crate::nn::optimizer::Adam;
use crate::num::testing::{normal, Faults};
use crate::num::LN_2PI;
use crate::rng::Rng;
use crate::Result;

fn points(n: usize) -> Tensor {
    normal(n, 2, 2.0, &mut Rng::new(1))
}

fn problem(text: &str) -> Box<dyn Objective> {
    let spec: ProblemSpec = spec(text);
    assert_eq!(spec.check(), Ok(2));
    spec.build(&NoPrograms).unwrap()
}

fn log_variance(target: &str) -> Box<dyn Objective> {
    let target = spec::<DataSpec>(target).target(&NoPrograms).unwrap();
    Box::new(log_variance::LogVariance { target })
}

/// Every objective, and the one that docs/extending.md adds, in a setting of two coordinates.
fn objectives() -> Vec<(&'static str, Box<dyn Objective>)> {
    let ring = "ring = { modes = 3, std = 0.8 }";
    let annealed = format!("reverse_kl = {{ target.{ring}, anneal = {{ from = 0.5 }} }}");
    let constrained = "[maximum_entropy]\nstatistics = ['x^2+y^2', 'x*y', 'y']\n\
                       moments = [3.0, 0.4, -0.5]\nsamples = 4000";
    let mut all: Vec<(&'static str, Box<dyn Objective>)> = vec![
        ("maximum_likelihood", Box::new(MaximumLikelihood)),
        ("reverse_kl", problem(&annealed)),
        ("maximum_entropy", problem(constrained)),
    ];
    // An objective that is not in this list would escape every law.
    let schema = schemars::schema_for!(ProblemSpec).to_value();
    let kinds = schema["oneOf"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|kind| &kind["required"][0]).collect();
    let tested: Vec<_> = all[1..].iter().map(|o| o.0).collect();
    assert_eq!(tested, kinds);
    all.push(("log_variance", log_variance(ring)));
    let path = format!("reverse_kl = {{ target.{ring}, gradient = 'path' }}");
    all.push(("path gradients", problem(&path)));
    all
}

fn at(size: usize, points: Option<&Tensor>) -> At<'_> {
    At {
        phase: 0,
        progress: 1.0,
        size,
        points,
    }
}

fn number(loss: Result<Tensor>) -> f64 {
    values(&loss.unwrap())[0]
}

#[test]
fn falls_in_fifty_steps_and_every_gradient_is_finite() {
    let x = points(128);
    let mut faults = Faults::default();
    for (kind, objective) in objectives() {
        for (name, spec) in ModelSpec::examples() {
            let params = seeded(2);
            let model = spec.build(&params, 2, Some(x.clone())).unwrap();
            if model.phases().is_empty() {
                continue;
            }
            params.perturb(0.2, &mut Rng::new(3));
            let mut adam = Adam::new(params.trained(), 0.0, false).unwrap();
            let mut losses = Vec::new();
            for step in 0..50 {
                let rng = &mut Rng::new(4).fork_at("objective", step);
                let loss = objective.loss(model.as_ref(), &at(128, Some(&x)), rng);
                let loss = loss.unwrap();
                losses.push(loss.to_scalar::<f64>().unwrap());
                let gradients = loss.backward().unwrap();
                let norm = adam.gradient_norm(&gradients).unwrap();
                faults.unless(norm.is_finite(), || format!("{kind}, {name}: gradient"));
                adam.step(&gradients, 1.0, 1e-2).unwrap();
            }
            let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
            let (first, last) = (mean(&losses[..5]), mean(&losses[45..]));
            // Unlike points, samples of folds have no path to the parameters: their gradients are
            // scores, for which fifty steps are too noisy.
            let noisy = spec.name() == "rad" && kind != "maximum_likelihood";
            let falls = noisy || last < first - 1e-3;
            faults.unless(falls, || format!("{kind}, {name}: {last} after {first}"));
        }
    }
    faults.none();
}

/// N(0, I) in the plane whose samples are always the same 36 points: 0 four times and -sqrt 3 and
/// sqrt 3 once in each coordinate, with the moments of the normal distribution up to the fifth.
struct FewPoints(Normal);

impl Distribution for FewPoints {
    fn dim(&self) -> usize {
        2
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        self.0.log_prob(x)
    }

    fn sample(&self, _n: usize, _rng: &mut Rng) -> Result<Tensor> {
        let places = [0.0, 0.0, 0.0, 0.0, -(3f64.sqrt()), 3f64.sqrt()];
        let row = |x: f64| places.map(|y| [x, y]).concat();
        Ok(rows(&places.map(row).concat(), 2))
    }
}

impl Model for FewPoints {}

/// Between N(0, I) and N(m, s^2 I) log q - log p = a |x|^2 - m.x / s^2 + const, a = (1 / s^2 - 1) / 2:
/// its mean is D (ln s - 1/2 + 1 / (2 s^2)) + |m|^2 / (2 s^2), its variance 2 D a^2 + |m|^2 / s^4.
#[test]
fn reverse_kl_and_log_variance_of_normals_are_the_formulas() {
    let target = "mixture = { weights = [1.0], means = [[0.5, -1.0]], std_devs = [2.0] }";
    let reverse_kl = problem(&format!("reverse_kl.target.{target}"));
    let model = FewPoints(Normal::new(2, DType::F64, &Device::Cpu));
    let kl = 2.0 * (2f64.ln() - 0.5 + 0.125) + 1.25 / 8.0;
    let a: f64 = (0.25 - 1.0) / 2.0;
    let variance = 4.0 * a * a + 1.25 / 16.0;
    for (objective, expected) in [(reverse_kl, kl), (log_variance(target), variance)] {
        let rng = &mut Rng::new(1);
        let loss = number(objective.loss(&model, &at(36, None), rng));
        assert!((loss - expected).abs() < 1e-12, "{loss}, {expected}");
        let validated = objective.validate(&model, None, 36, rng).unwrap();
        assert!((validated.loss - kl).abs() < 1e-12, "{validated:?}, {kl}");
        assert_eq!(objective.non_finite(&model, &at(36, None), rng).unwrap(), 0);
    }
}

/// Both gradients of the same draws have the same mean, and that along the path is 0 at q = p.
#[test]
fn path_gradients_are_unbiased_and_vanish_at_the_truth() {
    let text = "flow = { bijection.elementwise = {}, base.mixture = { components = 3, init = 'random', spread = 2 } }";
    let model: ModelSpec = spec(text);
    let params = seeded(2);
    let model = model.build(&params, 2, None).unwrap();
    let gradient = |objective: &dyn Objective, i: u64| -> Vec<f64> {
        let rng = &mut Rng::new(5).fork_at("loss", i);
        let loss = objective.loss(model.as_ref(), &at(12, None), rng).unwrap();
        let gradients = loss.backward().unwrap();
        let of = |var: &candle_core::Var| gradients.get(var.as_tensor()).map(values);
        params.trained().iter().filter_map(of).flatten().collect()
    };
    let own = model.components().unwrap().unwrap();
    let own = format!(
        "mixture = {{ weights = {:?}, means = {:?}, std_devs = {:?} }}",
        own.weights,
        own.means.chunks(2).collect::<Vec<_>>(),
        own.std_devs.chunks(2).collect::<Vec<_>>()
    );
    let ways = |target: &str| {
        ["total", "path"].map(|way| {
            problem(&format!(
                "reverse_kl = {{ target.{target}, gradient = '{way}' }}"
            ))
        })
    };
    let [total, path] = ways(&own).map(|way| {
        let all = gradient(way.as_ref(), 0);
        all.iter().map(|g| g.abs()).sum::<f64>()
    });
    assert!(path < 1e-9 && total > 1e-2, "{path}, {total}");
    let [total, path] = ways("ring = { modes = 3, std = 0.8 }");
    let n = 2000;
    let gaps: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let pair = gradient(total.as_ref(), i).into_iter();
            let pair = pair.zip(gradient(path.as_ref(), i));
            pair.map(|(a, b)| a - b).collect()
        })
        .collect();
    for at in 0..gaps[0].len() {
        let (mean, error) = crate::num::mean_and_std_err(gaps.iter().map(|g| g[at]));
        assert!(
            mean.abs() < 4.5 * error.max(1e-12),
            "{at}: {mean} +- {error}"
        );
    }
}

/// With stratified draws, draws of one stratum and coupled draws, the penalty's expectation is
/// (c / 2) |W R|^2 itself: the plain square of a sample mean would lie above it by the trace of
/// the mean's covariance, which is large at 16 rows.
#[test]
fn the_penalty_is_unbiased() {
    let mixture = "[flow.base.mixture]\ncomponents = 3\ninit = 'random'\nspread = 2.0";
    let score = format!("{mixture}\ndraws = 'score'");
    for text in ["flow = {}", mixture, &score] {
        let model: ModelSpec = spec(text);
        let model = model.build(&seeded(2), 2, None).unwrap();
        let with_penalty = |penalty: f64| {
            problem(&format!(
                "[maximum_entropy]\nstatistics = ['x', 'x^2+y^2']\nmoments = [0.3, 2.0]\n\
                 samples = 2000\nscaling = 'std_devs'\npenalty = {penalty:?}\npenalty_cap = 1e6"
            ))
        };
        let (with, without) = (with_penalty(2.0), with_penalty(1e-6));
        let n = 1500;
        let penalties: Vec<f64> = (0..n)
            .map(|i| {
                let loss = |objective: &dyn Objective| {
                    let rng = &mut Rng::new(5).fork_at("loss", i);
                    number(objective.loss(model.as_ref(), &at(16, None), rng))
                };
                // Both know the model's scale from their first loss.
                loss(with.as_ref()) - loss(without.as_ref())
            })
            .collect();
        let (mean, error) = crate::num::mean_and_std_err(penalties.iter().copied());
        let scale = with.rounds().unwrap().multipliers().scale;
        // E[x] and E[x^2 + y^2] in closed form.
        let (mut x, mut squares) = (0.0, 2.0);
        if let Some(c) = model.components().unwrap() {
            let of = |k: usize| [2 * k, 2 * k + 1];
            let each = || (0..c.weights.len()).map(|k| (k, c.weights[k]));
            x = each().map(|(k, w)| w * c.means[2 * k]).sum();
            let square = |d: usize| c.means[d].powi(2) + c.std_devs[d].powi(2);
            squares = each()
                .map(|(k, w)| w * of(k).map(square).iter().sum::<f64>())
                .sum();
        }
        let expected = (scale[0] * (x - 0.3)).powi(2) + (scale[3] * (squares - 2.0)).powi(2);
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{text}: {mean} +- {error} against {expected}"
        );
    }
}

/// A flow at its start on standardised points is a normal distribution with the sample's variance:
/// its loss there is D/2 (ln 2 pi + 1) + sum_d ln s_d.
#[test]
fn maximum_likelihood_at_the_truth_is_the_entropy() {
    let x = points(500);
    let flow: ModelSpec = spec("flow = {}");
    let model = flow.build(&seeded(2), 2, Some(x.clone())).unwrap();
    let loss = MaximumLikelihood.loss(model.as_ref(), &at(500, Some(&x)), &mut Rng::new(0));
    let moments = crate::num::moments(&values(&x), 2);
    let expected = LN_2PI + 1.0 + moments.iter().map(|(_, s)| s.ln()).sum::<f64>();
    let loss = number(loss);
    assert!((loss - expected).abs() < 1e-10, "{loss} against {expected}");
}
