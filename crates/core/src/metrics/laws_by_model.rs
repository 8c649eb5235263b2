//! What metrics owe that are computed from a model or from samples: closed forms, and nothing to find
//! where the model is the truth.

use candle_core::{DType, Device, Tensor};

use super::borders::jumps;
use super::conditioning::Conditioning;
use super::evaluation::{evaluate, Against};
use super::laws::{number, value};
use super::memberships::Memberships;
use super::{Cost, Evaluation, Outcome};
use crate::data::{log_densities, CheckerboardSpec, DataSet, DataSpec, Split};
use crate::distributions::{Distribution, Draws};
use crate::models::{Model, ModelSpec};
use crate::nn::Params;
use crate::num::{from_rows, to_vec};
use crate::rng::Rng;
use crate::{Error, Result};

/// A known law as a model of another one. Its part is the half-plane, its responsibilities are certain.
struct Exact(Box<dyn DataSet>);

impl Distribution for Exact {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let truth = self.0.truth().expect("a synthetic law");
        let values = log_densities(truth, &to_vec(x)?, self.dim());
        Ok(Tensor::from_vec(values, x.dim(0)?, &Device::Cpu)?)
    }
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        self.0.sample(n, rng)
    }
    fn draws(&self, _n: usize, _progress: f64, _rng: &mut Rng) -> Result<Draws> {
        Err(Error::failed("not trained"))
    }
    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let rows = to_vec(x)?;
        let part = |row: &[f64]| u64::from(row[0] > 0.3);
        Ok(Some(rows.chunks_exact(self.dim()).map(part).collect()))
    }
    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let one_hot = self
            .part(x)?
            .into_iter()
            .flatten()
            .flat_map(|part| match part {
                0 => [1.0, 0.0],
                _ => [0.0, 1.0],
            });
        let rows: Vec<f64> = one_hot.collect();
        Ok(Some(from_rows(&rows, 2, DType::F64, &Device::Cpu)?))
    }
}

impl Model for Exact {}

/// An isotropic Gaussian of standard deviation 1 at (a, 0).
fn gaussian(a: f64) -> Box<dyn DataSet> {
    let text = format!("mixture = {{ weights = [1.0], means = [[{a:?}, 0.0]], std_devs = [1.0] }}");
    toml::from_str::<DataSpec>(&text).unwrap().build().unwrap()
}

fn measured(model: Box<dyn DataSet>, truth: &dyn DataSet) -> Evaluation {
    let against = Against {
        law: Some(truth),
        has_data: true,
        constraints: None,
        points: 40_000,
        side: 100,
        dtype: DType::F64,
        device: Device::Cpu,
    };
    let model = Exact(model);
    evaluate(&model, &against, no_cost(), &Rng::new(5))
        .unwrap()
        .evaluation
}

/// Within five standard errors, and those small enough to say something.
fn near(name: &str, on: &Evaluation, want: f64, most: f64) {
    match value(name, on) {
        Outcome::Value { value, std_err, .. } => {
            let std_err = std_err.unwrap_or(most / 5.0);
            assert!(std_err <= most, "{name}: standard error {std_err}");
            assert!(
                (value - want).abs() <= 5.0 * std_err + 1e-9,
                "{name}: {value} ± {std_err}, {want}"
            );
        }
        Outcome::NotApplicable { why, .. } => panic!("{name}: {why}"),
    }
}

