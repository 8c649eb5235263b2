//! Implicit reparameterisation (Figurnov, Mohamed and Mnih 2018; for mixtures Graves 2016).

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Shape, Tensor};

use super::Mixture;
use crate::distributions::{Distribution, Draws};
use crate::num::{log_sum_exp_slice, LN_2PI};
use crate::rng::Rng;
use crate::Result;

impl Mixture {
    /// Plain samples that move with the parameters so that their conditional distribution functions
    /// S_d = F(z_d | z_1 .. z_(d-1)), evaluated at them, stay what they are:
    ///
    /// S_d = sum_k w_kd Phi((z_d - mu_kd) / sigma_kd), w_kd in proportion to
    /// alpha_k prod_(e < d) N(z_e; mu_ke, sigma_ke), and dz/dtheta = -(dS/dz)^-1 dS/dtheta.
    ///
    /// Unbiased, but the derivative by the logits is proportional to the inverse density at the
    /// sample: for modes 8 standard deviations apart its standard deviation is 10 times the gradient,
    /// at 12 it is 800 times.
    pub(super) fn implicit(&self, n: usize, rng: &mut Rng) -> Result<Draws> {
        let x = self.attach(&self.sample_on_host(n.max(1), rng)?)?;
        let log_prob = self.log_prob(&x)?;
        Draws::alike(x, log_prob)
    }

    /// The same points, (n, D), with the derivatives of samples.
    pub(super) fn attach(&self, z: &Tensor) -> Result<Tensor> {
        let (n, dim) = z.dims2()?;
        let on_host = |x: &Tensor| x.to_device(&Device::Cpu)?.to_dtype(DType::F64);
        let op = Motion {
            z: on_host(z)?.flatten_all()?.to_vec1()?,
            shape: (n, dim),
        };
        let (logits, means) = (on_host(&self.logits)?, on_host(&self.means)?);
        let x = logits.apply_op3(&means, &on_host(&self.log_stds)?, op)?;
        Ok(x.to_dtype(self.means.dtype())?
            .to_device(self.means.device())?)
    }
}

/// Logits (1, K), means and log standard deviations (K, D), f64 -> z.
struct Motion {
    z: Vec<f64>,
    shape: (usize, usize),
}

/// ln Phi(t), also where Phi underflows.
fn log_normal_cdf(t: f64) -> f64 {
    if t > -20.0 {
        return (0.5 * libm::erfc(-t * std::f64::consts::FRAC_1_SQRT_2)).ln();
    }
    // Phi(t) ~ phi(t) / -t (1 - 1/t^2 + 3/t^4 - 15/t^6 + ...): nine terms give all digits here.
    let inverse = 1.0 / (t * t);
    let (mut term, mut sum) = (1.0, 1.0);
    for i in 0..9 {
        term *= -f64::from(2 * i + 1) * inverse;
        sum += term;
    }
    -0.5 * t * t - 0.5 * LN_2PI - (-t).ln() + sum.ln()
}

