//! Metrics that are computed from a model agree with closed forms, and find nothing where the model is
//! the truth.

use candle_core::{DType, Device, Tensor};

use super::borders::jumps;
use super::conditioning::Conditioning;
use super::evaluation::{evaluate, Against};
use super::laws::{number, value};
use super::memberships::Memberships;
use super::{Cost, Evaluation, Outcome};
use crate::data::{log_densities, DataSet, DataSpec, Split};
use crate::distributions::{Distribution, Draws};
use crate::models::{Model, ModelSpec};
use crate::nn::Params;
use crate::num::{from_rows, to_vec};
use crate::rng::Rng;
use crate::{Error, Result};

/// A model by functions of its rows; it has parts and certain responsibilities where `part` is given.
#[derive(Default)]
struct ByRows<'a> {
    law: Option<&'a dyn DataSet>,
    dim: usize,
    log_prob: Option<fn(&[f64]) -> f64>,
    part: Option<fn(&[f64]) -> u64>,
}

impl ByRows<'_> {
    /// A known law as a model of another one. Its part is the half-plane.
    fn of_law(law: &dyn DataSet) -> ByRows<'_> {
        ByRows {
            law: Some(law),
            dim: law.dim(),
            log_prob: None,
            part: Some(|x| u64::from(x[0] > 0.3)),
        }
    }
}

impl Distribution for ByRows<'_> {
    fn dim(&self) -> usize {
        self.dim
    }
    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let rows = to_vec(x)?;
        let values = match (self.law, self.log_prob) {
            (Some(law), _) => log_densities(law.truth().expect("a law"), &rows, self.dim),
            (_, Some(log_prob)) => rows.chunks_exact(self.dim).map(log_prob).collect(),
            (None, None) => Vec::new(),
        };
        Ok(Tensor::from_vec(values, x.dim(0)?, &Device::Cpu)?)
    }
    fn sample(&self, n: usize, rng: &mut Rng) -> Result<Tensor> {
        self.law.expect("a law").sample(n, rng)
    }
    fn draws(&self, _n: usize, _progress: f64, _rng: &mut Rng) -> Result<Draws> {
        Err(Error::failed("not trained"))
    }
    fn part(&self, x: &Tensor) -> Result<Option<Vec<u64>>> {
        let rows = to_vec(x)?;
        let parts = |part| rows.chunks_exact(self.dim).map(part).collect();
        Ok(self.part.map(parts))
    }
    fn responsibilities(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let rows = match self.part(x)? {
            None => to_vec(&Tensor::cat(&[x, x], 1)?)?,
            Some(parts) => parts
                .iter()
                .flat_map(|p| [1 - *p, *p].map(|r| r as f64))
                .collect(),
        };
        Ok(Some(from_rows(&rows, 2, DType::F64, &Device::Cpu)?))
    }
}

impl Model for ByRows<'_> {}

fn law(text: &str) -> Box<dyn DataSet> {
    toml::from_str::<DataSpec>(text).unwrap().build().unwrap()
}

/// An isotropic Gaussian of standard deviation 1 at (a, 0).
fn gaussian(a: f64) -> Box<dyn DataSet> {
    law(&format!(
        "mixture = {{ weights = [1.0], means = [[{a:?}, 0.0]], std_devs = [1.0] }}"
    ))
}

/// Of a law in as many points.
fn against(law: &dyn DataSet, points: usize) -> Against<'_> {
    Against {
        law: Some(law),
        has_data: true,
        target: None,
        constraints: None,
        points,
        side: 100,
        dtype: DType::F64,
        device: Device::Cpu,
    }
}

