//! Densities and gradients of any shape.

use super::*;
use crate::distributions::Draws;
use crate::nn::params::slopes_along;
use crate::num::largest;

impl Twins {
    /// Whether the gradients of a loss in fused kernels are those in double precision. A point at the
    /// very edge of a bin, a fold or a rectifier may fall on either side in single precision: then
    /// plain tensors of f32 must be off as well.
    fn same_gradients(
        &self,
        what: &str,
        [fused, exact]: [&Tensor; 2],
        plain: impl Fn() -> Tensor,
    ) -> Result<bool, String> {
        let expected = gradients(&self.exact_params.trained(), exact);
        let off = apart(&gradients(&self.params.trained(), fused), &expected);
        if off <= 1e-4 {
            return Ok(true);
        }
        let plain = apart(
            &gradients(&self.plain_params.trained(), &plain()),
            &expected,
        );
        match off <= 3.0 * plain {
            true => Ok(false),
            false => Err(format!(
                "gradients of {what}: {off:.1e} apart, those of plain f32 {plain:.1e}"
            )),
        }
    }

    /// What is wrong with log q at points from elsewhere, if anything.
    fn faults_of_densities(&self, dim: usize, n: usize, seed: u64) -> Result<(), String> {
        let x = points(n, dim, seed + 2);
        let exact_x = x.to_dtype(DType::F64).unwrap();
        let log_q = self.fused.log_prob(&x).unwrap();
        let exact = self.exact.log_prob(&exact_x).unwrap();
        // Points that random weights throw a thousand standard deviations out: scales are at their
        // bounds there, and the slopes of bounded numbers are differences that rounding eats up.
        if values(&exact).iter().any(|q| *q < -1e6) {
            return Ok(());
        }
        for (i, (g, e)) in values(&log_q).iter().zip(values(&exact)).enumerate() {
            if !((g - e).abs() <= 2e-4 * e.abs().max(1.0)) {
                return Err(format!("log q of point {i}: {g}, not {e}"));
            }
        }
        // Unequal weights, so that a mix-up of points would show.
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + (i % 7) as f64).collect();
        let weights = Tensor::from_vec(weights, n, &Device::Cpu).unwrap();
        let weighted = |log_q: &Tensor| {
            let weights = weights.to_dtype(log_q.dtype()).unwrap();
            (log_q * weights).unwrap().mean_all().unwrap()
        };
        let (loss, exact) = (weighted(&log_q), weighted(&exact));
        let plain = || weighted(&self.plain.log_prob(&x).unwrap());
        if !self.same_gradients("weighted log q", [&loss, &exact], plain)? {
            return Ok(());
        }
        // Against finite differences in double precision, by a step so small that hardly a kink is
        // crossed.
        let got = gradients(&self.params.trained(), &loss);
        let rng = &mut Rng::new(seed).fork("direction");
        let value = || values(&weighted(&self.exact.log_prob(&exact_x).unwrap()))[0];
        let vars = self.exact_params.trained();
        let [along, slope] = slopes_along(&vars, &got, 1e-8, rng, value);
        let size = got.iter().map(|g| g * g).sum::<f64>().sqrt();
        if !((slope - along).abs() <= 2e-3 * size.max(slope.abs())) {
            return Err(format!("slope along a direction: {along}, not {slope}"));
        }
        // The scalar form, in one pass with its gradients.
        let rng = &mut Rng::new(0);
        let mean = self.fused.mean_training_log_prob(0, &x, rng).unwrap();
        let [mean, each] =
            [mean, log_q.mean_all().unwrap()].map(|loss| gradients(&self.params.trained(), &loss));
        let off = apart(&mean, &each);
        match off <= 1e-5 {
            true => Ok(()),
            false => Err(format!("gradients of the mean: {off:.1e} apart")),
        }
    }

    /// What is wrong with samples and their densities, on which models without data are trained;
    /// `sent`: whether the kernels make them.
    fn faults_of_samples(&self, dim: usize, n: usize, seed: u64, sent: bool) -> Result<(), String> {
        let z = points(n, dim, seed + 3);
        let fused = self.fused.fused().unwrap();
        if fused.to_data_and_log_det(&z).unwrap().is_some() != sent {
            return Err(format!("samples by the kernels: not {sent}"));
        }
        if !sent {
            return Ok(());
        }
        let draws = |model: &dyn Model| model.draws(n, 0.5, &mut Rng::new(seed)).unwrap();
        // Unequal weights, so that a mix-up of points or coordinates would show.
        let weigh = |draws: &Draws| {
            // As many of every component may be a few more.
            let n = draws.x.dim(0).unwrap();
            let of = |count: usize, shape: &[usize]| {
                let all: Vec<f64> = (0..count).map(|i| ((i * 7) % 11) as f64 - 4.0).collect();
                let all = Tensor::from_vec(all, shape, &Device::Cpu).unwrap();
                all.to_dtype(draws.x.dtype()).unwrap()
            };
            let by_x = (&draws.x * of(n * dim, &[n, dim])).unwrap().sum(1).unwrap();
            let by_log_prob = (&draws.log_prob * of(n, &[n])).unwrap();
            (by_x + by_log_prob).unwrap().mean_all().unwrap()
        };
        let [got, exact, plain] =
            [&self.fused, &self.exact, &self.plain].map(|m| draws(m.as_ref()));
        for (what, got, exact, plain) in [
            ("x", &got.x, &exact.x, &plain.x),
            ("log q", &got.log_prob, &exact.log_prob, &plain.log_prob),
        ] {
            let exact = values(exact);
            let worst = |of: &Tensor| {
                let each = values(of).into_iter().zip(&exact);
                largest(each.map(|(v, e)| (v - e).abs() / e.abs().max(1.0)))
            };
            let (off, plain) = (worst(got), worst(plain));
            if !(off <= 2e-4 || off <= 4.0 * plain) {
                return Err(format!(
                    "{what} of samples: {off:.1e} apart, that of plain f32 {plain:.1e}"
                ));
            }
        }
        let losses = [&weigh(&got), &weigh(&exact)];
        self.same_gradients("samples", losses, || weigh(&plain))?;
        Ok(())
    }
}