impl Motion {
    /// The gradients by logits, means and log standard deviations:
    /// theta_bar = v^T dS/dtheta with (dS/dz)^T v = -z_bar. Row d of the system is divided by its
    /// diagonal, the density of z_d given the coordinates before, so that with
    /// p_kd = w_kd N(z_d; mu_kd, sigma_kd) / density and q_kd = w_kd (Phi_kd - S_d) / density nothing
    /// underflows in the tails.
    fn pull_back(
        &self,
        logits: &[f64],
        means: &[f64],
        log_stds: &[f64],
        by_z: &[f64],
    ) -> [Vec<f64>; 3] {
        let (k, dim) = (logits.len(), self.shape.1);
        let total = log_sum_exp_slice(logits);
        let (mut by_logits, mut by_means) = (vec![0.0; k], vec![0.0; k * dim]);
        let mut by_log_stds = by_means.clone();
        let (mut p, mut q) = (vec![0.0; dim * k], vec![0.0; dim * k]);
        let mut log_w = vec![0.0; k];
        let mut moved = vec![0.0; k];
        for (z, by_z) in self.z.chunks_exact(dim).zip(by_z.chunks_exact(dim)) {
            let scaled =
                |c: usize, d: usize| (z[d] - means[c * dim + d]) / log_stds[c * dim + d].exp();
            for (w, logit) in log_w.iter_mut().zip(logits) {
                *w = logit - total;
            }
            for d in 0..dim {
                let (p, q) = (&mut p[d * k..(d + 1) * k], &mut q[d * k..(d + 1) * k]);
                conditional(&log_w, |c| (scaled(c, d), log_stds[c * dim + d]), p, q);
                for (w, c) in log_w.iter_mut().zip(0..) {
                    *w += -0.5 * scaled(c, d).powi(2) - log_stds[c * dim + d];
                }
                let total = log_sum_exp_slice(&log_w);
                log_w.iter_mut().for_each(|w| *w -= total);
            }
            // `moved` is sum_(d > e) v_d q_kd.
            moved.fill(0.0);
            for e in (0..dim).rev() {
                let (p, q) = (&p[e * k..(e + 1) * k], &q[e * k..(e + 1) * k]);
                let pull = |c: usize| scaled(c, e) / log_stds[c * dim + e].exp();
                let v = (0..k).map(|c| moved[c] * pull(c)).sum::<f64>() - by_z[e];
                for c in 0..k {
                    let at = c * dim + e;
                    let shift = z[e] - means[at];
                    by_means[at] += moved[c] * pull(c) - v * p[c];
                    by_log_stds[at] += moved[c] * (scaled(c, e).powi(2) - 1.0) - v * p[c] * shift;
                    moved[c] += v * q[c];
                }
            }
            for (to, moved) in by_logits.iter_mut().zip(&moved) {
                *to += moved;
            }
        }
        [by_logits, by_means, by_log_stds]
    }
}

/// p_k and q_k of one coordinate, from ln w_k, and (z - mu_k) / sigma_k and ln sigma_k by component.
/// Differences of distribution functions are taken in the smaller of the two tails.
fn conditional(log_w: &[f64], at: impl Fn(usize) -> (f64, f64), p: &mut [f64], q: &mut [f64]) {
    let each = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        let terms = log_w.iter().enumerate().map(|(c, w)| {
            let (t, log_std) = at(c);
            w + f(t, log_std)
        });
        terms.collect()
    };
    let joint = each(&|t, log_std| -0.5 * t * t - log_std - 0.5 * LN_2PI);
    let density = log_sum_exp_slice(&joint);
    let lower = each(&|t, _| log_normal_cdf(t));
    let upper = each(&|t, _| log_normal_cdf(-t));
    let (below, above) = (log_sum_exp_slice(&lower), log_sum_exp_slice(&upper));
    let (sign, tails, tail) = if below < above {
        (1.0, lower, below)
    } else {
        (-1.0, upper, above)
    };
    for c in 0..log_w.len() {
        p[c] = (joint[c] - density).exp();
        q[c] = sign * ((tails[c] - density).exp() - (log_w[c] + tail - density).exp());
    }
}

impl CustomOp3 for Motion {
    fn name(&self) -> &'static str {
        "implicit-mixture-sample"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F64(self.z.clone()), Shape::from(self.shape)))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        means: &Tensor,
        log_stds: &Tensor,
        _z: &Tensor,
        by_z: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let flat = |x: &Tensor| x.flatten_all()?.to_vec1::<f64>();
        let [by_logits, by_means, by_log_stds] = self.pull_back(
            &flat(logits)?,
            &flat(means)?,
            &flat(log_stds)?,
            &flat(by_z)?,
        );
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        Ok((
            Some(tensor(by_logits, logits)?),
            Some(tensor(by_means, means)?),
            Some(tensor(by_log_stds, log_stds)?),
        ))
    }
}