/// N(0, I) against N((1/2, 0), I): with d = 1/2, KL = d^2 / 2, E_p[p/q] = e^(d^2), TV = 2 Phi(d / 2) - 1,
/// sliced W2 = d / sqrt 2; precision and recall by the mass of a disc, JS by quadrature.
#[test]
fn two_gaussians_by_closed_forms() {
    let d = 0.5f64;
    let truth = gaussian(0.0);
    let on = measured(gaussian(d), truth.as_ref());
    near("kl", &on, 0.5 * d * d, 0.01);
    near("reverse_kl", &on, 0.5 * d * d, 0.01);
    near("forward_ess", &on, (-d * d).exp(), 0.01);
    let tv = libm::erf(0.5 * d / 2f64.sqrt());
    near("tv", &on, tv, 0.002);
    near("sliced_w2", &on, d / 2f64.sqrt(), 0.03);
    // By the midpoint rule along the line through the means; the other coordinate is alike.
    let phi = |x: f64, m: f64| (-0.5 * (x - m).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let (mut js, mut tv_by_quadrature) = (0.0, 0.0);
    for i in 0..20_000 {
        let x = -10.0 + 1e-3 * (f64::from(i) + 0.5);
        let (p, q) = (phi(x, 0.0), phi(x, d));
        let m = 0.5 * (p + q);
        js += 0.5e-3 * (p * (p / m).ln() + q * (q / m).ln());
        tv_by_quadrature += 0.5e-3 * (p - q).abs();
    }
    near("js", &on, js, 0.001);
    assert!((tv - tv_by_quadrature).abs() < 1e-6);
    // Q(|X| <= r) with P(|X| > r) = e^(-r^2 / 2) = a, by the same rule over x.
    let excess = |a: f64| {
        let r = (-2.0 * a.ln()).sqrt();
        let inside: f64 = (0..20_000)
            .map(|i| -r + 2.0 * r * (f64::from(i) + 0.5) / 20_000.0)
            .map(|x| phi(x, d) * libm::erf((r * r - x * x).max(0.0).sqrt() / 2f64.sqrt()))
            .sum();
        1.0 - inside * 2.0 * r / 20_000.0 - a
    };
    near("bridge_mass", &on, excess(1e-3), 0.001);
    near("bridge_mass_1pc", &on, excess(1e-2), 0.001);
    near("precision", &on, 1.0 - 1e-2 - excess(1e-2), 0.001);
    // The same by symmetry; the level has an error of its own.
    near("recall", &on, 1.0 - 1e-2 - excess(1e-2), 0.002);
    let curve = on.known.as_ref().unwrap().bridge_curve();
    assert_eq!((curve.len(), curve[10].0, curve[20].0), (41, 1e-3, 1e-2));
    assert!(curve
        .windows(2)
        .all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1));
    assert_eq!(curve[10].1, on.known.as_ref().unwrap().low[0].mass);
    assert!(matches!(value("leak", &on), Outcome::NotApplicable { .. }));
    assert!(matches!(
        value("lipschitz", &on),
        Outcome::NotApplicable { .. }
    ));
    assert!(matches!(
        value("knn_recall", &on),
        Outcome::NotApplicable { .. }
    ));
}

/// The truth as a model of itself: nothing to find, by any metric that has a null value.
#[test]
fn the_truth_is_a_perfect_model() {
    let ring: DataSpec = toml::from_str("ring = {}").unwrap();
    let on = measured(ring.build().unwrap(), ring.build().unwrap().as_ref());
    for name in ["kl", "reverse_kl", "tv", "js", "missed_mass"] {
        near(name, &on, 0.0, 1e-12);
    }
    for name in ["ess", "forward_ess"] {
        near(name, &on, 1.0, 1e-12);
    }
    near("bridge_mass", &on, 0.0, 5e-4);
    near("bridge_mass_1pc", &on, 0.0, 1e-3);
    near("precision", &on, 0.99, 1e-3);
    near("recall", &on, 0.99, 1e-3);
    near("energy_distance", &on, 0.0, 0.02);
    near("energy_distance_floor", &on, 0.0, 0.02);
    near("mmd2", &on, 0.0, 0.01);
    near("mmd2_floor", &on, 0.0, 0.01);
    let (sliced, floor) = (number("sliced_w2", &on), number("sliced_w2_floor", &on));
    assert!(
        sliced < 3.0 * floor && floor < 3.0 * sliced,
        "{sliced} {floor}"
    );
    assert!(number("accuracy_ceiling", &on) > 0.99);
}

