//! What the tests of models, objectives and training share.

use candle_core::{DType, Device, Tensor};

use super::ModelSpec;
use crate::distributions::Distribution;
use crate::nn::params::Snapshot;
use crate::nn::Params;
pub use crate::num::testing::{largest_gap, tensor as rows, values};
use crate::rng::Rng;

/// The specification that `text` is the TOML of.
pub fn spec<T: serde::de::DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The example of this name.
pub fn example(name: &str) -> ModelSpec {
    let mut all = ModelSpec::examples().into_iter();
    all.find(|(n, _)| *n == name).unwrap().1
}

/// New parameters in double precision.
pub fn seeded(seed: u64) -> Params {
    Params::seeded(Rng::new(seed), DType::F64, &Device::Cpu)
}

/// Loaded parameters.
pub fn loaded(values: Snapshot, dtype: DType) -> Params {
    Params::from_tensors(values, dtype, &Device::Cpu)
}

/// The same numbers in double precision.
pub fn double(snapshot: &Snapshot) -> Snapshot {
    let cast = |t: &Tensor| match t.dtype() {
        DType::F32 => t.to_dtype(DType::F64).unwrap(),
        _ => t.clone(),
    };
    snapshot.iter().map(|(n, t)| (n.clone(), cast(t))).collect()
}

/// All numbers of a snapshot.
pub fn bytes(snapshot: &Snapshot) -> Vec<(String, Vec<f64>)> {
    let one = |(name, t): (&String, &Tensor)| (name.clone(), values(t));
    snapshot.iter().map(one).collect()
}

/// log q of every row.
pub fn log_prob(q: &(impl Distribution + ?Sized), x: &Tensor) -> Vec<f64> {
    values(&q.log_prob(x).unwrap())
}

/// Two blobs, the first a quarter of the points.
pub fn blobs(n: usize, dim: usize, rng: &mut Rng) -> Tensor {
    let centre = |i: usize| match (i / dim).is_multiple_of(4) {
        true => 1.5,
        false => -1.0,
    };
    let place = |i: usize| centre(i) + 0.5 * rng.normal();
    rows(&(0..n * dim).map(place).collect::<Vec<_>>(), dim)
}

/// The result of `f` on this many threads.
pub fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(f)
}
