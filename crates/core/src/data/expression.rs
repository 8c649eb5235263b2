//! A law by the expression of its log density.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cubature::{Cubature, Place};
use super::law::{hull, square, Density, Settings, Truth, View};
use super::target::{by_row, LogDensity, Target, Values};
use crate::error::BadValue;
use crate::expression::{is_taken, Expression};
use crate::rng::Rng;
use crate::Result as CoreResult;

/// `expression = { log_density = "-(r-2)^2/0.18 + cos(5*theta)", dim = 2 }`
///
/// p(x) = exp(f(x)) / Z for an [`Expression`] f. In one to three coordinates Z, the entropy and the sampler
/// follow from an adaptive cubature over a box that holds all but 1e-6 of the mass, and the law has one
/// mode. In more coordinates it is a target known up to its constant, and no data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpressionSpec {
    /// f, the log density up to a constant.
    pub log_density: String,
    /// D: 1 to 3, and of a target any.
    #[serde(default = "plane")]
    pub dim: usize,
    /// Names with values for the expression.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub constants: IndexMap<String, f64>,
    /// A box that holds the mass; found by doubling if absent.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub place: Option<BoxSpec>,
}

/// `box = { low = [-5, -5], high = [5, 5] }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxSpec {
    /// Lower ends, D numbers.
    pub low: Vec<f64>,
    /// Upper ends, D numbers.
    pub high: Vec<f64>,
}

fn plane() -> usize {
    2
}

/// Laws by their settings: a cubature takes up to seconds, and a run builds its data several times.
static LAWS: LazyLock<Mutex<HashMap<String, Arc<Law>>>> = LazyLock::new(Mutex::default);

/// The most coordinates that cubature integrates over.
const CUBATURE: usize = 3;
/// The most coordinates of a target.
const LARGEST: usize = 1000;

impl Settings for ExpressionSpec {
    fn law(&self) -> Result<Truth, BadValue> {
        let law = self.shared()?;
        let entropy = law.cubature.entropy();
        let view = (self.dim == 2).then(|| square(law.seen()));
        let truth = Truth::new(self.dim, vec![1.0], Shared(law));
        Ok(Truth { view, ..truth }.with_entropy(Some(entropy)))
    }
}

impl ExpressionSpec {
    /// Whether the law has a normaliser and a sampler.
    pub(super) fn has_law(&self) -> bool {
        self.dim <= CUBATURE
    }

    /// f as a target, less log Z where there is a law.
    pub(super) fn target(&self) -> Result<Target, BadValue> {
        if self.has_law() {
            let law = self.shared()?;
            return Ok(Target::new(Normalised(law), Some(0.0)));
        }
        BadValue::within("dim", self.dim, 1, LARGEST)?;
        let expected = "no `box` above three dimensions, where there is no cubature";
        BadValue::unless(self.place.is_none(), "box", expected, "one")?;
        Ok(Target::new(self.parsed()?, None))
    }

    fn shared(&self) -> Result<Arc<Law>, BadValue> {
        let key = format!("{self:?}");
        let known = LAWS.lock().ok().and_then(|laws| laws.get(&key).cloned());
        if let Some(law) = known {
            return Ok(law);
        }
        let law = Arc::new(self.compute()?);
        if let Ok(mut laws) = LAWS.lock() {
            laws.insert(key, Arc::clone(&law));
        }
        Ok(law)
    }

    /// f.
    fn parsed(&self) -> Result<Expression, BadValue> {
        for (name, value) in &self.constants {
            let expected = "a name that is not a coordinate, a function or a constant";
            BadValue::unless(!is_taken(name), "constants", expected, name)?;
            BadValue::unless(value.is_finite(), "constants", "finite numbers", value)?;
        }
        let constants: Vec<(String, f64)> = self.constants.clone().into_iter().collect();
        Expression::parse(&self.log_density, self.dim, &constants).map_err(|fault| {
            BadValue::new(
                "log_density",
                &fault.expected,
                fault.found(&self.log_density),
            )
        })
    }