/// What is wrong with the fused kernels in this case, if anything.
fn faults(
    text: &str,
    dim: usize,
    n: usize,
    seed: u64,
    isa: Isa,
    spread: f64,
) -> Result<(), String> {
    let twins = Twins::new(text, dim, seed, isa, spread);
    twins.faults_of_densities(dim, n, seed)?;
    let sent = !text.contains("masked") && !text.starts_with("rad");
    twins.faults_of_samples(dim, n, seed, sent)
}

const KINDS_OF_STACK: usize = 9;

/// An experiment file's model table for these choices.
fn text(
    kind: usize,
    hidden: &[usize],
    layers: usize,
    tanh: bool,
    bins: usize,
    base: usize,
) -> String {
    let activation = if tanh { "tanh" } else { "relu" };
    let net = format!("layers = {layers}, hidden = {hidden:?}, activation = \"{activation}\"");
    let base = match base {
        0 => "normal = {}".to_owned(),
        k => format!("mixture = {{ components = {k}, init = \"random\" }}"),
    };
    let affine = format!("affine_coupling = {{ {net} }}");
    let spline = format!("spline_coupling = {{ {net}, bins = {bins} }}");
    match kind {
        0 => format!("flow = {{ bijection.{affine}, base.{base} }}"),
        1 => format!("flow = {{ bijection.{spline}, base.{base}, standardise = false }}"),
        2 => format!(
            "flow = {{ bijection.affine_coupling = {{ {net}, mixing = \"linear\", log_shrink_bound = 0.5 }}, base.{base} }}"
        ),
        3 => format!(
            "flow = {{ bijection.chain = [{{ elementwise = {{}} }}, {{ {spline} }}, {{ linear = {{}} }}, \
             {{ permutation = {{ order = \"shuffle\" }} }}, {{ {affine} }}, {{ soft_tails = {{ threshold = 0.7 }} }}], base.{base} }}"
        ),
        4 => format!("rad = {{ {net}, base.{base}, interleave = [\"affine_coupling\", \"linear\"] }}"),
        5 => format!("rad = {{ {net}, base.{base}, gates = \"flat\" }}"),
        6 => format!("flow = {{ bijection.masked_autoregressive = {{ {net} }}, base.{base} }}"),
        7 => format!(
            "flow = {{ bijection.masked_autoregressive_spline = {{ {net}, bins = {bins} }}, base.{base}, \
             standardise = false }}"
        ),
        _ => format!(
            "flow = {{ bijection.chain = [{{ linear = {{}} }}, {{ masked_autoregressive = {{ {net}, \
             order = \"shuffle\" }} }}, {{ {affine} }}], base.{base} }}"
        ),
    }
}

#[test]
fn any_shape_agrees_with_plain_double_precision() {
    let mut wrong = Faults::default();
    // A fixed seed: a case that fails today fails tomorrow.
    let rng = &mut Rng::new(1);
    for seed in 0..90 {
        let mut of = |all: &[usize]| all[rng.below(all.len())];
        let hidden: Vec<usize> = (0..of(&[0, 1, 2]))
            .map(|_| of(&[1, 5, 16, 37, 64]))
            .collect();
        let (dim, n) = (of(&[1, 2, 3, 5]), of(&[1, 7, 64, 65, 200]));
        let (kind, layers) = (rng.below(KINDS_OF_STACK), 1 + rng.below(3));
        let (tanh, bins, base) = (rng.below(2) == 1, 1 + rng.below(8), rng.below(6));
        let text = text(kind, &hidden, layers, tanh, bins, base);
        for isa in Isa::available() {
            let found = faults(&text, dim, n, seed, isa, 0.15);
            wrong.unless(found.is_ok(), || {
                format!("{isa}, D = {dim}, n = {n}: {text}: {found:?}")
            });
        }
    }
    wrong.none();
}

/// The extremes that are asked for: D = 32, widths of 37 and 256, batches of 1 and 1000.
#[test]
fn large_shapes_agree_with_plain_double_precision() {
    let mut wrong = Faults::default();
    for isa in Isa::available() {
        for (kind, hidden, dim, n) in [
            (0, vec![256, 37], 32, 130),
            (1, vec![37, 256], 32, 65),
            (3, vec![37], 32, 70),
            (4, vec![64, 64], 32, 64),
            (5, vec![64], 2, 1000),
            (0, vec![64, 64], 2, 1000),
            (1, vec![64, 64], 2, 1),
            (6, vec![256, 37], 32, 130),
            (6, vec![64, 64], 2, 1000),
            (7, vec![37, 20], 32, 65),
            (8, vec![64, 64], 5, 1),
        ] {
            let text = text(kind, &hidden, 2, false, 8, 8);
            let found = faults(&text, dim, n, 5, isa, 0.02);
            wrong.unless(found.is_ok(), || {
                format!("{isa}, D = {dim}, n = {n}: {text}: {found:?}")
            });
        }
    }
    wrong.none();
}