/// A uniform law has one level; a model of the whole square leaves half of its mass outside.
#[test]
fn a_leak_is_the_first_point_of_the_curve() {
    let law = || {
        DataSpec::Checkerboard(CheckerboardSpec::default())
            .build()
            .unwrap()
    };
    let own = measured(law(), law().as_ref());
    assert_eq!(own.known.as_ref().unwrap().bridge_curve(), [(0.0, 0.0)]);
    assert_eq!(number("leak", &own), 0.0);
    assert_eq!(number("precision", &own), 1.0);
    let wide: DataSpec =
        toml::from_str("mixture = { weights = [1.0], means = [[0.0, 0.0]], std_devs = [1.0] }")
            .unwrap();
    let on = measured(wide.build().unwrap(), law().as_ref());
    let curve = on.known.as_ref().unwrap().bridge_curve();
    // The squares and the gaps hold equal shares of it by symmetry.
    near("leak", &on, 0.5, 0.01);
    assert_eq!(curve, [(0.0, number("leak", &on))]);
    assert_eq!(number("bridge_mass", &on), number("leak", &on));
    assert!(number("tv", &on) > 0.5 && number("js", &on) < 2f64.ln());
}

/// N(0, s^2) beside two modes: the map is x = s z, so the bound has L = s, and the model is one of those
/// that it holds for.
#[test]
fn a_normal_base_leaves_at_least_what_isoperimetry_wants() {
    let text = "mixture = { weights = [0.5, 0.5], means = [[-3.0], [3.0]], std_devs = [0.5, 0.5] }";
    let law = toml::from_str::<DataSpec>(text).unwrap().build().unwrap();
    let rng = Rng::new(4);
    let start = law.sample(4000, &mut rng.fork("start")).unwrap();
    let spec: ModelSpec = toml::from_str("flow = { bijection = { elementwise = {} } }").unwrap();
    let params = Params::seeded(rng.fork("init"), DType::F64, &Device::Cpu);
    let model = spec.build(&params, 1, Some(start)).unwrap();
    let against = Against {
        law: Some(law.as_ref()),
        has_data: true,
        constraints: None,
        points: 20_000,
        side: 16,
        dtype: DType::F64,
        device: Device::Cpu,
    };
    let found = evaluate(model.as_ref(), &against, no_cost(), &rng).unwrap();
    let on = found.evaluation;
    let scale = (9.0f64 + 0.25).sqrt();
    for name in ["lipschitz", "pair_slope"] {
        let off = number(name, &on) / scale - 1.0;
        assert!(off.abs() < 0.02, "{name}: {off}");
    }
    // A = (1.5, 4.5) or so, q(A) = Phi(4.5 / s) - Phi(1.5 / s) = 0.24, d = 3 / L.
    let bound = number("bridge_bound", &on);
    let low = number("bridge_mass", &on) + 1e-3;
    assert!(0.2 < bound && bound < low, "{bound} {low}");
    // One pair of modes, and all of what lies low is between them.
    let bridges = on.known.unwrap().bridges;
    let [share, mass] = bridges[&(0, 1)];
    assert!(bridges.len() == 1 && share < 3e-3, "{share}");
    assert!((mass - low).abs() < 2e-3, "{mass} {low}");
}

fn no_cost() -> Cost {
    Cost {
        parameters: Some(0),
        steps: 0,
        seconds: 1.0,
        search_seconds: None,
        multiply_adds: None,
        validation_kl: None,
    }
}

/// A flow that only standardises points of standard deviations 3 and 0.1.
#[test]
fn a_scaling_has_the_singular_values_of_its_scales() {
    let spec: ModelSpec = toml::from_str("flow = { bijection = { elementwise = {} } }").unwrap();
    let rows: Vec<f64> = [[3.0, 0.1], [3.0, -0.1], [-3.0, 0.1], [-3.0, -0.1]].concat();
    for dtype in [DType::F64, DType::F32] {
        let points = from_rows(&rows, 2, dtype, &Device::Cpu).unwrap();
        let params = Params::seeded(Rng::new(0), dtype, &Device::Cpu);
        let model = spec.build(&params, 2, Some(points.clone())).unwrap();
        let found = Conditioning::of(model.as_ref(), &[points])
            .unwrap()
            .unwrap();
        assert_eq!((found.log_kappa.len(), found.non_finite), (4, 0));
        assert!(
            (found.log_kappa[0] - 30f64.log10()).abs() < 1e-5,
            "{found:?}"
        );
        assert!((found.expansion.last().unwrap() / 3.0 - 1.0).abs() < 1e-5);
        assert!((found.inverse_expansion.last().unwrap() / 10.0 - 1.0).abs() < 1e-5);
        assert!(found.round_trip.unwrap() < 1e-6);
        let broken = Tensor::new(&[[f64::NAN, 0.0]], &Device::Cpu).unwrap();
        let broken = broken.to_dtype(dtype).unwrap();
        let found = Conditioning::of(model.as_ref(), &[broken])
            .unwrap()
            .unwrap();
        assert!(found.log_kappa.len() + found.non_finite == 1, "{found:?}");
    }
}