    fn compute(&self) -> Result<Law, BadValue> {
        if self.dim > CUBATURE {
            let expected = "1 <= `dim` <= 3 of data, whose sampler is a cubature (the target of `reverse_kl` may \
                            have more coordinates)";
            return Err(BadValue::new("dim", expected, self.dim));
        }
        BadValue::within("dim", self.dim, 1, CUBATURE)?;
        let expression = self.parsed()?;
        let f = |x: &[f64]| expression.value(x);
        let cubature = match &self.place {
            Some(BoxSpec { low, high }) => {
                for (key, ends) in [("low", low), ("high", high)] {
                    let fits = ends.len() == self.dim && ends.iter().all(|v| v.is_finite());
                    let expected = format!("{} finite numbers", self.dim);
                    BadValue::unless(fits, key, &expected, format!("{ends:?}"))
                        .map_err(|e| e.below("box"))?;
                }
                let fits = low.iter().zip(high).all(|(low, high)| low < high);
                BadValue::unless(fits, "box", "`low` below `high`", "ends that are not")?;
                Cubature::over(Place::new(low, high), &f)
            }
            None => Cubature::of_all(self.dim, &f),
        };
        let cubature =
            cubature.map_err(|why| BadValue::new("log_density", why.expected, why.got))?;
        Ok(Law {
            expression,
            cubature,
        })
    }
}

struct Law {
    expression: Expression,
    cubature: Cubature,
}

impl Law {
    /// A box around nearly all of the mass, with a margin.
    fn seen(&self) -> View {
        let view = hull(
            self.cubature
                .core()
                .map(|place| [0, 1].map(|d| (place.low[d], place.low[d] + place.size[d]))),
        );
        view.map(|(low, high)| {
            let margin = 0.1 * (high - low);
            (low - margin, high + margin)
        })
    }
}

impl LogDensity for Expression {
    fn dim(&self) -> usize {
        self.dim()
    }

    fn evaluate(&self, rows: &[f64], gradient: bool) -> CoreResult<Values> {
        let slope = |x: &[f64], out: &mut [f64]| {
            self.value_and_gradient(x, out);
        };
        let value = |x: &[f64]| self.value(x);
        Ok(by_row(rows, self.dim(), gradient, value, slope))
    }
}

/// f - log Z. Unlike the law, which has no density where f is not defined, it says so.
struct Normalised(Arc<Law>);

impl LogDensity for Normalised {
    fn dim(&self) -> usize {
        self.0.expression.dim()
    }

    fn evaluate(&self, rows: &[f64], gradient: bool) -> CoreResult<Values> {
        let log_z = self.0.cubature.log_z();
        let mut values = self.0.expression.evaluate(rows, gradient)?;
        values.log_p.iter_mut().for_each(|v| *v -= log_z);
        Ok(values)
    }
}

struct Shared(Arc<Law>);

impl Density for Shared {
    fn draw(&self, rng: &mut Rng, x: &mut [f64]) -> usize {
        let law = &self.0;
        law.cubature.draw(rng, x, &|x| law.expression.value(x));
        0
    }