fn measured(model: Box<dyn DataSet>, truth: &dyn DataSet) -> Evaluation {
    let (model, against) = (ByRows::of_law(model.as_ref()), against(truth, 40_000));
    let found = evaluate(&model, &against, Cost::default(), &Rng::new(5));
    found.unwrap().evaluation
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
    let on = measured(gaussian(d), gaussian(0.0).as_ref());
    let tv = libm::erf(0.5 * d / 2f64.sqrt());
    // By the midpoint rule along the line through the means; the other coordinate is alike.
    let phi = |x: f64, m: f64| (-0.5 * (x - m).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let mut js = 0.0;
    for i in 0..20_000 {
        let x = -10.0 + 1e-3 * (f64::from(i) + 0.5);
        let (p, q) = (phi(x, 0.0), phi(x, d));
        let m = 0.5 * (p + q);
        js += 0.5e-3 * (p * (p / m).ln() + q * (q / m).ln());
    }
    // Q(|X| <= r) with P(|X| > r) = e^(-r^2 / 2) = a, by the same rule over x.
    let excess = |a: f64| {
        let r = (-2.0 * a.ln()).sqrt();
        let inside: f64 = (0..20_000)
            .map(|i| -r + 2.0 * r * (f64::from(i) + 0.5) / 20_000.0)
            .map(|x| phi(x, d) * libm::erf((r * r - x * x).max(0.0).sqrt() / 2f64.sqrt()))
            .sum();
        1.0 - inside * 2.0 * r / 20_000.0 - a
    };
    for (name, want, most) in [
        ("kl", 0.5 * d * d, 0.01),
        ("reverse_kl", 0.5 * d * d, 0.01),
        ("forward_ess", (-d * d).exp(), 0.01),
        ("tv", tv, 0.002),
        ("js", js, 0.001),
        ("sliced_w2", d / 2f64.sqrt(), 0.03),
        ("bridge_mass", excess(1e-3), 0.001),
        ("bridge_mass_1pc", excess(1e-2), 0.001),
        ("precision", 1.0 - 1e-2 - excess(1e-2), 0.001),
        // The same by symmetry; the level has an error of its own.
        ("recall", 1.0 - 1e-2 - excess(1e-2), 0.002),
    ] {
        near(name, &on, want, most);
    }
    let curve = on.known.as_ref().unwrap().bridge_curve();
    assert_eq!((curve.len(), curve[10].0, curve[20].0), (41, 1e-3, 1e-2));
    assert!(curve
        .windows(2)
        .all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1));
    assert_eq!(curve[10].1, on.known.as_ref().unwrap().low[0].mass);
    for name in ["leak", "lipschitz", "knn_recall"] {
        let found = value(name, &on);
        assert!(
            matches!(found, Outcome::NotApplicable { .. }),
            "{name}: {found:?}"
        );
    }
}

