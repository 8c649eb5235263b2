//! What the estimators of a mixture base are worth, on one mixture in one dimension whose truth is
//! known by quadrature: entropies of the relaxed mixture by each density, and gradients of an
//! expectation by each way to draw. Estimates go through [`crate::distributions::mixture::Mixture`]
//! as training does, in double precision; the truth goes through other code.

use candle_core::{DType, Device, Tensor};

use crate::distributions::mixture::Mixture;
use crate::distributions::{MixtureDraws, MixtureInit, MixtureSpec};
use crate::nn::Params;
use crate::Result;

mod entropy;
mod gradients;
mod quadrature;
mod relaxed;
mod rows;
mod spec;
#[cfg(test)]
mod tests;

pub use entropy::entropies;
pub use gradients::gradients;
pub use relaxed::RelaxedLaw;
pub use rows::{Density, EntropyRow, GradientRow, Parameter, RelaxedRow};
pub use spec::{EntropySpec, GradientSpec, StudyMixture, StudySpec};

/// Is told in a few words what is being computed.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// The mixture as the program has it, drawn from in this way.
fn build(of: &StudyMixture, draws: MixtureDraws) -> Result<(Params, Mixture)> {
    let k = of.weights.len();
    let tensor = |values: Vec<f64>, shape: (usize, usize)| -> Result<Tensor> {
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    };
    let logs = |values: &[f64]| values.iter().map(|v| v.ln()).collect();
    let values = [
        ("logits", tensor(logs(&of.weights), (1, k))?),
        ("means", tensor(of.means.clone(), (k, 1))?),
        ("log_stds", tensor(logs(&of.std_devs), (k, 1))?),
    ];
    let values = values.map(|(name, tensor)| (name.to_owned(), tensor));
    let params = Params::from_tensors(values.into_iter().collect(), DType::F64, &Device::Cpu);
    let spec = MixtureSpec {
        components: k,
        init: MixtureInit::Random,
        spread: 1.0,
        std: 1.0,
        frozen: Vec::new(),
        draws,
    };
    let mixture = Mixture::new(&params, 1, &spec, None)?;
    Ok((params, mixture))
}