    fn log_joint(&self, x: &[f64], out: &mut [f64]) {
        let value = self.0.expression.value(x) - self.0.cubature.log_z();
        // A function that is not defined here has no density here.
        out[0] = if value.is_nan() {
            f64::NEG_INFINITY
        } else {
            value
        };
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let value = self.0.expression.value_and_gradient(x, out);
        if !value.is_finite() {
            out.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{log_density, DataSet};
    use crate::num;

    fn law(text: &str) -> Result<Truth, BadValue> {
        let spec: ExpressionSpec = toml::from_str(text).unwrap();
        spec.law()
    }

    /// Normalisers and entropies in closed form; that of U1 is the quadrature of `energy.rs`.
    #[test]
    fn integrals_are_those_of_closed_forms() {
        let normal = |d: f64| 0.5 * d * std::f64::consts::TAU.ln();
        let u1 = "-((r-2)/0.4)^2/2 + log(exp(-((x-2)/0.6)^2/2) + exp(-((x+2)/0.6)^2/2))";
        let u1 = format!("log_density = '{u1}'");
        let u1_log_p =
            (-0.5 * (4.0_f64 / 0.6).powi(2)).exp().ln_1p() - 6.537_152_192_800_608_f64.ln();
        let unit = normal(1.0) + 0.5;
        let narrow = 3.0 * 0.2_f64.ln();
        let product =
            "log_density = '-sum(i, 1, D, (x[i]-i)^2)/(2*s^2)'\ndim = 3\nconstants = { s = 0.2 }";
        let funnel = "log_density = '-x^2/18 - y^2*exp(-x)/2 - x/2'";
        for (text, at, log_p, entropy) in [
            (
                "log_density = '-x^2/2'\ndim = 1",
                vec![0.5],
                -0.125 - normal(1.0),
                Some(unit),
            ),
            (
                "log_density = '-(x-30)^2/2 - 1000'\ndim = 1",
                vec![30.0],
                -normal(1.0),
                Some(unit),
            ),
            (
                product,
                vec![1.0, 2.0, 3.0],
                -normal(3.0) - narrow,
                Some(3.0 * unit + narrow),
            ),
            (
                "log_density = '-abs(x) - abs(y)'",
                vec![0.0; 2],
                -(4_f64.ln()),
                Some(2.0 + 4_f64.ln()),
            ),
            (&u1, vec![2.0, 0.0], u1_log_p, None),
            // Its neck is far narrower than the cells at the start.
            (
                funnel,
                vec![0.0; 2],
                -normal(2.0) - 3_f64.ln(),
                Some(2.0 * unit + 3_f64.ln()),
            ),
        ] {
            let truth = law(text).unwrap();
            let got = log_density(&truth, &at);
            // Walks may leave 1e-4 of the mass unseen.
            let most = if text == funnel { 1e-4 } else { 2e-6 };
            assert!((got - log_p).abs() < most, "{text}: {got}, not {log_p}");
            if let Some(entropy) = entropy {
                let got = truth.entropy();
                let fine = (got.value - entropy).abs() < got.error + 2.0 * most && got.error < 1e-3;
                assert!(fine, "{text}: {got:?}, not {entropy}");
            }
        }
    }

    /// The mean of -log p over draws is the entropy by cubature, and a narrow mode gets its share.
    #[test]
    fn draws_have_the_law() {
        for text in [
            "log_density = '-(r-2)^2/0.02 + cos(5*theta)'",
            "log_density = '-x^2/2 - 3*abs(x)^1.5'\ndim = 1",
            "log_density = '-(x^2+y^2+z^2) + x*y*z - r^4/4'\ndim = 3",
            "log_density = 'log(exp(-(r/0.05)^2/2)/0.0025 + exp(-((x-3)^2 + y^2)/2))'",
        ] {
            let truth = law(text).unwrap();
            let x = num::to_vec(&truth.sample(20_000, &mut Rng::new(3)).unwrap()).unwrap();
            let log_p = x.chunks_exact(truth.dim()).map(|x| -log_density(&truth, x));
            let (mean, error) = num::mean_and_std_err(log_p);
            let off = (mean - truth.entropy().value) / error;
            assert!(off.abs() < 4.0, "{text}: {off} errors");
        }
    }

    #[test]
    fn what_is_no_law_is_refused_with_the_reason() {
        for (text, words) in [
            ("log_density = 'x'", "log_density: expected a log density of finite mass"),
            ("log_density = '0*x'\ndim = 1", "mass that grows with every box"),
            ("log_density = 'log(x)'\ndim = 1", "got NaN at ["),
            ("log_density = '-x^2 - w'", "expected a number, a function or one of `x`, `y`, `r`, `pi` ... (points have D = 2); got `w` at column 8 of `-x^2 - w`"),
            ("log_density = '-r^2'\ndim = 4", "dim: expected 1 <= `dim` <= 3; got 4"),
            ("log_density = '-a*r^2'\nconstants = { x = 1.0 }", "constants: expected a name that is not"),
            ("log_density = '-r^2'\nbox = { low = [0], high = [1, 1] }", "box.low: expected 2 finite numbers; got [0.0]"),
            ("log_density = '-r^2'\nbox = { low = [2, 0], high = [1, 1] }", "box: expected `low` below `high`"),
            ("log_density = '-(r/1e-9)^2'\nbox = { low = [1, 1], high = [2, 2] }", "cells resolve (try a smaller `box`)"),
        ] {
            let said = law(text).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