/// Density 3/4 below 0.3 and 1/4 above, of parts that meet there.
struct Step;

impl Distribution for Step {
    fn dim(&self) -> usize {
        1
    }
    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let rows = to_vec(x)?.into_iter();
        let values = rows.map(|x| if x > 0.3 { 0.25f64.ln() } else { 0.75f64.ln() });
        Ok(Tensor::from_vec(
            values.collect::<Vec<_>>(),
            x.dim(0)?,
            &Device::Cpu,
        )?)
    }
    fn sample(&self, _n: usize, _rng: &mut Rng) -> Result<Tensor> {
        Err(Error::failed("not sampled"))
    }
    fn draws(&self, _n: usize, _progress: f64, _rng: &mut Rng) -> Result<Draws> {
        Err(Error::failed("not trained"))
    }
    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        Ok(Some(
            to_vec(x)?.into_iter().map(|x| u64::from(x > 0.3)).collect(),
        ))
    }
}

impl Model for Step {}

#[test]
fn the_jump_at_a_border_is_found_whole() {
    let points: Vec<f64> = (0..50).map(|i| f64::from(i) / 50.0).collect();
    let x = from_rows(&points, 1, DType::F64, &Device::Cpu).unwrap();
    let part = Step.part(&x).unwrap().unwrap();
    let place = (DType::F64, &Device::Cpu);
    let found = jumps(&Step, &points, Some(&part), place).unwrap().unwrap();
    assert_eq!(
        found.len(),
        49,
        "the nearest of another part, every pair once"
    );
    assert!(found.iter().all(|j| (j - 3f64.ln()).abs() < 1e-12));
    let one = jumps(&Step, &points[..10], Some(&part[..10]), place).unwrap();
    assert_eq!(one, Some(Vec::new()));
    assert_eq!(jumps(&Step, &points, None, place).unwrap(), None);
    // A continuous density: its slope times the distance of the ends.
    let truth = gaussian(0.0);
    let points = to_vec(&truth.points(Split::Test, 300, &mut Rng::new(1)).unwrap().x).unwrap();
    let model = Exact(truth);
    let x = from_rows(&points, 2, DType::F64, &Device::Cpu).unwrap();
    let part = model.part(&x).unwrap();
    let found = jumps(&model, &points, part.as_deref(), place)
        .unwrap()
        .unwrap();
    assert!(found.len() > 100);
    assert!(found.iter().all(|j| *j < 4e-4), "{found:?}");
}

/// Of a broken model nothing panics, and what is left out is counted.
#[test]
fn memberships_that_are_not_numbers_are_counted() {
    struct Broken;
    impl Distribution for Broken {
        fn dim(&self) -> usize {
            1
        }
        fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
            Ok(x.squeeze(1)?)
        }
        fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
            rng.normal_tensor((n, 1), DType::F64, &Device::Cpu)
        }
        fn draws(&self, _n: usize, _progress: f64, _rng: &mut Rng) -> Result<Draws> {
            Err(Error::failed("not trained"))
        }
        fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
            Ok(Some(Tensor::cat(&[x, x], 1)?))
        }
    }
    impl Model for Broken {}
    let x = Tensor::new(&[[0.5], [f64::NAN], [0.5]], &Device::Cpu).unwrap();
    let found = Memberships::of(&Broken, &x).unwrap().unwrap();
    assert_eq!((found.place, found.non_finite), (vec![0, 2], 1));
}
