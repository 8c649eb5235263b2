//! Weights of models of every kind, and samples and densities from them.

use candle_core::{DType, Device, Tensor};
use mdn::experiment::store::RunDir;
use mdn::experiment::trained::Trained;
use mdn::experiment::weights;
use mdn_core::nn::params::Snapshot;
use mdn_core::rng::Rng;

use super::runs::{compute, flow, on_a_ring, Runs};
use super::{choice, chosen, names, short, write, Seeds, Target};

/// What is done with the bytes; the first byte decides.
const WAYS: usize = 3;

const FILE: &str = "model.safetensors";

fn experiments() -> Vec<String> {
    let models = [
        "flow]\nbijection.spline_coupling = { layers = 2, hidden = [3], bins = 3 }",
        "flow]\nbijection.chain = [{ planar.layers = 2 }, { radial.layers = 2 }, { linear = {} }, \
         { permutation.order = \"reverse\" }, { elementwise = {} }]",
        "flow]\nbijection.masked_autoregressive = { layers = 2, hidden = [3] }\n\
         base.resampled = { hidden = [3] }",
        "flow]\nbijection.masked_autoregressive_spline = { layers = 1, hidden = [3], bins = 3 }",
        "rad]\nlayers = 2\nhidden = [3]\nbase.mixture.components = 2",
        "rad]\nlayers = 2\nhidden = [3]\ngates = \"net\"",
        "clusters]\nclusters = 2\nbijection.affine_coupling = { layers = 1, hidden = [3] }",
        "gaussian_mixture]\ncomponents = 2",
        "kernel_density]",
    ];
    let models = models.iter().map(|m| on_a_ring(m));
    std::iter::once(flow()).chain(models).collect()
}

/// The way, the run, then the bytes.
pub fn target() -> Target {
    let runs = Runs::trained(&experiments());
    let good: Vec<_> = runs
        .places
        .iter()
        .map(|place| {
            let bytes = std::fs::read(place.path(FILE)).expect("weights");
            weights::from_bytes(&bytes).expect("weights")
        })
        .collect();
    Box::new(move |bytes| {
        // Moves all of `runs` into the closure, which keeps the folder.
        let runs = &runs;
        let (way, rest) = choice(bytes, WAYS);
        let (which, rest) = choice(rest, good.len());
        let place = &runs.places[which];
        let file = match way {
            // The whole file.
            0 => rest.to_vec(),
            // A file of the layout without a checksum.
            1 => without_sum(rest),
            // Numbers for the run's own weights.
            _ => weights::to_bytes(&with_numbers(&good[which], rest), 1).expect("a file"),
        };
        let _ = weights::best_step(&file);
        write(&place.path(FILE), file);
        used(place)
    })
}

/// Whatever the weights are, sampling and densities end.
fn used(place: &RunDir) -> bool {
    let trained = match Trained::load(place, |_| Ok(compute())) {
        Ok(trained) => trained,
        Err(e) => {
            names(&e, &place.path(FILE));
            return false;
        }
    };
    let told = |e: mdn_core::Error| short(&e.to_string());
    let dim = trained.dim();
    match trained.sample(3, &mut Rng::new(0)) {
        Ok(rows) => assert!(
            rows.len() == 3 && rows.iter().all(|r| r.len() == dim),
            "{rows:?}"
        ),
        Err(e) => told(e),
    }
    let points = [vec![0.5; dim], vec![-3.0; dim]].concat();
    match trained.log_density(&points) {
        Ok(values) => assert_eq!(values.len(), 2),
        Err(e) => told(e),
    }
    if let Err(e) = trained.parts(&points) {
        told(e);
    }
    true
}

/// Turns `"format":"2"` in the metadata, where quotes are escaped, into format 1.
fn without_sum(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let said = br#"\"format\":\""#;
    let at = bytes.windows(said.len()).position(|w| w == said);
    if let Some(number) = at.and_then(|at| bytes.get_mut(at + said.len())) {
        *number = b'1';
    }
    bytes
}

/// `like` with its first numbers replaced by `bytes`.
fn with_numbers(like: &Snapshot, mut bytes: &[u8]) -> Snapshot {
    let mut replaced = |tensor: &Tensor| -> Tensor {
        let size = tensor.dtype().size_in_bytes();
        let mut raw = mdn_core::nn::stored::bytes(tensor).expect("numbers");
        for number in raw.chunks_exact_mut(size) {
            if let Some((new, rest)) = bytes.split_at_checked(size) {
                number.copy_from_slice(new);
                bytes = rest;
            }
        }
        let dtype: DType = tensor.dtype();
        Tensor::from_raw_buffer(&raw, dtype, tensor.dims(), &Device::Cpu).expect("a tensor")
    };
    let all = like.iter();
    all.map(|(name, tensor)| (name.clone(), replaced(tensor)))
        .collect()
}

/// The weights of every run for every way.
pub fn seeds() -> Seeds {
    let runs = Runs::trained(&experiments());
    let mut all = Vec::new();
    for (which, place) in runs.places.iter().enumerate() {
        let file = std::fs::read(place.path(FILE)).expect("weights");
        let tensors = weights::from_bytes(&file).expect("weights");
        let numbers = tensors
            .values()
            .map(|t| mdn_core::nn::stored::bytes(t).expect("numbers"));
        let numbers = numbers.collect::<Vec<_>>().concat();
        for (way, bytes) in [(0, &file), (1, &file), (2, &numbers)] {
            let bytes = chosen(way, &chosen(which, bytes));
            all.push((format!("run-{which}-way-{way}"), bytes));
        }
    }
    all
}