/// The truth as a model of itself: nothing to find, by any metric that has a null value.
#[test]
fn the_truth_is_a_perfect_model() {
    let on = measured(law("ring = {}"), law("ring = {}").as_ref());
    for (name, null, most) in [
        ("kl", 0.0, 1e-12),
        ("reverse_kl", 0.0, 1e-12),
        ("tv", 0.0, 1e-12),
        ("js", 0.0, 1e-12),
        ("missed_mass", 0.0, 1e-12),
        ("ess", 1.0, 1e-12),
        ("forward_ess", 1.0, 1e-12),
        ("bridge_mass", 0.0, 5e-4),
        ("bridge_mass_1pc", 0.0, 1e-3),
        ("precision", 0.99, 1e-3),
        ("recall", 0.99, 1e-3),
        ("energy_distance", 0.0, 0.02),
        ("energy_distance_floor", 0.0, 0.02),
        ("mmd2", 0.0, 0.01),
        ("mmd2_floor", 0.0, 0.01),
    ] {
        near(name, &on, null, most);
    }
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
    let board = law("checkerboard = {}");
    let own = measured(law("checkerboard = {}"), board.as_ref());
    assert_eq!(own.known.as_ref().unwrap().bridge_curve(), [(0.0, 0.0)]);
    assert_eq!(number("leak", &own), 0.0);
    assert_eq!(number("precision", &own), 1.0);
    let on = measured(gaussian(0.0), board.as_ref());
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
    let law = law(text);
    let rng = Rng::new(4);
    let start = law.sample(4000, &mut rng.fork("start")).unwrap();
    let model = scaling(rng.fork("init"), start);
    let against = against(law.as_ref(), 20_000);
    let found = evaluate(model.as_ref(), &against, Cost::default(), &rng).unwrap();
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

/// A flow that only standardises these points.
fn scaling(rng: Rng, points: Tensor) -> Box<dyn Model> {
    let spec: ModelSpec = toml::from_str("flow = { bijection = { elementwise = {} } }").unwrap();
    let params = Params::seeded(rng, points.dtype(), &Device::Cpu);
    spec.build(&params, points.dim(1).unwrap(), Some(points))
        .unwrap()
}

/// Of points of standard deviations 3 and 0.1.
#[test]
fn a_scaling_has_the_singular_values_of_its_scales() {
    let rows: Vec<f64> = [[3.0, 0.1], [3.0, -0.1], [-3.0, 0.1], [-3.0, -0.1]].concat();
    for dtype in [DType::F64, DType::F32] {
        let points = from_rows(&rows, 2, dtype, &Device::Cpu).unwrap();
        let model = scaling(Rng::new(0), points.clone());
        let of = |points: Tensor| {
            Conditioning::of(model.as_ref(), &[points])
                .unwrap()
                .unwrap()
        };
        let found = of(points);
        assert_eq!((found.log_kappa.len(), found.non_finite), (4, 0));
        let off = found.log_kappa[0] - 30f64.log10();
        assert!(off.abs() < 1e-5, "{found:?}");
        assert!((found.expansion.last().unwrap() / 3.0 - 1.0).abs() < 1e-5);
        assert!((found.inverse_expansion.last().unwrap() / 10.0 - 1.0).abs() < 1e-5);
        assert!(found.round_trip.unwrap() < 1e-6);
        let broken = Tensor::new(&[[f64::NAN, 0.0]], &Device::Cpu).unwrap();
        let found = of(broken.to_dtype(dtype).unwrap());
        assert!(found.log_kappa.len() + found.non_finite == 1, "{found:?}");
        assert!(found.round_trip.unwrap() < 1e-6, "{found:?}");
    }
}

/// Density 3/4 below 0.3 and 1/4 above, of parts that meet there.
#[test]
fn the_jump_at_a_border_is_found_whole() {
    let step = ByRows {
        law: None,
        dim: 1,
        log_prob: Some(|x| {
            if x[0] > 0.3 {
                0.25f64.ln()
            } else {
                0.75f64.ln()
            }
        }),
        part: Some(|x| u64::from(x[0] > 0.3)),
    };
    let points: Vec<f64> = (0..50).map(|i| f64::from(i) / 50.0).collect();
    let x = from_rows(&points, 1, DType::F64, &Device::Cpu).unwrap();
    let part = step.part(&x).unwrap().unwrap();
    let place = (DType::F64, &Device::Cpu);
    let found = jumps(&step, &points, Some(&part), place).unwrap().unwrap();
    assert_eq!(
        found.len(),
        49,
        "the nearest of another part, every pair once"
    );
    assert!(found.iter().all(|j| (j - 3f64.ln()).abs() < 1e-12));
    let one = jumps(&step, &points[..10], Some(&part[..10]), place).unwrap();
    assert_eq!(one, Some(Vec::new()));
    assert_eq!(jumps(&step, &points, None, place).unwrap(), None);
    // A continuous density: its slope times the distance of the ends.
    let truth = gaussian(0.0);
    let points = to_vec(&truth.points(Split::Test, 300, &mut Rng::new(1)).unwrap().x).unwrap();
    let model = ByRows::of_law(truth.as_ref());
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
    let broken = ByRows {
        dim: 1,
        ..ByRows::default()
    };
    let x = Tensor::new(&[[0.5], [f64::NAN], [0.5]], &Device::Cpu).unwrap();
    let found = Memberships::of(&broken, &x).unwrap().unwrap();
    assert_eq!((found.place, found.non_finite), (vec![0, 2], 1));
}
